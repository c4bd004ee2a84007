import assert from "node:assert/strict";
import { test } from "node:test";
import { LoggedOutError } from "@countersign/web";
import { FakeBrowser } from "../testing/browser.js";
import { problem } from "../testing/server.js";

const REFRESH = "/v1/auth/refresh";
const ADA = { username: "ada", password: "right" };

test("five tabs that meet an expired token are served by one refresh", async () => {
  const browser = new FakeBrowser();
  const tabs = await browser.tabs(5);
  browser.server.expireTokens();
  const requests = tabs.flatMap((tab) => [tab.client.fetch("/api"), tab.client.fetch("/api")]);
  await browser.clock.advance(500);
  for (const answer of await Promise.all(requests)) assert.equal(answer.status, 200);
  assert.equal(browser.server.count(REFRESH), 1);
});

test("without locks and without a channel every tab goes on by itself", async () => {
  const browser = new FakeBrowser();
  const environment = { locks: undefined, openChannel: () => undefined };
  const tabs = [0, 1, 2].map(() => browser.tab({ environment }));
  await tabs[0]!.client.login(ADA);
  const answers = await Promise.all(tabs.map((tab) => tab.client.fetch("/api")));
  assert.deepEqual(answers.map((answer) => answer.status), [200, 200, 200]);
});

test("when the lock's holder is frozen the others wait shortly and go on", async () => {
  const browser = new FakeBrowser();
  const tabs = await browser.tabs(3, { lockWait: 1_000 });
  void browser.locks.request("held by a frozen tab", { ifAvailable: true }, () => new Promise(() => undefined));
  browser.server.expireTokens();
  const requests = tabs.map((tab) => tab.client.fetch("/api"));
  await browser.clock.advance(999);
  assert.equal(browser.server.count(REFRESH), 0);
  await browser.clock.advance(1);
  for (const answer of await Promise.all(requests)) assert.equal(answer.status, 200);
});

test("locks that cannot be had in this context are done without", async () => {
  const browser = new FakeBrowser();
  const locks = { request: () => Promise.reject(new DOMException("denied", "SecurityError")) };
  const [tab] = await browser.tabs(1, { environment: { locks } });
  await tab!.client.refresh();
  assert.equal(browser.server.count(REFRESH), 1);
});

test("a session revoked elsewhere ends in every tab, once, with one refresh", async () => {
  const browser = new FakeBrowser();
  const tabs = await browser.tabs(4);
  browser.server.revoke();
  const requests = tabs.map((tab) => assert.rejects(tab.client.fetch("/api"), LoggedOutError));
  await browser.clock.advance(1_000);
  await Promise.all(requests);
  assert.deepEqual(tabs.map((tab) => tab.logouts), Array(4).fill(["SESSION_REVOKED"]));
  assert.equal(browser.server.count(REFRESH), 1);
});

test("what ended the session is told in every tab, to callers, and later on", async () => {
  const browser = new FakeBrowser();
  const tabs = await browser.tabs(3);
  browser.server.revoke("PASSWORD_CHANGED");
  const told = (error: unknown): boolean => error instanceof LoggedOutError && error.endCause === "PASSWORD_CHANGED";
  await assert.rejects(tabs[0]!.client.fetch("/api"), told);
  await browser.clock.advance(1_000);
  for (const tab of tabs) {
    assert.deepEqual([tab.logouts, tab.endCauses], [["SESSION_REVOKED"], ["PASSWORD_CHANGED"]]);
    const expected = { status: "logged-out", reason: "SESSION_REVOKED", endCause: "PASSWORD_CHANGED" };
    assert.deepEqual(tab.client.state, expected);
    await assert.rejects(tab.client.fetch("/api"), told);
  }
});

test("another tab's token ends a pause between attempts", async () => {
  const browser = new FakeBrowser();
  const [first, second] = await browser.tabs(2);
  browser.server.expireTokens();
  browser.server.once(REFRESH, () => problem(503, "STORE_UNAVAILABLE", { "retry-after": "15" }));
  const waiting = first!.client.fetch("/api");
  await browser.clock.advance(100);
  await second!.client.refresh();
  await browser.clock.advance(200);
  assert.equal((await waiting).status, 200);
});

test("an answer that comes after another tab's logout brings nothing back", async () => {
  const browser = new FakeBrowser();
  const [first, second] = await browser.tabs(2);
  let answer: (response: Response) => void = () => undefined;
  let cut: AbortSignal | undefined;
  browser.server.once(REFRESH, (_call, signal) => {
    cut = signal;
    return new Promise((resolve) => (answer = resolve));
  });
  const late = assert.rejects(first!.client.refresh(), LoggedOutError);
  await browser.clock.advance(0);
  const call = browser.server.calls.at(-1)!;
  const response = browser.server.usual(call);
  await second!.client.logout();
  await late;
  answer(response);
  await browser.clock.advance(1_000);
  assert.equal(cut?.aborted, true, "so that its cookie does not come after the next login's");
  assert.deepEqual([first, second].map((tab) => tab!.client.state.status), ["logged-out", "logged-out"]);
});

test("a login in one tab logs in the tabs that were logged out", async () => {
  const browser = new FakeBrowser();
  const [first, second] = await browser.tabs(2);
  await first!.client.logout();
  await browser.clock.advance(0);
  await second!.client.login(ADA);
  await browser.clock.advance(0);
  assert.equal((await first!.client.session())?.username, "ada");
  assert.deepEqual(first!.changes, ["end", "other-tab"]);
});

test("another user's login in one tab ends the session that the others show", async () => {
  const browser = new FakeBrowser();
  const [first, second] = await browser.tabs(2);
  await second!.client.login({ username: "grace", password: "right" });
  await browser.clock.advance(0);
  assert.deepEqual(first!.logouts, ["SESSION_REPLACED"]);
  assert.equal((await first!.client.session())?.username, "grace");
});

test("another user's cookie is noticed at the next refresh even without a channel", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1, { environment: { openChannel: () => undefined } });
  browser.server.session = { id: "another", subject: "grace" };
  await tab!.client.refresh();
  assert.deepEqual(tab!.logouts, ["SESSION_REPLACED"]);
});

test("messages that are not understood are passed over", async () => {
  const browser = new FakeBrowser();
  let receive: (message: unknown) => void = () => undefined;
  const openChannel = (_name: string, listener: (message: unknown) => void) => {
    receive = listener;
    return { post: () => undefined, close: () => undefined };
  };
  const [tab] = await browser.tabs(1, { environment: { openChannel } });
  const strange = [
    null,
    "logged-out",
    { version: 2, type: "logged-out", reason: "LOGGED_OUT" },
    { version: 1, type: "logged-out", reason: "constructor" },
    { version: 1, type: "refreshed", accessToken: 5 },
    { version: 1, type: "refreshed", accessToken: "x", serverExpiry: "soon", lifetime: 1 },
    { version: 1, type: "logged-out", reason: "LOGGED_OUT", sessionId: "another session" },
  ];
  for (const message of strange) receive(message);
  assert.deepEqual(tab!.changes, []);
});
