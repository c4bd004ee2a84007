import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import { logIn, openStage, openTab, requestsFrom, untilExpired, type Stage } from "./support/browser.js";
import { missing } from "./support/requirements.js";

const REFRESH = "/v1/auth/refresh";
/** So that what is counted is what the requests caused, and nothing else. */
const ON_DEMAND = { renewAhead: false };

describe("in a real browser, against the real binary", { skip: missing() ?? false, timeout: 120_000 }, () => {
  let stage: Stage;
  before(async () => void (stage = await openStage({ TOKENS__ACCESS_TTL: "2s" })));
  after(() => stage?.close());
  const refreshes = (): number => stage.proxy.count(REFRESH);

  test("20 requests in one tab meet an expired token: one refresh goes out, and all succeed", async () => {
    const { context, tabs } = await logIn(stage, 1, ON_DEMAND);
    await untilExpired(tabs[0]!);
    const earlier = refreshes();
    assert.deepEqual(await requestsFrom(tabs[0]!, 20), Array(20).fill(200));
    assert.equal(refreshes() - earlier, 1);
    await context.close();
  });

  test("20 requests with a token that the server refuses: 20 refusals, one refresh, and all succeed", async () => {
    const { context, tabs } = await logIn(stage, 1, { ...ON_DEMAND });
    await tabs[0]!.evaluate(() => window.client.close());
    await tabs[0]!.evaluate(() => {
      let spoiled = 20;
      const spoil = (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
        const request = new Request(input, init);
        if (request.url.endsWith("/session") && spoiled > 0) {
          spoiled -= 1;
          request.headers.set("authorization", "Bearer spoiled");
        }
        return fetch(request);
      };
      window.start({ renewAhead: false, environment: { fetch: spoil } });
    });
    await tabs[0]!.evaluate(() => window.client.refresh());
    const earlier = refreshes();
    const refused = stage.proxy.count("/v1/auth/session", 401);
    assert.deepEqual(await requestsFrom(tabs[0]!, 20), Array(20).fill(200));
    assert.equal(stage.proxy.count("/v1/auth/session", 401) - refused, 20);
    assert.equal(refreshes() - earlier, 1);
    await context.close();
  });

  test("five tabs at once: everyone stays logged in, on one line of the session", async () => {
    const before = stage.proxy.exchanges.length;
    const { context, tabs } = await logIn(stage, 5, ON_DEMAND);
    for (let round = 0; round < 3; round += 1) {
      for (const tab of tabs) await untilExpired(tab);
      const earlier = refreshes();
      const statuses = await Promise.all(tabs.map((tab) => requestsFrom(tab, 4)));
      assert.deepEqual(statuses.flat(), Array(20).fill(200));
      assert.ok(refreshes() - earlier <= 2, `${refreshes() - earlier} refreshes for five tabs`);
    }
    const sessions = await Promise.all(tabs.map(sessionOf));
    assert.equal(new Set(sessions).size, 1);
    assertOneLine(stage, before);
    assert.doesNotMatch(stage.server.log, /REFRESH_TOKEN_REUSED|reuse/i);
    await context.close();
  });

  test("five tabs without locks and without a channel race, and everyone stays logged in", async () => {
    const before = stage.proxy.exchanges.length;
    const { context, tabs } = await logIn(stage, 1, ON_DEMAND);
    const loners: Page[] = [];
    for (let n = 0; n < 5; n += 1) {
      const tab = await openTab(context, stage.proxy.origin, ON_DEMAND);
      await tab.evaluate(() => {
        window.client.close();
        window.start({ renewAhead: false, environment: { locks: undefined, openChannel: () => undefined } });
      });
      loners.push(tab);
    }
    for (let round = 0; round < 3; round += 1) {
      const statuses = await Promise.all(loners.map((tab) => requestsFrom(tab, 2)));
      assert.deepEqual(statuses.flat(), Array(10).fill(200));
      await untilExpired(loners[0]!);
    }
    assert.equal(new Set(await Promise.all([...tabs, ...loners].map(sessionOf))).size, 1);
    assertOneLine(stage, before);
    await context.close();
  });

  test("the answer to a refresh is lost on the way: the user notices nothing", async () => {
    const { context, tabs } = await logIn(stage, 2, ON_DEMAND);
    for (const losses of [1, 2]) {
      for (const tab of tabs) await untilExpired(tab);
      const earlier = refreshes();
      for (let n = 0; n < losses; n += 1) stage.proxy.cutNext(REFRESH);
      assert.deepEqual(await requestsFrom(tabs[0]!, 3), [200, 200, 200]);
      assert.equal(refreshes() - earlier, losses + 1);
    }
    assert.deepEqual(await logoutsOf(tabs), [[], []]);
    await context.close();
  });

  test("the lock's holder is frozen: the others go on, and it does when it thaws", async () => {
    const { context, tabs } = await logIn(stage, 3, { ...ON_DEMAND, lockWait: 500 });
    const [frozen, ...others] = tabs as [Page, Page, Page];
    for (const tab of tabs) await untilExpired(tab);
    const held = stage.proxy.holdNext(REFRESH);
    const late = requestsFrom(frozen, 1);
    await held.arrived;
    // The debugger stops its script as the answer comes in; Page.setWebLifecycleState would not, for a visible tab.
    const debugging = await context.newCDPSession(frozen);
    const stopped = new Promise((resolve) => debugging.once("Debugger.paused", resolve));
    await debugging.send("Debugger.enable");
    await debugging.send("Debugger.pause");
    held.release();
    await stopped;
    const statuses = await Promise.all(others.map((tab) => requestsFrom(tab, 2)));
    assert.deepEqual(statuses.flat(), [200, 200, 200, 200]);
    const locks = await others[0].evaluate(() => navigator.locks.query());
    assert.equal(locks.held?.length, 1, "the frozen tab still holds the lock");
    await debugging.send("Debugger.resume");
    assert.deepEqual(await late, [200]);
    await context.close();
  });

  test("a session revoked from elsewhere ends in every tab within a second, once", async (test) => {
    const { context, tabs } = await logIn(stage, 5, { checkEvery: 400 });
    const accessToken = await tabs[3]!.evaluate(() => window.client.accessToken());
    await stage.server.revoke(accessToken);
    const acknowledged = Date.now();
    for (const tab of tabs) await tab.waitForFunction(() => window.client.state.status === "logged-out");
    const logouts = await logoutsOf(tabs);
    assert.deepEqual(logouts.map((each) => each.map((it) => it.reason)), Array(5).fill(["SESSION_REVOKED"]));
    const slowest = Math.max(...logouts.flat().map((it) => it.at)) - acknowledged;
    test.diagnostic(`the last of five tabs was out after ${slowest} ms`);
    assert.ok(slowest < 1_000, `the last tab took ${slowest} ms`);
    for (const tab of tabs) assert.deepEqual(await requestsFrom(tab, 2), ["LoggedOutError", "LoggedOutError"]);
    assert.ok((await logoutsOf(tabs)).every((each) => each.length === 1), "nobody is told twice");
    await context.close();
  });

  test("a page that is loaded anew finds the session again, and a logout ends it for good", async () => {
    const { context, tabs } = await logIn(stage, 2, ON_DEMAND);
    await tabs[0]!.reload();
    await tabs[0]!.waitForFunction(() => document.title === "ready");
    await tabs[0]!.evaluate(() => window.start({}));
    assert.equal(await tabs[0]!.evaluate(async () => (await window.client.session())?.username), "admin");
    await tabs[0]!.evaluate(() => window.client.logout());
    await tabs[1]!.waitForFunction(() => window.client.state.status === "logged-out");
    assert.deepEqual((await logoutsOf(tabs)).map((each) => each.map((it) => it.reason)), [["LOGGED_OUT"], ["LOGGED_OUT"]]);
    assert.deepEqual(await context.cookies(), []);
    const again = await openTab(context, stage.proxy.origin);
    assert.equal(await again.evaluate(() => window.client.session()), null);
    await context.close();
  });
});

