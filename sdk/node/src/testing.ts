/**
 * For tests of a service that has Countersign before it: the real server, in memory, and a world of it for each test.
 *
 * The server is the program `countersign test-server`: the one that the option `binary` or the variable
 * `COUNTERSIGN_BIN` names, or `countersign` on the `PATH`. It ends with the process that has started it, however that
 * ends.
 *
 * @module
 */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import type { DescMessage, DescMethodUnary, JsonObject, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Client, type ClientOptions } from "./client.js";
import { systemClock, type Clock } from "./clock.js";
import { Connector, SharedConnection } from "./connection.js";
import { refuseUnknown, type VerifierOptions } from "./options.js";
import { TestService, TokenKind, TokenState as State } from "./stubs/countersign/test/v1/test_service_pb.js";
import { callOnce } from "./unary.js";
import { Verifier } from "./verifier.js";

/** How long a call to the test server may take, in milliseconds. */
const PATIENCE = 70_000;
/** How long verifiers are waited for when the clock was moved, in milliseconds. */
const FRESH_WITHIN = 5000;

/** How the server is started. */
export interface TestServerOptions {
  /** The program; what the variable `COUNTERSIGN_BIN` names, or else `countersign` on the `PATH`. */
  readonly binary?: string | undefined;
  /** More arguments of `countersign test-server`, such as `--issuer` and `--audience`. */
  readonly arguments?: readonly string[] | undefined;
  /** How long the start may take, in milliseconds; 30 s. */
  readonly patience?: number | undefined;
}

/** What the server says when it is ready. */
interface Announcement {
  readonly grpc: string;
  readonly http: string;
  readonly issuer: string;
  readonly audience: string;
  readonly audiences: readonly string[];
}

/** A running `countersign test-server`. It does not keep the process alive that has started it. */
export class TestServer {
  static #shared: Promise<TestServer> | undefined;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #ended: Promise<void>;
  #worlds = 0;
  /** Where gRPC is served: `127.0.0.1:41234`. */
  readonly grpc: string;
  /** Where HTTP is served: `http://127.0.0.1:41235`. */
  readonly http: string;
  /** The issuer of its access tokens. */
  readonly issuer: string;
  /** The audience of tokens that name none. */
  readonly audience: string;
  /** Every audience that tokens can have. */
  readonly audiences: readonly string[];

  private constructor(
    child: ChildProcessByStdio<Writable, Readable, Readable>,
    ended: Promise<void>,
    { grpc, http, issuer, audience, audiences }: Announcement,
  ) {
    this.#child = child;
    this.#ended = ended;
    this.grpc = grpc;
    this.http = http;
    this.issuer = issuer;
    this.audience = audience;
    this.audiences = audiences;
  }

  /** The server that all tests of this process share; the first to ask starts it. */
  static shared(): Promise<TestServer> {
    return (TestServer.#shared ??= TestServer.start());
  }

  /** Starts a server of one's own. Rejects with what it said where it does not start. */
  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    refuseUnknown(options, { binary: true, arguments: true, patience: true });
    const binary = options.binary ?? (process.env["COUNTERSIGN_BIN"] || "countersign");
    const child = spawn(binary, ["test-server", "--until-stdin-closes", ...(options.arguments ?? [])], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    const ended = new Promise<void>((resolve) => {
      child.once("close", () => resolve());
    });
    const announcement = await announced(child, binary, options.patience ?? 30_000);
    child.stderr.pipe(process.stderr, { end: false });
    // A test run ends when its tests have, whether or not somebody stops the server; and the server ends with it.
    child.unref();
    for (const stream of [child.stdin, child.stdout, child.stderr]) {
      (stream as unknown as { unref(): void }).unref();
    }
    return new TestServer(child, ended, announcement);
  }

  /** A world for a test, which no other test has; or the world of this name: 1 to 63 of `a-z 0-9 -`. */
  world(name = `node-${process.pid}-${this.#worlds++}`): World {
    return new World(this, name);
  }

  /** Ends the server. */
  async stop(): Promise<void> {
    this.#child.ref();
    this.#child.stdin.end();
    this.#child.kill();
    await this.#ended;
  }
}

async function announced(
  child: ChildProcessByStdio<Writable, Readable, Readable>,
  binary: string,
  patience: number,
): Promise<Announcement> {
  let [out, errors] = ["", ""];
  const line = new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`countersign test-server said nothing within ${patience} ms`));
    }, patience);
    child.stdout.on("data", (data: Buffer) => {
      out += data.toString();
      if (out.includes("\n")) {
        clearTimeout(timer);
        resolve(out);
      }
    });
    child.stderr.on("data", (data: Buffer) => {
      errors += errors.length < 65_536 ? data.toString() : "";
    });
    child.once("error", (cause) => {
      clearTimeout(timer);
      const install = "install it, or name it in COUNTERSIGN_BIN";
      reject(new Error(`cannot run ${binary}: ${cause.message}; ${install}`, { cause }));
    });
    child.once("close", () => {
      clearTimeout(timer);
      reject(new Error(`countersign test-server did not start: ${errors.trim()}`));
    });
  });
  const text = await line;
  child.stdout.removeAllListeners("data").resume();
  child.stderr.removeAllListeners("data");
  return JSON.parse(text) as Announcement;
}

