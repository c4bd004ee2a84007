package dev.countersign;

import java.util.Arrays;
import java.util.Base64;

/**
 * Base64url (RFC 7515 section 2) in the one spelling that each sequence of bytes has. The decoder
 * of java.util takes padding and bits behind the last byte.
 */
final class Base64Url {
  private static final String ALPHABET =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  private static final byte[] VALUES = new byte[128];

  static {
    Arrays.fill(VALUES, (byte) -1);
    for (int i = 0; i < 64; i++) {
      VALUES[ALPHABET.charAt(i)] = (byte) i;
    }
  }

  private Base64Url() {}

  /** Decodes what stands between two places. Null where it is empty or has any other spelling. */
  static byte[] decode(String text, int from, int to) {
    int length = to - from;
    if (length == 0 || length % 4 == 1) {
      return null;
    }
    byte[] decoded = new byte[length / 4 * 3 + (length % 4 + 1) / 2];
    int bits = 0;
    int count = 0;
    int at = 0;
    for (int i = from; i < to; i++) {
      char c = text.charAt(i);
      int value = c < 128 ? VALUES[c] : -1;
      if (value < 0) {
        return null;
      }
      bits = bits << 6 | value;
      count += 6;
      if (count >= 8) {
        count -= 8;
        decoded[at++] = (byte) (bits >> count);
      }
    }
    boolean hasTrailingBits = (bits & (1 << count) - 1) != 0;
    return hasTrailingBits || at != decoded.length ? null : decoded;
  }

  static String encode(byte[] bytes) {
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }
}
