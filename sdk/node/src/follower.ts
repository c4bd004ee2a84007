import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { CLOCK_STEP, type Clock } from "./clock.js";
import { formatSessionId, formatUserId, ID_BYTES, idOfBytes, type Id } from "./id.js";
import { KeySet } from "./key.js";
import type { Logger } from "./logger.js";
import { MAX_WAITING, type AskedPosition } from "./positions.js";
import type { Revocation } from "./revocations.js";
import type { Engine } from "./rules.js";
import {
  WatchPingSchema,
  WatchPositionSchema,
  WatchRevocationsResponseSchema,
  WatchRevokedSchema,
  WatchStartSchema,
  type WatchBegin,
  type WatchHeartbeat,
  type WatchKeySet,
  type WatchPing,
  type WatchPosition,
  type WatchRevocationsResponse,
  type WatchStart,
} from "./stubs/countersign/v1/revocation_service_pb.js";

/** Why a stream came to its end. After the first three the next one must not go on from the position of this one. */
export type Why =
  /** The subscriber fell behind; the snapshot must be reloaded. */
  | "resynchronise"
  /** The wall clock was set. */
  | "clock_set"
  /** The server broke the protocol. */
  | "nonsense"
  /** The server does not answer pings. */
  | "silent"
  /** The connection was lost, or the server ended the stream. */
  | "lost";

/** The end of a stream. */
export class StreamEnd extends Error {
  override readonly name = "StreamEnd";
  readonly why: Why;

  constructor(why: Why, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.why = why;
  }
}

function nonsense(what: string, cause?: unknown): StreamEnd {
  return new StreamEnd("nonsense", `the server broke the protocol: ${what}`, cause);
}

/** What is known of one stream. */
export interface Conversation {
  hasBegun: boolean;
  incarnation: bigint;
  /** The pings that were not answered yet, the earliest first. */
  pings: { readonly nonce: bigint; readonly sent: number }[];
  /** The pings that ask for a position and were not answered yet, the earliest first. */
  positions: { readonly nonce: bigint; readonly asked: AskedPosition }[];
  nonce: bigint;
  /** When the latest part of a snapshot came, on the monotonic clock. */
  latestPart: number;
  /** The time when the stream began. */
  readonly wall: number;
  readonly monotonic: number;
}

/** A question that counts as asked once `sent` is called. */
export interface Question {
  readonly ping: WatchPing;
  readonly sent: () => void;
}

/** What the follower tells of. */
export interface Told {
  /** Whether anybody wants to be told of revocations. */
  readonly isWatched: () => boolean;
  /** Called for what was not refused before. */
  readonly revoked: (revocation: Revocation) => void;
  /** Called when a heartbeat has proven something. */
  readonly proven: () => void;
}

/** Knows what a server has sent and what to say next. It does no I/O and has no timers. */
export class Follower {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #patience: number;
  readonly #logger: Logger;
  readonly #told: Told;
  /** How far everything was taken in; undefined when a stream must begin with a snapshot. */
  #position: WatchPosition | undefined;

  constructor(engine: Engine, clock: Clock, patience: number, logger: Logger, told: Told) {
    this.#engine = engine;
    this.#clock = clock;
    this.#patience = patience;
    this.#logger = logger;
    this.#told = told;
  }

  /** What a new stream begins with. */
  start(): { start: WatchStart; conversation: Conversation } {
    const start = create(WatchStartSchema, this.#position === undefined ? {} : { resume: this.#position });
    const conversation = {
      hasBegun: false,
      incarnation: 0n,
      pings: [],
      positions: [],
      nonce: 0n,
      latestPart: -Infinity,
      wall: this.#clock.wall(),
      monotonic: this.#clock.monotonic(),
    };
    return { start, conversation };
  }

  /** Forgets the position where the next stream must begin with a snapshot. */
  end(why: Why): void {
    if (why === "resynchronise" || why === "clock_set" || why === "nonsense") {
      this.#position = undefined;
    }
  }

  /**
   * Makes the question that asks the server to prove that the view is fresh. Throws a {@link StreamEnd} when the server
   * owes an answer for too long, or the wall clock was set. For as long as a snapshot comes it owes none: the answer
   * stands behind it, and a large one takes longer.
   */
  ping(conversation: Conversation): Question {
    const monotonic = this.#clock.monotonic();
    // Before it has begun, the stream is measured by what an earlier one began with.
    if (conversation.hasBegun) {
      this.#lookAtTheClock(this.#clock.wall(), monotonic);
    }
    const oldest = conversation.pings[0];
    if (oldest !== undefined && monotonic - Math.max(oldest.sent, conversation.latestPart) > this.#patience) {
      throw new StreamEnd("silent", "the server does not answer pings");
    }
    const nonce = ++conversation.nonce;
    const sent = (): void => {
      conversation.pings.push({ nonce, sent: monotonic });
    };
    return { ping: create(WatchPingSchema, { nonce }), sent };
  }

  /**
   * Ends the stream when the wall clock was set, because what is forgotten is forgotten by it. After a step nothing is
   * known until everything was loaded again; after a slow correction what is known holds meanwhile.
   */
  #lookAtTheClock(wall: number, monotonic: number): void {
    const drift = this.#engine.freshness.drift(wall, monotonic);
    if (drift <= CLOCK_STEP / 2) {
      return;
    }
    if (drift > CLOCK_STEP) {
      this.#engine.freshness.invalidate();
    }
    throw new StreamEnd("clock_set", `the wall clock was set: it differs by ${Math.round(drift)} ms`);
  }

