/** One exchange with the server, as it is shown. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
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

/** The list of what went over the wire, newest first. The same exchange again only raises a count. */
export class WireLog {
  readonly #list: HTMLElement;
  readonly #empty: HTMLElement;
  #last: { readonly key: string; readonly item: HTMLElement; count: number } | undefined;

  constructor(list: HTMLElement, empty: HTMLElement) {
    this.#list = list;
    this.#empty = empty;
  }

  exchange(exchange: Exchange): void {
    const key = `${exchange.method} ${exchange.path} ${exchange.status}`;
    if (this.#last?.key === key) {
      this.#last.count += 1;
      this.#last.item.replaceChildren(this.#details(exchange, this.#last.count));
      return;
    }
    const item = document.createElement("li");
    item.append(this.#details(exchange, 1));
    this.#add(item);
    this.#last = { key, item, count: 1 };
  }

  /** Something that happened without the wire. */
  event(text: string): void {
    const item = document.createElement("li");
    const row = element("div", "event", element("time", "", now()), element("span", "", text));
    item.append(row);
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

  #details({ method, path, status, milliseconds, details }: Exchange, count: number): HTMLElement {
    const what = element("span", "what", `${method} ${path}`);
    if (count > 1) what.append(element("span", "times", `× ${count}`));
    const grade = status === 0 || status >= 500 ? "broken" : status >= 400 ? "refused" : "good";
    const summary = element(
      "summary",
      "",
      element("time", "", now()),
      what,
      element("span", `status ${grade}`, status === 0 ? "—" : String(status)),
      element("span", "took", `${Math.round(milliseconds)} ms`),
    );
    return element("details", "", summary, element("pre", "", details));
  }
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
