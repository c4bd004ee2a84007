import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeBrowser } from "../testing/browser.js";
import { problem } from "../testing/server.js";

const REFRESH = "/v1/auth/refresh";
const SESSION = "/v1/auth/session";

test("a token is renewed ahead of its expiry, at a moment that chance spreads", async () => {
  for (const [random, earliest] of [
    [0, 210_000],
    [0.999, 254_950],
  ] as const) {
    const browser = new FakeBrowser();
    browser.random = random;
    await browser.tabs(1);
    await browser.clock.advance(earliest - 100);
    assert.equal(browser.server.count(REFRESH), 0);
    await browser.clock.advance(200);
    assert.equal(browser.server.count(REFRESH), 1);
  }
});

test("one tab renews for all", async () => {
  const browser = new FakeBrowser();
  const tabs = await browser.tabs(5);
  await browser.clock.advance(900_000);
  assert.equal(browser.server.count(REFRESH), 3);
  for (const tab of tabs) assert.equal(tab.client.state.status, "logged-in");
});

test("a hidden tab does not renew; it catches up when it is seen", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1);
  tab!.hidden = true;
  await browser.clock.advance(600_000);
  assert.equal(browser.server.count(REFRESH), 0);
  tab!.hidden = false;
  tab!.wake();
  await browser.clock.advance(0);
  assert.equal(browser.server.count(REFRESH), 1);
});

test("an outage is outlived: the renewal is tried again, and nobody is logged out", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1);
  let down = true;
  const script = (): void =>
    browser.server.once(REFRESH, (call) => {
      if (!down) return browser.server.usual(call);
      script();
      return problem(503, "STORE_UNAVAILABLE");
    });
  script();
  await browser.clock.advance(3_600_000);
  assert.deepEqual(tab!.logouts, []);
  const asked = browser.server.count(REFRESH);
  assert.ok(asked > 60 && asked < 1_000, `${asked} attempts in an hour`);
  down = false;
  tab!.wake();
  await browser.clock.advance(30_000);
  assert.equal((await tab!.client.fetch("/api")).status, 200);
});

test("tokens of no life at all are not renewed in a busy loop", async () => {
  const browser = new FakeBrowser();
  browser.server.lifetime = 0;
  await browser.tabs(1);
  await browser.clock.advance(10_000);
  assert.equal(browser.server.count(REFRESH), 10);
});

test("a life longer than a browser's timer is not renewed at once", { timeout: 10_000 }, async () => {
  const browser = new FakeBrowser();
  browser.server.lifetime = 90 * 24 * 3_600;
  await browser.tabs(1);
  await browser.clock.advance(60_000);
  assert.equal(browser.server.count(REFRESH), 0);
});

test("one tab of all asks whether the session stands, and a revocation reaches each within the interval", async () => {
  const browser = new FakeBrowser();
  const tabs = await browser.tabs(5, { checkEvery: 800 });
  await browser.clock.advance(8_000);
  assert.ok(browser.server.count(SESSION) <= 60, `${browser.server.count(SESSION)} checks`);
  browser.server.revoke();
  await browser.clock.advance(1_000);
  assert.deepEqual(tabs.map((tab) => tab.logouts), Array(5).fill(["SESSION_REVOKED"]));
  await browser.clock.advance(60_000);
  assert.equal(browser.clock.timers, 0);
});
