package dev.countersign;

/** A token is not accepted: it is missing, invalid, or nothing can be known about it. */
public final class RefusedException extends RuntimeException {
  private final transient Refusal refusal;

  /**
   * Makes one.
   *
   * @param refusal why
   */
  public RefusedException(Refusal refusal) {
    super("countersign: " + refusal.reason() + ": " + refusal.message());
    this.refusal = refusal;
  }

  /**
   * Why.
   *
   * @return what to answer the caller; null after the exception was serialized
   */
  public Refusal refusal() {
    return refusal;
  }
}
