import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";

const PACKAGE = resolve(import.meta.dirname, "../..");
const DEMO = resolve(PACKAGE, "demo");

test("the page that the server embeds is up to date (make web)", (context) => {
  const fresh = mkdtempSync(join(tmpdir(), "countersign-page-"));
  context.after(() => rmSync(fresh, { recursive: true }));
  execFileSync(process.execPath, [join(PACKAGE, "scripts/page.mjs"), fresh]);
  assert.deepEqual(readdirSync(fresh).sort(), ["countersign.js", "main.js"]);
  for (const name of readdirSync(fresh)) {
    const committed = join(DEMO, "dist", name);
    assert.ok(existsSync(committed), `${name} is missing`);
    assert.ok(readFileSync(join(fresh, name)).equals(readFileSync(committed)), `${name} is out of date`);
  }
});

test("the page has nothing inline, so that a strict policy holds", () => {
  const page = readFileSync(join(DEMO, "index.html"), "utf8");
  assert.doesNotMatch(page, /<style|\sstyle=|\son[a-z]+=|javascript:|https?:/);
  for (const [, attributes, content] of page.matchAll(/<script([^>]*)>([^<]*)/g)) {
    assert.match(attributes!, /src="/);
    assert.equal(content!.trim(), "");
  }
});