  /**
   * Takes in a message of the server. It stops after each part of what is revoked, so that the caller can do something
   * else before it goes on; revocations are only ever added, so a part of them is true by itself. Throws a {@link
   * StreamEnd} after which the stream must be left.
   */
  *takeIn(bytes: Uint8Array, conversation: Conversation): Generator<void, void, undefined> {
    try {
      const revoked = revokedAlone(bytes);
      if (revoked === undefined) {
        yield* this.#takeInMessage(fromBinary(WatchRevocationsResponseSchema, bytes), conversation);
      } else {
        yield* this.#revoke(revoked, conversation);
      }
    } catch (error) {
      throw error instanceof StreamEnd ? error : nonsense("a message that cannot be read", error);
    }
  }

  *#takeInMessage({ message }: WatchRevocationsResponse, conversation: Conversation): Generator<void, void, undefined> {
    switch (message.case) {
      case "begin":
        this.#begin(message.value, conversation);
        break;
      case "keySet":
        this.#trust(message.value);
        break;
      case "revoked":
        yield* this.#revoke(toBinary(WatchRevokedSchema, message.value), conversation);
        break;
      case "heartbeat":
        this.#prove(message.value, conversation);
        break;
      case "resynchronise":
        throw new StreamEnd("resynchronise", "the subscriber fell behind; the snapshot must be reloaded");
      case undefined:
        // A newer server says something that this release does not know.
        break;
    }
  }

  #begin(begin: WatchBegin, conversation: Conversation): void {
    if (!begin.resumed) {
      this.#position = undefined;
      this.#engine.freshness.anchor(conversation.wall, conversation.monotonic);
    }
    conversation.hasBegun = true;
    conversation.incarnation = begin.incarnation;
  }

  #trust(told: WatchKeySet): void {
    const parsed = KeySet.parse(told);
    if (parsed === undefined) {
      throw nonsense("two keys have one id");
    }
    for (const { id, error } of parsed.unreadable) {
      this.#logger.warn("countersign: a key of the server cannot be used", { id: id.slice(0, 64), error });
    }
    const withdrawn = this.#engine.trust(parsed.set);
    this.#logger.info("countersign: the server's keys", { keys: parsed.set.keys.size, withdrawn });
  }

  /** Only ever adds: what was learned from another server stays true, and is forgotten in its time. */
  *#revoke(bytes: Uint8Array, conversation: Conversation): Generator<void, void, undefined> {
    if (this.#position === undefined) {
      conversation.latestPart = this.#clock.monotonic();
    }
    const reader = new BinaryReader(bytes);
    let sequence: bigint | undefined;
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (type === WireType.LengthDelimited && (field === 1 || field === 2)) {
        const ended = readEnded(reader.bytes(), field === 2);
        if (field === 1) {
          this.#revokeSession(ended);
        } else {
          this.#raiseEpoch(ended);
        }
        yield;
      } else if (type === WireType.Varint && field === 3) {
        sequence = BigInt(reader.uint64());
      } else {
        reader.skip(type, field);
      }
    }
    if (sequence !== undefined && conversation.hasBegun) {
      this.#position = create(WatchPositionSchema, { incarnation: conversation.incarnation, sequence });
    }
  }

  #revokeSession({ id, forgetAt }: Ended): void {
    if (this.#engine.revocations.revokeSession(id, forgetAt) && this.#told.isWatched()) {
      this.#told.revoked({ sessionId: formatSessionId(id) });
    }
  }

  #raiseEpoch({ id, epoch, forgetAt }: Ended): void {
    if (this.#engine.revocations.raiseEpoch(id, epoch, forgetAt) && this.#told.isWatched()) {
      this.#told.revoked({ subject: formatUserId(id), epoch });
    }
  }

  /**
   * Takes a heartbeat. It proves that everything is known that the server knew when the ping came: as of when the ping
   * was sent, less what the server's own knowledge lagged behind.
   */
  #prove(heartbeat: WatchHeartbeat, conversation: Conversation): void {
    if (this.#position === undefined || this.#position.sequence < heartbeat.sequence) {
      throw nonsense("a heartbeat for more than it had sent");
    }
    if (answerPosition(conversation, heartbeat)) {
      return;
    }
    const at = conversation.pings.findIndex(({ nonce }) => nonce === heartbeat.nonce);
    const answered = conversation.pings[at];
    if (answered === undefined) {
      throw nonsense("an answer to no ping");
    }
    // The earlier ones need no answer any more.
    conversation.pings.splice(0, at + 1);
    const age = heartbeat.staleness;
    if (age === undefined || age.seconds < 0n || age.nanos < 0 || age.nanos > 999_999_999) {
      return;
    }
    this.#engine.freshness.recordAnswer(answered.sent, Number(age.seconds) * 1000 + age.nanos / 1e6);
    this.#told.proven();
  }
}

