import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** sdk/conformance: what the server's own verifier answers. It is beside this package in the repository. */
const CORPUS = new URL("../../../conformance/", import.meta.url);

/** Why a test of the corpus cannot run, where it cannot. */
export const corpusIsMissing: string | false = existsSync(CORPUS)
  ? false
  : "SKIPPED: the corpus is in Countersign's repository";

/** A number of JSON that a float64 cannot hold. */
const LARGE_NUMBER = /(?<=[:[,])-?\d{16,}(?=[,\]}])/g;

/** Reads JSON whose large integers become texts that begin with `bigint:`. */
export function readJson(text: string): unknown {
  return JSON.parse(text.replace(LARGE_NUMBER, (digits) => `"bigint:${digits}"`));
}

/** The lines of one of its files. */
export function readLines<T>(name: string): T[] {
  const text = readFileSync(fileURLToPath(new URL(name, CORPUS)), "utf8");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => readJson(line) as T);
}

export function readCorpus(name: string): string {
  return readFileSync(fileURLToPath(new URL(name, CORPUS)), "utf8");
}

/** An integer that `readJson` has read. */
export function bigintOf(value: number | string): bigint {
  return BigInt(typeof value === "string" ? value.replace("bigint:", "") : value);
}

/** Fails where a member is not one of these: it was added later, and nothing may be passed over. */
export function holdMembers(what: string, value: object, ...known: string[]): void {
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) {
      throw new Error(`${what} has a member that is not known: ${name}`);
    }
  }
}
