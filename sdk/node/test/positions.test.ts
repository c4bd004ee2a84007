import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { askPosition, giveUp, type Conversation } from "../src/follower.js";
import { MAX_WAITING, Positions } from "../src/positions.js";
import { WatchRevocationsResponseSchema } from "../src/stubs/countersign/v1/revocation_service_pb.js";
import { Verifier } from "../src/verifier.js";
import { PATIENCE, until, within } from "../testing/fake-server.js";
import { following, quick } from "../testing/following.js";
import { testId } from "../testing/forge.js";

test("a position is waited for, and remembered", async (t) => {
  const { verifier, clock, stream, signer } = await following(t, { askTimeout: PATIENCE });
  const session = testId(1);
  const token = signer.token(session, clock.wall());
  const ask = async (position: string): Promise<string> => {
    const answer = await within("an answer", verifier.verifyAtLeast(position, token));
    return answer.outcome === "invalid" ? answer.reason : answer.outcome;
  };
  const first = ask("p1");
  const nonce = await stream.askedFor("p1");
  stream.revoked(6n, session);
  stream.beat(nonce, 6n, true);
  assert.equal(await first, "REVOKED");
  // Remembered: no question is asked, though the server would not answer it.
  assert.equal(await ask("p1"), "REVOKED");
  assert.equal(await ask(""), "REVOKED");
  const second = ask("p2");
  stream.beat(await stream.askedFor("p2"), 6n, false);
  assert.equal(await second, "unknown", "not reached");
  assert.equal(await ask("1".repeat(65)), "unknown", "too long");
  const given = new AbortController();
  const waiting = verifier.verifyAtLeast("p3", token, { signal: given.signal });
  await stream.askedFor("p3");
  given.abort();
  assert.equal((await within("given up", waiting)).outcome, "unknown");
  const last = ask("p4");
  await stream.askedFor("p4");
  stream.end();
  assert.equal(await last, "unknown", "the stream was lost");
});

test("a position is asked for on the next stream where there is none", async (t) => {
  const { verifier, clock, server, stream, signer } = await following(t, { askTimeout: PATIENCE, maxBackoff: 300 });
  stream.end();
  await until("the stream is lost", () => verifier.statistics().streamsEnded === 1);
  const token = signer.token(testId(1), clock.wall());
  const waiting = verifier.verifyAtLeast("p1", token);
  const next = await server.next();
  await next.started();
  next.begin(1n, true);
  next.beat(await next.askedFor("p1"), 5n, true);
  assert.equal((await within("an answer", waiting)).outcome, "verified");
});

test("hundreds that wait at once for one position share a question", async (t) => {
  const { verifier, clock, stream, signer } = await following(t, { askTimeout: PATIENCE });
  const token = signer.token(testId(1), clock.wall());
  const given = new AbortController();
  const first = verifier.verifyAtLeast("p1", token, { signal: given.signal });
  const others = Array.from({ length: 300 }, () => verifier.verifyAtLeast("p1", token));
  const nonce = await stream.askedFor("p1");
  given.abort();
  assert.equal((await within("given up", first)).outcome, "unknown");
  stream.beat(nonce, 5n, true);
  const outcomes = new Set((await within("answers", Promise.all(others))).map(({ outcome }) => outcome));
  assert.deepEqual([...outcomes], ["verified"]);
});

test("forty that wait at once for positions of their own are all answered", async (t) => {
  const { verifier, clock, stream, signer } = await following(t, { askTimeout: PATIENCE });
  const token = signer.token(testId(1), clock.wall());
  const names = Array.from({ length: 40 }, (_, i) => `p${i}`);
  const waiting = Promise.all(names.map((name) => verifier.verifyAtLeast(name, token)));
  for (const name of names) {
    stream.beat(await stream.askedFor(name), 5n, true);
  }
  const outcomes = new Set((await within("answers", waiting)).map(({ outcome }) => outcome));
  assert.deepEqual([...outcomes], ["verified"]);
});

