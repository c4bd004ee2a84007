import type { AuthClient, OwnSession } from "@countersign/web";
import { element, textElement } from "./elements.js";
import type { Strings } from "./strings.js";

/** Shows where the user is logged in, and ends what a button is pressed for. */
export class DeviceList {
  readonly #client: AuthClient;
  readonly #list: HTMLElement;
  readonly #say: () => Strings;
  readonly #onClick: (button: HTMLElement, run: () => unknown) => void;

  constructor(
    client: AuthClient,
    list: HTMLElement,
    say: () => Strings,
    onClick: (button: HTMLElement, run: () => unknown) => void,
  ) {
    this.#client = client;
    this.#list = list;
    this.#say = say;
    this.#onClick = onClick;
  }

  /** Asks the server, and shows its answer. */
  async show(): Promise<void> {
    const sessions = await this.#client.sessions();
    this.#list.replaceChildren(...sessions.map((session) => this.#row(session)));
  }

  async endOthers(): Promise<void> {
    await this.#client.endOtherSessions();
    await this.show();
  }

  /** What is shown is another user's, or out of date. */
  clear(): void {
    this.#list.replaceChildren();
  }

  #row(session: OwnSession): HTMLElement {
    const since = session.createdAt === undefined ? "" : new Date(session.createdAt).toLocaleString(document.documentElement.lang || undefined);
    const client = session.clientName || browserIn(session.userAgent);
    const what = element("span", "", [client, session.address].filter((text) => text !== "").join(" · "));
    const when = element("span", "muted small", since);
    const about = element("div", "", what, element("br", ""), when);
    if (session.current) {
      return element("li", "", about, textElement("span", "muted", "thisBrowser", this.#say()));
    }
    const end = textElement("button", "", "endDevice", this.#say());
    end.setAttribute("type", "button");
    this.#onClick(end, async () => {
      await this.#client.endSession(session.id);
      await this.show();
    });
    return element("li", "", about, end);
  }
}

/** The name that people know a browser by, out of its `User-Agent`; the whole of that when none is known. */
function browserIn(userAgent: string): string {
  const known = /(Edg|OPR|Firefox|Chrome|Safari)\/[\d.]+/.exec(userAgent)?.[1];
  const names: Record<string, string> = { Edg: "Edge", OPR: "Opera" };
  return known === undefined ? userAgent.slice(0, 60) : (names[known] ?? known);
}
