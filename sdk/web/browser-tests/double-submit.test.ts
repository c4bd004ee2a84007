import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import { logIn, openStage, openTab, requestsFrom, type Stage } from "./support/browser.js";
import { harness } from "./support/proxy.js";
import { missing } from "./support/requirements.js";

const REFRESH = "/v1/auth/refresh";

describe("the double-submit token", { skip: missing() ?? false, timeout: 120_000 }, () => {
  /** The application, on another origin of the edge's site. */
  let application: Server;
  let stage: Stage;
  let origin: string;
  before(async () => {
    application = createServer((_, response) => {
      response.setHeader("content-type", "text/html").end(harness(stage.proxy.origin));
    });
    await new Promise<void>((resolve) => application.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(application.address() as AddressInfo).port}`;
    stage = await openStage({ EDGE__CSRF: "true", EDGE__ALLOWED_ORIGINS: origin });
  });
  after(async () => {
    application?.closeAllConnections();
    application?.close();
    await stage?.close();
  });

  test("goes with every refresh, is found again after a page load, and is all that a script can read", async () => {
    const { context, tabs } = await logIn(stage, 2, { renewAhead: false });
    await tabs[0]!.evaluate(() => window.client.refresh());
    await tabs[1]!.reload();
    await tabs[1]!.waitForFunction(() => document.title === "ready");
    await tabs[1]!.evaluate(() => window.start({}));
    assert.equal(await tabs[1]!.evaluate(async () => (await window.client.session())?.username), "admin");

    const cookies = await context.cookies(`${stage.proxy.origin}${REFRESH}`);
    const token = cookies.find((it) => it.name === "countersign_csrf");
    assert.equal(token?.httpOnly, false);
    assert.equal(token?.sameSite, "Strict");
    assert.equal(await tabs[0]!.evaluate(() => document.cookie), `countersign_csrf=${token?.value}`);
    const good = stage.proxy.exchanges.filter((it) => it.path === REFRESH && it.status === 200);
    assert.ok(good.length >= 2 && good.every((it) => it.headers["x-csrf-token"] === token?.value));
    await context.close();
  });

  test("is missing from what anybody else sends, which is refused and costs nobody the session", async () => {
    const { context, tabs } = await logIn(stage, 1);
    for (const header of [undefined, "0".repeat(32)]) {
      const refused = await tabs[0]!.evaluate(async (token) => {
        const headers: Record<string, string> = { "content-type": "application/json" };
        if (token !== undefined) headers["x-csrf-token"] = token;
        const answer = await fetch("/v1/auth/logout", { method: "POST", headers, body: "{}" });
        return [answer.status, ((await answer.json()) as { reason: string }).reason];
      }, header);
      assert.deepEqual(refused, [403, "CSRF_TOKEN_MISMATCH"]);
    }
    await tabs[0]!.evaluate(() => window.client.refresh());
    assert.deepEqual(await requestsFrom(tabs[0]!, 1), [200]);
    await context.close();
  });

  test("works from another origin of the site that is allowed, which cannot read its cookie", async () => {
    const context = await stage.browser.newContext();
    const tab = await openTab(context, origin);
    const { username, password } = stage.server;
    await tab.evaluate((request) => window.client.login(request), { username, password });
    await tab.evaluate(() => window.client.refresh());
    await reload(tab);
    assert.equal(await tab.evaluate(async () => (await window.client.session())?.username), "admin");
    const askedFor = stage.proxy.exchanges.filter((it) => it.path === "/v1/auth/csrf" && it.headers.origin === origin);
    assert.equal(askedFor.length, 1, "after the page load the token was asked for, once");
    await tab.evaluate(() => window.client.logout());
    assert.equal(await tab.evaluate(() => window.client.state.status), "logged-out");
    await reload(tab);
    assert.equal(await tab.evaluate(() => window.client.session()), null);
    await context.close();
  });
});

async function reload(tab: Page): Promise<void> {
  await tab.reload();
  await tab.waitForFunction(() => document.title === "ready");
  await tab.evaluate(() => window.start({}));
}
