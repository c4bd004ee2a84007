import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { formatUserId } from "../src/id.js";
import { KeySet } from "../src/key.js";
import { MAX_TOKEN_BYTES } from "../src/options.js";
import { Revocations } from "../src/revocations.js";
import { Engine } from "../src/rules.js";
import { parseObject } from "../src/strict-json.js";
import { Token } from "../src/token.js";
import { AUDIENCE, ISSUER, testId, TestSigner } from "../testing/forge.js";

const NOW = 1_700_000_000_000;

function engineOf(cachedTokens: number, signers: readonly TestSigner[], maxTokenBytes = MAX_TOKEN_BYTES): Engine {
  const engine = new Engine({ issuer: ISSUER, audiences: [AUDIENCE], leeway: 5000, maxTokenBytes }, cachedTokens);
  trust(engine, signers);
  return engine;
}

function trust(engine: Engine, signers: readonly TestSigner[]): void {
  engine.trust(new KeySet(new Map(signers.map(({ kid, key }) => [kid, key]))));
}

function answer(engine: Engine, token: string, audiences: readonly string[] = [], now = NOW): string {
  const judgement = engine.verify(token, audiences, now);
  return judgement.outcome === "verified" ? judgement.token.tokenId : judgement.reason;
}

/** Numbers that are the same in each run (mulberry32). */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

test("the cache changes no answer", () => {
  const random = seeded(1);
  // The third comes under the name of the first.
  const signers = [new TestSigner("a"), new TestSigner("b"), new TestSigner("a")];
  const tokens = Array.from({ length: 24 }, (_, i) =>
    signers[i % 3]!.token(testId(i % 6), NOW, {
      sub: formatUserId(testId(i % 3)),
      jti: `t${i}`,
      epoch: i % 4,
      exp: NOW / 1000 + 60 * i,
      ...(i % 5 === 0 ? { nbf: NOW / 1000 + 30 * (i % 7) } : {}),
    }),
  );
  const audiences = [[], ["billing"], ["x", AUDIENCE]];
  const seen = new Set<string>();
  for (let story = 0; story < 15; story++) {
    const remembers = engineOf(8, signers.slice(0, 2));
    const forgets = engineOf(0, signers.slice(0, 2));
    let now = NOW;
    for (let step = 0; step < 300; step++) {
      const action = random(12);
      if (action === 0) {
        now += random(200_000);
      } else if (action === 1) {
        now -= random(100_000);
      } else if (action === 2 && random(4) === 0) {
        const session = testId(random(6));
        [remembers, forgets].forEach((it) => it.revocations.revokeSession(session, 2 ** 52));
      } else if (action === 3) {
        const [user, epoch] = [testId(random(3)), BigInt(random(3))];
        [remembers, forgets].forEach((it) => it.revocations.raiseEpoch(user, epoch, 2 ** 52));
      } else if (action === 4) {
        const trusted = [signers.slice(0, 1), signers.slice(0, 2), signers.slice(1), []][random(4)]!;
        [remembers, forgets].forEach((it) => trust(it, trusted));
      } else {
        let token = tokens[random(tokens.length)]!;
        const expected = audiences[random(audiences.length)]!;
        if (random(6) === 0) {
          const place = random(token.length);
          token = `${token.slice(0, place)}A${token.slice(place + 1)}`;
        }
        const got = answer(remembers, token, expected, now);
        assert.equal(got, answer(forgets, token, expected, now), `story ${story}`);
        seen.add(got.startsWith("t") ? "verified" : got);
      }
      assert.ok(remembers.cache.size <= 8);
    }
  }
  for (const outcome of [
    "verified",
    "EXPIRED",
    "NOT_YET_VALID",
    "BAD_SIGNATURE",
    "UNKNOWN_KEY",
    "WRONG_AUDIENCE",
    "REVOKED",
  ]) {
    assert.ok(seen.has(outcome), `no story had ${outcome}`);
  }
});

test("the cache is bounded, and keeps what is asked for", () => {
  const signer = new TestSigner("k1");
  const engine = engineOf(32, [signer]);
  const often = signer.token(testId(1), NOW, { jti: "often" });
  for (let i = 0; i < 400; i++) {
    answer(engine, often);
    answer(engine, signer.token(testId(2), NOW, { jti: `t${i}` }));
    assert.ok(engine.cache.size <= 32);
  }
  assert.notEqual(engine.cache.get(often), undefined);
});

