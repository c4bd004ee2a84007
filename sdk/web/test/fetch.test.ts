import assert from "node:assert/strict";
import { test } from "node:test";
import { LoggedOutError, UnavailableError } from "@countersign/web";
import { FakeBrowser } from "../testing/browser.js";
import { problem } from "../testing/server.js";

test("20 requests that meet an expired token cause one refresh, and all succeed", async () => {
  for (const environment of [{}, { locks: undefined, openChannel: () => undefined }]) {
    const browser = new FakeBrowser();
    const [tab] = await browser.tabs(1, { environment });
    browser.server.expireTokens();
    const requests = Array.from({ length: 20 }, (_, n) => tab!.client.fetch(`/api/${n}`));
    const answers = await Promise.all(requests);
    assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([200]));
    assert.equal(browser.server.count("/v1/auth/refresh"), 1);
  }
});

test("a token that the clock says is expired is renewed before it is sent", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1, { renewAhead: false });
  await browser.clock.advance(299_500);
  browser.server.expireTokens();
  assert.equal((await tab!.client.fetch("/api")).status, 200);
  assert.equal(browser.server.count("/api"), 1);
});

test("a token that lives only a second is used all the same, and not renewed for each request", async () => {
  const browser = new FakeBrowser();
  browser.server.lifetime = 1;
  const [tab] = await browser.tabs(1, { renewAhead: false });
  for (let n = 0; n < 5; n += 1) await tab!.client.fetch("/api");
  assert.equal(browser.server.count("/v1/auth/refresh"), 0);
});

test("a body that can be read again is replayed as it was", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1);
  const url = "https://app.example/api";
  const sent: [RequestInfo, RequestInit?][] = [
    ["/api", { method: "POST", body: "text" }],
    ["/api", { method: "PUT", body: new Blob(["blob"]) }],
    [new Request(url, { method: "POST", body: "of the request" })],
    [new Request(url, { method: "POST", body: "overridden" }), { body: "of the init" }],
  ];
  for (const [input, init] of sent) {
    browser.server.expireTokens();
    assert.equal((await tab!.client.fetch(input, init)).status, 200);
  }
  const bodies = browser.server.calls.filter((call) => call.path === "/api").map((call) => call.body);
  assert.deepEqual(bodies, ["text", "blob", "of the request", "of the init"].flatMap((body) => [body, body]));
});

test("a body that is a stream is not sent twice, but the next request has a good token", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1);
  browser.server.expireTokens();
  const body = new Blob(["streamed"]).stream();
  const init = { method: "POST", body, duplex: "half" };
  assert.equal((await tab!.client.fetch("/api", init)).status, 401);
  assert.equal(browser.server.count("/api"), 1);
  assert.equal((await tab!.client.fetch("/api")).status, 200);
  assert.equal(browser.server.count("/v1/auth/refresh"), 1);
});

test("the token goes to the page's origin, the edge's and the named ones, and to no other", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1, { origins: ["https://api.example"] });
  for (const url of ["/a", "https://api.example/a", "https://evil.example/a", "https://app.example.evil/a"]) {
    await tab!.client.fetch(url);
  }
  const authorized = browser.server.calls.slice(1).map((call) => call.authorization !== null);
  assert.deepEqual(authorized, [true, true, false, false]);
  assert.equal(browser.server.count("/v1/auth/refresh"), 0, "another origin's 401 is none of ours");
});

test("an Authorization of the caller's own is left alone", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1);
  await tab!.client.fetch("https://app.example/api", { headers: { authorization: "Basic abc" } });
  assert.equal(browser.server.calls.at(-1)?.authorization, "Basic abc");
  assert.equal(browser.server.count("/v1/auth/refresh"), 0);
});

test("an API that refuses every token does not cause a refresh for every request", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1);
  const refuse = (): void => browser.server.once("/api", () => new Response("", { status: 401 }));
  for (let n = 0; n < 10; n += 1) {
    refuse();
    refuse();
    assert.equal((await tab!.client.fetch("/api")).status, 401);
  }
  assert.equal(browser.server.count("/v1/auth/refresh"), 1);
});

test("when the token cannot be renewed just now the request fails as unavailable, not as logged out", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1, { refreshDeadline: 1_000 });
  browser.server.expireTokens();
  for (let n = 0; n < 9; n += 1) browser.server.once("/v1/auth/refresh", () => problem(503, "STORE_UNAVAILABLE"));
  const request = assert.rejects(tab!.client.fetch("/api"), UnavailableError);
  await browser.clock.advance(1_500);
  await request;
  assert.equal(tab!.client.state.status, "logged-in");
});

test("without a session a request fails as logged out and is not sent", async () => {
  const browser = new FakeBrowser();
  const { client } = browser.tab();
  await assert.rejects(client.fetch("/api"), LoggedOutError);
  await assert.rejects(client.fetch("/api"), LoggedOutError);
  assert.equal(browser.server.count("/api"), 0);
  assert.equal(browser.server.count("/v1/auth/refresh"), 1);
});

test("the caller's own signal ends the wait for a refresh that others still wait for", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1);
  browser.server.expireTokens();
  let answer: (response: Response) => void = () => undefined;
  browser.server.once("/v1/auth/refresh", () => new Promise((resolve) => (answer = resolve)));
  const controller = new AbortController();
  const impatient = assert.rejects(tab!.client.fetch("/api", { signal: controller.signal }), /AbortError|aborted/);
  const patient = tab!.client.fetch("/api");
  await browser.clock.advance(0);
  controller.abort();
  await impatient;
  const call = browser.server.calls.findLast((made) => made.path === "/v1/auth/refresh");
  answer(browser.server.usual(call!));
  assert.equal((await patient).status, 200);
});
