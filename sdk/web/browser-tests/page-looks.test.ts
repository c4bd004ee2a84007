import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { openStage, type Stage } from "./support/browser.js";
import { logInByHand, openPage, press } from "./support/page.js";
import { missing } from "./support/requirements.js";

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const DESKTOP = { viewport: { width: 1280, height: 860 } };

describe("the looks of the demonstration page", { skip: missing() ?? false, timeout: 120_000 }, () => {
  let stage: Stage;
  before(async () => void (stage = await openStage()));
  after(() => stage?.close());

  for (const [device, options, least] of [["a phone", PHONE, 44], ["a desktop", DESKTOP, 32]] as const) {
    test(`every target on ${device} has ${least} pixels`, async () => {
      await inContext(options, async (context) => {
        const page = await openPage(stage, context);
        assert.deepEqual(await targetsBelow(page, least), []);
        await logInByHand(stage, page);
        await press(page, "twenty");
        assert.deepEqual(await targetsBelow(page, least), []);
      });
    });
  }

  test("on a phone the log shows in view what a press has sent", async () => {
    await inContext(PHONE, async (context) => {
      const page = await openPage(stage, context);
      await logInByHand(stage, page);
      for (const id of ["twenty", "renew", "elsewhere", "logout"]) {
        await press(page, id);
        const title = await page.locator(`#${id}`).textContent();
        assert.equal(await page.locator("#wire .group h3").first().innerText(), title);
        assert.ok(await isInView(page, "#wire .group .rows > li"), `${id}: the log is out of view`);
        assert.ok(id === "logout" || (await isInView(page, `#${id}`)), `${id}: the button is out of view`);
      }
    });
  });

  test("a first visit shows nothing alarming, and fills both columns", async () => {
    await inContext(DESKTOP, async (context) => {
      const page = await openPage(stage, context);
      const row = page.locator("#wire summary");
      await row.waitFor();
      assert.match(await row.innerText(), /POST \/v1\/auth\/refresh\s+401[\s\S]*no session yet/);
      assert.equal(await page.locator(".refused, .broken, #notice:visible, #failure:visible").count(), 0);
      for (const column of await page.locator(".column").all()) {
        const box = await column.boundingBox();
        assert.ok(box !== null && box.height > 300, `a column of ${box?.height} pixels`);
      }
    });
  });

  test("calls with different outcomes have rows of their own", async () => {
    await inContext(DESKTOP, async (context) => {
      const page = await openPage(stage, context);
      await page.fill("[name=password]", "not the password");
      await page.click("#login button");
      await page.waitForSelector("#failure:not([hidden])");
      await logInByHand(stage, page);
      await refuseEverySecond(page);
      await press(page, "twenty");
      const rows = await page.locator("#wire summary").allInnerTexts();
      const shown = rows.map((row) => row.replace(/\d\d:\d\d:\d\d|\d+ ms/g, "").split(/\s+/).filter(Boolean).join(" "));
      const session = "GET /v1/auth/session";
      assert.deepEqual(shown.slice(0, 2), [`${session} × 20 401 ACCESS_TOKEN_INVALID`, "POST /v1/auth/refresh 200"]);
      assert.deepEqual(shown.slice(2, 4).sort(), [`${session} × 10 200`, `${session} × 10 403 FOR_A_TEST`]);
      assert.deepEqual(shown.slice(4), [
        "POST /v1/auth/login 200",
        "POST /v1/auth/login 401 INVALID_CREDENTIALS",
        "POST /v1/auth/refresh 401 no session yet",
      ]);
    });
  });

  test("each state has one primary button, and it is not a logout", async () => {
    await inContext(DESKTOP, async (context) => {
      const page = await openPage(stage, context);
      assert.deepEqual(await page.locator(".primary:visible").allInnerTexts(), ["Log in"]);
      await logInByHand(stage, page);
      assert.deepEqual(await page.locator(".primary:visible").allInnerTexts(), ["Send 20 bad requests"]);
    });
  });

  for (const colorScheme of ["light", "dark"] as const) {
    test(`text has the contrast of WCAG's level AA in ${colorScheme} colours`, async () => {
      await inContext({ ...DESKTOP, colorScheme, reducedMotion: "reduce" }, async (context) => {
        const page = await openPage(stage, context);
        await page.fill("[name=password]", "not the password");
        await page.click("#login button");
        await page.waitForSelector("#failure:not([hidden])");
        assert.deepEqual(await faintTexts(page), []);
        await logInByHand(stage, page);
        await press(page, "twenty");
        await page.mouse.move(0, 0);
        assert.deepEqual(await faintTexts(page), []);
      });
    });
  }

  for (const reducedMotion of ["reduce", "no-preference"] as const) {
    test(`new rows ${reducedMotion === "reduce" ? "stand still" : "light up"} where the preference is ${reducedMotion}`, async () => {
      await inContext({ ...DESKTOP, reducedMotion }, async (context) => {
        const page = await openPage(stage, context);
        await logInByHand(stage, page);
        await page.click("#renew");
        await page.locator("#wire .group", { hasText: "Refresh now" }).waitFor();
        const moves = await page.evaluate(() => document.getAnimations().length > 0);
        assert.equal(moves, reducedMotion === "no-preference");
      });
    });
  }

  test("a keyboard is enough, and a screen reader hears what was sent", async () => {
    await inContext(DESKTOP, async (context) => {
      const page = await openPage(stage, context);
      await page.focus("[name=password]");
      await page.keyboard.type(stage.server.password);
      await page.keyboard.press("Enter");
      await page.waitForSelector("#logged-in:not([hidden])");
      await page.waitForFunction(() => document.activeElement?.id === "username");
      await page.keyboard.press("Tab");
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle);
      assert.equal(outline, "solid");
      await page.keyboard.press("Enter");
      await page.locator("#wire-said", { hasText: "POST /v1/auth/refresh: 200" }).waitFor();
      assert.equal(await page.evaluate(() => document.activeElement?.id), "twenty");
      assert.match((await page.textContent("#wire-said"))!, /session × 20: 401 .*session × 20: 200/);
    });
  });

  async function inContext(
    options: Parameters<Stage["browser"]["newContext"]>[0],
    run: (context: BrowserContext) => Promise<void>,
  ): Promise<void> {
    const context = await stage.browser.newContext(options);
    try {
      await run(context);
    } finally {
      await context.close();
    }
  }
});

