import assert from "node:assert/strict";
import { test } from "node:test";
import { LoggedOutError, UnavailableError } from "@countersign/web";
import { FakeBrowser } from "../testing/browser.js";
import { json, problem } from "../testing/server.js";

const REFRESH = "/v1/auth/refresh";

test("whatever is not a published reason costs nobody the session", async () => {
  const passing = [
    () => problem(503, "STORE_UNAVAILABLE"),
    () => problem(503, "REVOCATIONS_STALE", { "retry-after": "1" }),
    () => problem(504, "DEADLINE_EXCEEDED"),
    () => problem(500, "INTERNAL"),
    () => problem(429, "RATE_LIMIT_EXCEEDED", { "retry-after": "2" }),
    () => new Response("<html>bad gateway", { status: 502 }),
    () => Promise.reject(new TypeError("Failed to fetch")),
  ];
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1);
  for (const answer of passing) {
    browser.server.once(REFRESH, answer);
    const refresh = tab!.client.refresh();
    await browser.clock.advance(5_000);
    await refresh;
  }
  assert.equal(browser.server.count(REFRESH), 2 * passing.length, "each was tried once more, and that worked");
  const odd = [
    () => new Response("<html>a captive portal", { status: 401 }),
    () => new Response("<html>hello", { status: 200 }),
    () => problem(403, "SOMETHING_NEW"),
    () => problem(401, "SOMETHING_NEW"),
    () => problem(503, "SESSION_REVOKED"),
  ];
  for (const answer of odd) {
    browser.server.once(REFRESH, answer);
    const refresh = tab!.client.refresh().catch(() => undefined);
    await browser.clock.advance(5_000);
    await refresh;
  }
  assert.equal(tab!.client.state.status, "logged-in");
  assert.deepEqual(tab!.logouts, []);
});

test("each reason that ends a session does, once, and the callers are told it", async () => {
  for (const reason of [
    "TOKEN_MISSING",
    "REFRESH_TOKEN_INVALID",
    "REFRESH_TOKEN_EXPIRED",
    "REFRESH_TOKEN_REUSED",
    "SESSION_REVOKED",
  ]) {
    const browser = new FakeBrowser();
    const [tab] = await browser.tabs(1);
    browser.server.expireTokens();
    browser.server.once(REFRESH, () => problem(401, reason));
    const requests = Array.from({ length: 5 }, () => tab!.client.fetch("/api"));
    for (const result of await Promise.allSettled(requests)) {
      assert.ok(result.status === "rejected" && result.reason instanceof LoggedOutError);
      assert.equal(result.reason.logoutReason, reason);
    }
    assert.deepEqual(tab!.logouts, [reason]);
    await browser.clock.advance(600_000);
    assert.equal(browser.server.count(REFRESH), 1);
    assert.equal(browser.clock.timers, 0);
  }
});

test("a cause is told as a gateway tells it, and one that is not known is none", async () => {
  const info = { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "SESSION_REVOKED" };
  for (const [answer, expected] of [
    [json({ code: 16, details: [{ ...info, metadata: { cause: "USER_DISABLED" } }] }, { status: 401 }), "USER_DISABLED"],
    [json({ code: 16, details: [info] }, { status: 401 }), undefined],
    [problem(401, "REFRESH_TOKEN_REUSED", {}, "TOKEN_REUSED"), "TOKEN_REUSED"],
    [problem(401, "SESSION_REVOKED", {}, "ABDUCTED"), undefined],
    [problem(401, "SESSION_REVOKED"), undefined],
  ] as const) {
    const browser = new FakeBrowser();
    const [tab] = await browser.tabs(1);
    browser.server.expireTokens();
    browser.server.once(REFRESH, () => answer);
    await assert.rejects(tab!.client.fetch("/api"), LoggedOutError);
    assert.deepEqual(tab!.endCauses, [expected]);
  }
});

test("Retry-After is waited for, and a pause is never shorter", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1);
  browser.server.once(REFRESH, () => problem(503, "REFRESH_IN_PROGRESS", { "retry-after": "2" }));
  const refresh = tab!.client.refresh();
  await browser.clock.advance(1_999);
  assert.equal(browser.server.count(REFRESH), 1);
  await browser.clock.advance(1_001);
  await refresh;
  assert.equal(browser.server.count(REFRESH), 2);
});

test("a Retry-After date is measured against the server's clock", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1);
  const headers = { date: "Fri, 01 Jan 1999 00:00:00 GMT", "retry-after": "Fri, 01 Jan 1999 00:00:03 GMT" };
  browser.server.once(REFRESH, () => problem(503, "STORE_UNAVAILABLE", headers));
  const refresh = tab!.client.refresh();
  await browser.clock.advance(2_999);
  assert.equal(browser.server.count(REFRESH), 1);
  await browser.clock.advance(1_000);
  await refresh;
});

test("pauses grow, and whoever waits is told at the deadline", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1, { refreshDeadline: 10_000, renewAhead: false });
  const at: number[] = [];
  for (let n = 0; n < 20; n += 1) {
    browser.server.once(REFRESH, () => {
      at.push(browser.clock.now);
      return problem(503, "STORE_UNAVAILABLE");
    });
  }
  const refresh = assert.rejects(tab!.client.refresh(), UnavailableError);
  await browser.clock.advance(10_000);
  await refresh;
  const pauses = at.slice(1).map((moment, n) => moment - at[n]!);
  assert.deepEqual(pauses, [187.5, 375, 750, 1_500, 3_000]);
  assert.equal(browser.clock.timers, 0);
});

test("an attempt that hangs is given up and made again", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1, { callTimeout: 3_000 });
  browser.server.once(REFRESH, () => new Promise(() => undefined));
  const refresh = tab!.client.refresh();
  await browser.clock.advance(4_000);
  await refresh;
  assert.equal(browser.server.count(REFRESH), 2);
});
