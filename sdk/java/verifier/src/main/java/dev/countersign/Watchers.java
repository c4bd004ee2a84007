package dev.countersign;

import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Those who want to know when a token is revoked, by its session and by its user. */
final class Watchers {
  private final Map<String, Set<Watcher>> sessions = new HashMap<>();
  private final Map<String, Set<Watcher>> subjects = new HashMap<>();

  /** One of them. It is told once. */
  final class Watcher implements TokenVerifier.Watch {
    private final Token token;
    private Runnable listener;

    private Watcher(Token token, Runnable listener) {
      this.token = token;
      this.listener = listener;
    }

    @Override
    public void close() {
      take();
    }

    /** Tells, unless it was told or closed. */
    void tell() {
      Runnable told = take();
      if (told != null) {
        told.run();
      }
    }

    private Runnable take() {
      synchronized (Watchers.this) {
        Runnable taken = listener;
        listener = null;
        remove(sessions, token.sessionId(), this);
        remove(subjects, token.subject(), this);
        return taken;
      }
    }
  }

  synchronized Watcher add(Token token, Runnable listener) {
    Watcher watcher = new Watcher(token, listener);
    sessions.computeIfAbsent(token.sessionId(), key -> new LinkedHashSet<>()).add(watcher);
    subjects.computeIfAbsent(token.subject(), key -> new LinkedHashSet<>()).add(watcher);
    return watcher;
  }

  private static void remove(Map<String, Set<Watcher>> all, String key, Watcher watcher) {
    all.computeIfPresent(
        key,
        (name, watchers) -> {
          watchers.remove(watcher);
          return watchers.isEmpty() ? null : watchers;
        });
  }

  /** Tells everybody whose token is refused now. */
  void tell(Revocation revocation) {
    concerned(revocation).forEach(Watcher::tell);
  }

  private synchronized List<Watcher> concerned(Revocation revocation) {
    Set<Watcher> candidates =
        revocation instanceof Revocation.OfSession session
            ? sessions.get(session.sessionId())
            : subjects.get(((Revocation.OfUser) revocation).subject());
    return candidates == null
        ? List.of()
        : candidates.stream().filter(watcher -> revocation.covers(watcher.token)).toList();
  }

  /** Under how many names there are watchers. */
  synchronized int size() {
    return sessions.size() + subjects.size();
  }
}
