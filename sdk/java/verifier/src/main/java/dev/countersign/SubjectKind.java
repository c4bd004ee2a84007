package dev.countersign;

/** What the subject of a token is. */
public enum SubjectKind {
  /** A user, who has logged in. */
  USER,
  /** A service account: a program that speaks for itself (RFC 6749 section 4.4). */
  SERVICE
}
