import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const SYSTEMS = ["nest-jwt", "nest-typeorm-mysql", "cookie-double-token", "nuxt-redis", "express-vue-redis"];
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/** How many lines of a front end are new, as `diff -r before/web after/web | grep -c '^>'` counts them. */
function linesOf(system) {
  const folder = `${ROOT}/examples/migrations/${system}`;
  const web = existsSync(`${folder}/before/web`) ? "web" : "app";
  const { stdout, status } = spawnSync("diff", ["-r", `before/${web}`, `after/${web}`], { cwd: folder, encoding: "utf8" });
  assert.equal(status, 1, `${system}: diff found no difference, or failed`);
  assert.ok(!stdout.includes("Only in"), `${system}: a file is there on one side alone`);
  return stdout.split("\n").filter((line) => line.startsWith(">")).length;
}

describe("the documents", () => {
  for (const page of ["docs/migrating.md", "docs/migrating.zh-CN.md"]) {
    test(`${page} counts the lines of the front ends right`, () => {
      const text = readFileSync(`${ROOT}/${page}`, "utf8");
      for (const system of SYSTEMS) {
        const row = text.split("\n").find((line) => line.startsWith(`| [${system}](`));
        assert.equal(Number(row?.split("|")[4]), linesOf(system), `${page}, ${system}`);
      }
    });
  }

  for (const system of SYSTEMS) {
    test(`${system}/README.md counts them right`, () => {
      const text = readFileSync(`${ROOT}/examples/migrations/${system}/README.md`, "utf8");
      const counts = text.split("\n").map((line) => /^\| `(?:web|app)\/.*\| (\d+) \|$/.exec(line)?.[1] ?? 0);
      assert.equal(counts.reduce((sum, count) => sum + Number(count), 0), linesOf(system));
    });
  }
});
