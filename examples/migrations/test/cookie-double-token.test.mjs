import assert from "node:assert/strict";
import { describe, test } from "node:test";
import system from "../cookie-double-token/system.mjs";
import { until } from "../stage/programs.mjs";
import { CHEAP_HASHES, missing, open, statusWith, Tab } from "./support/browser.mjs";

const ADA = ["ada", "correct horse battery"];
const GRACE = ["grace", "another horse battery"];
const ADAS_ORDERS = "user 42, ada, 555-0142: first order of user 42";
const GRACES_ORDERS = "user 7, grace, 555-0107: first order of user 7";
const REFRESH = "/auth/refresh";

describe("cookie-double-token", { skip: missing(system) ?? false, timeout: 300_000 }, () => {
  test("before the move, and after it", async (t) => {
    const { stage, browser } = await open(t, system);
    const here = await browser.newContext();
    await t.test("before: it works", () => before(stage, here));
    await stage.stopApplication();
    await stage.prepareCountersign(CHEAP_HASHES);
    assert.match(stage.moveUsers(), /2 created, 0 unchanged, 0 refused/);
    await stage.startAfter();
    stage.captchas.length = 0;
    // The browser still has the old cookie, for this host.
    const tabs = [await Tab.open(here, stage)];
    const [tab] = tabs;
    await t.test("the login needs the captcha, and the old password opens the page", async () => {
      assert.match(await logIn(tab, ...ADA, ""), /captcha/i);
      assert.match(await logIn(tab, ...ADA, "guessed"), /captcha/i);
      assert.equal(await logIn(tab, "ada", "wrong"), "The username or the password is wrong.");
      assert.equal(await logIn(tab, ...ADA), "");
      assert.equal(await tab.load(), ADAS_ORDERS);
      assert.deepEqual(stage.captchas, ["guessed", "solved", "solved"]);
    });
    await t.test("no script can read the refresh token", async () => {
      assert.equal(await tab.page.evaluate(() => document.cookie), "");
      const cookie = (await here.cookies()).find(({ name }) => name === "countersign_refresh");
      const { httpOnly, sameSite, path } = cookie;
      assert.deepEqual({ httpOnly, sameSite, path }, { httpOnly: true, sameSite: "Lax", path: "/auth" });
    });
    await t.test("five tabs refresh at once, and everyone stays logged in", async () => {
      while (tabs.length < 5) tabs.push(await Tab.open(here, stage));
      for (const it of tabs) it.answers.length = 0;
      for (let round = 0; round < 3; round += 1) {
        // A page that is loaded has no access token.
        await Promise.all(tabs.map((it) => it.page.reload()));
        await Promise.all(tabs.map((it) => it.page.waitForSelector("#home")));
        assert.deepEqual(await Promise.all(tabs.map((it) => it.load())), tabs.map(() => ADAS_ORDERS));
      }
      assert.ok(tabs.every((it) => it.countAnswers(REFRESH, 200) === 3 && it.answers.every(({ status }) => status < 400)));
    });
    await t.test("a refused token is refreshed once, also for two who ask at once", async () => {
      const refreshes = tab.countAnswers(REFRESH, 200);
      await tab.page.evaluate(() => {
        const now = performance.now.bind(performance);
        performance.now = () => now() + 3000;
      });
      await refuseNext(tab, 2);
      await tab.page.bringToFront();
      await tab.page.evaluate(() => {
        const button = document.getElementById("load");
        button.click();
        button.click();
      });
      const shown = await tab.page.waitForSelector("#orders:not(:empty)");
      assert.equal(await shown.textContent(), ADAS_ORDERS);
      assert.equal(tab.countAnswers(REFRESH, 200), refreshes + 1);
    });
    await t.test("an answer to a refresh is lost, and the session goes on", async () => {
      await tab.loseNextAnswer(REFRESH);
      await tab.page.reload();
      await tab.page.waitForSelector("#home");
      assert.equal(await tab.load(), ADAS_ORDERS);
    });
    await t.test("a user who is disabled is out at once", async () => {
      const elsewhere = await Tab.open(await browser.newContext(), stage);
      assert.equal(await logIn(elsewhere, ...GRACE), "");
      assert.equal(await elsewhere.load(), GRACES_ORDERS);
      const stolen = await accessToken(elsewhere);
      assert.equal(await statusWith(stage, "/api/orders", stolen), 200);
      stage.countersign.run(["user", "disable", "grace"]);
      await until("the token is refused", async () => (await statusWith(stage, "/api/orders", stolen)) === 401);
      await elsewhere.page.reload();
      await elsewhere.page.waitForSelector("#login");
      await elsewhere.page.context().close();
    });
    await t.test("a new password ends the sessions, and the old one is of no use", async () => {
      stage.countersign.run(["user", "set-password", "ada", "--password-stdin"], "a third horse battery\n");
      await tab.page.reload();
      await tab.page.waitForSelector("#login");
      assert.equal(await logIn(tab, ...ADA), "The username or the password is wrong.");
      assert.equal(await logIn(tab, "ada", "a third horse battery"), "");
    });
    await t.test("a logout ends the access token and the cookie", async () => {
      const stolen = await accessToken(tab);
      assert.equal(await statusWith(stage, "/api/orders", stolen), 200);
      await tab.logOut();
      assert.equal(await statusWith(stage, "/api/orders", stolen), 401);
      assert.ok((await here.cookies()).every(({ name }) => name !== "countersign_refresh"));
    });
    await t.test("clients cannot name themselves to the application", async () => {
      const headers = { "x-auth-external-id": "42", "x-auth-username": "ada" };
      for (const path of ["/api/orders", "/api/../api/orders", "//api/orders", "/API/orders"]) {
        const { status } = await fetch(`${stage.origin}${path}`, { headers });
        assert.ok(status === 401 || status === 404, `${path}: ${status}`);
      }
    });
    await t.test("while Countersign is away everyone stays logged in", async () => {
      assert.equal(await logIn(tab, "ada", "a third horse battery"), "");
      await stage.countersign.stop();
      assert.equal(await tab.load(), "please try again");
      await tab.page.reload();
      await tab.page.waitForSelector("#home");
      await stage.countersign.start();
      assert.equal(await tab.load(), ADAS_ORDERS);
    });
  });
});