/** What can be pressed or filled in and is smaller than that. */
function targetsBelow(page: Page, least: number): Promise<string[]> {
  return page.evaluate((pixels) => {
    const targets = [...document.querySelectorAll("button, input, summary, a")].filter((it) => it.checkVisibility());
    const small = targets.filter((it) => {
      const { width, height } = it.getBoundingClientRect();
      return Math.min(width, height) < pixels - 0.01;
    });
    return small.map((it) => `${it.id || it.textContent}: ${it.getBoundingClientRect().height}`);
  }, least);
}

/** Whether the first such element is on the screen, with nothing above it. */
function isInView(page: Page, selector: string): Promise<boolean> {
  return page.evaluate((it) => {
    const element = document.querySelector(it)!;
    const { left, top, width, height } = element.getBoundingClientRect();
    const seen = document.elementFromPoint(left + width / 2, top + height / 2);
    return seen !== null && element.contains(seen);
  }, selector);
}

/** Lets every second good answer be a refusal, but for the client's own checks. */
async function refuseEverySecond(page: Page): Promise<void> {
  // What a browser adds to a request is not always told to those who intercept it, how it was cached among it.
  await page.evaluate(() => {
    const send = window.fetch;
    window.fetch = (input, init) => {
      const request = new Request(input, init);
      if (request.cache === "no-store") request.headers.set("x-check", "1");
      return send(request);
    };
  });
  let good = 0;
  await page.route("**/v1/auth/session", async (route) => {
    const answer = await route.fetch();
    const isCheck = route.request().headers()["x-check"] !== undefined;
    if (isCheck || answer.status() !== 200 || (good += 1) % 2 === 0) return route.fulfill({ response: answer });
    return route.fulfill({ status: 403, contentType: "application/problem+json", body: '{"reason":"FOR_A_TEST"}' });
  });
}

/** The texts whose contrast with what is behind them is too low. */
function faintTexts(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const channels = (color: string): number[] => (color.match(/[\d.]+/g) ?? []).map(Number);
    const luminance = (color: string): number => {
      const [r, g, b] = channels(color).map((it) => (it / 255 <= 0.04045 ? it / 255 / 12.92 : ((it / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
    };
    const behind = (element: Element | null): string => {
      for (let at = element; at !== null; at = at.parentElement) {
        const { backgroundColor } = getComputedStyle(at);
        if (channels(backgroundColor)[3] !== 0) return backgroundColor;
      }
      return "rgb(255, 255, 255)";
    };
    const hasText = (it: Element): boolean => [...it.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim());
    const shown = [...document.body.querySelectorAll("*")].filter((it) => it.checkVisibility() && (hasText(it) || it.matches("input")));
    return shown.flatMap((it) => {
      const [a, b] = [luminance(getComputedStyle(it).color), luminance(behind(it))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      return ratio < 4.5 ? [`${it.textContent}: ${ratio.toFixed(2)}`] : [];
    });
  });
}
