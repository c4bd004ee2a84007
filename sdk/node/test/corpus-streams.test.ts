import assert from "node:assert/strict";
import { test } from "node:test";
import { fromJson, toBinary, type JsonValue } from "@bufbuild/protobuf";
import { askPosition, giveUp, StreamEnd, type Conversation, type Why } from "../src/follower.js";
import {
  WatchPositionSchema,
  WatchRevocationsResponseSchema,
} from "../src/stubs/countersign/v1/revocation_service_pb.js";
import type { OnStale } from "../src/options.js";
import type { Revocation } from "../src/revocations.js";
import type { Verification } from "../src/token.js";
import { Verifier } from "../src/verifier.js";
import { TestClock } from "../testing/clock.js";
import { bigintOf, corpusIsMissing, holdMembers, readCorpus, readJson } from "../testing/corpus.js";

type Answer = "verified" | "unknown" | { readonly invalid: string };

interface Expectation {
  readonly ready: boolean;
  readonly staleness_ms: number | null;
  readonly answers: Readonly<Record<string, { readonly fail_closed: Answer; readonly serve: Answer }>>;
}

type ToldRevocation = { readonly session_id: string } | { readonly subject: string; readonly epoch: number | string };

/** One step. Which members it has says which one it is. */
interface Step {
  readonly connect?: { readonly resume: JsonValue };
  readonly tell?: JsonValue;
  readonly on_revoked?: readonly ToldRevocation[];
  readonly ping?: number | null;
  readonly ask_position?: string;
  readonly lost?: true;
  readonly advance_ms?: number;
  readonly step_wall_clock_ms?: number;
  readonly purge?: true;
  readonly expect?: Expectation;
  readonly ends?: Why;
  readonly positions?: Readonly<Record<string, boolean>>;
}

interface Script {
  readonly name: string;
  readonly about: string;
  readonly start_ms: number;
  readonly issuer: string;
  readonly default_audiences: string[];
  readonly max_staleness_ms: number;
  readonly patience_ms: number;
  readonly tokens: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

/** What is asked of each verifier and its stream. */
type Ask<T> = (it: ReturnType<typeof Verifier.unconnected>, conversation: Conversation) => T;

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined };

/** Plays a script to verifiers of both policies that have no connection. */
class Player {
  readonly #script: Script;
  readonly #clock: TestClock;
  readonly #told: string[] = [];
  readonly #verifiers: Record<"fail_closed" | "serve", ReturnType<typeof Verifier.unconnected>>;
  #conversations: Conversation[] = [];
  /** The nonces of the pings that were sent on this stream. The script counts them from 1. */
  #nonces: bigint[] = [];
  /** What was found out of the positions that were asked for, since the step began. */
  #found: Record<string, boolean> = {};

  constructor(script: Script) {
    holdMembers(
      script.name,
      script,
      ...[
        "name",
        "about",
        "start_ms",
        "issuer",
        "default_audiences",
        "max_staleness_ms",
        "patience_ms",
        "tokens",
        "steps",
      ],
    );
    this.#script = script;
    this.#clock = new TestClock(script.start_ms);
    const make = (
      onStale: OnStale,
      onRevoked?: (revocation: Revocation) => void,
    ): ReturnType<typeof Verifier.unconnected> =>
      Verifier.unconnected({
        issuer: script.issuer,
        audiences: script.default_audiences,
        maxStaleness: script.max_staleness_ms,
        patience: script.patience_ms,
        clock: this.#clock,
        logger: silent,
        onStale,
        onRevoked,
      });
    this.#verifiers = {
      fail_closed: make("fail-closed", (revocation) => this.#told.push(writeRevocation(revocation))),
      serve: make("serve"),
    };
  }

  async play(): Promise<void> {
    for (const [i, step] of this.#script.steps.entries()) {
      const where = `${this.#script.name}, step ${i + 1}`;
      this.#found = {};
      await this.#step(where, step);
      assert.deepEqual(this.#found, step.positions ?? {}, `${where}: positions`);
    }
  }

  async #step(where: string, step: Step): Promise<void> {
    if (step.connect !== undefined) {
      holdMembers(where, step, "connect");
      this.#connect(where, step.connect.resume);
    } else if (step.tell !== undefined) {
      holdMembers(where, step, "tell", "on_revoked", "ends", "positions");
      this.#tell(where, step, step.tell);
    } else if (step.ask_position !== undefined) {
      holdMembers(where, step, "ask_position", "ping");
      this.#askPosition(where, step.ask_position, step.ping);
    } else if (step.ping !== undefined) {
      holdMembers(where, step, "ping", "ends", "positions");
      this.#ping(where, step, step.ping);
    } else if (step.lost !== undefined) {
      holdMembers(where, step, "lost", "positions");
      this.#end("lost");
    } else if (step.advance_ms !== undefined) {
      holdMembers(where, step, "advance_ms");
      this.#clock.advance(step.advance_ms);
    } else if (step.step_wall_clock_ms !== undefined) {
      holdMembers(where, step, "step_wall_clock_ms");
      this.#clock.step(step.step_wall_clock_ms);
    } else if (step.purge !== undefined) {
      holdMembers(where, step, "purge");
      this.#each(({ engine }) => engine.revocations.purge(this.#clock.wall()));
    } else if (step.expect !== undefined) {
      holdMembers(where, step, "expect");
      await this.#expect(where, step.expect);
    } else {
      assert.fail(`${where}: not known: ${JSON.stringify(step)}`);
    }
  }

