import { Buffer } from "node:buffer";
import { PublicKey } from "../src/key.js";
import { readLines } from "./corpus.js";

/** A line of keys.jsonl. */
export interface KeyCase {
  readonly name: string;
  readonly id: string;
  readonly algorithm: string;
  readonly spki: string;
  readonly trusted: boolean;
  readonly jwk?: object;
}

/** The keys of the corpus' tokens, by their id: the first trusted line of each. */
export function corpusKeys(): Map<string, PublicKey> {
  const keys = new Map<string, PublicKey>();
  for (const { id, algorithm, spki, trusted } of readLines<KeyCase>("keys.jsonl")) {
    if (trusted && !keys.has(id)) {
      try {
        keys.set(id, PublicKey.parse(id, algorithm, Buffer.from(spki, "base64")));
      } catch {
        // The test of the keys says it.
      }
    }
  }
  return keys;
}