/** As it was: it works, a lost answer shows the login, and both tokens outlive the logout. */
async function before(stage, context) {
  await stage.startBefore();
  const tab = await Tab.open(context, stage);
  assert.equal(await logIn(tab, ...GRACE, "guessed"), "solve the captcha");
  assert.equal(await logIn(tab, "grace", "wrong"), "wrong username or password");
  assert.equal(await logIn(tab, ...GRACE), "");
  assert.equal(await tab.load(), GRACES_ORDERS);
  await tab.page.reload();
  await tab.page.waitForSelector("#home");
  assert.equal(await tab.load(), GRACES_ORDERS);

  const stolen = await accessToken(tab);
  const [{ value: cookie }] = await context.cookies();
  await tab.logOut();
  assert.equal(await statusWith(stage, "/api/orders", stolen), 200);
  const again = await fetch(`${stage.origin}${REFRESH}`, { method: "POST", headers: { cookie: `rt=${cookie}` } });
  assert.equal(again.status, 200);

  assert.equal(await logIn(tab, ...GRACE), "");
  await tab.loseNextAnswer(REFRESH);
  await tab.page.reload();
  await tab.page.waitForSelector("#login");
  await tab.page.close();
  assert.ok((await context.cookies()).some(({ name }) => name === "rt"));
}

async function logIn(tab, username, password, captcha = "solved") {
  await tab.page.waitForSelector("#login");
  await tab.page.fill("[name=captcha]", captcha);
  return tab.logIn(username, password);
}

/** The access token that the page has in its memory, from a request of its. */
async function accessToken(tab) {
  const request = tab.page.waitForRequest((it) => it.url().endsWith("/api/orders"));
  await tab.load();
  return (await request).headers().authorization.replace("Bearer ", "");
}

/** The API refuses the next requests, as it does when the token has expired. */
async function refuseNext(tab, times) {
  await tab.page.route(
    (url) => url.pathname === "/api/orders",
    (route) => route.fulfill({ status: 401, json: { message: "please log in" } }),
    { times },
  );
}
