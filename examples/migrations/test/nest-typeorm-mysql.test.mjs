import assert from "node:assert/strict";
import { describe, test } from "node:test";
import system from "../nest-typeorm-mysql/system.mjs";
import { until } from "../stage/programs.mjs";
import { CHEAP_HASHES, missing, open, spoilAccessToken, statusWith, Tab } from "./support/browser.mjs";

const ADA = ["ada", "correct horse battery"];
const GRACE = ["grace", "123456"];
const ADAS_ORDERS = "user 42, ada: first order of user 42, no news";
const GRACES_ORDERS = "user 7, grace: first order of user 7, no news";
const REFRESH = "/user/refresh";

describe("nest-typeorm-mysql", { skip: missing(system) ?? false, timeout: 300_000 }, () => {
  test("before the move, and after it", async (t) => {
    const { stage, browser } = await open(t, system);
    await t.test("before: it works", () => before(stage, browser));
    await stage.stopApplication();
    await stage.prepareCountersign(CHEAP_HASHES);
    assert.match(stage.moveUsers(), /3 created, 0 unchanged, 0 refused/);
    await stage.startAfter();
    const here = await browser.newContext();
    const tabs = [await Tab.open(here, stage)];
    const [tab] = tabs;
    let firstEnd;
    await t.test("passwords that were plain text are hashes now, and open the page", async () => {
      const exported = stage.countersign.run(["user", "export", "--with-hashes"]);
      assert.doesNotMatch(exported, /123456|correct horse/);
      assert.match(exported, /"external_id":"42"/);
      assert.equal(await tab.logIn("ada", "wrong"), "The username or the password is wrong.");
      assert.equal(await tab.logIn("nobody", "wrong"), "The username or the password is wrong.");
      const answer = tab.page.waitForResponse((response) => response.url().endsWith("/user/login") && response.ok());
      assert.equal(await tab.logIn(...ADA), "");
      firstEnd = Date.parse((await (await answer).json()).tokens.refreshExpiresAt);
      assert.equal(await tab.load(), ADAS_ORDERS);
    });
    await t.test("three requests at once refresh once", async () => {
      await refuseThree(tab);
      assert.equal(await tab.load(), ADAS_ORDERS);
      assert.equal(tab.countAnswers(REFRESH, 200), 1);
    });
    await t.test("five tabs refresh at once, and everyone stays logged in", async () => {
      while (tabs.length < 5) tabs.push(await Tab.open(here, stage));
      for (let round = 0; round < 3; round += 1) {
        await spoilAccessToken(tab, "access_token");
        assert.deepEqual(await Promise.all(tabs.map((it) => it.load())), tabs.map(() => ADAS_ORDERS));
      }
      assert.ok(tabs.every((it) => it.countAnswers(REFRESH, 401) === 0));
    });
    await t.test("an answer to a refresh is lost, and the session goes on", async () => {
      await spoilAccessToken(tab, "access_token");
      await tab.loseNextAnswer(REFRESH);
      assert.equal(await tab.load(), "something went wrong, please try again");
      assert.ok(await tab.isLoggedIn());
      assert.equal(await tab.load(), ADAS_ORDERS);
    });
    await t.test("a refresh slides the session's end", async () => {
      const answer = tab.page.waitForResponse((response) => new URL(response.url()).pathname === REFRESH);
      await spoilAccessToken(tab, "access_token");
      assert.equal(await tab.load(), ADAS_ORDERS);
      const end = Date.parse((await (await answer).json()).tokens.refreshExpiresAt);
      assert.ok(end > firstEnd, "later than that of the login");
    });
    await t.test("a new password ends the sessions, and the old one is of no use", async () => {
      const elsewhere = await Tab.open(await browser.newContext(), stage);
      assert.equal(await elsewhere.logIn(...ADA), "");
      assert.equal(await tab.load(), ADAS_ORDERS);
      const stolen = await tab.item("access_token");
      stage.countersign.run(["user", "set-password", "ada", "--password-stdin"], "a third horse battery\n");
      await until("the token is refused", async () => (await statusWith(stage, "/orders", stolen)) === 401);
      assert.equal(await elsewhere.load(), "please log in again");
      assert.equal(await tab.load(), "please log in again");
      assert.equal(await tab.logIn(...ADA), "The username or the password is wrong.");
      assert.equal(await tab.logIn("ada", "a third horse battery"), "");
      await elsewhere.page.context().close();
    });
    await t.test("a logout ends the access token", async () => {
      const stolen = await tab.item("access_token");
      assert.equal(await statusWith(stage, "/orders", stolen), 200);
      await tab.logOut();
      assert.equal(await statusWith(stage, "/orders", stolen), 401);
    });
    await t.test("a logout is seen in the other tabs", async () => {
      assert.equal(await tabs[1].load(), "please log in again");
      assert.ok(!(await tabs[1].isLoggedIn()));
    });
    await t.test("a short password from before goes on", async () => {
      assert.equal(await tab.logIn(...GRACE), "");
      assert.equal(await tab.load(), GRACES_ORDERS);
    });
    await t.test("a new user gets the next id, and a weak password is refused", async () => {
      await tab.logOut();
      assert.equal(await signUp(tab, "ada", "a fourth horse battery"), "the name is taken");
      assert.equal(await signUp(tab, "linus", "123456"), "the password is too weak");
      assert.equal(await signUp(tab, "linus", "a fourth horse battery"), "");
      assert.match(await tab.load(), /^user (4[4-9]), linus: first order of user \1, no news$/);
      await tab.logOut();
      assert.equal(await tab.logIn(...GRACE), "");
    });
    await t.test("while Countersign is away everyone stays logged in", async () => {
      await stage.countersign.stop();
      assert.equal(await tab.load(), "please try again");
      await stage.countersign.start();
      await spoilAccessToken(tab, "access_token");
      assert.equal(await tab.load(), GRACES_ORDERS);
    });
  });
});

