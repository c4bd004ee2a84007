import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { logIn, openStage, requestsFrom, type Stage } from "./support/browser.js";
import { missing, selfSigned } from "./support/requirements.js";

describe("the refresh cookie", { skip: missing() ?? false, timeout: 120_000 }, () => {
  let stage: Stage;
  before(async () => void (stage = await openStage()));
  after(() => stage?.close());

  test("has the flags that keep it from scripts and other sites", async () => {
    const { context } = await logIn(stage, 1);
    const cookies = await context.cookies(`${stage.proxy.origin}/v1/auth/refresh`);
    assert.equal(cookies.length, 1);
    const { httpOnly, sameSite, path, domain } = cookies[0]!;
    assert.deepEqual({ httpOnly, sameSite, path, domain }, {
      httpOnly: true,
      sameSite: "Strict",
      path: "/v1/auth",
      domain: "127.0.0.1",
    });
    assert.deepEqual(await context.cookies(`${stage.proxy.origin}/harness`), []);
    await context.close();
  });

  test("has Secure and the prefix over HTTPS", async (test) => {
    const identity = selfSigned();
    if (identity === undefined) return test.skip("openssl is not installed");
    const secure = await openStage({ EDGE__PLAIN_HTTP: "false" }, identity);
    test.after(() => secure.close());
    const { context, tabs } = await logIn(secure, 1);
    await tabs[0]!.evaluate(() => window.client.refresh());
    const cookies = await context.cookies(`${secure.proxy.origin}/v1/auth/refresh`);
    assert.deepEqual(
      cookies.map(({ name, httpOnly, secure, sameSite, path }) => ({ name, httpOnly, secure, sameSite, path })),
      [{ name: "__Secure-countersign_refresh", httpOnly: true, secure: true, sameSite: "Strict", path: "/v1/auth" }],
    );
  });

  test("cannot be read by script, and is in no body and no storage", async () => {
    const { context, tabs } = await logIn(stage, 1);
    await tabs[0]!.evaluate(() => window.client.refresh());
    const seen = await tabs[0]!.evaluate(async () => ({
      cookie: document.cookie,
      local: Object.entries(localStorage),
      session: Object.entries(sessionStorage),
      databases: await indexedDB.databases(),
      caches: await caches.keys(),
    }));
    assert.deepEqual(seen, { cookie: "", local: [], session: [], databases: [], caches: [] });
    const given = stage.proxy.exchanges.flatMap((it) => it.setCookie).map((it) => it.split(/[=;]/)[1]!);
    assert.ok(given.length >= 2 && given.every((value) => value.length > 40));
    for (const { path, answer } of stage.proxy.exchanges.filter((it) => it.path.startsWith("/v1/"))) {
      const leaks = answer.includes('"refreshToken"') || given.some((value) => answer.includes(value));
      assert.ok(!leaks, `the answer of ${path} holds a refresh token`);
    }
    await context.close();
  });

  // Another port of the same host is another origin, but the same site: the browser sends even a strict cookie
  // there. Another host name is another site.
  for (const [what, host] of [
    ["another origin of the same site", "127.0.0.1"],
    ["another site", "localhost"],
  ] as const) {
    test(`is of no use to ${what}: form, fetch and a page without an origin are refused`, async (test) => {
      const attacker = await serveAttacker(stage.proxy.origin);
      test.after(() => attacker.close());
      const { context, tabs } = await logIn(stage, 1);
      const earlier = stage.proxy.exchanges.length;
      const page = await context.newPage();
      await page.goto(`http://${host}:${(attacker.address() as AddressInfo).port}/`);
      // The sandboxed frame is of no origin at all: what it sends says `Origin: null`.
      const sandboxed = await (await page.waitForSelector("iframe[sandbox]")).contentFrame();
      for (const frame of [page.mainFrame(), sandboxed]) {
        const outcome = await frame!.evaluate(attack, stage.proxy.origin);
        assert.deepEqual(outcome, Array(15).fill("refused"));
      }
      await submitForms(context, page);
      assertRefused(stage, earlier, what);
      assert.deepEqual(await requestsFrom(tabs[0]!, 1), [200]);
      await tabs[0]!.evaluate(() => window.client.refresh());
      assert.deepEqual(await requestsFrom(tabs[0]!, 1), [200]);
      await context.close();
    });
  }
});

/** Every write that the other origin got through to the edge was answered with a refusal. */
function assertRefused(stage: Stage, earlier: number, what: string): void {
  const attempts = stage.proxy.exchanges.slice(earlier).filter((it) => it.method === "POST");
  const withoutOrigin = attempts.filter((it) => it.headers.origin === "null").length;
  assert.ok(withoutOrigin >= 6 && attempts.length >= 2 * withoutOrigin, `${withoutOrigin} of ${attempts.length}`);
  const withCookie = attempts.filter((it) => it.headers.cookie !== undefined);
  if (what.includes("same site")) assert.ok(withCookie.length > 0, "the browser did send the cookie");
  else assert.equal(withCookie.length, 0);
  for (const { path, status, setCookie } of attempts) {
    assert.ok([403, 415].includes(status), `${path} answered ${status}`);
    assert.deepEqual(setCookie, []);
  }
}

/** Runs in the attacker's page. Answers for each attempt whether anything could be read. */
async function attack(edge: string): Promise<string[]> {
  const writes: RequestInit[] = [
    { mode: "no-cors", headers: { "content-type": "text/plain" }, body: "{}" },
    { mode: "no-cors", headers: { "content-type": "application/x-www-form-urlencoded" }, body: "a=b" },
    { mode: "no-cors" },
    { mode: "cors", headers: { "content-type": "text/plain" }, body: "{}" },
    { mode: "cors", headers: { "content-type": "application/json" }, body: "{}" },
  ];
  const outcomes: string[] = [];
  for (const path of ["/v1/auth/login", "/v1/auth/logout", "/v1/auth/refresh"]) {
    for (const write of writes) {
      try {
        const answer = await fetch(edge + path, { method: "POST", credentials: "include", ...write });
        outcomes.push(answer.type === "opaque" ? "refused" : `read ${answer.status}`);
      } catch {
        outcomes.push("refused");
      }
    }
  }
  return outcomes;
}

/** Sends the attacker's forms: from the page itself, and from a sandboxed frame, whose origin is null. */
async function submitForms(context: BrowserContext, page: Page): Promise<void> {
  for (const id of ["form", "sandboxed"]) {
    const answered = context.waitForEvent("response", (it) => it.url().endsWith("/v1/auth/logout"));
    if (id === "form") await page.click("#form button");
    else await page.frameLocator("iframe[sandbox]").locator("button").click();
    await answered;
  }
}

async function serveAttacker(edge: string): Promise<Server> {
  const form = `<form method="post" action="${edge}/v1/auth/logout" enctype="text/plain" target="answer"><input
    name='{"everywhere":true,"x":"' value='"}'><button>win a prize</button></form>`;
  const sandboxed = `<iframe sandbox="allow-forms allow-scripts" srcdoc="${form
    .replaceAll("&", "&amp;")
    .replaceAll('"', "&quot;")
    .replace(' target=&quot;answer&quot;', "")}"></iframe>`;
  const html = `<!doctype html><div id="form">${form}</div><iframe name="answer" hidden></iframe>`;
  const server = createServer((_, response) => {
    response.setHeader("content-type", "text/html").end(html.replace("<iframe", `${sandboxed}<iframe`));
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  return server;
}
