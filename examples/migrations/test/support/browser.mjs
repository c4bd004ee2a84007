import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import { missing as missingPrograms, Stage } from "../../stage/stage.mjs";

const CHROMIUM = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"];

/** Saves time in tests; use the defaults in production. */
export const CHEAP_HASHES = { COUNTERSIGN__PASSWORDS__MEMORY_KIB: "64", COUNTERSIGN__PASSWORDS__ITERATIONS: "1" };

/** Why the tests of a system cannot run; undefined when they can. Under `CI=true` they must. */
export function missing(system) {
  const absent = existsSync(CHROMIUM) ? missingPrograms(system) : "chromium";
  if (absent === undefined) return undefined;
  if (process.env.CI === "true") throw new Error(`${absent} is missing`);
  console.log(`SKIPPED migration ${system.name}: ${absent} is not installed`);
  return absent;
}

/** A stage and a browser, which end with the test. */
export async function open(test, system) {
  const stage = await Stage.open(system);
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  test.after(async () => {
    await browser.close();
    await stage.close();
  });
  return { stage, browser };
}

/** A page of one of the applications, as its user sees it. It comes to the front when it is used: others draw once a second. */
export class Tab {
  /** What the page has been answered: path and status. */
  answers = [];

  static async open(context, stage, path = "/") {
    const tab = new Tab();
    tab.page = await context.newPage();
    tab.page.on("response", (response) => {
      tab.answers.push({ path: new URL(response.url()).pathname, status: response.status() });
    });
    await tab.page.goto(`${stage.origin}${path}`);
    await tab.page.waitForSelector("#login, #home");
    return tab;
  }

  /** Logs in by the form; answers the message where that fails. */
  async logIn(username, password) {
    await this.page.bringToFront();
    await this.page.waitForSelector("#login");
    await this.page.fill("[name=username]", username);
    await this.page.fill("[name=password]", password);
    await this.page.click("#login button");
    return this.#outcome("#home");
  }

  /** Asks for the orders. Answers what is shown then: the orders, or a message. */
  async load() {
    await this.page.bringToFront();
    await this.page.click("#load");
    return this.#outcome("#orders:not(:empty)");
  }

  async logOut() {
    await this.page.bringToFront();
    await this.page.click("#logout");
    await this.page.waitForSelector("#login");
  }

  async changePassword(from, to) {
    await this.page.bringToFront();
    await this.page.fill("[name=old]", from);
    await this.page.fill("[name=new]", to);
    await this.page.click("#change");
    return this.#outcome("#never");
  }

  async isLoggedIn() {
    return (await this.page.$("#home")) !== null;
  }

  /** The text of what appears, or else the message. */
  async #outcome(selector) {
    const found = await this.page.waitForSelector(`${selector}, #message:not(:empty)`);
    return (await found.getAttribute("id")) === "home" ? "" : found.textContent();
  }

  /** The server gets the next request of this path and answers it, but the answer is lost. */
  async loseNextAnswer(path) {
    await this.page.route(
      (url) => url.pathname === path,
      async (route) => {
        await route.fetch();
        await route.abort();
      },
      { times: 1 },
    );
  }

  countAnswers(path, status) {
    return this.answers.filter((it) => it.path === path && it.status === status).length;
  }

  item(key) {
    return this.page.evaluate((name) => localStorage.getItem(name), key);
  }
}

/** Makes an access token that is kept in the browser's storage one that is refused. Its claims stay as they are. */
export async function spoilAccessToken(tab, key = "accessToken") {
  await tab.page.evaluate((name) => {
    const token = localStorage.getItem(name);
    localStorage.setItem(name, `${token.slice(0, token.lastIndexOf(".") + 1)}${"A".repeat(86)}`);
  }, key);
}

/** Asks for something with a copy of an access token, as a thief would; answers the HTTP status. */
export async function statusWith(stage, path, accessToken) {
  const answer = await fetch(`${stage.origin}${path}`, { headers: { authorization: `Bearer ${accessToken}` } });
  return answer.status;
}
