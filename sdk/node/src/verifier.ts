import { Buffer } from "node:buffer";
import { parseClaims } from "./claims.js";
import { Connector, SharedConnection, type Credential } from "./connection.js";
import { callError } from "./errors.js";
import { Follower, type Told } from "./follower.js";
import { parseSessionId, parseUserId } from "./id.js";
import { parseJws } from "./jws.js";
import { checkAudiences, MAX_TOKEN_BYTES, withDefaults, type FullOptions, type VerifierOptions } from "./options.js";
import { Pauses } from "./pause.js";
import { Positions } from "./positions.js";
import type { Revocation } from "./revocations.js";
import { Engine, invalid } from "./rules.js";
import { callSafely } from "./safely.js";
import { follow } from "./stream.js";
import { AuthService } from "./stubs/countersign/v1/auth_service_pb.js";
import { InvalidReason as ToldReason } from "./stubs/countersign/v1/verification_pb.js";
import type { InvalidReason, Token, Unknown, Verification } from "./token.js";
import { callOnce } from "./unary.js";
import { Watchers } from "./watchers.js";

/** What one verification may be asked with. */
export interface VerifyOptions {
  /** The names that this service goes by for this call, instead of the verifier's own. */
  readonly audiences?: readonly string[] | undefined;
  /** Gives up asking the server, or waiting for a position: the outcome is then `unknown`. */
  readonly signal?: AbortSignal | undefined;
}

/** What a verifier has counted since it began, and what it has. For metrics. */
export interface Statistics {
  /** Verifications by their outcome. */
  readonly verified: number;
  readonly invalid: number;
  readonly unknown: number;
  /** How often the server was asked. */
  readonly asked: number;
  /** How many streams have ended. */
  readonly streamsEnded: number;
  /** How many tokens are remembered. */
  readonly cachedTokens: number;
  /** How many revoked sessions and raised epochs are remembered. */
  readonly revocations: number;
}

/** What decides whether a request is let in: a {@link Verifier}, or in tests something else. */
export interface TokenVerifier {
  verify(token: string, options?: VerifyOptions): Promise<Verification>;
}

/**
 * Verifies access tokens in this process, with the keys and revocations of a server that it follows until it is closed.
 * It knows how old its knowledge is, and past `maxStaleness` acts by policy.
 */
export class Verifier implements TokenVerifier {
  readonly #options: FullOptions;
  readonly #engine: Engine;
  readonly #watchers = new Watchers();
  readonly #positions = new Positions();
  readonly #stop = new AbortController();
  #following: Promise<void> | undefined;
  #connection: SharedConnection | undefined;
  #credential: Credential | undefined;
  #isReady = false;
  /** Those who wait until it is ready, or closed before. */
  readonly #waiting = new Set<() => void>();
  readonly #counts = { verified: 0, invalid: 0, unknown: 0, asked: 0, streamsEnded: 0 };