/**
 * The `revoked` of a message that has nothing else, so that it can be taken in by parts; undefined for every other
 * message.
 */
function revokedAlone(bytes: Uint8Array): Uint8Array | undefined {
  const reader = new BinaryReader(bytes);
  if (reader.len === 0) {
    return undefined;
  }
  const [field, type] = reader.tag();
  if (field !== 3 || type !== WireType.LengthDelimited) {
    return undefined;
  }
  const revoked = reader.bytes();
  return reader.pos === reader.len ? revoked : undefined;
}

/** A session that has ended, or a user's sessions of smaller epochs. */
interface Ended {
  readonly id: Id;
  readonly epoch: bigint;
  readonly forgetAt: number;
}

/** Reads a `RevokedSession` or a `RevokedUser`. */
function readEnded(bytes: Uint8Array, isUser: boolean): Ended {
  const reader = new BinaryReader(bytes);
  const forgetField = isUser ? 3 : 2;
  let id: Id | undefined;
  let epoch = 0n;
  let forgetAt: number | undefined;
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1 && type === WireType.LengthDelimited) {
      const name = reader.bytes();
      id = name.length === ID_BYTES ? idOfBytes(name) : undefined;
    } else if (isUser && field === 2 && type === WireType.Varint) {
      epoch = BigInt(reader.uint64());
    } else if (field === forgetField && type === WireType.LengthDelimited) {
      forgetAt = readTimestamp(reader.bytes());
    } else {
      reader.skip(type, field);
    }
  }
  if (id === undefined || forgetAt === undefined) {
    throw nonsense("what has ended has no name or no end");
  }
  return { id, epoch, forgetAt };
}

/** A time in milliseconds since 1970, rounded up: to forget later than was said does no harm. */
function readTimestamp(bytes: Uint8Array): number {
  const reader = new BinaryReader(bytes);
  let seconds = 0;
  let nanos = 0;
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1 && type === WireType.Varint) {
      seconds = Number(reader.int64());
    } else if (field === 2 && type === WireType.Varint) {
      nanos = reader.int32();
    } else {
      reader.skip(type, field);
    }
  }
  return seconds * 1000 + Math.ceil(nanos / 1e6);
}

/** Makes the question for a position. One too many takes the place of the oldest, as it does at the server. */
export function askPosition(conversation: Conversation, asked: AskedPosition): Question {
  const nonce = ++conversation.nonce;
  const sent = (): void => {
    if (conversation.positions.length === MAX_WAITING) {
      conversation.positions.shift()?.asked.answer(undefined);
    }
    conversation.positions.push({ nonce, asked });
  };
  return { ping: create(WatchPingSchema, { nonce, atLeast: asked.position }), sent };
}

/**
 * Passes on whether a position is reached. False for the heartbeat of any other ping. The server may answer a question
 * that was given up here: it looks for one and has room for others, so its oldest is not the oldest here.
 */
function answerPosition(conversation: Conversation, heartbeat: WatchHeartbeat): boolean {
  const at = conversation.positions.findIndex(({ nonce }) => nonce === heartbeat.nonce);
  if (at < 0) {
    return (
      heartbeat.reached !== undefined &&
      heartbeat.nonce <= conversation.nonce &&
      !conversation.pings.some(({ nonce }) => nonce === heartbeat.nonce)
    );
  }
  const [sent] = conversation.positions.splice(at, 1);
  sent!.asked.answer(heartbeat.reached ?? false);
  return true;
}

/** Answers those who wait for a position on a stream that has ended. */
export function giveUp(conversation: Conversation): void {
  for (const { asked } of conversation.positions.splice(0)) {
    asked.answer(undefined);
  }
}
