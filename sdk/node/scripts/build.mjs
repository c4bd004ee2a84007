// Builds the package twice, into dist/esm and dist/cjs. TypeScript takes from the nearest package.json what a file is,
// so the sources are compiled for CommonJS in a copy that has another one.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const tsc = (...options) => execFileSync("node_modules/.bin/tsc", options, { stdio: "inherit" });
const commonjs = `${JSON.stringify({ type: "commonjs" })}\n`;

rmSync("dist", { recursive: true, force: true });
tsc("--project", "tsconfig.json");

rmSync("build/cjs", { recursive: true, force: true });
mkdirSync("build/cjs", { recursive: true });
cpSync("src", "build/cjs/src", { recursive: true });
writeFileSync("build/cjs/package.json", commonjs);
tsc("--project", "tsconfig.cjs.json");
writeFileSync("dist/cjs/package.json", commonjs);
