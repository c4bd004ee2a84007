import { element, textElement } from "./elements.js";
import type { Strings } from "./strings.js";

/** A request as it was sent. */
export interface Sent {
  readonly method: string;
  readonly path: string;
  /** What it was authorized with: requests with different tokens are different calls. */
  readonly bearer: string;
  /** Whether this is the client's own check that the session still exists. */
  readonly check: boolean;
  /** The whole request, secrets shortened. */
  readonly details: string;
}

/** What came back. */
export interface Received {
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The reason of an error, empty without one. */
  readonly reason: string;
  /** Whether this is the expected answer of a browser that has no session yet. */
  readonly noSession: boolean;
  readonly milliseconds: number;
  /** The whole answer, secrets shortened. */
  readonly details: string;
}

/** Calls of one method, path, token and outcome, shown in one row. Elements stay the same, so that focus does too. */
export class WireRow {
  readonly element: HTMLElement;
  readonly #strings: () => Strings;
  readonly #what: HTMLElement;
  readonly #times = element("span", "times");
  readonly #note = element("span", "note");
  readonly #status = element("span", "status");
  readonly #took = element("span", "took", "…");
  readonly #several: HTMLElement;
  readonly #text = element("pre", "");
  #count = 0;
  #slowest = 0;

  constructor(sent: Sent, strings: () => Strings) {
    this.#strings = strings;
    this.#several = textElement("p", "muted small", "lastOfSeveral", strings());
    this.#several.hidden = true;
    this.#what = element("span", "what", element("span", "", `${sent.method} ${sent.path}`), this.#times);
    const time = element("time", "", clockTime());
    const summary = element("summary", "", time, this.#what, this.#status, this.#took, this.#note);
    this.#text.textContent = sent.details;
    this.element = element("li", "call", element("details", "", summary, this.#several, this.#text));
  }

  get count(): number {
    return this.#count;
  }

  /** The row in words, for a screen reader. */
  get words(): string {
    const status = [this.#status.textContent, this.#note.textContent].filter(Boolean).join(" ");
    return `${this.#what.textContent}: ${status}`;
  }

  change(by: 1 | -1): void {
    this.#count += by;
    this.#times.textContent = this.#count > 1 ? ` × ${this.#count}` : "";
    this.#several.hidden = this.#count <= 1;
  }

  receive(sent: Sent, received: Received): void {
    const { status, reason, noSession, milliseconds, details } = received;
    this.#slowest = Math.max(this.#slowest, milliseconds);
    this.#took.textContent = `${Math.round(this.#slowest)} ms`;
    this.#status.className = `status ${noSession ? "neutral" : gradeOf(status)}`;
    if (status === 0) this.#status.replaceChildren(textElement("span", "", "noAnswer", this.#strings()));
    else this.#status.textContent = String(status);
    if (noSession) this.#note.replaceChildren(textElement("span", "", "noSession", this.#strings()));
    else this.#note.textContent = reason;
    this.#text.textContent = `${sent.details}\n\n${details}`;
  }
}

export function gradeOf(status: number): string {
  if (status === 0 || status >= 500) return "broken";
  return status >= 400 ? "refused" : "good";
}

export function clockTime(): string {
  return new Date().toLocaleTimeString("en-GB");
}