/** As it was: it works, a lost answer logs out, and nothing ends an access token. */
async function before(stage, browser) {
  await stage.startBefore();
  const context = await browser.newContext();
  const tab = await Tab.open(context, stage);
  assert.equal(await tab.logIn("nobody", "123456"), "no such user");
  assert.equal(await tab.logIn("grace", "wrong"), "wrong password");
  assert.equal(await tab.logIn(...GRACE), "");
  assert.equal(await tab.load(), GRACES_ORDERS);
  await refuseThree(tab);
  assert.equal(await tab.load(), GRACES_ORDERS);
  assert.equal(tab.countAnswers(REFRESH, 200), 1, "three requests, one refresh");
  await spoilAccessToken(tab, "access_token");
  assert.equal(await tab.load(), GRACES_ORDERS);

  await spoilAccessToken(tab, "access_token");
  await tab.loseNextAnswer(REFRESH);
  assert.equal(await tab.load(), "please log in again");

  assert.equal(await tab.logIn(...GRACE), "");
  const stolen = await tab.item("access_token");
  await tab.logOut();
  assert.equal(await statusWith(stage, "/orders", stolen), 200);

  assert.equal(await signUp(tab, "ada", "123456"), "the name is taken");
  assert.equal(await signUp(tab, "margaret", "123456"), "");
  assert.match(await tab.load(), /^user (4[3-9]), margaret: first order of user \1, no news$/);
  await context.close();
}

/** The next three requests are refused together, and the refresh is answered after that. */
async function refuseThree(tab) {
  const held = [];
  let over;
  const refused = new Promise((resolve) => (over = resolve));
  const refuse = async (route) => {
    held.push(route);
    if (held.length < 3) return;
    await Promise.all(held.map((it) => it.fulfill({ status: 401, json: { message: "token expired" } })));
    over();
  };
  const answerLate = async (route) => {
    await refused;
    await route.continue();
  };
  await tab.page.route(({ pathname }) => ["/user/me", "/orders", "/news"].includes(pathname), refuse, { times: 3 });
  await tab.page.route(({ pathname }) => pathname === REFRESH, answerLate, { times: 1 });
}

async function signUp(tab, username, password) {
  await tab.page.bringToFront();
  await tab.page.fill("[name=username]", username);
  await tab.page.fill("[name=password]", password);
  await tab.page.click("#register");
  const found = await tab.page.waitForSelector("#home, #message:not(:empty)");
  return (await found.getAttribute("id")) === "home" ? "" : found.textContent();
}
