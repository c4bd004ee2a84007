package dev.countersign;

import java.util.Map;

/**
 * The keys that tokens are accepted from, by their id.
 *
 * @param withdrawals how often keys were withdrawn before. What was verified with a set of another
 *     number may have been signed by a key that is not trusted any more
 */
record KeySet(Map<String, VerificationKey> keys, long withdrawals) {
  static final KeySet EMPTY = new KeySet(Map.of(), 0);

  /**
   * The set with other keys instead. A key is withdrawn by it, too, whose name another key has now.
   */
  KeySet replacedBy(Map<String, VerificationKey> next) {
    boolean withdrawn =
        keys.values().stream()
            .anyMatch(
                old -> {
                  VerificationKey key = next.get(old.id());
                  return key == null || !key.isSameAs(old);
                });
    return new KeySet(Map.copyOf(next), withdrawn ? withdrawals + 1 : withdrawals);
  }
}