  #each<T>(call: Ask<T>): T[] {
    return Object.values(this.#verifiers).map((it, i) => call(it, this.#conversations[i]!));
  }

  #connect(where: string, resume: JsonValue): void {
    const expected = resume === null ? undefined : fromJson(WatchPositionSchema, resume);
    this.#nonces = [];
    const starts = this.#each(({ follower }) => follower.start());
    this.#conversations = starts.map(({ conversation }) => conversation);
    for (const { start } of starts) {
      assert.deepEqual(start.resume, expected, `${where}: resumes elsewhere`);
    }
  }

  #tell(where: string, step: Step, tell: JsonValue): void {
    const message = fromJson(WatchRevocationsResponseSchema, written(tell), { ignoreUnknownFields: false });
    if (message.message.case === "heartbeat") {
      const nonce = this.#nonces[Number(message.message.value.nonce) - 1];
      if (nonce !== undefined) {
        message.message.value.nonce = nonce;
      }
    }
    const bytes = toBinary(WatchRevocationsResponseSchema, message);
    this.#told.length = 0;
    this.#ended(where, step, ({ follower }, conversation) => {
      for (const _ of follower.takeIn(bytes, conversation));
    });
    const expected = (step.on_revoked ?? []).map((it) =>
      "session_id" in it ? it.session_id : `${it.subject} ${bigintOf(it.epoch)}`,
    );
    assert.deepEqual([...this.#told].sort(), expected.sort(), `${where}: tells of`);
  }

  #askPosition(where: string, position: string, ping: number | null | undefined): void {
    const answer = (reached: boolean | undefined): void => {
      this.#found[position] = reached ?? false;
    };
    const questions = this.#each((_, conversation) => askPosition(conversation, { position, answer }));
    questions.forEach(({ sent }) => sent());
    this.#nonces.push(questions[0]!.ping.nonce);
    assert.deepEqual([questions[0]!.ping.atLeast, this.#nonces.length], [position, ping], where);
  }

  #ping(where: string, step: Step, ping: number | null): void {
    const ended = this.#ended(where, step, ({ follower }, conversation) => {
      const question = follower.ping(conversation);
      question.sent();
      return question.ping.nonce;
    });
    if (ended === undefined) {
      assert.equal(ping, null, where);
    } else {
      this.#nonces.push(ended);
      assert.equal(this.#nonces.length, ping, where);
    }
  }

  /** Holds the step to whether the stream goes on. */
  #ended<T>(where: string, step: Step, call: Ask<T>): T | undefined {
    let why: Why | undefined;
    const results = this.#each((it, conversation) => {
      try {
        return call(it, conversation);
      } catch (error) {
        assert.ok(error instanceof StreamEnd, String(error));
        why = error.why;
        return undefined;
      }
    });
    assert.equal(why, step.ends, `${where}: ends`);
    if (why !== undefined) {
      this.#end(why);
    }
    return results[0];
  }

  #end(why: Why): void {
    this.#each(({ follower }, conversation) => {
      follower.end(why);
      giveUp(conversation);
    });
    this.#conversations = [];
  }

  async #expect(where: string, expected: Expectation): Promise<void> {
    holdMembers(where, expected, "ready", "staleness_ms", "answers");
    for (const { verifier } of Object.values(this.#verifiers)) {
      assert.equal(verifier.isReady, expected.ready, `${where}: ready`);
      const staleness = verifier.staleness();
      assert.equal(
        staleness === undefined ? null : Math.floor(staleness),
        expected.staleness_ms,
        `${where}: staleness`,
      );
    }
    for (const [name, answers] of Object.entries(expected.answers)) {
      holdMembers(where, answers, "fail_closed", "serve");
      for (const policy of ["fail_closed", "serve"] as const) {
        const { verifier } = this.#verifiers[policy];
        const got = answerOf(await verifier.verify(this.#script.tokens[name]!));
        assert.deepEqual(got, answers[policy], `${where}: ${name} under ${policy}`);
      }
    }
  }
}

/** JSON of proto3 with its large numbers as they were. */
function written(tell: JsonValue): JsonValue {
  return JSON.parse(JSON.stringify(tell).replaceAll('"bigint:', '"')) as JsonValue;
}

function writeRevocation(revocation: Revocation): string {
  return "sessionId" in revocation ? revocation.sessionId : `${revocation.subject} ${revocation.epoch}`;
}

function answerOf(verification: Verification): Answer {
  return verification.outcome === "invalid" ? { invalid: verification.reason } : verification.outcome;
}

const scripts = corpusIsMissing === false ? readCorpus("streams.jsonl").split("\n").filter(Boolean) : [];

test("corpus: there are scripts of streams", { skip: corpusIsMissing }, () => {
  assert.ok(scripts.length >= 20, `only ${scripts.length}`);
});

for (const line of scripts) {
  const script = readJson(line) as Script;
  test(`corpus: stream ${script.name}`, () => new Player(script).play());
}
