import { element, textElement } from "./elements.js";
import type { Strings } from "./strings.js";
import { WireGroup } from "./wire-group.js";
import { type Received, type Sent } from "./wire-row.js";

/** Where the log is shown. */
export interface WirePlaces {
  readonly list: HTMLElement;
  readonly empty: HTMLElement;
  /** The one line for the client's own checks that found the session in order. */
  readonly check: HTMLElement;
  /** What a screen reader says. */
  readonly said: HTMLElement;
}

const MOST_GROUPS = 50;
const MOST_ROWS = 40;

/** What went over the wire: the newest group first, and in each group the calls in the order in which they were sent. */
export class WireLog {
  readonly #places: WirePlaces;
  readonly #strings: () => Strings;
  /** What buttons began and has not ended. */
  #begun: { title: keyof Strings; group: WireGroup | undefined }[] = [];
  /** What the client did on its own; undefined after a press, so that the next one is shown above it. */
  #background: WireGroup | undefined;
  #checks = 0;

  constructor(places: WirePlaces, strings: () => Strings) {
    this.#places = places;
    this.#strings = strings;
  }

  /** Until the function that it answers is called, everything goes into a group of this title. */
  begin(title: keyof Strings): () => void {
    const begun: { title: keyof Strings; group: WireGroup | undefined } = { title, group: undefined };
    this.#begun.push(begun);
    return () => {
      this.#begun = this.#begun.filter((it) => it !== begun);
      if (begun.group !== undefined) this.#say(begun.group.words);
    };
  }

  /** Shows a request that goes out. Answers how to show what came back. */
  send(sent: Sent): (received: Received) => void {
    if (sent.check) return (received) => this.#showCheck(sent, received);
    const { group, own } = this.#current();
    const receive = group.send(sent);
    return (received) => {
      const row = receive(received);
      if (own) this.#say(row.words);
    };
  }

  /** Something that happened without a call. */
  event(...content: (string | HTMLElement)[]): void {
    const { group, own } = this.#current();
    group.event(...content);
    if (own) this.#say(group.words);
  }

  clear(): void {
    this.#places.list.replaceChildren();
    this.#places.empty.hidden = false;
    this.#background = undefined;
    for (const begun of this.#begun) begun.group = undefined;
    this.resetChecks();
  }

  /** Forgets the checks of a session that has ended. */
  resetChecks(): void {
    this.#checks = 0;
    this.#places.check.hidden = true;
  }

  /** Checks that find the session in order are counted in a line of their own. All others are news, and go into the log. */
  #showCheck(sent: Sent, received: Received): void {
    if (received.status !== 200) {
      const row = this.#current().group.send(sent)(received);
      this.#say(row.words);
      return;
    }
    this.#checks += 1;
    const { check } = this.#places;
    check.hidden = false;
    const what = element("span", "what", `${sent.method} ${sent.path} × ${this.#checks}`);
    check.replaceChildren(
      textElement("span", "muted", "check", this.#strings()),
      what,
      element("span", "status good", String(received.status)),
    );
  }

  /** The group that calls go into now, and whether the client acts on its own. */
  #current(): { group: WireGroup; own: boolean } {
    const begun = this.#begun.at(-1);
    if (begun !== undefined) return { group: (begun.group ??= this.#add(begun.title)), own: false };
    if (this.#background === undefined || this.#background.size >= MOST_ROWS) this.#background = this.#add("background");
    return { group: this.#background, own: true };
  }

  #add(title: keyof Strings): WireGroup {
    const { list, empty } = this.#places;
    const group = new WireGroup(title, this.#strings);
    this.#background = undefined;
    list.prepend(group.element);
    list.scrollTop = 0;
    empty.hidden = true;
    while (list.children.length > MOST_GROUPS) list.lastElementChild?.remove();
    return group;
  }

  #say(text: string): void {
    this.#places.said.textContent = text;
  }
}
