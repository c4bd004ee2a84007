import type { DescMessage, DescMethodUnary, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { Connector, SharedConnection, type Credential, type Tls } from "./connection.js";
import { CallError } from "./errors.js";
import { duration, refuseUnknown } from "./options.js";
import { callWithRetries, type RetryLimits } from "./retry.js";
import { AuthService } from "./stubs/countersign/v1/auth_service_pb.js";
import type { Client as ClientFacts } from "./stubs/countersign/v1/session_pb.js";
import { ServiceAccountService } from "./stubs/countersign/v1/service_account_service_pb.js";
import { SessionService } from "./stubs/countersign/v1/session_service_pb.js";
import type { Tokens as TokensMessage } from "./stubs/countersign/v1/tokens_pb.js";
import { UserService } from "./stubs/countersign/v1/user_service_pb.js";
import { Tokens } from "./tokens.js";

/** How a client behaves. `endpoint` is required. Times are milliseconds. */
export interface ClientOptions {
  /** The server's gRPC address: `https://host:port`, or `http://host:port` without TLS. */
  readonly endpoint: string;
  /** Which certificates to use with https. The default trusts the authorities that Node brings. */
  readonly tls?: Tls | undefined;
  /**
   * A service key (`csgn_sk_…`) or an operator's access token, or a function that gives one and is called for each
   * attempt. It goes with each call to `users`, `sessions` and `serviceAccounts`, which are closed without one (or a
   * client certificate that a rule of the operator's names).
   */
  readonly credential?: Credential | undefined;
  /** How long all attempts of a call may take together, pauses included; 10 s. */
  readonly deadline?: number | undefined;
  /** How long one attempt may take; 3 s, which is longer than the server takes over a Refresh. */
  readonly attemptTimeout?: number | undefined;
  /** The longest pause between two attempts where the server does not say how long to wait; 1 s. */
  readonly maxBackoff?: number | undefined;
}

const NAMES: Readonly<Record<keyof ClientOptions, true>> = {
  endpoint: true,
  tls: true,
  credential: true,
  deadline: true,
  attemptTimeout: true,
  maxBackoff: true,
};

/** What one call may be made with. */
export interface CallOptions {
  /** Gives the call up. It rejects with the reason of the signal. */
  readonly signal?: AbortSignal | undefined;
}

/** The methods of a service that answer one message with one message. */
export type Stub<S extends DescService> = {
  readonly [Name in keyof S["method"] as S["method"][Name] extends DescMethodUnary
    ? Name
    : never]: S["method"][Name] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : never;
};

/** Who logs in. */
export interface LoginRequest {
  readonly username: string;
  readonly password: string;
  /** The services that the access token is meant for; the server's default when missing. */
  readonly audiences?: readonly string[] | undefined;
  /** What the session is called in lists: a name, the class of client, its address and user agent. */
  readonly client?: Partial<Pick<ClientFacts, "name" | "userAgent" | "address" | "class">> | undefined;
}

/**
 * Logs in, refreshes, logs out, and manages users and sessions. Each call has a deadline, and is made again where that
 * is safe and helps:
 *
 * - UNAVAILABLE and DEADLINE_EXCEEDED, where the second answer is that of the first;
 * - `LOGIN_OVERLOADED` and `SERVER_OVERLOADED`: the server has not begun.
 *
 * `login`, `changePassword`, `resetPassword`, the deletion of a user or of a service account, and an update with an
 * etag are made again only where the server was not reached at all, or says that it has not begun: the second answer
 * would be another one, and a second Login would begin a second session. What is created gets a request id where it has
 * none, so that it can be asked for again.
 *
 * Pauses double, are drawn at random, and are as long as the server asks for where it does (`google.rpc.RetryInfo`). No
 * other answer is tried again. Calls reject with a {@link CallError}.
 */
export class Client {
  readonly #connection: SharedConnection;
  /** The calls of AuthService. Those that have a method of their own here need not be made by it. */
  readonly auth: Stub<typeof AuthService>;
  /** The calls of UserService. */
  readonly users: Stub<typeof UserService>;
  /** The calls of SessionService. */
  readonly sessions: Stub<typeof SessionService>;
  /** The calls of ServiceAccountService. */
  readonly serviceAccounts: Stub<typeof ServiceAccountService>;

  /** It connects when it is used. Throws an error that says what is wrong with the options. */
  constructor(options: ClientOptions) {
    refuseUnknown(options, NAMES);
    const limits = {
      deadline: duration("deadline", options.deadline, 10_000),
      attemptTimeout: duration("attemptTimeout", options.attemptTimeout, 3000),
      maxBackoff: duration("maxBackoff", options.maxBackoff, 1000),
    };
    const { endpoint, tls, credential } = options;
    const connector = new Connector({
      endpoint,
      tls,
      credential,
      patience: limits.attemptTimeout,
      maxBackoff: limits.maxBackoff,
    });
    this.#connection = new SharedConnection(connector);
    this.auth = stub(AuthService, this.#connection, limits, undefined);
    this.users = stub(UserService, this.#connection, limits, credential);
    this.sessions = stub(SessionService, this.#connection, limits, credential);
    this.serviceAccounts = stub(ServiceAccountService, this.#connection, limits, credential);
  }

  /** Closes the connection. A process ends by itself only after this. */
  close(): void {
    this.#connection.close();
  }

  /** Begins a session. */
  async login(request: LoginRequest, options?: CallOptions): Promise<Tokens> {
    const { username, password, audiences = [], client } = request;
    const answer = await this.auth.login(
      { username, password, audiences: [...audiences], ...(client === undefined ? {} : { client }) },
      options,
    );
    return tokensOf(answer);
  }

  /**
   * Exchanges a refresh token for the next tokens. Where {@link sessionEnded} is true of the error the session is over;
   * on every other error keep the tokens.
   */
  async refresh(refreshToken: string, options?: CallOptions): Promise<Tokens> {
    return tokensOf(await this.auth.refresh({ refreshToken }, options));
  }

  /**
   * Ends the session of a refresh token; with `everywhere` every session of its user. When it resolves, the end is
   * durable. The answer is the position for {@link Verifier.verifyAtLeast}; empty where the server tells none.
   */
  async logout(refreshToken: string, options: CallOptions & { readonly everywhere?: boolean } = {}): Promise<string> {
    const { everywhere = false, ...rest } = options;
    const answer = await this.auth.logout({ token: { case: "refreshToken", value: refreshToken }, everywhere }, rest);
    return answer.position;
  }

  /**
   * Changes the password of the user whose refresh token it is. Every other session of the user ends; the caller gets a
   * new one.
   */
  async changePassword(
    change: { readonly refreshToken: string; readonly currentPassword: string; readonly newPassword: string },
    options?: CallOptions,
  ): Promise<{ readonly tokens: Tokens; readonly position: string }> {
    const answer = await this.auth.changePassword({ ...change }, options);
    return { tokens: tokensOf(answer), position: answer.position };
  }
}

function tokensOf({ tokens }: { readonly tokens?: TokensMessage | undefined }): Tokens {
  if (tokens === undefined) {
    throw new CallError("countersign: an answer without tokens", status.UNKNOWN, { metadata: {}, violations: [] });
  }
  return new Tokens(tokens);
}

function stub<S extends DescService>(
  service: S,
  connection: SharedConnection,
  limits: RetryLimits,
  credential: Credential | undefined,
): Stub<S> {
  const calls: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(service.method)) {
    if (isUnary(method)) {
      calls[name] = (request: MessageInitShape<DescMessage>, { signal }: CallOptions = {}) =>
        callWithRetries(connection, method, request, limits, credential, signal);
    }
  }
  return Object.freeze(calls) as Stub<S>;
}

function isUnary(method: DescService["methods"][number]): method is DescMethodUnary {
  return method.methodKind === "unary";
}
