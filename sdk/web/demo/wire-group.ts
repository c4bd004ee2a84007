import { element, textElement } from "./elements.js";
import type { Strings } from "./strings.js";
import { clockTime, WireRow, type Received, type Sent } from "./wire-row.js";

/** Calls of one kind further apart than this are not shown in one row. */
const TOGETHER = 2_000;

/** Calls of one method, path and token that were sent together: a row for those without an answer, and one for each outcome. */
class Burst {
  readonly #kind: string;
  readonly #list: HTMLElement;
  readonly #strings: () => Strings;
  readonly #outcomes = new Map<string, WireRow>();
  #waiting: WireRow | undefined;
  #latest = 0;

  constructor(sent: Sent, list: HTMLElement, strings: () => Strings) {
    this.#kind = kindOf(sent);
    this.#list = list;
    this.#strings = strings;
  }

  takes(sent: Sent): boolean {
    return kindOf(sent) === this.#kind && performance.now() - this.#latest < TOGETHER;
  }

  /** Shows a request. Answers how to show what came back. */
  send(sent: Sent): (received: Received) => WireRow {
    this.#latest = performance.now();
    const waiting = (this.#waiting ??= this.#addRow(sent));
    waiting.change(1);
    return (received) => {
      const outcome = `${received.status} ${received.reason}`;
      let row = this.#outcomes.get(outcome);
      if (row === undefined && waiting.count === 1) {
        row = waiting;
        if (this.#waiting === waiting) this.#waiting = undefined;
      } else {
        row ??= this.#addRow(sent, waiting);
        waiting.change(-1);
        row.change(1);
      }
      this.#outcomes.set(outcome, row);
      if (waiting.count === 0) this.#dropWaiting(waiting);
      row.receive(sent, received);
      return row;
    };
  }

  #addRow(sent: Sent, before?: WireRow): WireRow {
    const row = new WireRow(sent, this.#strings);
    if (before?.element.parentElement === this.#list) before.element.before(row.element);
    else this.#list.append(row.element);
    return row;
  }

  #dropWaiting(waiting: WireRow): void {
    waiting.element.remove();
    if (this.#waiting === waiting) this.#waiting = undefined;
  }

  get rows(): WireRow[] {
    return [...this.#outcomes.values()];
  }
}

function kindOf(sent: Sent): string {
  return `${sent.method} ${sent.path} ${sent.bearer} ${sent.check}`;
}

/** What one press of a button caused, in the order in which it was sent; or what the client did on its own. */
export class WireGroup {
  readonly element: HTMLElement;
  readonly #list = element("ol", "rows");
  readonly #strings: () => Strings;
  readonly #bursts: Burst[] = [];
  readonly #events: string[] = [];

  constructor(title: keyof Strings, strings: () => Strings) {
    this.#strings = strings;
    const head = element("div", "group-head", textElement("h3", "", title, strings()), element("time", "", clockTime()));
    this.element = element("li", "group", head, this.#list);
  }

  get size(): number {
    return this.#list.children.length;
  }

  send(sent: Sent): (received: Received) => WireRow {
    let burst = this.#bursts.at(-1);
    if (!burst?.takes(sent)) {
      burst = new Burst(sent, this.#list, this.#strings);
      this.#bursts.push(burst);
    }
    return burst.send(sent);
  }

  /** Something that happened without a call. */
  event(...content: (string | HTMLElement)[]): void {
    const what = element("span", "", ...content);
    this.#list.append(element("li", "event", element("time", "", clockTime()), what));
    this.#events.push(what.textContent);
  }

  /** The group in words, for a screen reader. */
  get words(): string {
    const rows = this.#bursts.flatMap((burst) => burst.rows.map((row) => row.words));
    return [...rows, ...this.#events].join(". ");
  }
}
