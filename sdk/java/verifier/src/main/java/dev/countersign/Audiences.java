package dev.countersign;

import java.util.Collection;
import java.util.List;

/** Checks lists of audiences. */
final class Audiences {
  private Audiences() {}

  static List<String> copyOf(Collection<String> audiences) {
    List<String> copy = List.copyOf(audiences);
    if (copy.contains("")) {
      throw new IllegalArgumentException("countersign: an audience is empty");
    }
    return copy;
  }
}
