import assert from "node:assert/strict";
import { describe, test } from "node:test";
import system from "../express-vue-redis/system.mjs";
import { CHEAP_HASHES, missing, open, spoilAccessToken, statusWith, Tab } from "./support/browser.mjs";

const ADA = ["ada", "correct horse battery"];
const GRACE = ["grace", "another horse battery"];
const ADAS_ORDERS = "user 42, ada: first order of user 42";
const REFRESH = "/api/auth/refresh";

describe("express-vue-redis", { skip: missing(system) ?? false, timeout: 300_000 }, () => {
  test("before the move, and after it", async (t) => {
    const { stage, browser } = await open(t, system);
    await t.test("before: it works", () => before(stage, browser));
    await stage.stopApplication();
    await stage.prepareCountersign(CHEAP_HASHES);
    assert.match(stage.moveUsers(), /2 created, 0 unchanged, 0 refused/);
    assert.match(stage.moveUsers(), /0 created, 2 unchanged, 0 refused/, "the same again changes nothing");
    await stage.startAfter();
    const here = await browser.newContext();
    const tabs = [await Tab.open(here, stage)];
    const [tab] = tabs;
    await t.test("the old password opens the page, and the id is the old one", async () => {
      assert.equal(await tab.logIn("ada", "wrong"), "The username or the password is wrong.");
      assert.equal(await tab.logIn(...ADA), "");
      assert.equal(await tab.load(), ADAS_ORDERS);
    });
    await t.test("five tabs refresh at once, and everyone stays logged in", async () => {
      while (tabs.length < 5) tabs.push(await Tab.open(here, stage));
      for (let round = 0; round < 3; round += 1) {
        await spoilAccessToken(tab);
        assert.deepEqual(await Promise.all(tabs.map((it) => it.load())), tabs.map(() => ADAS_ORDERS));
      }
      assert.ok(tabs.every((it) => it.countAnswers(REFRESH, 401) === 0));
      assert.ok(tabs.some((it) => it.countAnswers(REFRESH, 200) > 0));
    });
    await t.test("an answer to a refresh is lost, and the session goes on", async () => {
      await spoilAccessToken(tab);
      await tab.loseNextAnswer(REFRESH);
      assert.equal(await tab.load(), "something went wrong, please try again");
      assert.ok(await tab.isLoggedIn());
      assert.equal(await tab.load(), ADAS_ORDERS);
    });
    await t.test("a token is renewed ahead of its end", async () => {
      const refreshes = tab.countAnswers(REFRESH, 200);
      await tab.page.evaluate(() => {
        const now = Date.now;
        Date.now = () => now() + 56 * 60_000;
      });
      assert.equal(await tab.load(), ADAS_ORDERS);
      assert.equal(tab.countAnswers(REFRESH, 200), refreshes + 1);
      await tab.page.reload();
    });
    await t.test("a new login ends the session before, at once", async () => {
      const elsewhere = await Tab.open(await browser.newContext(), stage);
      assert.equal(await elsewhere.logIn(...ADA), "");
      assert.equal(await tab.load(), "please log in again");
      assert.equal(await elsewhere.load(), ADAS_ORDERS);
      await elsewhere.page.context().close();
    });
    await t.test("a new password ends what went before, and not the page where it was changed", async () => {
      assert.equal(await tab.logIn(...ADA), "");
      const stolen = await tab.item("accessToken");
      assert.equal(await tab.changePassword("wrong", "a third horse battery"), "The username or the password is wrong.");
      assert.equal(await statusWith(stage, "/api/orders", stolen), 200);
      assert.equal(await tab.changePassword(ADA[1], "a third horse battery"), "the password is changed");
      assert.equal(await statusWith(stage, "/api/orders", stolen), 401);
      assert.equal(await tab.load(), ADAS_ORDERS);
    });
    await t.test("a logout ends the access token, in every tab", async () => {
      const stolen = await tab.item("accessToken");
      await tab.logOut();
      assert.equal(await statusWith(stage, "/api/orders", stolen), 401);
      await tabs[1].page.waitForSelector("#login");
      assert.notEqual(await tab.logIn(...ADA), "", "the old password is of no use");
      assert.equal(await tab.logIn("ada", "a third horse battery"), "");
    });
    await t.test("while Countersign is away everyone stays logged in", async () => {
      await stage.countersign.stop();
      assert.equal(await tab.load(), "please try again");
      await spoilAccessToken(tab);
      await stage.countersign.start();
      assert.equal(await tab.load(), ADAS_ORDERS);
    });
  });
});

/** As it was: it works, a lost answer logs out, and an access token outlives the logout. */
async function before(stage, browser) {
  await stage.startBefore();
  const context = await browser.newContext();
  const tab = await Tab.open(context, stage);
  assert.equal(await tab.logIn("grace", "wrong"), "wrong username or password");
  assert.equal(await tab.logIn(...GRACE), "");
  assert.match(await tab.load(), /user 7, grace/);
  await spoilAccessToken(tab);
  assert.match(await tab.load(), /user 7, grace/);
  assert.equal(tab.countAnswers(REFRESH, 200), 1);

  await spoilAccessToken(tab);
  await tab.loseNextAnswer(REFRESH);
  assert.equal(await tab.load(), "please log in again");

  assert.equal(await tab.logIn(...GRACE), "");
  const stolen = await tab.item("accessToken");
  await tab.logOut();
  assert.equal(await statusWith(stage, "/api/orders", stolen), 200);
  await context.close();
}
