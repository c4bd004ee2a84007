import { spawnSync } from "node:child_process";
import type { TestContext } from "node:test";

/** Whether a program is there that a test needs. Without it the test is skipped, and fails under CI=true. */
export function hasTool(t: TestContext, name: string, path: string, ...version: string[]): boolean {
  if (path !== "" && spawnSync(path, version.length === 0 ? ["--version"] : version).error === undefined) {
    return true;
  }
  if (process.env["CI"] === "true") {
    throw new Error(`${name} is missing`);
  }
  t.skip(`SKIPPED: ${name} is missing`);
  return false;
}