/**
 * Every refresh token that the server gave since then is of one line: for each generation there is one token, however
 * many asked, and none is left out. A token is its prefix and, in base64url, 4 bytes of the key's id, 16 of the user's,
 * 16 of the session's secret, 4 of the generation, and more (src/token/refresh.rs).
 */
function assertOneLine(stage: Stage, since: number): void {
  const given = stage.proxy.exchanges.slice(since).flatMap((it) => it.setCookie);
  const tokens = new Set(given.map((cookie) => cookie.split(/[=;]/)[1]!));
  const bytes = [...tokens].map((token) => Buffer.from(token.replace("csgn_rt_", ""), "base64url"));
  const secrets = new Set(bytes.map((token) => token.subarray(4, 36).toString("hex")));
  assert.equal(secrets.size, 1, "one session");
  const generations = bytes.map((token) => token.readUInt32BE(36)).sort((a, b) => a - b);
  assert.deepEqual(generations, generations.map((_, n) => generations[0]! + n));
  assert.ok(generations.length >= 2, `${generations.length} generations`);
}

/** The session that a tab is in, by the server's word. */
function sessionOf(tab: Page): Promise<string | undefined> {
  return tab.evaluate(async () => (await window.client.session())?.sessionId);
}

function logoutsOf(tabs: readonly Page[]): Promise<{ reason: string; at: number }[][]> {
  return Promise.all(tabs.map((tab) => tab.evaluate(() => window.logouts)));
}
