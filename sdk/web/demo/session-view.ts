import { decodeAccessToken, type AuthState, type ChangeCause } from "@countersign/web";
import { element } from "./elements.js";
import { endingIn, stringsIn, type Language } from "./strings.js";

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** The parts of the page that only one state has, and where the focus goes when a state begins. */
const PARTS = { "unknown": ["looking"], "logged-out": ["logged-out"], "logged-in": ["logged-in", "token"] } as const;
const HEADINGS = { "unknown": null, "logged-out": "login-title", "logged-in": "username" } as const;

/** Shows who is logged in, with which token and for how long; or the login form. */
export class SessionView {
  #shown: AuthState["status"] = "unknown";
  /** The whole life of the token, against which the countdown is drawn. */
  #fullLife = 1;
  #cause: ChangeCause = "refresh";

  /** A change of the session. */
  change(state: AuthState, cause: ChangeCause, language: Language): void {
    this.#cause = cause;
    if (state.status === "logged-in") this.#fullLife = Math.max(1, state.expiresIn);
    this.show(state, language);
  }

  show(state: AuthState, language: Language): void {
    const focused = document.activeElement;
    for (const [status, ids] of Object.entries(PARTS)) {
      for (const id of ids) byId(id).hidden = status !== state.status;
    }
    byId("calls").hidden = state.status === "logged-in";
    showNotice(state, language);
    if (state.status === "logged-in") this.#showToken(state.accessToken, language);
    this.tick(state);
    const heading = HEADINGS[state.status];
    if (state.status !== this.#shown && heading !== null && isHidden(focused)) byId(heading).focus();
    this.#shown = state.status;
  }

  tick(state: AuthState): void {
    if (state.status !== "logged-in") return;
    const seconds = Math.ceil(state.expiresIn / 1_000);
    byId("countdown").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    byId<HTMLProgressElement>("life").value = state.expiresIn / this.#fullLife;
  }

  #showToken(accessToken: string, language: Language): void {
    const strings = stringsIn(language);
    const claims = decodeAccessToken(accessToken)?.claims ?? {};
    const origins: Record<ChangeCause, string> = {
      login: strings.fromLogin,
      refresh: strings.fromRefresh,
      "other-tab": strings.fromOtherTab,
      end: "",
    };
    byId("origin").textContent = origins[this.#cause];
    byId("username").textContent = String(claims["username"] ?? claims["preferred_username"] ?? claims.sub ?? "");
    byId("roles").textContent = claims.roles?.length ? strings.roles + claims.roles.join(", ") : strings.noRoles;
    const rows = Object.entries(claims).flatMap(([name, value]) => [
      element("dt", "", name),
      element("dd", "", showClaim(name, value, language)),
    ]);
    byId("claims").replaceChildren(...rows);
  }
}

function showNotice(state: AuthState, language: Language): void {
  const notice = byId("notice");
  notice.hidden = state.status !== "logged-out" || state.reason === null;
  if (state.status !== "logged-out" || state.reason === null) return;
  notice.textContent = endingIn(language, state.reason, state.endCause);
  notice.classList.toggle("asked-for", state.reason === "LOGGED_OUT");
}

/** Whether an element that had the focus is on the page no more: a keyboard's user would have to begin at the top. */
function isHidden(focused: Element | null): boolean {
  return focused !== null && focused.closest("[hidden]") !== null;
}

function showClaim(name: string, value: unknown, language: Language): string {
  const isTime = ["exp", "iat", "nbf", "auth_time", "sxp"].includes(name) && typeof value === "number";
  if (isTime) return new Date(value * 1_000).toLocaleString(language === "zh" ? "zh-CN" : "en-GB");
  return typeof value === "string" ? value : JSON.stringify(value);
}
