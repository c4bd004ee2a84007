import { AuthError, createAuthClient, PasswordRejectedError, UnavailableError, type LogoutReason } from "@countersign/web";
import { DeviceList } from "./device-list.js";
import { textElement } from "./elements.js";
import { byId, SessionView } from "./session-view.js";
import { stringsIn, type Language, type Strings } from "./strings.js";
import { watchedFetch, type Watch } from "./watched-fetch.js";
import { WireLog } from "./wire-log.js";

let language: Language = initialLanguage();

const wire = new WireLog(
  { list: byId("wire"), empty: byId("wire-empty"), check: byId("check"), said: byId("wire-said") },
  say,
);
const view = new SessionView();
const watch: Watch = {
  send: (sent) => wire.send(sent),
  language: () => (language === "zh" ? "zh-CN" : "en"),
  hiddenCookie: () => say().hiddenCookie,
  isLooking: () => client.state.status === "unknown",
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
  view.show(client.state, language);
}

/** Runs something, with all that it sends in a group of the log; logs what went wrong. */
async function logged(title: keyof Strings, run: () => unknown): Promise<void> {
  const end = wire.begin(title);
  try {
    await run();
  } catch (error) {
    if (error instanceof UnavailableError) wire.event(note("unavailable"));
    else wire.event(messageOf(error));
  } finally {
    end();
  }
}

/** Runs what a button is for, once at a time. The button is not disabled meanwhile, because it would lose the focus. */
function onClick(button: HTMLElement, run: () => unknown): void {
  button.addEventListener("click", async () => {
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true";
    await logged(button.dataset["text"] as keyof Strings, run);
    button.ariaDisabled = null;
  });
}

/** A line of the log in the page's language. */
function note(key: keyof Strings): HTMLElement {
  return textElement("span", "", key, say());
}

function messageOf(error: unknown): string {
  if (error instanceof PasswordRejectedError) {
    return [error.message, ...error.violations.map((violation) => violation.description)].join(" ");
  }
  return error instanceof AuthError ? error.message : String(error);
}

/** Runs what a form is for, once at a time, and says in `failure` what went wrong. */
function onSubmit(form: HTMLElement, title: keyof Strings, failure: HTMLElement, run: (fields: FormData) => Promise<void>): void {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const submit = form.querySelector("button")!;
    if (submit.ariaDisabled === "true") return;
    submit.ariaDisabled = "true";
    failure.hidden = true;
    const end = wire.begin(title);
    try {
      await run(new FormData(form as HTMLFormElement));
      (form as HTMLFormElement).reset();
    } catch (error) {
      failure.textContent = messageOf(error);
      failure.hidden = false;
    } finally {
      end();
      submit.ariaDisabled = null;
    }
  });
}

const devices = new DeviceList(client, byId("devices"), say, onClick);

async function changePassword(fields: FormData): Promise<void> {
  const done = byId("change-done");
  done.hidden = true;
  await client.changePassword(String(fields.get("current")), String(fields.get("new")));
  devices.clear();
  done.hidden = false;
}

async function twentyRequests(): Promise<void> {
  watch.spoil = 20;
  await Promise.allSettled(Array.from({ length: 20 }, () => client.fetch("/v1/auth/session")));
  watch.spoil = 0;
}

async function copyCurl(): Promise<void> {
  const body = JSON.stringify({ accessToken: await client.accessToken() });
  const line = `curl -sS ${location.origin}/v1/auth/logout -H 'content-type: application/json' -d '${body}'`;
  const copied = await navigator.clipboard?.writeText(line).then(() => true, () => false);
  wire.event(note(copied ? "copied" : "notCopied"));
}

client.onChange((state, cause) => {
  if (cause === "other-tab") wire.event(note("eventOtherTab"));
  view.change(state, cause, language);
});
client.onLoggedOut((reason: LogoutReason, endCause) => {
  wire.event(note("eventEnd"), endCause === undefined ? reason : `${reason}, ${endCause}`);
  wire.resetChecks();
  devices.clear();
  byId("change-done").hidden = true;
});

onSubmit(byId("login"), "login", byId("failure"), (fields) =>
  client.login({ username: String(fields.get("username")), password: String(fields.get("password")) }),
);
byId("clear").addEventListener("click", () => wire.clear());
onClick(byId("second-tab"), () => window.open(location.href, "_blank", "noopener"));
onClick(byId("twenty"), twentyRequests);
onClick(byId("renew"), () => client.refresh());
onClick(byId("elsewhere"), copyCurl);
onSubmit(byId("change"), "change", byId("change-failure"), changePassword);
onClick(byId("devices-show"), () => devices.show());
onClick(byId("devices-others"), () => devices.endOthers());
onClick(byId("logout"), () => client.logout());
onClick(byId("logout-everywhere"), () => client.logout({ everywhere: true }));
for (const button of document.querySelectorAll<HTMLElement>("[data-language]")) {
  button.addEventListener("click", () => {
    speak(button.dataset["language"] as Language);
    history.replaceState(null, "", `#${language}`);
  });
}
setInterval(() => view.tick(client.state), 250);
speak(language);

/** After a page load the session is found again by its cookie; as long as the server cannot say, it is asked again. */
async function findSession(): Promise<void> {
  await logged("opened", () => client.session());
  if (client.state.status === "unknown") setTimeout(() => void findSession(), 3_000);
}
void findSession();
