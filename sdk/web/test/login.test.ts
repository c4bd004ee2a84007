import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ClosedError,
  InvalidCredentialsError,
  InvalidRequestError,
  ProtocolError,
  RateLimitedError,
  UnavailableError,
} from "@countersign/web";
import { FakeBrowser } from "../testing/browser.js";
import { json, problem } from "../testing/server.js";

const ADA = { username: "ada", password: "right" };

test("after a login the client knows the session and the token's life by the server's word", async () => {
  const browser = new FakeBrowser();
  const { client, changes } = browser.tab();
  assert.deepEqual(client.state, { status: "unknown" });
  await client.login(ADA);
  const { state } = client;
  assert.equal(state.status, "logged-in");
  assert.equal(state.subject, "ada");
  await browser.clock.advance(10_000);
  assert.equal(client.state.status === "logged-in" && client.state.expiresIn, 290_000);
  assert.deepEqual(changes, ["login"]);
  assert.equal(browser.server.calls[0]?.credentials, "include");
});

test("the session is found again after a page load, by the cookie alone", async () => {
  const browser = new FakeBrowser();
  await browser.tab().client.login(ADA);
  const { client } = browser.tab();
  const session = await client.session();
  assert.deepEqual([session?.username, session?.externalId], ["ada", "42"]);
  assert.equal(browser.server.count("/v1/auth/refresh"), 1);
});

test("a page without a session learns so, and was logged out of nothing", async () => {
  const browser = new FakeBrowser();
  const { client, logouts } = browser.tab();
  assert.equal(await client.session(), null);
  assert.equal(await client.session(), null);
  assert.deepEqual(client.state, { status: "logged-out", reason: null, endCause: undefined });
  assert.deepEqual(logouts, []);
  assert.equal(browser.server.count("/v1/auth/refresh"), 1);
});

test("each refusal of a login has its own error", async () => {
  const browser = new FakeBrowser();
  const { client } = browser.tab();
  await assert.rejects(client.login({ username: "ada", password: "wrong" }), InvalidCredentialsError);
  const cases = [
    [() => problem(429, "RATE_LIMIT_EXCEEDED", { "retry-after": "7" }), RateLimitedError, 7_000],
    [() => problem(429, "LOGIN_OVERLOADED", { "retry-after": "1" }), RateLimitedError, 1_000],
    [() => problem(503, "STORE_UNAVAILABLE"), UnavailableError, undefined],
    [() => problem(400, "INVALID_REQUEST"), InvalidRequestError, undefined],
    [() => new Response("<html>", { status: 404 }), ProtocolError, undefined],
    [() => new Response("<html>", { status: 200 }), ProtocolError, undefined],
    [() => Promise.reject(new TypeError("network")), UnavailableError, undefined],
    [() => json({ code: 0, data: {} }), ProtocolError, undefined],
    [() => json({ tokens: { accessToken: "a.b.c", refreshToken: "r", expiresIn: "1" } }), ProtocolError, undefined],
  ] as const;
  for (const [answer, kind, retryAfter] of cases) {
    browser.server.once("/v1/auth/login", answer);
    await assert.rejects(client.login(ADA), (error: unknown) => {
      assert.ok(error instanceof kind, String(error));
      assert.equal(error.retryAfter, retryAfter);
      return true;
    });
  }
  assert.equal(browser.server.count("/v1/auth/login"), 1 + cases.length, "a login is never repeated by itself");
});

test("an error that is told as a google.rpc.Status is the same error", async () => {
  const browser = new FakeBrowser();
  const { client } = browser.tab();
  const type = "type.googleapis.com/google.rpc.";
  const details = [
    { "@type": `${type}ErrorInfo`, reason: "INVALID_REQUEST", domain: "countersign" },
    { "@type": `${type}BadRequest`, fieldViolations: [{ field: "username", description: "must not be empty" }] },
    { "@type": `${type}LocalizedMessage`, locale: "zh-CN", message: "请求无效。" },
  ];
  browser.server.once("/v1/auth/login", () => json({ code: 3, message: "Not valid.", details }, { status: 400 }));
  await assert.rejects(client.login(ADA), (error: unknown) => {
    assert.ok(error instanceof InvalidRequestError, String(error));
    assert.deepEqual(error.violations, [{ field: "username", description: "must not be empty" }]);
    assert.deepEqual([error.message, error.reason, error.code], ["请求无效。", "INVALID_REQUEST", undefined]);
    return true;
  });
});

