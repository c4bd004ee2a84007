import { existsSync } from "node:fs";

const CHROMIUM = process.env["CHROMIUM_BIN"] ?? "/usr/bin/chromium";

/** What these tests run: both are there when `missing` is undefined. */
export const required = {
  chromium: CHROMIUM,
  countersign: process.env["COUNTERSIGN_BIN"] ?? "",
};

/** Why the tests of a file cannot run; undefined when they can. Under `CI=true` they must. */
export function missing(): string | undefined {
  const why = whatIsMissing();
  if (why === undefined) return undefined;
  if (process.env["CI"] === "true") throw new Error(why);
  console.log(`SKIPPED browser tests: ${why}`);
  return why;
}

function whatIsMissing(): string | undefined {
  if (!existsSync(required.chromium)) return `chromium is not installed (apt-get install chromium)`;
  if (!existsSync(required.countersign)) return "COUNTERSIGN_BIN does not name the countersign binary";
  return undefined;
}
