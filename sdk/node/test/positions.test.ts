import assert from "node:assert/strict";
import { test } from "node:test";
import { askPosition, giveUp, type Conversation } from "../src/follower.js";
import { MAX_WAITING, Positions } from "../src/positions.js";
import { PATIENCE, until, within } from "../testing/fake-server.js";
import { following } from "../testing/following.js";
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