test("what the client says of itself goes along with the login", async () => {
  const browser = new FakeBrowser();
  const { client } = browser.tab();
  const sent = async (said: { clientName?: string; clientClass?: string }): Promise<unknown> => {
    await client.login({ ...ADA, ...said });
    const login = browser.server.calls.findLast((call) => call.path === "/v1/auth/login");
    return JSON.parse(login?.body ?? "")["client"];
  };
  assert.equal(await sent({}), undefined);
  assert.deepEqual(await sent({ clientName: "phone" }), { name: "phone" });
  assert.deepEqual(await sent({ clientClass: "mobile" }), { class: "mobile" });
  assert.deepEqual(await sent({ clientName: "phone", clientClass: "mobile" }), { name: "phone", class: "mobile" });
});

test("an edge that writes times as milliseconds is understood", async () => {
  const browser = new FakeBrowser();
  const { client } = browser.tab();
  const token = ["{}", '{"sub":"ada","sid":"1"}', "s"].map((part) => btoa(part)).join(".");
  browser.server.once("/v1/auth/login", () =>
    json({ tokens: { accessToken: token, expiresIn: 300, accessExpiresAt: 1_700_000_300_000 } }),
  );
  await client.login(ADA);
  browser.server.once("/v1/auth/session", () => json({ subject: "ada", authTime: 1_700_000_000_000, expiresAt: 0 }));
  const session = await client.session();
  assert.deepEqual(
    [session?.authTime, session?.expiresAt],
    ["2023-11-14T22:13:20.000Z", "1970-01-01T00:00:00.000Z"],
  );
});

test("a login that is never answered ends at its deadline", async () => {
  const browser = new FakeBrowser();
  const { client } = browser.tab({ callTimeout: 5_000 });
  browser.server.once("/v1/auth/login", () => new Promise(() => undefined));
  const login = assert.rejects(client.login(ADA), UnavailableError);
  await browser.clock.advance(5_000);
  await login;
  assert.equal(browser.clock.timers, 0);
});

test("logout tells the server, and then every tab, once", async () => {
  const browser = new FakeBrowser();
  const tabs = await browser.tabs(3);
  await tabs[1]!.client.logout({ everywhere: true });
  await browser.clock.advance(0);
  assert.deepEqual(tabs.map((tab) => tab.logouts), [["LOGGED_OUT"], ["LOGGED_OUT"], ["LOGGED_OUT"]]);
  assert.equal(browser.server.calls.at(-1)?.body, '{"everywhere":true}');
  await tabs[1]!.client.logout();
  await browser.clock.advance(0);
  assert.deepEqual(tabs.map((tab) => tab.changes), [["end"], ["end"], ["end"]]);
  assert.equal(await tabs[0]!.client.session(), null);
});

test("a logout that the server does not hear is not pretended", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1, { refreshDeadline: 1_000 });
  for (let n = 0; n < 9; n += 1) browser.server.once("/v1/auth/logout", () => problem(503, "STORE_UNAVAILABLE"));
  const logout = assert.rejects(tab!.client.logout(), UnavailableError);
  await browser.clock.advance(2_000);
  await logout;
  assert.equal(tab!.client.state.status, "logged-in");
  assert.deepEqual(tab!.logouts, []);
});

test("close() stops every timer and whoever waits", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1, { checkEvery: 1_000 });
  browser.server.expireTokens();
  browser.server.once("/v1/auth/refresh", () => new Promise(() => undefined));
  const waiting = assert.rejects(tab!.client.fetch("/api"), ClosedError);
  await browser.clock.advance(0);
  tab!.client.close();
  await waiting;
  await browser.clock.advance(0);
  assert.equal(browser.clock.timers, 0);
  await assert.rejects(tab!.client.login(ADA), ClosedError);
});

test("a double-submit token is remembered from an answer, and asked for where it is not known", async () => {
  const browser = new FakeBrowser();
  browser.server.csrfToken = "0123";
  const { client } = browser.tab();
  await client.login(ADA);
  await client.refresh();
  assert.equal(browser.server.count("/v1/auth/csrf"), 0);
  const fresh = browser.tab();
  assert.equal((await fresh.client.session())?.username, "ada");
  assert.equal(browser.server.count("/v1/auth/csrf"), 1);
});
