import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import { openStage, type Stage } from "./support/browser.js";
import { logInByHand, openPage, press } from "./support/page.js";
import { missing } from "./support/requirements.js";

describe("the demonstration page", { skip: missing() ?? false, timeout: 120_000 }, () => {
  let stage: Stage;
  before(async () => void (stage = await openStage()));
  after(() => stage?.close());

  test("shows the token, one refresh that serves two tabs, and a logout that ends both", async () => {
    const context = await stage.browser.newContext();
    const complaints: string[] = [];
    context.on("console", (message) => {
      if (/Content Security Policy|Refused to/.test(message.text())) complaints.push(message.text());
    });
    context.on("weberror", (error) => complaints.push(String(error.error())));
    const first = await openPage(stage, context);
    await logInByHand(stage, first);
    assert.match(await first.innerText("#countdown"), /^[0-9]:[0-9]{2}$/);
    assert.match(await first.innerText("#claims"), /sid[\s\S]*exp|exp[\s\S]*sid/);

    const second = await openPage(stage, context);
    await second.waitForSelector("#logged-in:not([hidden])");
    const before = await claimOf(second, "jti");
    await second.click("#renew");
    await showsAnother(second, "jti", before);
    await second.getByText("This tab refreshed it.").waitFor();
    // The first tab has shown that the second one refreshed once already: when that one was opened.
    await shows(first, "jti", await claimOf(second, "jti"));
    await first.getByText("Another tab refreshed it").waitFor();

    await first.click("#logout");
    await second.waitForSelector("#logged-out:not([hidden])");
    assert.equal(await second.innerText("#notice"), "You have logged out.");
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("shows 20 refused requests, one refresh and 20 good ones, and no secret", async () => {
    const context = await stage.browser.newContext();
    const page = await openPage(stage, context);
    await logInByHand(stage, page);
    await press(page, "twenty");
    const rows = await page.locator("#wire .group").first().locator("summary").allInnerTexts();
    assert.equal(rows.length, 3, rows.join());
    assert.match(rows[0]!, /GET \/v1\/auth\/session × 20\s+401[\s\S]*ACCESS_TOKEN_INVALID/);
    assert.match(rows[1]!, /POST \/v1\/auth\/refresh\s+200/);
    assert.match(rows[2]!, /GET \/v1\/auth\/session × 20\s+200/);
    const text = await page.evaluate(() => document.body.textContent);
    assert.ok(!text.includes(stage.server.password));
    assert.doesNotMatch(text, /[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}/, "an access token is shown whole");
    await context.close();
  });

  test("lists where the user is logged in, ends one session, and changes the password without a secret in sight", async () => {
    const [context, elsewhere] = [await stage.browser.newContext(), await stage.browser.newContext()];
    const page = await openPage(stage, context);
    await logInByHand(stage, page);
    const other = await openPage(stage, elsewhere);
    await logInByHand(stage, other);
    await page.click("#devices-show");
    const ends = page.locator("#devices button");
    await ends.first().waitFor();
    assert.match(await page.innerText("#devices"), /Chrome · [\d.:a-f]+[\s\S]*this browser|this browser[\s\S]*Chrome/);
    // Sessions of other tests may be there, too: the newest is the other browser's.
    await ends.first().click();
    await other.waitForSelector("#logged-out:not([hidden])");

    await page.fill("#change [name=current]", "not the password");
    await page.fill("#change [name=new]", "a new horse battery");
    await page.click("#change button");
    const failure = page.locator("#change-failure");
    await failure.getByText("The username or the password is wrong.").waitFor();
    await page.fill("#change [name=current]", stage.server.password);
    await page.fill("#change [name=new]", "short");
    await page.click("#change button");
    await failure.getByText("a password is at least 8 bytes long").waitFor();
    const before = await claimOf(page, "sid");
    await page.fill("#change [name=new]", "a new horse battery");
    await page.click("#change button");
    await page.waitForSelector("#change-done:not([hidden])");
    await showsAnother(page, "sid", before);
    assert.equal(await page.isHidden("#logged-out"), true);
    // As it was, for the other tests.
    await page.fill("#change [name=current]", "a new horse battery");
    await page.fill("#change [name=new]", stage.server.password);
    await page.click("#change button");
    await page.waitForSelector("#change-done:not([hidden])");
    const text = await page.evaluate(() => document.body.textContent);
    assert.ok(!text.includes(stage.server.password) && !text.includes("a new horse battery"));
    await Promise.all([context.close(), elsewhere.close()]);
  });

  test("says what ended the session on another device, in the language of the page", async () => {
    const [context, elsewhere] = [await stage.browser.newContext(), await stage.browser.newContext()];
    const page = await openPage(stage, context);
    await logInByHand(stage, page);
    const other = await openPage(stage, elsewhere);
    await logInByHand(stage, other);
    await other.click("#logout-everywhere");
    await page.waitForSelector("#logged-out:not([hidden])");
    assert.equal(await page.innerText("#notice"), "You have logged out everywhere, from another device.");
    await page.click("[data-language=zh]");
    assert.equal(await page.innerText("#notice"), "您已在另一台设备上登出所有设备。");
    await Promise.all([context.close(), elsewhere.close()]);
  });

  test("speaks Chinese, says what was wrong, and fits a narrow window", async () => {
    const context = await stage.browser.newContext({ viewport: { width: 360, height: 740 } });
    const page = await openPage(stage, context, "zh");
    assert.equal(await page.innerText("#login button"), "登录");
    await page.fill("[name=password]", "not the password");
    await page.click("#login button");
    await page.getByText("用户名或密码错误。", { exact: true }).waitFor();
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${overflow} pixels too wide`);
    await page.click("[data-language=en]");
    assert.equal(await page.innerText("#login button"), "Log in");
    await context.close();
  });
});

const SHOWN = ([claim, value]: [string, string | undefined]): boolean => {
  const terms = [...document.querySelectorAll("#claims dt")];
  return terms.find((term) => term.textContent === claim)?.nextElementSibling?.textContent === value;
};

/** Waits until the page shows this value of a claim. */
async function shows(page: Page, claim: string, value: string | undefined): Promise<void> {
  await page.waitForFunction(SHOWN, [claim, value] as [string, string | undefined]);
}

/** Waits until the page shows another value of a claim than this one. */
async function showsAnother(page: Page, claim: string, value: string | undefined): Promise<void> {
  await page.waitForFunction(
    ([name, old]) => {
      const terms = [...document.querySelectorAll("#claims dt")];
      const shown = terms.find((term) => term.textContent === name)?.nextElementSibling?.textContent;
      return shown !== undefined && shown !== old;
    },
    [claim, value] as [string, string | undefined],
  );
}

function claimOf(page: Page, name: string): Promise<string | undefined> {
  return page.evaluate((claim) => {
    const terms = [...document.querySelectorAll("#claims dt")];
    return terms.find((term) => term.textContent === claim)?.nextElementSibling?.textContent ?? undefined;
  }, name);
}
