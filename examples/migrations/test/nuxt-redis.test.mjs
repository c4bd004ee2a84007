import assert from "node:assert/strict";
import { describe, test } from "node:test";
import jwt from "jsonwebtoken";
import system from "../nuxt-redis/system.mjs";
import { until } from "../stage/programs.mjs";
import { CHEAP_HASHES, missing, open, Tab } from "./support/browser.mjs";

const ADA = ["ada", "correct horse battery"];
const GRACE = ["grace", "another horse battery"];
const ADAS_ORDERS = "user 42, ada: first order of user 42";
const REFRESH = "/api/v1/auth/refresh";

describe("nuxt-redis", { skip: missing(system) ?? false, timeout: 600_000 }, () => {
  test("before the move, and after it", async (t) => {
    const { stage, browser } = await open(t, system);
    await t.test("before: it works", () => before(stage, browser));
    await stage.stopApplication();
    // Tokens expire while the test looks on.
    await stage.prepareCountersign({ ...CHEAP_HASHES, COUNTERSIGN__TOKENS__ACCESS_TTL: "8s" });
    assert.match(stage.moveUsers(), /2 created, 0 unchanged, 0 refused/);
    await stage.startAfter();
    const expired = await expiredToken(stage);
    const here = await browser.newContext();
    const tabs = [await Tab.open(here, stage)];
    const [tab] = tabs;
    let first;
    await t.test("the old password opens the page, and id, role and numbers are the old ones", async () => {
      assert.equal(await tab.logIn("ada", "wrong"), "The username or the password is wrong.");
      assert.equal(await tab.logIn(...ADA), "");
      first = await tab.item("refreshToken");
      assert.equal(await tab.load(), ADAS_ORDERS);
      assert.equal(await press(tab, "report"), "the report");
      assert.equal(await press(tab, "order"), "new order of user 42");
      await numbersAreTheOldOnes(stage, expired);
    });
    await t.test("five tabs refresh at once, and everyone stays logged in", async () => {
      while (tabs.length < 5) tabs.push(await Tab.open(here, stage));
      for (let round = 0; round < 3; round += 1) {
        await hold(tab, expired);
        assert.deepEqual(await Promise.all(tabs.map((it) => it.load())), tabs.map(() => ADAS_ORDERS));
      }
      assert.notEqual(await tab.item("refreshToken"), first, "the new refresh token is stored");
      assert.ok(tabs.some((it) => it.countAnswers(REFRESH, 200) > 0));
    });
    await t.test("a token is renewed ahead of its end", async () => {
      const refreshes = tab.countAnswers(REFRESH, 200);
      await tab.page.evaluate(() => localStorage.setItem("accessExpiresAt", String(Date.now() + 30_000)));
      assert.equal(await tab.load(), ADAS_ORDERS);
      assert.equal(tab.countAnswers(REFRESH, 200), refreshes + 1);
    });
    await t.test("an answer to a refresh is lost, and the session goes on", async () => {
      await hold(tab, expired);
      await tab.loseNextAnswer(REFRESH);
      assert.match(await tab.load(), /Failed to fetch/);
      assert.ok(await tab.isLoggedIn());
      assert.equal(await tab.load(), ADAS_ORDERS);
    });
    await t.test("a session elsewhere goes on beside it, and a new password ends both", async () => {
      const elsewhere = await Tab.open(await browser.newContext(), stage);
      assert.equal(await elsewhere.logIn(...ADA), "");
      assert.equal(await tab.load(), ADAS_ORDERS);
      stage.countersign.run(["user", "set-password", "ada", "--password-stdin"], "a third horse battery\n");
      for (const it of [elsewhere, tab]) {
        assert.equal(await it.load(), "please log in again");
        await it.page.waitForSelector("#login");
      }
      assert.equal(await elsewhere.logIn(...ADA), "The username or the password is wrong.");
      await elsewhere.page.context().close();
      assert.equal(await tab.logIn("ada", "a third horse battery"), "");
    });
    await t.test("a logout ends the access token", async () => {
      assert.equal(await tab.load(), ADAS_ORDERS);
      const stolen = await tab.item("accessToken");
      await tab.logOut();
      await until("the token is refused", async () => (await codeWith(stage, stolen)) === 1003);
    });
    await t.test("a logout is seen in the other tabs", async () => {
      assert.equal(await tabs[1].load(), "please log in again");
      await tabs[1].page.waitForSelector("#login");
    });
    await t.test("while Countersign is away everyone stays logged in", async () => {
      assert.equal(await tab.logIn("ada", "a third horse battery"), "");
      await hold(tab, expired);
      await stage.countersign.stop();
      assert.match(await tab.load(), /502|504/);
      await stage.countersign.start();
      assert.equal(await tab.load(), ADAS_ORDERS);
    });
    await t.test("the hundred-and-first request of a minute has the old number", async () => {
      const form = await formOf(stage);
      const codes = await Promise.all(Array.from({ length: 200 }, () => send(stage, form, REFRESH, {})));
      assert.deepEqual([...new Set(codes)].sort(), [3001, 4001]);
    });
  });
});

