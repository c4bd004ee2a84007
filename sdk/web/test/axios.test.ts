import assert from "node:assert/strict";
import { test } from "node:test";
import axios, { type AxiosInstance } from "axios";
import { LoggedOutError } from "@countersign/web";
import { attachToAxios } from "@countersign/web/axios";
import { FakeBrowser, ORIGIN, type Tab } from "../testing/browser.js";

/** axios as it is, over the fake network. */
function instanceFor(browser: FakeBrowser, tab: Tab): AxiosInstance {
  const instance = axios.create({ baseURL: `${ORIGIN}/api`, adapter: "fetch", env: { fetch: browser.server.fetch } });
  attachToAxios(instance, tab.client);
  return instance;
}

test("axios requests get the token, one refresh and one replay with the same body", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1);
  const instance = instanceFor(browser, tab!);
  browser.server.expireTokens();
  const requests = Array.from({ length: 5 }, (_, n) => instance.post(`/items/${n}`, { n }));
  const answers = await Promise.all(requests);
  assert.deepEqual(answers.map((answer) => answer.data.body), [0, 1, 2, 3, 4].map((n) => JSON.stringify({ n })));
  assert.equal(browser.server.count("/v1/auth/refresh"), 1);
});

test("axios errors stay axios errors, and are not replayed for ever", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1);
  const instance = instanceFor(browser, tab!);
  for (let n = 0; n < 4; n += 1) browser.server.once("/api/a", () => new Response("", { status: 401 }));
  await assert.rejects(instance.get("/a"), (error) => axios.isAxiosError(error) && error.response?.status === 401);
  assert.equal(browser.server.count("/api/a"), 2);
  browser.server.once("/api/b", () => new Response("", { status: 500 }));
  await assert.rejects(instance.get("/b"), (error) => axios.isAxiosError(error) && error.response?.status === 500);
  const lenient = await instance.get("/a", { validateStatus: () => true });
  assert.equal(lenient.status, 401);
});

test("axios requests to other origins and with an Authorization of their own are left alone", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1);
  const instance = instanceFor(browser, tab!);
  const any = { validateStatus: () => true };
  await instance.get("https://evil.example/x", any);
  await instance.get("/x", { ...any, headers: { Authorization: "Basic abc" } });
  assert.deepEqual(browser.server.calls.slice(-2).map((call) => call.authorization), [null, "Basic abc"]);
  assert.equal(browser.server.count("/v1/auth/refresh"), 0);
});

test("axios requests fail as logged out when the session has ended", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1);
  const instance = instanceFor(browser, tab!);
  browser.server.revoke();
  await assert.rejects(instance.get("/a"), LoggedOutError);
  assert.deepEqual(tab!.logouts, ["SESSION_REVOKED"]);
});

test("a detached instance is as it was", async () => {
  const browser = new FakeBrowser();
  const [tab] = await browser.tabs(1);
  const instance = axios.create({ adapter: "fetch", env: { fetch: browser.server.fetch } });
  attachToAxios(instance, tab!.client)();
  await instance.get(`${ORIGIN}/a`, { validateStatus: () => true });
  assert.equal(browser.server.calls.at(-1)?.authorization, null);
});