test("no change of one character is accepted", () => {
  const signer = new TestSigner("k1");
  const engine = engineOf(64, [signer]);
  const valid = signer.token(testId(1), NOW);
  assert.equal(engine.verify(valid, [], NOW).outcome, "verified");
  for (let place = 0; place < valid.length; place++) {
    const code = valid.charCodeAt(place);
    const others = [code ^ 1, code ^ 32, code + 0x100, ..."A_.=\0\n".split("").map((it) => it.charCodeAt(0))];
    for (const other of others.filter((it) => it !== code)) {
      const changed = valid.slice(0, place) + String.fromCharCode(other) + valid.slice(place + 1);
      assert.equal(engine.verify(changed, [], NOW).outcome, "invalid", `character ${place} changed to ${other}`);
    }
    assert.equal(engine.verify(valid.slice(0, place) + valid.slice(place + 1), [], NOW).outcome, "invalid");
  }
  for (const odd of [undefined, null, 7, {}, [valid], new String(valid)]) {
    assert.equal(answer(engine, odd as string), "MALFORMED");
  }
});

test("huge and deep tokens are refused fast", () => {
  const engine = engineOf(64, [new TestSigner("k1")]);
  const huge = [".".repeat(2 ** 20), "A".repeat(2 ** 20), `${"A".repeat(2 ** 19)}.${"A".repeat(2 ** 19)}.A`];
  const begun = performance.now();
  for (let i = 0; i < 1000; i++) {
    for (const token of huge) {
      assert.equal(answer(engine, token), "MALFORMED");
    }
  }
  const each = (performance.now() - begun) / 3000;
  assert.ok(each < 0.1, `${each} ms for each`);
  assert.equal(engine.cache.size, 0);
  // Also where the size does not stop it.
  const patient = engineOf(64, [], 2 ** 22);
  for (const deep of ['{"a":'.repeat(100_000), "[".repeat(100_000)]) {
    const header = Buffer.from(`{"deep":${deep}`).toString("base64url");
    assert.equal(answer(patient, `${header}.AA.AA`), "MALFORMED");
  }
});

test("JSON is read strictly", () => {
  const good = [
    "{}",
    ' {"a":[1,-2,0.5,1e3,"x\\u0000",null,true,false],"b":{"a":{"a":18446744073709551615}}} ',
    '{"":"\\"\\\\\\/\\b\\f\\n\\r\\t\\ud83d\\ude42"}',
    '{"a":-0}',
    '{"a":1e-999}',
    '{"__proto__":1,"constructor":2}',
    `${'{"a":'.repeat(127)}1${"}".repeat(127)}`,
  ];
  for (const text of good) {
    assert.notEqual(parseObject(Buffer.from(text)), undefined, text.slice(0, 80));
  }
  const bad = [
    ...[
      '{"a":1,"a":1}',
      '{"a":1,"\\u0061":2}',
      '{"x":{"a":1,"a":2}}',
      '{"x":[{"a":1,"a":2}]}',
      '{"a":1}{}',
      '{"a":1} x',
    ],
    ...["\ufeff{}", '{"a":1e999}', '{"a":NaN}', '{"a":01}', '{"a":+1}', '{"a":.5}', '{"a":1.}', '{"a":1e}', '{"a":-}'],
    ...[
      '{"a":"\\ud800"}',
      '{"a":"\\ud800\\u0041"}',
      '{"a":"\\udc00"}',
      '{"a":"\\x"}',
      '{"a":"\\u00g0"}',
      '{"a":"\x01"}',
    ],
    ...[
      '{"a":1,}',
      "{,}",
      '{"a"}',
      '{"a":}',
      "{'a':1}",
      "{a:1}",
      "{/**/}",
      "[]",
      "null",
      "1",
      "",
      "{",
      '{"',
      '{"a":"\\',
    ],
    ...['{"a":tru}', '{"a":[1 2]}', '{"a":[1,]}', '{"__proto__":1,"__proto__":2}', '{"a":1}\0', '{"a":"\\u"}'],
    `${'{"a":'.repeat(128)}1${"}".repeat(128)}`,
  ];
  for (const text of bad) {
    assert.equal(parseObject(Buffer.from(text)), undefined, text.slice(0, 80));
  }
  for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80]]) {
    assert.equal(parseObject(Buffer.from([...Buffer.from('{"a":"'), ...bytes, ...Buffer.from('"}')])), undefined);
  }
});