const STATES = {
  good: State.GOOD,
  expired: State.EXPIRED,
  "not-yet-valid": State.NOT_YET_VALID,
  "wrong-audience": State.WRONG_AUDIENCE,
  "wrong-issuer": State.WRONG_ISSUER,
  revoked: State.REVOKED,
  "unknown-key": State.UNKNOWN_KEY,
  "withdrawn-key": State.WITHDRAWN_KEY,
  "bad-signature": State.BAD_SIGNATURE,
  malformed: State.MALFORMED,
  reused: State.REUSED,
} as const;

/**
 * What is right or wrong with a token. `reused` is of refresh tokens alone; of those that are wrong, refresh tokens can
 * be `expired`, `revoked`, `bad-signature`, `malformed` and `reused`.
 */
export type TokenState = keyof typeof STATES;

/** Which token to make. What is missing is made up, or is as the user has it who is named. */
export interface MintRequest {
  /** `good`. */
  readonly state?: TokenState | undefined;
  /** Whose it is: a UUID. An access token's user need not exist; a refresh token's is created. */
  readonly userId?: string | undefined;
  readonly username?: string | undefined;
  readonly roles?: readonly string[] | undefined;
  /** Claims beside the registered ones. */
  readonly claims?: JsonObject | undefined;
  readonly externalId?: string | undefined;
  readonly audiences?: readonly string[] | undefined;
  /** For how many milliseconds it is good; access tokens only. */
  readonly lifetime?: number | undefined;
}

const MINT: Readonly<Record<keyof MintRequest, true>> = {
  state: true,
  userId: true,
  username: true,
  roles: true,
  claims: true,
  externalId: true,
  audiences: true,
  lifetime: true,
};

/** A token that was made. */
export interface Minted {
  readonly token: string;
  readonly userId: string;
  readonly username: string;
  readonly sessionId: string;
  readonly expiresAt: Date;
  /** Where the ledger tells of its revocation, for `verifyAtLeast`; empty where it was not revoked. */
  readonly position: string;
}

/** How calls of a method fail. */
export interface FailureRule {
  /** A reason of the catalogue, as the server itself tells it: `STORE_UNAVAILABLE`. */
  readonly reason?: string | undefined;
  /** A number of `google.rpc.Code` without details, as a proxy or a network answers. */
  readonly code?: number | undefined;
  /** How many calls; every one where it is missing. */
  readonly times?: number | undefined;
  /** How many milliseconds each waits first; at most 60,000. */
  readonly delay?: number | undefined;
}

/** The time of a world: as far ahead of this machine's as the world's is. */
class WorldClock implements Clock {
  ahead = 0;

  wall(): number {
    return systemClock.wall() + this.ahead;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.ahead;
  }
}

/**
 * A service of its own within the server: users, sessions, keys, revocations, clock, failures and streams that no other
 * world has. The server forgets it when nobody has called it for ten minutes.
 */
export class World {
  readonly #server: TestServer;
  readonly #connection: SharedConnection;
  readonly #clock = new WorldClock();
  readonly #clients: Client[] = [];
  readonly #verifiers = new Set<Verifier>();
  #stalled = false;
  /** What it is called. */
  readonly name: string;
  /** Its gRPC address, for `Client` and `Verifier.connect`: `http://node-17-0.localhost:41234`. */
  readonly endpoint: string;
  /**
   * The base of its HTTP paths: `http://127.0.0.1:41235/worlds/node-17-0`. A browser uses
   * `http://node-17-0.localhost:41235`, so that cookies of other worlds are not sent.
   */
  readonly httpUrl: string;
  /** Where its key set is. */
  readonly jwksUrl: string;

  /** @internal */
  constructor(server: TestServer, name: string) {
    this.#server = server;
    this.name = name;
    this.endpoint = `http://${name}.localhost:${server.grpc.slice(server.grpc.lastIndexOf(":") + 1)}`;
    this.httpUrl = `${server.http}/worlds/${name}`;
    this.jwksUrl = `${this.httpUrl}/.well-known/jwks.json`;
    const connector = new Connector({ endpoint: this.endpoint, patience: 5000, maxBackoff: 100 });
    this.#connection = new SharedConnection(connector);
  }

  /** Its time, for whatever checks tokens in this process. */
  get clock(): Clock {
    return this.#clock;
  }

  /** A client of this world. */
  client(options: Omit<ClientOptions, "endpoint"> = {}): Client {
    const client = new Client({ ...options, endpoint: this.endpoint });
    this.#clients.push(client);
    return client;
  }

