package dev.countersign;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads one JSON object (RFC 8259) in which no two readers could see different values: valid UTF-8,
 * every member name once at every depth, no lone surrogates, and nothing around the object but
 * white space. Most libraries take the last of two members with one name, so they cannot be used
 * for a text that is signed.
 *
 * <p>The values are String, {@link Num}, Boolean, null, List and Map.
 */
final class StrictJson {
  /** How deep arrays and objects may be nested. The server's parser has the same bound. */
  private static final int MAX_DEPTH = 127;

  /** A number as it is spelled. */
  record Num(String text) {
    /** Whether it is digits and nothing else. */
    boolean isWhole() {
      return text.chars().allMatch(c -> c >= '0' && c <= '9');
    }

    /** The number with all of its digits: a Long, a BigInteger or a BigDecimal. */
    Number value() {
      if (text.chars().noneMatch(c -> c == '.' || c == 'e' || c == 'E')) {
        return text.length() <= 18 ? (Number) Long.valueOf(text) : narrow(new BigInteger(text));
      }
      try {
        return new BigDecimal(text);
      } catch (NumberFormatException e) {
        // An exponent below the smallest that there is.
        return Double.valueOf(text);
      }
    }

    private static Number narrow(BigInteger number) {
      return number.bitLength() < 64 ? (Number) number.longValue() : number;
    }
  }

  /** What is read is no such object. */
  private static final class Malformed extends Exception {
    Malformed() {
      super(null, null, false, false);
    }
  }

  private final String text;
  private int at;

  private StrictJson(String text) {
    this.text = text;
  }

  /** The members of the object; null where it is none. */
  static Map<String, Object> parseObject(byte[] bytes) {
    try {
      StrictJson parser = new StrictJson(decodeUtf8(bytes));
      parser.skipSpace();
      if (parser.peek() != '{') {
        return null;
      }
      Map<String, Object> object = parser.object(1);
      parser.skipSpace();
      return parser.at == parser.text.length() ? object : null;
    } catch (Malformed e) {
      return null;
    }
  }

  private static String decodeUtf8(byte[] bytes) throws Malformed {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw new Malformed();
    }
  }

  /** The next character; -1 at the end. */
  private int peek() {
    return at < text.length() ? text.charAt(at) : -1;
  }

  private void skipSpace() {
    while (true) {
      switch (peek()) {
        case ' ', '\t', '\n', '\r' -> at++;
        default -> {
          return;
        }
      }
    }
  }

  /** Consumes c if it is next, after white space. */
  private boolean take(char c) {
    skipSpace();
    if (peek() != c) {
      return false;
    }
    at++;
    return true;
  }

  private void expect(boolean holds) throws Malformed {
    if (!holds) {
      throw new Malformed();
    }
  }

  private Object value(int depth) throws Malformed {
    skipSpace();
    return switch (peek()) {
      case '{' -> object(depth + 1);
      case '[' -> array(depth + 1);
      case '"' -> string();
      case 't' -> literal("true", true);
      case 'f' -> literal("false", false);
      case 'n' -> literal("null", null);
      default -> number();
    };
  }

  private Object literal(String word, Object value) throws Malformed {
    expect(text.startsWith(word, at));
    at += word.length();
    return value;
  }

  private Map<String, Object> object(int depth) throws Malformed {
    expect(depth <= MAX_DEPTH);
    at++; // the brace
    Map<String, Object> object = new LinkedHashMap<>();
    if (take('}')) {
      return object;
    }
    do {
      skipSpace();
      expect(peek() == '"');
      String name = string();
      expect(take(':'));
      Object value = value(depth);
      expect(!object.containsKey(name));
      object.put(name, value);
    } while (take(','));
    expect(take('}'));
    return object;
  }

  private List<Object> array(int depth) throws Malformed {
    expect(depth <= MAX_DEPTH);
    at++; // the bracket
    List<Object> array = new ArrayList<>();
    if (take(']')) {
      return array;
    }
    do {
      array.add(value(depth));
    } while (take(','));
    expect(take(']'));
    return array;
  }

  /**
   * Reads a number and keeps its spelling. One that no double can hold is refused, as the server
   * does.
   */
  private Num number() throws Malformed {
    int start = at;
    if (peek() == '-') {
      at++;
    }
    if (peek() == '0') {
      at++;
    } else {
      digits();
    }
    if (peek() == '.') {
      at++;
      digits();
    }
    if (peek() == 'e' || peek() == 'E') {
      at++;
      if (peek() == '+' || peek() == '-') {
        at++;
      }
      digits();
    }
    String number = text.substring(start, at);
    expect(!Double.isInfinite(Double.parseDouble(number)));
    return new Num(number);
  }

  /** Consumes one digit at least. */
  private void digits() throws Malformed {
    int start = at;
    while (peek() >= '0' && peek() <= '9') {
      at++;
    }
    expect(at > start);
  }

  private String string() throws Malformed {
    at++; // the quotation mark
    StringBuilder read = null;
    int start = at;
    while (true) {
      int c = peek();
      expect(c >= 0x20);
      at++;
      if (c == '"') {
        String rest = text.substring(start, at - 1);
        return read == null ? rest : read.append(rest).toString();
      }
      if (c == '\\') {
        read = (read == null ? new StringBuilder() : read).append(text, start, at - 1);
        read.appendCodePoint(escape());
        start = at;
      }
    }
  }

  /** Reads what follows a backslash. */
  private int escape() throws Malformed {
    int c = peek();
    at++;
    return switch (c) {
      case '"', '\\', '/' -> c;
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'u' -> unicode();
      default -> throw new Malformed();
    };
  }

  private int unicode() throws Malformed {
    char first = hex4();
    if (!Character.isSurrogate(first)) {
      return first;
    }
    // Half a pair stands for no character.
    expect(text.startsWith("\\u", at));
    at += 2;
    char second = hex4();
    expect(Character.isSurrogatePair(first, second));
    return Character.toCodePoint(first, second);
  }

  private char hex4() throws Malformed {
    int value = 0;
    for (int i = 0; i < 4; i++) {
      int c = peek();
      int digit = c < 128 ? Character.digit(c, 16) : -1;
      expect(digit >= 0);
      value = value << 4 | digit;
      at++;
    }
    return (char) value;
  }
}
