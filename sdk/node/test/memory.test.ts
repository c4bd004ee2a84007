import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Revocations } from "../src/revocations.js";
import { Verifier } from "../src/verifier.js";
import { until } from "../testing/fake-server.js";
import { following, quick } from "../testing/following.js";
import { testId } from "../testing/forge.js";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** What the process has in memory, in bytes, without what is garbage. */
function used(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test("a million revocations have room in 64 MiB, and are forgotten in their time", (t) => {
  const count = 1_000_000;
  const before = used();
  const revocations = new Revocations();
  let id = { a: 1, b: 2, c: 3, d: 4 };
  let longest = 0;
  for (let i = 0; i < count; i++) {
    id = { a: i, b: Math.imul(i, 0x85ebca6b), c: Math.imul(i, 0xc2b2ae35) ^ id.d, d: Math.imul(i, 0x9e3779b1) >> 3 };
    const begun = performance.now();
    revocations.revokeSession(id, 1000 + (i % 2));
    longest = Math.max(longest, performance.now() - begun);
  }
  const mebibytes = (used() - before) / 2 ** 20;
  t.diagnostic(`a million revocations take ${mebibytes.toFixed(1)} MiB; one took ${longest.toFixed(1)} ms at most`);
  assert.equal(revocations.size, count);
  assert.ok(mebibytes < 64, `${mebibytes} MiB`);
  const users = testId(9);
  assert.equal(revocations.raiseEpoch(users, 5n, 1000), true);
  revocations.purge(1000);
  assert.equal(revocations.size, count / 2);
  assert.equal(revocations.isRevoked(users, testId(1), 0n), false);
  assert.equal(revocations.isRevoked(users, id, 0n), true);
  revocations.purge(1001);
  assert.equal(revocations.size, 0);
});

test("new tokens, revocations and listeners leave nothing behind", async (t) => {
  const { verifier, clock, stream, signer } = await following(t, { cachedTokens: 100, onRevoked: () => undefined });
  let sequence = 5n;
  const round = async (): Promise<number> => {
    for (let i = 0; i < 500; i++) {
      const session = { ...testId(i & 0xff), b: i };
      const verification = await verifier.verify(signer.token(session, clock.wall(), { jti: `${sequence} ${i}` }));
      if (verification.outcome === "verified") {
        verifier.whenRevoked(verification.token, () => undefined)();
      }
    }
    // The same hundred sessions in each round, and one that shows that they have come.
    const last = { ...testId(1), c: Number(++sequence) };
    stream.revoked(sequence, ...Array.from({ length: 100 }, (_, i) => testId(i)), last);
    const token = signer.token(last, clock.wall());
    await until("they have come", () => verifier.verifyHere(token).outcome === "invalid");
    return used();
  };
  const first = Math.max(await round(), await round());
  let final = first;
  for (let i = 0; i < 3; i++) {
    final = await round();
  }
  const growth = (final - first) / 2 ** 20;
  t.diagnostic(`1,500 tokens later: ${growth.toFixed(2)} MiB more`);
  assert.ok(growth < 2, `${growth} MiB`);
});

test("those who no longer wait for a verifier to be ready leave nothing behind", async (t) => {
  const { verifier } = Verifier.unconnected(quick(""));
  const round = async (): Promise<number> => {
    for (let i = 0; i < 10_000; i++) {
      const given = new AbortController();
      const waiting = assert.rejects(verifier.ready(given.signal));
      given.abort();
      await waiting;
    }
    return used();
  };
  await round();
  const first = await round();
  const growth = ((await round()) - first) / 2 ** 20;
  t.diagnostic(`10,000 more: ${growth.toFixed(2)} MiB more`);
  assert.ok(growth < 2, `${growth} MiB`);
  await verifier.close();
});
