package dev.countersign;

/** A stream must be left, and why. */
final class StreamEnd extends Exception {
  /** Why. */
  enum Why {
    /** The subscriber fell behind; the snapshot must be reloaded. */
    RESYNCHRONISE(true),
    /** The wall clock was set. */
    CLOCK_SET(true),
    /** The server broke the protocol. */
    NONSENSE(true),
    /** The server does not answer pings. */
    SILENT(false),
    /** The connection was lost, or the server ended the stream. */
    LOST(false);

    private final boolean beginsAnew;

    Why(boolean beginsAnew) {
      this.beginsAnew = beginsAnew;
    }
  }

  private final Why why;

  StreamEnd(Why why, String message) {
    this(why, message, null);
  }

  StreamEnd(Why why, String message, Throwable cause) {
    super(message, cause, false, false);
    this.why = why;
  }

  Why why() {
    return why;
  }

  /** Whether the next stream must not go on from the position of this one. */
  boolean beginsAnew() {
    return why.beginsAnew;
  }
}
