package dev.countersign;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * The positions of the ledger that callers wait for. Callers that wait for the same position share
 * one question.
 */
final class Positions {
  /** How many positions are waited for at once, here and at the server. */
  static final int MAX_WAITING = 64;

  /**
   * How many positions that were reached are remembered: revocations are only ever added, so they
   * stay reached.
   */
  private static final int MAX_REACHED = 64;

  /** The longest position there is. */
  static final int MAX_LENGTH = 64;

  /**
   * A position, and whether everything up to there is known here; false where that is not known.
   */
  static final class Question {
    private final String position;
    private final CompletableFuture<Boolean> answer = new CompletableFuture<>();
    private int callers;

    Question(String position) {
      this.position = position;
    }

    String position() {
      return position;
    }

    /** Says whether it is reached. */
    void answer(boolean reached) {
      answer.complete(reached);
    }

    /** Null while there is no answer. */
    Boolean answered() {
      return answer.getNow(null);
    }
  }

  private final Set<String> reached = new LinkedHashSet<>();
  private final Map<String, Question> open = new HashMap<>();
  private final Queue<Question> unasked = new ArrayDeque<>();

  /** Called when there is something to ask. */
  private volatile Runnable wake = () -> {};

  void onUnasked(Runnable wake) {
    this.wake = wake;
  }

  /** Whether everything up to a position is known here, now or within some nanoseconds. */
  boolean reach(String position, long patienceNanos) {
    Question question;
    boolean isNew;
    synchronized (this) {
      if (reached.contains(position)) {
        return true;
      }
      question = open.get(position);
      isNew = question == null;
      if (isNew) {
        if (position.length() > MAX_LENGTH || unasked.size() >= MAX_WAITING) {
          return false;
        }
        question = new Question(position);
        open.put(position, question);
        unasked.add(question);
      }
      question.callers++;
    }
    if (isNew) {
      wake.run();
    }
    boolean isReached = false;
    try {
      isReached = question.answer.get(patienceNanos, TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (ExecutionException | TimeoutException e) {
      // Not known in time.
    }
    leave(question, isReached);
    return isReached;
  }

  private synchronized void leave(Question question, boolean isReached) {
    question.callers--;
    if (isReached) {
      remember(question.position);
    }
    if (question.callers == 0 || question.answer.isDone()) {
      open.remove(question.position, question);
      unasked.remove(question);
    }
  }

  private void remember(String position) {
    if (reached.add(position) && reached.size() > MAX_REACHED) {
      Iterator<String> oldest = reached.iterator();
      oldest.next();
      oldest.remove();
    }
  }

  /** What was not asked yet; null where there is nothing. */
  synchronized Question next() {
    return unasked.poll();
  }

  /** How many are open or remembered. */
  synchronized int size() {
    return reached.size() + open.size() + unasked.size();
  }
}