test("the answer to a position that was given up is no nonsense", () => {
  const { follower } = Verifier.unconnected(quick(""));
  const { conversation } = follower.start();
  const take = (message: MessageInitShape<typeof WatchRevocationsResponseSchema>["message"]): void => {
    const told = create(WatchRevocationsResponseSchema, { message } as never);
    assert.equal([...follower.takeIn(toBinary(WatchRevocationsResponseSchema, told), conversation)].length, 0);
  };
  take({ case: "begin", value: { incarnation: 1n } });
  take({ case: "revoked", value: { sequence: 5n } });
  for (let i = 0; i <= MAX_WAITING; i++) {
    askPosition(conversation, { position: `${i}`, answer: () => undefined }).sent();
  }
  // The server had begun to look for it before it heard of the one too many.
  take({ case: "heartbeat", value: { nonce: 1n, sequence: 5n, reached: true } });
  const last = BigInt(MAX_WAITING + 1);
  take({ case: "heartbeat", value: { nonce: last, sequence: 5n, reached: true } });
  for (const heartbeat of [{ nonce: last + 1n, reached: true }, { nonce: 1n }]) {
    assert.throws(() => take({ case: "heartbeat", value: { sequence: 5n, ...heartbeat } }), /an answer to no ping/);
  }
});

test("too many positions are refused, and those who gave up make room", async () => {
  const positions = new Positions();
  const given = new AbortController();
  const waiting = Array.from({ length: MAX_WAITING }, (_, i) => positions.reach(`p${i}`, PATIENCE, given.signal));
  assert.equal(await positions.reach("one more", PATIENCE), false);
  given.abort();
  assert.deepEqual(new Set(await Promise.all(waiting)), new Set([false]));
  const asked: string[] = [];
  positions.open((it) => {
    asked.push(it.position);
    it.answer(true);
    return true;
  });
  assert.equal(await positions.reach("p0", PATIENCE), true);
  assert.deepEqual(asked, ["p0"]);
});

test("what is no position and no token is never asked of the server", async (t) => {
  const { verifier, clock, signer, stream } = await following(t, { onStale: "ask-server", askTimeout: 100 });
  const token = signer.token(testId(1), clock.wall());
  for (const position of [undefined, null, 5, {}, ["p1"]]) {
    const answer = await verifier.verifyAtLeast(position as unknown as string, token);
    assert.equal(answer.outcome, "unknown", String(position));
  }
  for (const odd of [undefined, null, 5, {}, "a".repeat(2 ** 20)]) {
    const answer = await verifier.verifyAtLeast("p1", odd as string);
    assert.deepEqual(answer, { outcome: "invalid", reason: "MALFORMED" });
  }
  assert.equal(verifier.statistics().asked, 0);
  assert.equal(stream.isCancelled, false);
});

test("a position that is not reached is asked of the server", async (t) => {
  const { verifier, clock, server, signer } = await following(t, { onStale: "ask-server", askTimeout: 300 });
  let asked = "";
  server.verify = (request): ReturnType<typeof server.verify> => {
    asked = request.atLeast;
    return { result: { case: "verified", value: {} } };
  };
  const answer = await verifier.verifyAtLeast("p1", signer.token(testId(1), clock.wall()));
  assert.deepEqual([answer.outcome, asked], ["verified", "p1"]);
});

test("the oldest of too many positions is given up", () => {
  const conversation: Conversation = {
    hasBegun: true,
    incarnation: 1n,
    pings: [],
    positions: [],
    nonce: 0n,
    latestPart: 0,
    wall: 0,
    monotonic: 0,
  };
  const answered: string[] = [];
  for (let i = 0; i <= MAX_WAITING; i++) {
    askPosition(conversation, {
      position: `${i}`,
      answer: (reached) => answered.push(`${i}: ${String(reached)}`),
    }).sent();
  }
  assert.deepEqual(answered, ["0: undefined"]);
  giveUp(conversation);
  assert.equal(answered.length, MAX_WAITING + 1);
  const positions = new Positions();
  for (let i = 0; i < 128; i++) {
    positions.remember(`${i}`);
  }
  assert.deepEqual([positions.remembered, positions.isKnown("0"), positions.isKnown("127")], [64, false, true]);
});
