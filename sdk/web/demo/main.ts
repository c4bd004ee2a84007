import {
  AuthError,
  createAuthClient,
  decodeAccessToken,
  UnavailableError,
  type AuthState,
  type ChangeCause,
  type LogoutReason,
} from "@countersign/web";
import { endingIn, stringsIn, type Language, type Strings } from "./strings.js";
import { WireLog } from "./wire.js";
import { watchedFetch, type Watch } from "./watched-fetch.js";

function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

let language: Language = initialLanguage();
let cause: ChangeCause = "refresh";
/** The whole life of the token in hand, against which the countdown is drawn. */
let fullLife = 1;

const wire = new WireLog(byId("wire"), byId("wire-empty"));
const watch: Watch = {
  send: (sent) => wire.send(sent),
  language: () => (language === "zh" ? "zh-CN" : "en"),
  hiddenCookie: () => say().hiddenCookie,
  spoil: 0,
};
const client = createAuthClient({
  baseUrl: location.origin,
  checkEvery: 800,
  environment: { fetch: watchedFetch(watch) },
});

function say(): Strings {
  return stringsIn(language);
}

function initialLanguage(): Language {
  const asked = location.hash.slice(1) || navigator.language;
  return asked.startsWith("zh") ? "zh" : "en";
}

function speak(next: Language): void {
  language = next;
  document.documentElement.lang = next === "zh" ? "zh-CN" : "en";
  const strings = say();
  for (const element of document.querySelectorAll<HTMLElement>("[data-text]")) {
    element.textContent = strings[element.dataset["text"] as keyof Strings];
  }
  for (const button of document.querySelectorAll<HTMLElement>("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset["language"] === next));
  }
  show(client.state);
}

function show(state: AuthState): void {
  byId("looking").hidden = state.status !== "unknown";
  byId("logged-out").hidden = state.status !== "logged-out";
  byId("logged-in").hidden = state.status !== "logged-in";
  const notice = byId("notice");
  notice.hidden = state.status !== "logged-out" || state.reason === null;
  if (state.status === "logged-out" && state.reason !== null) notice.textContent = endingIn(language, state.reason);
  if (state.status === "logged-in") showToken(state.accessToken);
  tick();
}

function showToken(accessToken: string): void {
  const strings = say();
  const claims = decodeAccessToken(accessToken)?.claims ?? {};
  const origins: Record<ChangeCause, string> = {
    login: strings.fromLogin,
    refresh: strings.fromRefresh,
    "other-tab": strings.fromOtherTab,
    end: "",
  };
  byId("origin").textContent = origins[cause];
  byId("username").textContent = String(claims["username"] ?? claims["preferred_username"] ?? claims.sub ?? "");
  byId("roles").textContent = claims.roles?.length ? strings.roles + claims.roles.join(", ") : strings.noRoles;
  const rows = Object.entries(claims).flatMap(([name, value]) => [cell("dt", name), cell("dd", showClaim(name, value))]);
  byId("claims").replaceChildren(...rows);
}

function cell(name: "dt" | "dd", text: string): HTMLElement {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function showClaim(name: string, value: unknown): string {
  const isTime = ["exp", "iat", "nbf", "auth_time", "sxp"].includes(name) && typeof value === "number";
  if (isTime) return new Date(value * 1_000).toLocaleString(language === "zh" ? "zh-CN" : "en-GB");
  return typeof value === "string" ? value : JSON.stringify(value);
}

function tick(): void {
  const { state } = client;
  if (state.status !== "logged-in") return;
  const seconds = Math.ceil(state.expiresIn / 1_000);
  byId("countdown").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  byId<HTMLProgressElement>("life").value = state.expiresIn / fullLife;
}

/** Runs what a button is for, with the button at rest meanwhile; tells what went wrong. */
function onClick(id: string, run: () => unknown): void {
  const button = byId<HTMLButtonElement>(id);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await run();
    } catch (error) {
      wire.event(error instanceof UnavailableError ? say().unavailable : messageOf(error));
    } finally {
      button.disabled = false;
    }
  });
}

function messageOf(error: unknown): string {
  return error instanceof AuthError ? error.message : String(error);
}

async function login(event: SubmitEvent): Promise<void> {
  event.preventDefault();
  const form = event.target as HTMLFormElement;
  const fields = new FormData(form);
  const failure = byId("failure");
  const submit = form.querySelector("button")!;
  failure.hidden = true;
  submit.disabled = true;
  try {
    await client.login({ username: String(fields.get("username")), password: String(fields.get("password")) });
    form.reset();
  } catch (error) {
    failure.textContent = messageOf(error);
    failure.hidden = false;
  } finally {
    submit.disabled = false;
  }
}

async function twentyRequests(): Promise<void> {
  watch.spoil = 20;
  await Promise.allSettled(Array.from({ length: 20 }, () => client.fetch("/v1/auth/session")));
  watch.spoil = 0;
}

async function copyCurl(): Promise<void> {
  const body = JSON.stringify({ accessToken: await client.accessToken() });
  const line = `curl -sS ${location.origin}/v1/auth/logout -H 'content-type: application/json' -d '${body}'`;
  await navigator.clipboard.writeText(line);
  wire.event(say().copied);
}

client.onChange((state, why) => {
  cause = why;
  if (why === "other-tab") wire.event(say().eventOtherTab);
  if (state.status === "logged-in") fullLife = Math.max(1, state.expiresIn);
  show(state);
});
client.onLoggedOut((reason: LogoutReason) => wire.event(say().eventEnd + reason));

byId("login").addEventListener("submit", (event) => void login(event as SubmitEvent));
onClick("second-tab", () => window.open(location.href, "_blank", "noopener"));
onClick("twenty", twentyRequests);
onClick("renew", () => client.refresh());
onClick("elsewhere", copyCurl);
onClick("logout", () => client.logout());
onClick("logout-everywhere", () => client.logout({ everywhere: true }));
onClick("clear", () => wire.clear());
for (const button of document.querySelectorAll<HTMLElement>("[data-language]")) {
  button.addEventListener("click", () => {
    speak(button.dataset["language"] as Language);
    history.replaceState(null, "", `#${language}`);
  });
}
setInterval(tick, 250);
speak(language);

/** After a page load the session is found again by its cookie; as long as the server cannot say, it is asked again. */
async function findSession(): Promise<void> {
  try {
    await client.session();
  } catch (error) {
    wire.event(error instanceof UnavailableError ? say().unavailable : messageOf(error));
    if (client.state.status === "unknown") setTimeout(() => void findSession(), 3_000);
  }
}
void findSession();
