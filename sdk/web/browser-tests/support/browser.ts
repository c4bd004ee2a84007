import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import type { AuthClient, AuthClientOptions } from "@countersign/web";
import { Countersign } from "./countersign.js";
import { Proxy, type Identity } from "./proxy.js";
import { required } from "./requirements.js";

declare global {
  interface Window {
    client: AuthClient;
    logouts: { reason: string; at: number }[];
    start(options: Partial<AuthClientOptions>): void;
  }
}

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Everything that a test needs: a browser, the edge, and a proxy between them. */
export interface Stage {
  readonly browser: Browser;
  readonly server: Countersign;
  readonly proxy: Proxy;
  close(): Promise<void>;
}

export async function openStage(
  settings: Readonly<Record<string, string>> = {},
  identity?: Identity,
): Promise<Stage> {
  const server = await Countersign.start(settings);
  const proxy = await Proxy.start(server.url, identity);
  const browser = await chromium.launch({ executablePath: required.chromium, args: FLAGS });
  const close = async (): Promise<void> => {
    await browser.close();
    await proxy.close();
    await server.stop();
  };
  return { browser, server, proxy, close };
}

/** A tab with a client in it that has not been used yet. */
export async function openTab(
  context: BrowserContext,
  origin: string,
  options: Partial<AuthClientOptions> = {},
): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${origin}/harness`);
  await page.waitForFunction(() => document.title === "ready");
  await page.evaluate((given) => window.start(given), options);
  return page;
}

/** A browser's window of its own, with so many tabs that are all logged in. */
export async function logIn(
  stage: Stage,
  count: number,
  options: Partial<AuthClientOptions> = {},
): Promise<{ context: BrowserContext; tabs: Page[] }> {
  const context = await stage.browser.newContext({ ignoreHTTPSErrors: true });
  const tabs: Page[] = [];
  for (let n = 0; n < count; n += 1) tabs.push(await openTab(context, stage.proxy.origin, options));
  const { username, password } = stage.server;
  await tabs[0]!.evaluate((request) => window.client.login(request), { username, password });
  for (const tab of tabs) await tab.waitForFunction(() => window.client.state.status === "logged-in");
  return { context, tabs };
}

/** Sends so many requests at once from a tab, and answers their statuses, or the names of their errors. */
export function requestsFrom(tab: Page, count: number): Promise<(number | string)[]> {
  return tab.evaluate(async (many) => {
    const requests = Array.from({ length: many }, () => window.client.fetch("/v1/auth/session"));
    const results = await Promise.allSettled(requests);
    return results.map((it) => (it.status === "fulfilled" ? it.value.status : String((it.reason as Error).name)));
  }, count);
}

/** Waits until the access token has expired. */
export async function untilExpired(tab: Page): Promise<void> {
  await tab.waitForFunction(() => window.client.state.status === "logged-in" && window.client.state.expiresIn === 0);
}