test("custom claims keep every digit, and no name of theirs means anything", () => {
  const signer = new TestSigner("k1");
  const engine = engineOf(0, [signer]);
  const claims = {
    large: 2n ** 60n + 1n,
    small: -7,
    half: 0.5,
    nested: { list: [1n << 70n, "x", null] },
    ["__proto__"]: { admin: true },
  };
  const verified = engine.verify(signer.token(testId(1), NOW, claims), [], NOW);
  assert.ok(verified.outcome === "verified");
  const { customClaims } = verified.token;
  assert.deepEqual([customClaims["large"], customClaims["small"], customClaims["half"]], [2n ** 60n + 1n, -7, 0.5]);
  assert.deepEqual(
    JSON.parse(JSON.stringify(customClaims["nested"], (_, it: unknown) => (typeof it === "bigint" ? `${it}` : it))),
    {
      list: [String(1n << 70n), "x", null],
    },
  );
  assert.equal(Object.getPrototypeOf(customClaims), null);
  assert.equal((customClaims as { admin?: unknown }).admin, undefined);
});

test("an epoch has 64 bits", () => {
  const signer = new TestSigner("k1");
  const engine = engineOf(0, [signer]);
  assert.equal(engine.verify(signer.token(testId(1), NOW, { epoch: 2n ** 64n - 1n }), [], NOW).outcome, "verified");
  assert.equal(answer(engine, signer.token(testId(1), NOW, { epoch: 2n ** 64n })), "MALFORMED");
});

test("a token cannot be changed by those who share it", () => {
  const signer = new TestSigner("k1");
  const verified = engineOf(8, [signer]).verify(signer.token(testId(1), NOW), [], NOW);
  assert.ok(verified.outcome === "verified" && verified.token instanceof Token);
  const token = verified.token as unknown as {
    subject: string;
    roles: string[];
    customClaims: Record<string, unknown>;
  };
  assert.throws(() => token.roles.push("root"), TypeError);
  assert.throws(() => {
    token.subject = "other";
  }, TypeError);
  assert.throws(() => {
    token.customClaims["x"] = 1;
  }, TypeError);
  assert.throws(() => {
    (verified as { token: unknown }).token = undefined;
  }, TypeError);
});

test("revocations are what a plain map would say", () => {
  const random = seeded(7);
  const revocations = new Revocations();
  const sessions = new Map<number, number>();
  const users = new Map<number, { epoch: bigint; forgetAt: number }>();
  const idOf = (n: number): ReturnType<typeof testId> => ({ ...testId(n & 0xff), b: n, d: n & 3 });
  for (let step = 0; step < 20_000; step++) {
    const n = random(600);
    const forgetAt = random(50) - 5;
    if (random(3) === 0) {
      const known = users.get(n);
      const epoch = BigInt(random(20));
      assert.equal(revocations.raiseEpoch(idOf(n), epoch, forgetAt), epoch > (known?.epoch ?? 0n));
      users.set(n, {
        epoch: known === undefined || epoch > known.epoch ? epoch : known.epoch,
        forgetAt: Math.max(forgetAt, known?.forgetAt ?? -Infinity),
      });
    } else if (random(400) === 0) {
      const now = random(45) - 2;
      revocations.purge(now);
      sessions.forEach((at, it) => at <= now && sessions.delete(it));
      users.forEach((raised, it) => raised.forgetAt <= now && users.delete(it));
    } else {
      assert.equal(revocations.revokeSession(idOf(n), forgetAt), !sessions.has(n));
      sessions.set(n, Math.max(forgetAt, sessions.get(n) ?? -Infinity));
    }
    const asked = random(600);
    const epoch = BigInt(random(20));
    const expected = sessions.has(asked) || epoch < (users.get(asked)?.epoch ?? 0n);
    assert.equal(revocations.isRevoked(idOf(asked), idOf(asked), epoch), expected, `step ${step}`);
  }
  assert.equal(revocations.size, sessions.size + users.size);
});