  /** What a verifier goes by here; it hears quickly of what changes. */
  verifierOptions(): VerifierOptions {
    return {
      endpoint: this.endpoint,
      issuer: this.#server.issuer,
      audiences: [this.#server.audience],
      clock: this.#clock,
      pingInterval: 100,
    };
  }

  /** A verifier that follows this world, and has loaded what there is. */
  async verifier(options: Partial<VerifierOptions> = {}): Promise<Verifier> {
    const verifier = Verifier.connect({ ...this.verifierOptions(), ...options });
    this.#verifiers.add(verifier);
    await verifier.ready();
    return verifier;
  }

  /** Makes an access token. */
  accessToken(request: MintRequest = {}): Promise<Minted> {
    return this.#mint(TokenKind.ACCESS, request);
  }

  /** Makes a refresh token; a user is made for it where none is named. */
  refreshToken(request: MintRequest = {}): Promise<Minted> {
    return this.#mint(TokenKind.REFRESH, request);
  }

  async #mint(kind: TokenKind, request: MintRequest): Promise<Minted> {
    refuseUnknown(request, MINT);
    const { state = "good", userId = "", username = "", roles = [], claims, externalId = "", audiences = [] } = request;
    if (!Object.hasOwn(STATES, state)) {
      throw new TypeError(`countersign: there is no state \`${state}\``);
    }
    const minted = await this.#call(TestService.method.mintToken, {
      kind,
      state: STATES[state],
      userId,
      username,
      roles: [...roles],
      externalId,
      audiences: [...audiences],
      ...(claims === undefined ? {} : { customClaims: claims }),
      ...(request.lifetime === undefined ? {} : { lifetime: duration(request.lifetime) }),
    });
    return {
      token: minted.token,
      userId: minted.userId,
      username: minted.username,
      sessionId: minted.sessionId,
      expiresAt: minted.expiresAt === undefined ? new Date(0) : timestampDate(minted.expiresAt),
      position: minted.position,
    };
  }

  /**
   * Moves the clock of the world forward by so many milliseconds, and that of {@link clock}. What is due by then has
   * happened when it resolves, and the verifiers of {@link verifier} are as fresh as before, unless their streams are
   * stalled.
   */
  async advance(milliseconds: number): Promise<void> {
    const { ahead } = await this.#call(TestService.method.advanceClock, { by: duration(milliseconds) });
    this.#clock.ahead = ahead === undefined ? 0 : Number(ahead.seconds) * 1000 + ahead.nanos / 1e6;
    for (const latest = performance.now() + FRESH_WITHIN; !this.#stalled && !this.#areVerifiersFresh(); ) {
      if (performance.now() > latest) {
        throw new Error("countersign: a verifier did not hear of the world in time");
      }
      await new Promise((resolve) => {
        setTimeout(resolve, 2);
      });
    }
  }

  /** What a verifier knows is old by the new time, until it has asked again. */
  #areVerifiersFresh(): boolean {
    return [...this.#verifiers].every((verifier) => (verifier.staleness() ?? Infinity) < 1000);
  }

  /**
   * Makes calls of a method fail, or answer late: `countersign.v1.AuthService/Login`, `countersign.v1.AuthService/*`,
   * `*`, or `GET /.well-known/jwks.json`.
   */
  async fail(method: string, rule: FailureRule): Promise<void> {
    refuseUnknown(rule, { reason: true, code: true, times: true, delay: true });
    const { reason, code, times = 0, delay } = rule;
    await this.#call(TestService.method.failMethod, {
      method,
      times,
      ...(reason !== undefined
        ? { failure: { case: "reason", value: reason } as const }
        : code !== undefined
          ? { failure: { case: "code", value: code } as const }
          : {}),
      ...(delay === undefined ? {} : { delay: duration(delay) }),
    });
  }

  /** Takes back what {@link fail} has said. */
  async clearFailures(): Promise<void> {
    await this.#call(TestService.method.clearFailures, {});
  }

  /** Sends nothing more on streams: a verifier that follows the world grows stale. */
  async stallStreams(): Promise<void> {
    await this.#call(TestService.method.stallStreams, {});
    this.#stalled = true;
  }

  /** Goes on with them. */
  async resumeStreams(): Promise<void> {
    await this.#call(TestService.method.resumeStreams, {});
    this.#stalled = false;
  }

  /** Ends the streams that are open, as a server does that restarts. */
  async endStreams(): Promise<void> {
    await this.#call(TestService.method.endStreams, {});
  }

  /** Makes the world anew. */
  async reset(): Promise<void> {
    await this.#call(TestService.method.resetWorld, {});
    this.#clock.ahead = 0;
    this.#stalled = false;
  }

  /** Closes the clients and verifiers that it has made, and has the server forget the world. */
  async close(): Promise<void> {
    this.#clients.forEach((client) => client.close());
    await Promise.all([...this.#verifiers].map((verifier) => verifier.close()));
    try {
      await this.#call(TestService.method.deleteWorld, { name: this.name });
    } finally {
      this.#connection.close();
    }
  }

  #call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    return callOnce(this.#connection.get(), method, { request, timeout: PATIENCE });
  }
}

function duration(milliseconds: number): { seconds: bigint; nanos: number } {
  if (!Number.isFinite(milliseconds) || milliseconds < 0) {
    throw new TypeError("countersign: a time is no number of milliseconds");
  }
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((milliseconds - seconds * 1000) * 1e6) };
}
