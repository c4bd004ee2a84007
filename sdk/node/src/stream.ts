import { Buffer } from "node:buffer";
import { create, toBinary } from "@bufbuild/protobuf";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { metadataWith, type Connector, type Credential } from "./connection.js";
import { callError } from "./errors.js";
import { askPosition, giveUp, StreamEnd, type Conversation, type Follower, type Question } from "./follower.js";
import type { FullOptions } from "./options.js";
import { Pauses, sleep, Stretch } from "./pause.js";
import type { Positions } from "./positions.js";
import type { Revocations } from "./revocations.js";
import {
  RevocationService,
  WatchRevocationsRequestSchema,
  type WatchPing,
  type WatchRevocationsRequest,
} from "./stubs/countersign/v1/revocation_service_pb.js";

/** How often what need not be remembered any more is forgotten, in milliseconds. */
const PURGE_EVERY = 30_000;
/** How many messages wait to be sent when the connection hangs. */
const MAX_UNSENT = 8;
/** How many messages may wait where one more asks for a position: pings always find room. */
const MAX_UNSENT_POSITIONS = MAX_UNSENT / 2;

type Call = ClientDuplexStream<WatchRevocationsRequest, Buffer>;

/** What follows a server. */
export interface Following {
  readonly connector: Connector;
  readonly credential: Credential | undefined;
  readonly options: FullOptions;
  readonly follower: Follower;
  readonly positions: Positions;
  readonly revocations: Revocations;
  readonly pauses: Pauses;
  /** Called for each stream that was lost and for each that the server ended. */
  readonly ended: () => void;
}

/** Follows the server through every loss of the connection, until `signal` is aborted. Never throws. */
export async function follow(following: Following, signal: AbortSignal): Promise<void> {
  const { options, follower, pauses } = following;
  while (!signal.aborted) {
    const end = await followOnce(following, signal);
    if (signal.aborted) {
      return;
    }
    following.ended();
    follower.end(end.why);
    const pause = pauses.draw();
    if (end.why === "lost" && end.cause === undefined) {
      options.logger.debug("countersign: the server ended the stream of revocations; connecting again");
    } else {
      const cause = callError(end.cause);
      const error = cause instanceof Error ? cause.message : undefined;
      options.logger.warn("countersign: the stream of revocations was lost; connecting again", {
        why: end.message,
        ...(error === undefined ? {} : { error }),
        pause: Math.round(pause),
      });
    }
    await sleep(pause, signal);
  }
}

/**
 * Follows one stream, from its beginning to its end, and returns why it ended. Each stream has a connection of its own:
 * a server ends a stream so that it comes to another replica, and a connection that hangs is not used again.
 */
async function followOnce(following: Following, signal: AbortSignal): Promise<StreamEnd> {
  let client;
  try {
    const metadata = await metadataWith(following.credential, following.options.patience, signal);
    client = following.connector.open();
    const call: Call = client.makeBidiStreamRequest(
      `/${RevocationService.typeName}/WatchRevocations`,
      (message: WatchRevocationsRequest) => Buffer.from(toBinary(WatchRevocationsRequestSchema, message)),
      (bytes: Buffer) => bytes,
      metadata,
    );
    // Whoever reads the stream hears of its end in another way; with no listener this event would end the process.
    call.on("error", () => undefined);
    return await new Stream(following, call).run(signal);
  } catch (cause) {
    return new StreamEnd("lost", "no connection could be made", cause);
  } finally {
    client?.close();
  }
}

class Stream {
  readonly #following: Following;
  readonly #call: Call;
  readonly #conversation: Conversation;
  readonly #start: WatchRevocationsRequest;
  readonly #stretch = new Stretch();
  /** Why this end has ended the stream. */
  #end: StreamEnd | undefined;
  #heard = false;

  constructor(following: Following, call: Call) {
    this.#following = following;
    this.#call = call;
    const { start, conversation } = following.follower.start();
    this.#conversation = conversation;
    this.#start = create(WatchRevocationsRequestSchema, { message: { case: "start", value: start } });
  }

  async run(signal: AbortSignal): Promise<StreamEnd> {
    const { options, positions } = this.#following;
    const aborted = (): void => this.#leave(new StreamEnd("lost", "it was closed"));
    signal.addEventListener("abort", aborted);
    const opening = setTimeout(() => {
      if (!this.#heard) {
        this.#leave(new StreamEnd("silent", "the server says nothing"));
      }
    }, options.patience);
    const ticking = this.#tick(options.pingInterval);
    const purging = setInterval(() => void this.#purge(), PURGE_EVERY);
    try {
      signal.throwIfAborted();
      this.#call.write(this.#start);
      this.#ask();
      positions.open(
        (asked) => this.#hasRoom(MAX_UNSENT_POSITIONS) && this.#send(askPosition(this.#conversation, asked)),
      );
      for await (const bytes of this.#call) {
        this.#heard = true;
        await this.#takeIn(bytes as Buffer);
        if (this.#end !== undefined) {
          break;
        }
      }
      return this.#end ?? new StreamEnd("lost", "the server ended the stream");
    } catch (error) {
      if (this.#end !== undefined) {
        return this.#end;
      }
      return error instanceof StreamEnd ? error : new StreamEnd("lost", "the connection was lost", error);
    } finally {
      signal.removeEventListener("abort", aborted);
      clearTimeout(opening);
      clearInterval(ticking);
      clearInterval(purging);
      positions.lost();
      giveUp(this.#conversation);
      this.#call.cancel();
    }
  }

  #leave(end: StreamEnd): void {
    this.#end ??= end;
    this.#call.cancel();
  }

  /** Takes in a message, a stretch at a time: a large snapshot must not hold the event loop. */
  async #takeIn(bytes: Buffer): Promise<void> {
    for (const _ of this.#following.follower.takeIn(bytes, this.#conversation)) {
      if (this.#stretch.isOver()) {
        await this.#stretch.rest();
        if (this.#end !== undefined) {
          return;
        }
      }
    }
    if (this.#stretch.isOver()) {
      await this.#stretch.rest();
    }
  }

  async #purge(): Promise<void> {
    const { revocations, options } = this.#following;
    const stretch = new Stretch();
    for (const _ of revocations.purging(options.clock.wall())) {
      if (stretch.isOver()) {
        await stretch.rest();
      }
    }
  }

  #tick(interval: number): NodeJS.Timeout {
    let last = performance.now();
    return setInterval(() => {
      const late = performance.now() - last - interval;
      last = performance.now();
      // A process that was busy or stopped has to read what has arrived before it says that the server is silent.
      if (late < this.#following.options.patience / 2) {
        this.#ask();
      }
    }, interval);
  }

  #ask(): void {
    try {
      // With no room to send it in, the earlier ones stand for it.
      this.#send(this.#following.follower.ping(this.#conversation));
    } catch (error) {
      this.#leave(error instanceof StreamEnd ? error : new StreamEnd("lost", "a ping could not be sent", error));
    }
  }

  #send({ ping, sent }: Question): boolean {
    if (!this.#hasRoom(MAX_UNSENT)) {
      return false;
    }
    this.#call.write(request(ping), () => this.#following.positions.room());
    sent();
    return true;
  }

  #hasRoom(most: number): boolean {
    return this.#call.writableLength < most && !this.#call.destroyed && !this.#call.writableEnded;
  }
}

function request(ping: WatchPing): WatchRevocationsRequest {
  return create(WatchRevocationsRequestSchema, { message: { case: "ping", value: ping } });
}
