// Builds the scripts of the demonstration page into demo/dist. The server embeds them, with demo/index.html and
// demo/style.css. Given a folder as its argument, it writes there instead, so that a test can compare.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const target = resolve(process.argv[2] ?? resolve(root, "demo/dist"));
const IMPORT = /^(?:import|export) (?:(\{[^}]*\}) from )?"([^"]+)";\n/gm;
const PACKAGE = "@countersign/web";

/** One module out of several that have no name in common: each after those that it imports. */
function bundle(entry) {
  const parts = [];
  const outside = new Set();
  const seen = new Set();
  const add = (file) => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(file, "utf8");
    for (const [line, , from] of text.matchAll(IMPORT)) {
      if (from === PACKAGE) outside.add(line.replace(PACKAGE, "./countersign.js"));
      else add(resolve(dirname(file), from));
    }
    if (file !== entry || !isIndex(text)) parts.push(text.replace(IMPORT, "").replace(/^export (?!\{)/gm, "").trim());
  };
  add(entry);
  return [...outside].join("") + parts.filter(Boolean).join("\n") + "\n";
}

/** Whether a module only passes on what others export. */
function isIndex(text) {
  return text.replace(IMPORT, "").trim() === "";
}

/** What the package's index exports, as one statement. */
function exportsOf(index) {
  const names = [...readFileSync(index, "utf8").matchAll(IMPORT)].map(([, list]) => list.slice(1, -1).trim().replace(/,$/, ""));
  return `export { ${names.join(", ")} };\n`;
}

/** Writes a module that has no name twice, which only putting modules together can bring about. */
function write(name, text) {
  execFileSync(process.execPath, ["--check", "--input-type=module", "-"], { input: text });
  writeFileSync(resolve(target, name), text);
}

const withoutComments = (text) => text.replace(/^\s*\/\*\*[\s\S]*?\*\/\n/gm, "").replace(/^\s*\/\/.*\n/gm, "");
const index = resolve(root, "dist/index.js");
const generated = "// Made from sdk/web by `make web`.\n";

mkdirSync(target, { recursive: true });
write("countersign.js", generated + withoutComments(bundle(index)) + exportsOf(index));
write("main.js", generated + withoutComments(bundle(resolve(root, "build/demo/main.js"))));
