import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import type { Page } from "playwright-core";
import type { AuthError, LoginRequest } from "@countersign/web";
import { openStage, openTab, type Stage } from "./support/browser.js";
import { missing, selfSigned } from "./support/requirements.js";

const SECRET = "the secret of the site";

describe("the captcha before a login", { skip: missing() ?? false, timeout: 120_000 }, () => {
  test("is asked for, judged by the verifier over TLS, and nobody's business after that", async (test) => {
    const asked: Record<string, string>[] = [];
    const setup = await openWithCaptcha(test, asked, { CAPTCHA__MODE: "always" });
    if (setup === undefined) return;
    const { stage, tab } = setup;
    const right = { username: stage.server.username, password: stage.server.password };
    assert.deepEqual(await logInWith(tab, right), { reason: "CAPTCHA_REQUIRED", status: 403 });
    assert.equal(asked.length, 0);
    const guessed = { ...right, captchaResponse: "guessed" };
    assert.deepEqual(await logInWith(tab, guessed), { reason: "CAPTCHA_REJECTED", status: 403 });
    assert.equal(await logInWith(tab, { ...right, captchaResponse: "solved" }), "logged-in");
    const expected = { secret: SECRET, remoteip: "127.0.0.1" };
    assert.deepEqual(asked, [{ ...expected, response: "guessed" }, { ...expected, response: "solved" }]);
    await tab.evaluate(() => window.client.refresh());
    assert.equal(asked.length, 2);
    setup.verifier.closeAllConnections();
    setup.verifier.close();
    const down = await logInWith(tab, { ...right, captchaResponse: "solved" });
    assert.deepEqual(down, { reason: "CAPTCHA_UNAVAILABLE", status: 503 });
  });

  test("is asked for after failures, and still lets the owner in", async (test) => {
    const settings = { CAPTCHA__MODE: "after_failures", CAPTCHA__FAILURES: "2" };
    const setup = await openWithCaptcha(test, [], settings);
    if (setup === undefined) return;
    const { stage, tab } = setup;
    const right = { username: stage.server.username, password: stage.server.password };
    const wrong = { ...right, password: "not the password" };
    for (let n = 0; n < 2; n += 1) {
      assert.deepEqual(await logInWith(tab, wrong), { reason: "INVALID_CREDENTIALS", status: 401 });
    }
    assert.deepEqual(await logInWith(tab, right), { reason: "CAPTCHA_REQUIRED", status: 403 });
    assert.equal(await logInWith(tab, { ...right, captchaResponse: "solved" }), "logged-in");
  });
});

/** An edge with a captcha, the service that verifies it, and a tab that is not logged in. */
async function openWithCaptcha(
  test: TestContext,
  asked: Record<string, string>[],
  settings: Readonly<Record<string, string>>,
): Promise<{ stage: Stage; tab: Page; verifier: Server } | undefined> {
  const identity = selfSigned();
  if (identity === undefined) return void test.skip("openssl is not installed");
  const verifier = createServer(identity, (request, response) => {
    let form = "";
    request.on("data", (text: Buffer) => (form += text.toString()));
    request.on("end", () => {
      const said = Object.fromEntries(new URLSearchParams(form));
      asked.push(said);
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ success: said["response"] === "solved", "error-codes": [] }));
    });
  });
  await new Promise<void>((resolve) => verifier.listen(0, "127.0.0.1", resolve));
  const folder = mkdtempSync(join(tmpdir(), "countersign-"));
  writeFileSync(join(folder, "authority.pem"), identity.cert);
  test.after(() => {
    verifier.closeAllConnections();
    verifier.close();
    rmSync(folder, { recursive: true });
  });
  const stage = await openStage({
    CAPTCHA__VERIFY_URL: `https://127.0.0.1:${(verifier.address() as AddressInfo).port}/siteverify`,
    CAPTCHA__CA_FILE: join(folder, "authority.pem"),
    CAPTCHA__SECRET: SECRET,
    ...settings,
  });
  test.after(() => stage.close());
  const context = await stage.browser.newContext();
  return { stage, tab: await openTab(context, stage.proxy.origin), verifier };
}

function logInWith(
  tab: Page,
  request: LoginRequest,
): Promise<string | { reason: string | undefined; status: number | undefined }> {
  return tab.evaluate(async (ask) => {
    try {
      await window.client.login(ask);
      return window.client.state.status;
    } catch (error) {
      const { reason, status } = error as AuthError;
      return { reason, status };
    }
  }, request);
}
