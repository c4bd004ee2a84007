// Builds the front ends, and the back ends that are written in TypeScript; nothing where the sources are unchanged.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./programs.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MADE = new Set(["node_modules", "dist", "build", ".nuxt", ".output", ".built"]);

const tool = (name) => join(ROOT, "node_modules", ".bin", name);

const STEPS = {
  vite: (folder) => run(tool("vite"), ["build", join(folder, "web"), "--config", join(ROOT, "vite.config.mjs"), "--logLevel", "warn"]),
  tsc: (folder) => run(tool("tsc"), ["--project", folder]),
  nuxt: (folder) => run(tool("nuxt"), ["build", folder], { env: { ...process.env, NUXT_TELEMETRY_DISABLED: "1" } }),
};

/** Builds one phase of a system. */
export async function build(system, phase) {
  const folder = join(ROOT, system.name, phase);
  const mark = join(folder, ".built");
  const sum = sumOf(folder);
  if (existsSync(mark) && readFileSync(mark, "utf8") === sum) return;
  for (const step of system.build) STEPS[step](folder);
  writeFileSync(mark, sum);
}

function sumOf(folder) {
  const hash = createHash("sha256").update(readFileSync(join(ROOT, "package-lock.json")));
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || path.slice(folder.length).split("/").some((part) => MADE.has(part))) continue;
    hash.update(path).update(readFileSync(path));
  }
  return hash.digest("hex");
}
