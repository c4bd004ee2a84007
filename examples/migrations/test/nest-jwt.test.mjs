import assert from "node:assert/strict";
import { describe, test } from "node:test";
import system from "../nest-jwt/system.mjs";
import { until } from "../stage/programs.mjs";
import { CHEAP_HASHES, missing, open, spoilAccessToken, statusWith, Tab } from "./support/browser.mjs";

const ADA = ["ada", "correct horse battery"];
const GRACE = ["grace", "another horse battery"];
const ADAS_ORDERS = "user 42, ada: first order of user 42";
const GRACES_ORDERS = "user 7, grace: first order of user 7";
const REFRESH = "/auth/refresh";

describe("nest-jwt", { skip: missing(system) ?? false, timeout: 300_000 }, () => {
  test("before the move, and after it", async (t) => {
    const { stage, browser } = await open(t, system);
    await t.test("before: it works", () => before(stage, browser));
    await stage.stopApplication();
    await stage.prepareCountersign(CHEAP_HASHES);
    assert.match(stage.moveUsers(), /2 created, 0 unchanged, 0 refused/);
    await stage.startAfter();
    const here = await browser.newContext();
    const tabs = [await Tab.open(here, stage)];
    const [tab] = tabs;
    await t.test("the old passwords open the page, and ids and roles are the old ones", async () => {
      assert.equal(await tab.logIn("ada", "wrong"), "The username or the password is wrong.");
      assert.equal(await tab.logIn(...ADA), "");
      assert.equal(await tab.load(), ADAS_ORDERS);
      assert.equal(await report(tab), "the report");
      const other = await Tab.open(await browser.newContext(), stage);
      assert.equal(await other.logIn(...GRACE), "");
      assert.equal(await other.load(), GRACES_ORDERS);
      assert.equal(await report(other), "you may not see this");
      await other.page.context().close();
    });
    await t.test("five tabs refresh at once, and everyone stays logged in", async () => {
      while (tabs.length < 5) tabs.push(await Tab.open(here, stage));
      const first = await tab.item("refresh_token");
      for (let round = 0; round < 3; round += 1) {
        await spoilAccessToken(tab, "access_token");
        assert.deepEqual(await Promise.all(tabs.map((it) => it.load())), tabs.map(() => ADAS_ORDERS));
      }
      assert.notEqual(await tab.item("refresh_token"), first, "the new refresh token is stored");
      assert.ok(tabs.every((it) => it.countAnswers(REFRESH, 401) === 0));
      assert.ok(tabs.some((it) => it.countAnswers(REFRESH, 200) > 0));
    });
    await t.test("an answer to a refresh is lost, and the session goes on", async () => {
      await spoilAccessToken(tab, "access_token");
      await tab.loseNextAnswer(REFRESH);
      assert.equal(await tab.load(), "something went wrong, please try again");
      assert.ok(await tab.isLoggedIn());
      assert.equal(await tab.load(), ADAS_ORDERS);
    });
    await t.test("a new password ends the sessions, and the old one is of no use", async () => {
      const elsewhere = await Tab.open(await browser.newContext(), stage);
      assert.equal(await elsewhere.logIn(...ADA), "");
      const stolen = await tab.item("access_token");
      assert.equal(await statusWith(stage, "/api/orders", stolen), 200);
      stage.countersign.run(["user", "set-password", "ada", "--password-stdin"], "a third horse battery\n");
      await until("the token is refused", async () => (await statusWith(stage, "/api/orders", stolen)) === 401);
      for (const it of [elsewhere, tab]) {
        await it.page.bringToFront();
        await it.page.click("#load");
        await it.page.waitForSelector("#login");
      }
      assert.equal(await tab.logIn(...ADA), "The username or the password is wrong.");
      assert.equal(await tab.logIn("ada", "a third horse battery"), "");
      await elsewhere.page.context().close();
    });
    await t.test("a logout ends the access token, and the refresh token", async () => {
      const [stolen, refreshToken] = [await tab.item("access_token"), await tab.item("refresh_token")];
      assert.equal(await statusWith(stage, "/api/orders", stolen), 200);
      await tab.logOut();
      await until("the token is refused", async () => (await statusWith(stage, "/api/orders", stolen)) === 401);
      assert.equal(await refreshWith(stage, refreshToken), 401);
    });
    await t.test("a logout is seen in the other tabs", async () => {
      await tabs[1].page.bringToFront();
      await tabs[1].page.click("#load");
      await tabs[1].page.waitForSelector("#login");
    });
    await t.test("while Countersign is away everyone stays logged in", async () => {
      assert.equal(await tab.logIn("ada", "a third horse battery"), "");
      await spoilAccessToken(tab, "access_token");
      await stage.countersign.stop();
      assert.equal(await tab.load(), "something went wrong, please try again");
      await stage.countersign.start();
      assert.equal(await tab.load(), ADAS_ORDERS);
    });
  });
});

/** As it was: it works, a lost answer logs out, and both tokens outlive the logout. */
async function before(stage, browser) {
  await stage.startBefore();
  const context = await browser.newContext();
  const tab = await Tab.open(context, stage);
  assert.equal(await tab.logIn("grace", "wrong"), "wrong username or password");
  assert.equal(await tab.logIn(...GRACE), "");
  assert.equal(await tab.load(), GRACES_ORDERS);
  assert.equal(await report(tab), "you may not see this");
  await spoilAccessToken(tab, "access_token");
  assert.equal(await tab.load(), GRACES_ORDERS);
  assert.equal(tab.countAnswers(REFRESH, 200), 1);

  await spoilAccessToken(tab, "access_token");
  await tab.loseNextAnswer(REFRESH);
  await tab.page.click("#load");
  await tab.page.waitForSelector("#login");

  assert.equal(await tab.logIn(...GRACE), "");
  const [stolen, refreshToken] = [await tab.item("access_token"), await tab.item("refresh_token")];
  await tab.logOut();
  assert.equal(await statusWith(stage, "/api/orders", stolen), 200);
  assert.equal(await refreshWith(stage, refreshToken), 200);
  await context.close();
}

async function report(tab) {
  await tab.page.click("#report");
  return (await tab.page.waitForSelector("#orders:not(:empty), #message:not(:empty)")).textContent();
}

async function refreshWith(stage, refreshToken) {
  const headers = { authorization: `Bearer ${refreshToken}` };
  return (await fetch(`${stage.origin}${REFRESH}`, { method: "POST", headers })).status;
}