/** As it was. */
async function before(stage, browser) {
  await stage.startBefore();
  const context = await browser.newContext();
  const tab = await Tab.open(context, stage);
  assert.equal(await tab.logIn("grace", "wrong"), "wrong username or password");
  assert.equal(await tab.logIn(...GRACE), "");
  assert.equal(await tab.load(), "user 7, grace: first order of user 7");
  assert.equal(await press(tab, "order"), "new order of user 7");
  assert.equal(await press(tab, "report"), "only managers see the report");
  const expired = jwt.sign({ userId: 7, username: "grace", role: "" }, "the secret of access tokens", { expiresIn: -1 });
  await hold(tab, expired);
  assert.equal(await tab.load(), "user 7, grace: first order of user 7");
  assert.equal(tab.countAnswers(REFRESH, 200), 1);
  await numbersAreTheOldOnes(stage, expired);

  await hold(tab, expired);
  await tab.loseNextAnswer(REFRESH);
  assert.equal(await tab.load(), "please log in again");

  assert.equal(await tab.logIn(...GRACE), "");
  const stolen = await tab.item("accessToken");
  await tab.logOut();
  assert.equal(await codeWith(stage, stolen), 0, "the access token outlives the logout");
  await context.close();
}

/** What a program sees that knows no page: HTTP 200 and these numbers, before and after. */
async function numbersAreTheOldOnes(stage, expired) {
  assert.equal(await codeWith(stage, undefined), 1001);
  assert.equal(await codeWith(stage, expired), 1002);
  assert.equal(await codeWith(stage, "nonsense"), 1003);
  assert.equal(await post(stage, "/api/v1/user/login", { username: "ada", password: "wrong" }), 1004);
  assert.equal(await post(stage, "/api/v1/orders", {}, { "x-csrf-token": "of another page" }), 2002);
  assert.equal(await post(stage, "/api/v1/user/login", { username: 5 }), 3001);
}

async function codeWith(stage, accessToken) {
  const headers = accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` };
  return codeOf(await fetch(`${stage.origin}/api/v1/orders`, { headers }));
}

/** What a page has been given against forged requests: the token in its <meta>, and the cookie. */
async function formOf(stage) {
  const page = await fetch(`${stage.origin}/login`);
  const csrf = (await page.text()).match(/name="csrf-token" content="([^"]+)"/)[1];
  return { "x-csrf-token": csrf, cookie: page.headers.get("set-cookie").split(";")[0] };
}

async function send(stage, form, path, body) {
  const headers = { "content-type": "application/json", ...form };
  return codeOf(await fetch(`${stage.origin}${path}`, { method: "POST", headers, body: JSON.stringify(body) }));
}

/** Posts as a page does, but for these headers. */
async function post(stage, path, body, headers = {}) {
  return send(stage, { ...(await formOf(stage)), ...headers }, path, body);
}

async function codeOf(answer) {
  assert.equal(answer.status, 200);
  const { code, message, data, timestamp } = await answer.json();
  assert.equal(typeof message, "string");
  assert.notEqual(data, undefined);
  assert.ok(Math.abs(timestamp - Date.now()) < 60_000);
  return code;
}

/** An access token of ada's that has expired. */
async function expiredToken(stage) {
  const answer = await fetch(`${stage.origin}/api/v1/user/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ username: ADA[0], password: ADA[1] }),
  });
  const { accessToken, accessExpiresAt } = (await answer.json()).data.tokens;
  assert.ok(Math.abs(accessExpiresAt - Date.now()) < 60_000, "in milliseconds");
  await until("the token has expired", () => Date.now() > accessExpiresAt);
  return accessToken;
}

/** Puts this access token in the place of the one that the page has, which takes it for a good one. */
async function hold(tab, accessToken) {
  await tab.page.evaluate((token) => {
    localStorage.setItem("accessToken", token);
    localStorage.setItem("accessExpiresAt", String(Date.now() + 900_000));
  }, accessToken);
}

async function press(tab, id) {
  await tab.page.bringToFront();
  await tab.page.click(`#${id}`);
  const found = await tab.page.waitForSelector("#orders:not(:empty), #message:not(:empty)");
  return found.textContent();
}
