package dev.countersign;

import com.google.protobuf.ByteString;
import java.nio.ByteBuffer;

/** A user's or a session's id: 16 bytes. */
record Id(long high, long low) {
  static final int BYTES = 16;

  private static final char[] HEX = "0123456789abcdef".toCharArray();

  /** Reads 16 bytes. Null where there are more or fewer. */
  static Id of(ByteString bytes) {
    return bytes.size() == BYTES ? of(bytes.asReadOnlyByteBuffer()) : null;
  }

  private static Id of(ByteBuffer bytes) {
    return new Id(bytes.getLong(), bytes.getLong());
  }

  /**
   * Reads a UUID in its canonical form alone, so that one user has one spelling. Null otherwise.
   */
  static Id parseUser(String text) {
    if (text.length() != 36) {
      return null;
    }
    long high = 0;
    long low = 0;
    for (int i = 0; i < 36; i++) {
      char c = text.charAt(i);
      if (i == 8 || i == 13 || i == 18 || i == 23) {
        if (c != '-') {
          return null;
        }
        continue;
      }
      int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
      if (digit < 0) {
        return null;
      }
      if (i < 18) {
        high = high << 4 | digit;
      } else {
        low = low << 4 | digit;
      }
    }
    return new Id(high, low);
  }

  /** Reads 22 characters of base64url. Null otherwise. */
  static Id parseSession(String text) {
    byte[] bytes = Base64Url.decode(text, 0, text.length());
    return bytes != null && bytes.length == BYTES ? of(ByteBuffer.wrap(bytes)) : null;
  }

  /** The id of a user as a token has it. */
  String formatUser() {
    StringBuilder text = new StringBuilder(36);
    for (int i = 0; i < 32; i++) {
      if (i == 8 || i == 12 || i == 16 || i == 20) {
        text.append('-');
      }
      long half = i < 16 ? high : low;
      text.append(HEX[(int) (half >>> (60 - 4 * (i & 15))) & 15]);
    }
    return text.toString();
  }

  /** The id of a session as a token has it. */
  String formatSession() {
    return Base64Url.encode(toBytes());
  }

  byte[] toBytes() {
    return ByteBuffer.allocate(BYTES).putLong(high).putLong(low).array();
  }
}
