// Prints what a page has to load.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const read = (names) => Buffer.concat(names.map((name) => readFileSync(new URL(`../dist/${name}`, import.meta.url))));
const modules = readdirSync(new URL("../dist/", import.meta.url)).filter((name) => name.endsWith(".js"));
const show = (what, names) => {
  const bytes = read(names);
  console.log(`size  ${what}  ${bytes.length} bytes, ${gzipSync(bytes, { level: 9 }).length} gzipped`);
};
show("@countersign/web      ", modules.filter((name) => name !== "axios.js"));
show("@countersign/web/axios", ["axios.js"]);
