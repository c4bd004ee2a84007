import { systemClock, type Clock } from "./clock.js";
import type { Credential, Tls } from "./connection.js";
import { defaultLogger, neverThrowing, type Logger } from "./logger.js";
import type { Revocation } from "./revocations.js";

/**
 * What to answer when the view of revocations is older than it may be:
 *
 * - `fail-closed`: nothing. It cannot be known whether a token is still good; the outcome is `unknown`.
 * - `ask-server`: the server is asked for each token.
 * - `serve`: what is known. A revoked token may be accepted until the server can be heard again. A view that was never
 *   loaded is not served from.
 */
export type OnStale = "fail-closed" | "ask-server" | "serve";

/** How a verifier behaves. `endpoint`, `issuer` and `audiences` are required. Times are milliseconds. */
export interface VerifierOptions {
  /** The server's gRPC address: `https://host:port`, or `http://host:port` without TLS. */
  readonly endpoint: string;
  /** Which certificates to use with https. The default trusts the authorities that Node brings. */
  readonly tls?: Tls | undefined;
  /**
   * An access token that goes with each call, or a function that gives one and is called for each. For a server whose
   * rules (`[[grpc.allow]]`) name roles. Whether a service key (`csgn_sk_…`) is taken in its place is the server's to
   * say: this release takes it for administrative calls alone.
   */
  readonly credential?: Credential | undefined;
  /** The one issuer that is accepted, exactly: the server's `tokens.issuer`. */
  readonly issuer: string;
  /**
   * The names that this service goes by. A token must be meant for one of them, unless a call to `verify` names others.
   */
  readonly audiences: readonly string[];

  /**
   * The oldest view of revocations that is answered from; 10 s. It should be several times `pingInterval` and the
   * server's `revocation.poll_interval` together, so that a busy moment is not taken for an outage.
   */
  readonly maxStaleness?: number | undefined;
  /** What happens beyond `maxStaleness`; `fail-closed`. */
  readonly onStale?: OnStale | undefined;
  /**
   * Called for each revocation that was not known before, so that whatever a session holds open can be ended. It must
   * return soon; see also {@link Verifier.whenRevoked}. What it throws is logged.
   */
  readonly onRevoked?: ((revocation: Revocation) => void) | undefined;

  /** How often the server is asked to prove that the view is fresh; 1 s. */
  readonly pingInterval?: number | undefined;
  /**
   * How long a ping may go unanswered before the connection is given up, and how long connecting may take; 5 s. The
   * answer to the first ping stands behind all that is revoked, and is waited for as long as that comes.
   */
  readonly patience?: number | undefined;
  /** The longest pause before connecting again; 5 s. Each pause is drawn at random. */
  readonly maxBackoff?: number | undefined;
  /**
   * How long the server may take to answer where `onStale` is `ask-server`, and how long `verifyAtLeast` waits for a
   * position; 1 s.
   */
  readonly askTimeout?: number | undefined;
  /** How far another machine's clock may be ahead, for `iat` and `nbf`; 5 s. `exp` has never any leeway. */
  readonly leeway?: number | undefined;
  /** How many verified tokens are remembered; 65,536. 0 means none. A usual token takes about 2.5 KiB. */
  readonly cachedTokens?: number | undefined;
  /** Where the time comes from; the operating system's clocks. */
  readonly clock?: Clock | undefined;
  /**
   * Where it is logged that the stream was lost and that keys changed; warnings go to `console`. No token is ever
   * logged.
   */
  readonly logger?: Logger | undefined;
}

/** Options with every default filled in. */
export type FullOptions = {
  readonly [Name in Exclude<keyof VerifierOptions, "tls" | "credential" | "onRevoked" | "endpoint">]-?: Exclude<
    VerifierOptions[Name],
    undefined
  >;
} & Pick<VerifierOptions, "onRevoked">;

/** The longest token that is looked at; no token that Countersign mints is longer. */
export const MAX_TOKEN_BYTES = 8192;

const MOST_CACHED_TOKENS = 2 ** 23;

