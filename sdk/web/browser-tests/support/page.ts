import type { BrowserContext, Page } from "playwright-core";
import type { Stage } from "./browser.js";

/** The demonstration page in a new tab, once it knows whether there is a session. */
export async function openPage(stage: Stage, context: BrowserContext, language = "en"): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${stage.server.url}/#${language}`);
  await page.waitForSelector("#logged-out:not([hidden]), #logged-in:not([hidden])");
  return page;
}

export async function logInByHand(stage: Stage, page: Page): Promise<void> {
  await page.fill("[name=username]", stage.server.username);
  await page.fill("[name=password]", stage.server.password);
  await page.click("#login button");
  await page.waitForSelector("#logged-in:not([hidden])");
}

/** Presses a button and waits until all that it does is done. */
export async function press(page: Page, id: string): Promise<void> {
  await page.click(`#${id}`);
  await page.waitForFunction((it) => document.getElementById(it)?.ariaDisabled !== "true", id);
}
