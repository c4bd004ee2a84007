import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPublicKey, type JsonWebKey } from "node:crypto";
import { test } from "node:test";
import { PublicKey } from "../src/key.js";
import { corpusIsMissing, holdMembers, readCorpus, readLines } from "../testing/corpus.js";
import { corpusKeys, type KeyCase } from "../testing/corpus-keys.js";

test("corpus: keys", { skip: corpusIsMissing }, () => {
  const cases = readLines<KeyCase>("keys.jsonl");
  assert.ok(cases.length >= 50, `only ${cases.length} cases`);
  const wrong: string[] = [];
  for (const it of cases) {
    holdMembers(it.name, it, "name", "id", "algorithm", "spki", "trusted", "jwk");
    let why = "trusted";
    try {
      PublicKey.parse(it.id, it.algorithm, Buffer.from(it.spki, "base64"));
    } catch (error) {
      why = String(error);
    }
    if ((why === "trusted") !== it.trusted) {
      wrong.push(`${it.name}: ${why}, expected trusted: ${it.trusted}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("corpus: jwks.json has the trusted keys of tokens.jsonl", { skip: corpusIsMissing }, () => {
  const { keys } = JSON.parse(readCorpus("jwks.json")) as { keys: (JsonWebKey & { kid: string })[] };
  const known = corpusKeys();
  for (const jwk of keys) {
    const spki = createPublicKey({ key: jwk, format: "jwk" }).export({ format: "der", type: "spki" });
    const key = known.get(jwk.kid);
    assert.ok(
      key !== undefined && key.algorithm === jwk.alg && key.spki.equals(spki),
      `${jwk.kid} is another key than in keys.jsonl`,
    );
  }
  assert.equal(keys.length, 3);
});