  /** One that follows no server. {@link connect} makes one that does. */
  private constructor(options: FullOptions) {
    this.#options = options;
    this.#engine = new Engine(
      {
        issuer: options.issuer,
        audiences: options.audiences,
        leeway: options.leeway,
        maxTokenBytes: MAX_TOKEN_BYTES,
      },
      options.cachedTokens,
    );
  }

  /**
   * Begins to follow the server and returns at once: the server need not be there yet. Until everything is loaded no
   * token is accepted; {@link ready} waits for that. Throws an error that says what is wrong with the options.
   */
  static connect(options: VerifierOptions): Verifier {
    const full = withDefaults(options);
    const connector = new Connector({
      ...full,
      endpoint: options.endpoint,
      tls: options.tls,
      credential: options.credential,
    });
    const verifier = new Verifier(full);
    verifier.#credential = options.credential;
    verifier.#connection = new SharedConnection(connector);
    const pauses = new Pauses(full.maxBackoff);
    verifier.#following = follow(
      {
        connector,
        credential: options.credential,
        options: full,
        follower: verifier.#follower(() => pauses.reset()),
        positions: verifier.#positions,
        revocations: verifier.#engine.revocations,
        pauses,
        ended: () => {
          verifier.#counts.streamsEnded++;
        },
      },
      verifier.#stop.signal,
    );
    return verifier;
  }

  /**
   * One that has no connection, and what takes in a server's messages for it: for tests of this package.
   *
   * @internal
   */
  static unconnected(options: Omit<VerifierOptions, "endpoint">): {
    verifier: Verifier;
    engine: Engine;
    follower: Follower;
  } {
    const verifier = new Verifier(withDefaults(options));
    return { verifier, engine: verifier.#engine, follower: verifier.#follower(() => undefined) };
  }

  #follower(proven: () => void): Follower {
    const told: Told = {
      isWatched: () => this.#options.onRevoked !== undefined || this.#watchers.size > 0,
      revoked: (revocation) => this.#tell(revocation),
      proven: () => {
        this.#isReady = true;
        this.#tellWaiting();
        proven();
      },
    };
    return new Follower(this.#engine, this.#options.clock, this.#options.patience, this.#options.logger, told);
  }

  /**
   * Stops following the server. From then on the view of revocations grows older, as if the server could not be heard.
   * A process ends by itself only after this.
   */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#tellWaiting();
    await this.#following;
    this.#connection?.close();
  }

  /**
   * Waits until keys and revocations were loaded for the first time, for a service that is not to start before. Rejects
   * with the reason of `signal` when that is aborted before, and when the verifier is closed.
   */
  async ready(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#isReady && !this.#stop.signal.aborted) {
      await new Promise<void>((resolve) => {
        const over = (): void => {
          signal?.removeEventListener("abort", over);
          this.#waiting.delete(over);
          resolve();
        };
        this.#waiting.add(over);
        signal?.addEventListener("abort", over);
      });
    }
    if (!this.#isReady) {
      signal?.throwIfAborted();
      throw new Error("countersign: the verifier was closed");
    }
  }

  #tellWaiting(): void {
    [...this.#waiting].forEach((over) => over());
  }

  /** Whether keys and revocations were loaded once. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /**
   * How old the view of revocations is at most, in milliseconds; undefined when there is none, or the wall clock was
   * set. It is for readiness and metrics.
   */
  staleness(): number | undefined {
    const { clock } = this.#options;
    return this.#engine.freshness.staleness(clock.wall(), clock.monotonic());
  }

  /** What was counted, for metrics. */
  statistics(): Statistics {
    return { ...this.#counts, cachedTokens: this.#engine.cache.size, revocations: this.#engine.revocations.size };
  }

  /**
   * Decides whether an access token may be used with a service that goes by one of `audiences`, or by one of the
   * verifier's own where none is named. Whatever the token is, it does not reject; it does with a `TypeError` where
   * `audiences` is no array. It does no I/O, unless the view is too old and `onStale` is `ask-server`.
   */
  async verify(token: string, options: VerifyOptions = {}): Promise<Verification> {
    const here = this.#verifyHere(token, options.audiences);
    if (here.outcome === "unknown" && this.#options.onStale === "ask-server") {
      return this.#count(await this.#ask(token, "", options));
    }
    return this.#count(here);
  }

  /** Does as {@link verify}, at once and without asking the server. */
  verifyHere(token: string, audiences?: readonly string[]): Verification {
    return this.#count(this.#verifyHere(token, audiences));
  }

  /**
   * Does as {@link verify}, once everything is known here up to a position: the text that the answer to a Logout, to a
   * change of a password or to the end of sessions carries. So whoever made the change, or was handed its position, can
   * be sure on the first call. It takes a round trip to the server on the stream that is open already, and nothing the
   * next time with the same position; an empty one asks for nothing. It waits for `askTimeout` at most.
   *
   * The outcome is `unknown` where the position is not reached in time or is none of the server's ledger, also with
   * `serve`. With `ask-server` the server is asked for the token then.
   */
  async verifyAtLeast(position: string, token: string, options: VerifyOptions = {}): Promise<Verification> {
    checkAudiences(options.audiences);
    if (typeof position !== "string") {
      return this.#count(this.#unknown(new TypeError("countersign: the position is no text")));
    }
    if (position === "" || (await this.#positions.reach(position, this.#options.askTimeout, options.signal))) {
      return this.verify(token, options);
    }
    if (this.#options.onStale === "ask-server") {
      return this.#count(await this.#ask(token, position, options));
    }
    return this.#count({ outcome: "unknown", staleness: this.staleness() });
  }

  /**
   * Calls `listener` once, soon after the token's session, or every session of its user, is revoked; also when that was
   * so before. It is for what stays open longer than a request: streams, WebSockets, server-sent events. That the token
   * expires does not call it. Call the function that is returned when what is open is over by itself.
   */
  whenRevoked(token: Token, listener: () => void): () => void {
    let isOver = false;
    let forget: () => void = () => undefined;
    const over = (): void => {
      isOver = true;
      forget();
    };
    const call = (): void => {
      if (!isOver) {
        over();
        this.#safely("whenRevoked", listener);
      }
    };
    forget = this.#watchers.add(token, call);
    if (this.#isRevoked(token)) {
      queueMicrotask(call);
    }
    return over;
  }

  #isRevoked(token: Token): boolean {
    const subject = parseUserId(token.subject);
    const session = parseSessionId(token.sessionId);
    return (
      subject !== undefined &&
      session !== undefined &&
      this.#engine.revocations.isRevoked(subject, session, token.epoch)
    );
  }

  #count(verification: Verification): Verification {
    this.#counts[verification.outcome]++;
    return verification;
  }

  /**
   * Does not ask the server. That a token is bad by itself is said from a stale view too; but then a key that is not
   * known may be a new one, and says nothing.
   */
  #verifyHere(token: string, audiences: readonly string[] = []): Verification {
    checkAudiences(audiences);
    const { clock, maxStaleness, onStale } = this.#options;
    const wall = clock.wall();
    const staleness = this.#engine.freshness.staleness(wall, clock.monotonic());
    const fresh = staleness !== undefined && staleness <= maxStaleness;
    const verification = this.#engine.verify(token, audiences, wall);
    if (verification.outcome === "verified") {
      return fresh || (staleness !== undefined && onStale === "serve")
        ? verification
        : { outcome: "unknown", staleness };
    }
    return verification.reason === "UNKNOWN_KEY" && !fresh ? { outcome: "unknown", staleness } : verification;
  }

  async #ask(token: string, atLeast: string, { audiences = [], signal }: VerifyOptions): Promise<Verification> {
    if (typeof token !== "string" || token.length > MAX_TOKEN_BYTES) {
      return invalid("MALFORMED");
    }
    this.#counts.asked++;
    const { askTimeout, maxStaleness } = this.#options;
    let answer;
    try {
      answer = await callOnce(this.#connected().get(), AuthService.method.verifyAccessToken, {
        request: {
          accessToken: token,
          audiences: [...(audiences.length === 0 ? this.#options.audiences : audiences)],
          maxStaleness: {
            seconds: BigInt(Math.floor(maxStaleness / 1000)),
            nanos: Math.floor((maxStaleness % 1000) * 1e6),
          },
          atLeast,
        },
        credential: this.#credential,
        timeout: askTimeout,
        signal,
      });
    } catch (cause) {
      return this.#unknown(callError(cause));
    }
    switch (answer.result.case) {
      case "verified":
        return vouchedFor(token);
      case "invalid":
        return invalid(reasonOf(answer.result.value.reason));
      case undefined:
        return this.#unknown(new Error("countersign: an answer of another kind"));
    }
  }

  #connected(): SharedConnection {
    if (this.#connection === undefined) {
      throw new Error("countersign: there is no connection");
    }
    return this.#connection;
  }

  #unknown(cause: unknown): Unknown {
    return { outcome: "unknown", staleness: this.staleness(), cause };
  }

  /** Passes on a revocation that was not known before. */
  #tell(revocation: Revocation): void {
    this.#watchers.tell(revocation);
    const { onRevoked } = this.#options;
    if (onRevoked !== undefined) {
      this.#safely("onRevoked", () => onRevoked(revocation));
    }
  }

  /** What the application throws must not end the stream of revocations. */
  #safely(name: string, call: () => unknown): void {
    callSafely(call, (error) => this.#options.logger.warn(`countersign: ${name} has thrown`, { error }));
  }
}

/** Reads a token of which the server has just said that it is good. It checks nothing but its form. */
function vouchedFor(token: string): Verification {
  const jws = parseJws(token, MAX_TOKEN_BYTES);
  const claims = jws && parseClaims(Buffer.from(jws.payload));
  return claims === undefined ? invalid("MALFORMED") : { outcome: "verified", token: claims.token };
}

/**
 * Reads the server's reason. One that only a newer server has is MALFORMED: whatever it is, the token must not be
 * accepted.
 */
function reasonOf(told: ToldReason): InvalidReason {
  const name = ToldReason[told] as keyof typeof ToldReason | undefined;
  return name === undefined || name === "UNSPECIFIED" ? "MALFORMED" : name;
}
