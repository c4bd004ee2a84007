import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidCredentialsError, LoggedOutError, PasswordRejectedError, UnavailableError } from "@countersign/web";
import { FakeBrowser } from "../testing/browser.js";
import { problem } from "../testing/server.js";

const ADA = { username: "ada", password: "right" };

test("whoever changes their password stays logged in, in every tab", async () => {
  const browser = new FakeBrowser();
  const first = browser.tab();
  await first.client.login(ADA);
  const second = browser.tab();
  await second.client.session();
  const before = await second.client.accessToken();
  await first.client.changePassword("right", "another");
  await browser.clock.advance(0);
  assert.deepEqual([first.logouts, second.logouts], [[], []]);
  const after = await second.client.accessToken();
  assert.notEqual(after, before);
  assert.equal(after, await first.client.accessToken());
  assert.equal((await second.client.session())?.username, "ada");
});

test("a change of the password that is refused ends nothing", async () => {
  const browser = new FakeBrowser();
  const { client, logouts } = browser.tab();
  await client.login(ADA);
  await assert.rejects(client.changePassword("wrong", "another"), InvalidCredentialsError);
  await assert.rejects(client.changePassword("right", "weak"), PasswordRejectedError);
  browser.server.once("/v1/auth/password", () => Promise.reject(new TypeError("network")));
  await assert.rejects(client.changePassword("right", "another"), UnavailableError);
  assert.deepEqual(logouts, []);
  assert.equal(client.state.status, "logged-in");
});

test("a session that has ended elsewhere is found out by whatever needs it", async () => {
  for (const ask of ["changePassword", "sessions", "endOtherSessions"] as const) {
    const browser = new FakeBrowser();
    const { client, logouts } = browser.tab();
    await client.login(ADA);
    const path = { changePassword: "password", sessions: "sessions", endOtherSessions: "sessions/others" }[ask];
    browser.server.once(`/v1/auth/${path}`, () => problem(401, "SESSION_REVOKED"));
    await assert.rejects(client[ask]("right", "another"), LoggedOutError);
    assert.deepEqual(logouts, ["SESSION_REVOKED"]);
    await assert.rejects(client[ask]("right", "another"), LoggedOutError);
    assert.equal(browser.server.count(`/v1/auth/${path}`), 1, "nobody asks for a session that is known to be over");
  }
});

test("the user's sessions are listed, and ended one by one or all others at once", async () => {
  const browser = new FakeBrowser();
  browser.server.csrfToken = "csrf";
  const { client, logouts } = browser.tab();
  await client.login(ADA);
  const others = ["phone", "tablet", "work"];
  browser.server.others.push(...others.map((id) => ({ id, subject: "ada" })));
  const listed = await client.sessions();
  assert.deepEqual(
    listed.map((session) => [session.id, session.current]),
    [["session-1", true], ...others.map((id) => [id, false])],
  );
  assert.equal(listed[0]?.userAgent, "a browser");
  assert.equal(await client.endSession("phone"), true);
  assert.equal(await client.endSession("phone"), false);
  assert.equal(await client.endOtherSessions(), 2);
  assert.equal(await client.endOtherSessions(), 0);
  assert.deepEqual(browser.server.calls.at(-1)?.method, "DELETE");
  assert.equal(client.state.status, "logged-in");
  assert.equal(await client.endSession("session-1"), true);
  assert.deepEqual(logouts, ["LOGGED_OUT"]);
});

test("a reset is sent once, and its refusal ends no session", async () => {
  const browser = new FakeBrowser();
  const { client, logouts } = browser.tab();
  await client.login(ADA);
  browser.server.once("/v1/auth/password/reset", () => problem(401, "RESET_TOKEN_INVALID"));
  await assert.rejects(client.resetPassword("spent", "another"), { reason: "RESET_TOKEN_INVALID" });
  browser.server.once("/v1/auth/password/reset", (call) => {
    assert.deepEqual(JSON.parse(call.body), { resetToken: "good", newPassword: "another" });
    return Response.json({});
  });
  await client.resetPassword("good", "another");
  assert.deepEqual(logouts, []);
  assert.equal(browser.server.count("/v1/auth/password/reset"), 2);
});
