/** A request as it was sent. */
export interface Sent {
  readonly method: string;
  readonly path: string;
  /** Tells requests apart that are shown in one line otherwise: what they were authorized with. */
  readonly bearer: string;
  /** For whoever wants to see it all; secrets shortened. */
  readonly details: string;
}

/** What came back. */
export interface Received {
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly milliseconds: number;
  readonly details: string;
}

const LONGEST = 200;
const SECRET_FIELDS = new Set(["password", "accessToken", "refreshToken", "token"]);

/** A secret that can be told from another one, and not be used. */
export function shorten(secret: string): string {
  return secret.length <= 24 ? "•".repeat(8) : `${secret.slice(0, 10)}…${secret.slice(-6)}`;
}

/** A body for showing: indented, its secrets shortened. */
export function showBody(text: string): string {
  if (text === "") return "";
  try {
    const hide = (key: string, value: unknown): unknown =>
      SECRET_FIELDS.has(key) && typeof value === "string" ? shorten(value) : value;
    return JSON.stringify(JSON.parse(text), hide, 2);
  } catch {
    return text.slice(0, 500);
  }
}

/** One line: a request, or several of one kind that were sent one after another. */
interface Line {
  readonly key: string;
  readonly item: HTMLElement;
  readonly sent: Sent;
  readonly at: string;
  readonly statuses: Set<number>;
  count: number;
}

/** The list of what went over the wire, newest first, in the order in which it was sent. */
export class WireLog {
  readonly #list: HTMLElement;
  readonly #empty: HTMLElement;
  #last: Line | undefined;

  constructor(list: HTMLElement, empty: HTMLElement) {
    this.#list = list;
    this.#empty = empty;
  }

  /** Shows a request that goes out. Answers how to show what came back. */
  send(sent: Sent): (received: Received) => void {
    const key = `${sent.method} ${sent.path} ${sent.bearer}`;
    let line = this.#last;
    if (line?.key !== key) {
      line = { key, item: document.createElement("li"), sent, at: now(), statuses: new Set(), count: 0 };
      this.#add(line.item);
      this.#last = line;
    }
    const shown = line;
    shown.count += 1;
    draw(shown, undefined);
    return (received) => {
      shown.statuses.add(received.status);
      draw(shown, received);
    };
  }

  /** Something that happened without the wire. */
  event(text: string): void {
    const item = document.createElement("li");
    item.append(element("div", "event", element("time", "", now()), element("span", "", text)));
    this.#add(item);
    this.#last = undefined;
  }

  clear(): void {
    this.#list.replaceChildren();
    this.#last = undefined;
    this.#empty.hidden = false;
  }

  #add(item: HTMLElement): void {
    this.#list.prepend(item);
    this.#empty.hidden = true;
    while (this.#list.children.length > LONGEST) this.#list.lastElementChild?.remove();
  }
}

function draw({ item, sent, at, statuses, count }: Line, received: Received | undefined): void {
  const what = element("span", "what", `${sent.method} ${sent.path}`);
  if (count > 1) what.append(element("span", "times", `× ${count}`));
  const status = element("span", "status");
  for (const code of [...statuses].sort()) status.append(element("span", gradeOf(code), code === 0 ? "—" : ` ${code}`));
  const took = received === undefined ? "…" : `${Math.round(received.milliseconds)} ms`;
  const summary = element("summary", "", element("time", "", at), what, status, element("span", "took", took));
  const details = element("pre", "", `${sent.details}\n\n${received?.details ?? "…"}`);
  const made = element("details", "", summary, details) as HTMLDetailsElement;
  made.open = item.querySelector("details")?.open ?? false;
  item.replaceChildren(made);
}

function gradeOf(status: number): string {
  if (status === 0 || status >= 500) return "broken";
  return status >= 400 ? "refused" : "good";
}

function now(): string {
  return new Date().toLocaleTimeString("en-GB");
}

function element(name: string, className: string, ...children: (string | HTMLElement)[]): HTMLElement {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  made.append(...children);
  return made;
}