const NAMES: Readonly<Record<keyof VerifierOptions, true>> = {
  endpoint: true,
  tls: true,
  credential: true,
  issuer: true,
  audiences: true,
  maxStaleness: true,
  onStale: true,
  onRevoked: true,
  pingInterval: true,
  patience: true,
  maxBackoff: true,
  askTimeout: true,
  leeway: true,
  cachedTokens: true,
  clock: true,
  logger: true,
};

/** Fills in the defaults. Throws a `TypeError` that says what is wrong with the options. */
export function withDefaults(options: Omit<VerifierOptions, "endpoint">): FullOptions {
  refuseUnknown(options, NAMES);
  const { issuer, audiences, onStale = "fail-closed", onRevoked } = options;
  if (typeof issuer !== "string" || issuer === "") {
    throw new TypeError("countersign: `issuer` is empty");
  }
  if (audiences === undefined || checkAudiences(audiences)?.length === 0) {
    throw new TypeError("countersign: `audiences` is empty: no token could be accepted");
  }
  if (!["fail-closed", "ask-server", "serve"].includes(onStale)) {
    throw new TypeError(`countersign: \`onStale\` is ${JSON.stringify(onStale)}, which is no policy`);
  }
  if (onRevoked !== undefined && typeof onRevoked !== "function") {
    throw new TypeError("countersign: `onRevoked` is no function");
  }
  checkMethods("clock", options.clock, ["wall", "monotonic"]);
  checkMethods("logger", options.logger, ["debug", "info", "warn"]);
  return {
    issuer,
    audiences: Object.freeze([...audiences]),
    onStale,
    onRevoked,
    maxStaleness: duration("maxStaleness", options.maxStaleness, 10_000),
    pingInterval: duration("pingInterval", options.pingInterval, 1000),
    patience: duration("patience", options.patience, 5000),
    maxBackoff: duration("maxBackoff", options.maxBackoff, 5000),
    askTimeout: duration("askTimeout", options.askTimeout, 1000),
    leeway: duration("leeway", options.leeway, 5000, 0),
    cachedTokens: cachedTokens(options.cachedTokens),
    clock: options.clock ?? systemClock,
    logger: neverThrowing(options.logger ?? defaultLogger),
  };
}

/**
 * Throws a `TypeError` where `options` has a member that is none of these: a misspelt option would leave its default in
 * force without a word.
 */
export function refuseUnknown(options: object, names: Readonly<Record<string, true>>): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError("countersign: there are no options");
  }
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(names, name));
  if (unknown !== undefined) {
    throw new TypeError(`countersign: there is no option \`${unknown}\``);
  }
}

/**
 * Throws a `TypeError` where audiences are given that are not an array of texts. One text would be searched for a
 * token's audience, and found in a longer one.
 */
export function checkAudiences(audiences: readonly string[] | undefined): readonly string[] | undefined {
  if (audiences !== undefined && !Array.isArray(audiences)) {
    throw new TypeError("countersign: `audiences` is no array");
  }
  if (audiences?.some((audience) => typeof audience !== "string" || audience === "") === true) {
    throw new TypeError("countersign: `audiences` has an empty one");
  }
  return audiences;
}

function checkMethods(name: string, value: object | undefined, methods: readonly string[]): void {
  const missing = methods.find((method) => typeof (value as Record<string, unknown> | null)?.[method] !== "function");
  if (value !== undefined && missing !== undefined) {
    throw new TypeError(`countersign: \`${name}\` has no method \`${missing}\``);
  }
}

/** The longest time that a timer takes. */
const LONGEST = 2 ** 31 - 1;

/** A number of milliseconds, of `least` at least. */
export function duration(name: string, value: number | undefined, fallback: number, least = 1): number {
  const given = value ?? fallback;
  if (typeof given !== "number" || !(given >= least && given <= LONGEST)) {
    throw new TypeError(`countersign: \`${name}\` is not a number of milliseconds from ${least} to ${LONGEST}`);
  }
  return given;
}

function cachedTokens(value: number | undefined): number {
  const given = value ?? 65_536;
  if (!Number.isInteger(given) || given < 0 || given > MOST_CACHED_TOKENS) {
    throw new TypeError(`countersign: \`cachedTokens\` is not a whole number from 0 to ${MOST_CACHED_TOKENS}`);
  }
  return given;
}
