package dev.countersign;

/** Comparisons without regard to the case of ASCII letters alone. */
final class Ascii {
  private Ascii() {}

  /** {@link String#equalsIgnoreCase} would also take the Kelvin sign for a k. */
  static boolean equalsIgnoreCase(String a, String b) {
    if (a.length() != b.length()) {
      return false;
    }
    for (int i = 0; i < a.length(); i++) {
      if (lower(a.charAt(i)) != lower(b.charAt(i))) {
        return false;
      }
    }
    return true;
  }

  private static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char) (c + ('a' - 'A')) : c;
  }
}
