/**
 * Lets only calls with a good access token through to a grpc-js server, and ends open streams when their session is
 * revoked.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import {
  Metadata,
  ServerInterceptingCall,
  ServerListenerBuilder,
  status,
  type StatusObject,
  type ServerInterceptor,
} from "@grpc/grpc-js";
import { bearerToken } from "./bearer.js";
import { ERROR_DOMAIN } from "./errors.js";
import { checkAudiences } from "./options.js";
import { reasonOf, type Refusal } from "./refusal.js";
import { setToken } from "./request-token.js";
import { ErrorInfoSchema, RetryInfoSchema } from "./stubs/google/rpc/error_details_pb.js";
import { StatusSchema } from "./stubs/google/rpc/status_pb.js";
import type { Token } from "./token.js";
import type { TokenVerifier } from "./verifier.js";

export { tokenOf } from "./request-token.js";
export type { Refusal } from "./refusal.js";

/** What decides: a `Verifier`, or in tests something else. */
export interface WatchingVerifier extends TokenVerifier {
  whenRevoked(token: Token, listener: () => void): () => void;
}

/** What the interceptor may be changed by. */
export interface InterceptorOptions {
  /** The names that this service goes by, instead of the verifier's own. */
  readonly audiences?: readonly string[] | undefined;
  /** Whether everybody may call a method: health checks, for example. A path is `/package.Service/Method`. */
  readonly open?: ((path: string) => boolean) | undefined;
}

/**
 * Lets calls with a good token in `authorization: Bearer` through; {@link tokenOf} of the call says who is calling.
 * Others are answered UNAUTHENTICATED, or UNAVAILABLE where nothing can be known about their token, with the reason in
 * `google.rpc.ErrorInfo`.
 *
 * A stream whose session is revoked while it is open is ended: the caller is answered UNAUTHENTICATED
 * `SESSION_REVOKED`, the handler's call emits `cancelled` and is destroyed. A stream that is longer than its token
 * lives is not ended for that.
 *
 * ```ts
 * new Server({ interceptors: [authenticate(verifier)] });
 * ```
 */
export function authenticate(verifier: WatchingVerifier, options: InterceptorOptions = {}): ServerInterceptor {
  const { open } = options;
  const audiences = checkAudiences(options.audiences);
  return (method, call) => {
    if (open?.(method.path) === true) {
      return new ServerInterceptingCall(call);
    }
    const isStream = method.requestStream || method.responseStream;
    return new GuardedCall(call, verifier, audiences, isStream);
  };
}

type InterceptingCall = Parameters<ServerInterceptor>[1];
type HandlersListener = Parameters<ServerInterceptingCall["start"]>[0];

/** A call that is let in when its token is good, and ended when that is revoked. */
class GuardedCall extends ServerInterceptingCall {
  readonly #call: InterceptingCall;
  /** What the handler hears. */
  #handlers: HandlersListener | undefined;
  #isOver = false;
  #forget: () => void = () => undefined;

  constructor(
    call: InterceptingCall,
    verifier: WatchingVerifier,
    audiences: readonly string[] | undefined,
    isStream: boolean,
  ) {
    super(call, {
      start: (next) => {
        const listener = new ServerListenerBuilder()
          .withOnReceiveMetadata((metadata, admit) => {
            void this.#authenticate(verifier, audiences, metadata, isStream).then((isAdmitted) => {
              if (isAdmitted) {
                admit(metadata);
              }
            });
          })
          .withOnCancel(() => this.#over())
          .build();
        next(listener);
      },
      sendStatus: (told, next) => {
        this.#over();
        next(told);
      },
    });
    this.#call = call;
  }

  override start(listener: HandlersListener): void {
    let isCancelled = false;
    this.#handlers = {
      onReceiveMetadata: (metadata) => listener.onReceiveMetadata(metadata),
      onReceiveMessage: (message) => listener.onReceiveMessage(message),
      onReceiveHalfClose: () => listener.onReceiveHalfClose(),
      onCancel: () => {
        if (!isCancelled) {
          isCancelled = true;
          listener.onCancel();
        }
      },
    };
    super.start(this.#handlers);
  }

  async #authenticate(
    verifier: WatchingVerifier,
    audiences: readonly string[] | undefined,
    metadata: Metadata,
    isStream: boolean,
  ): Promise<boolean> {
    const token = bearerToken(metadata.get("authorization").map(String));
    let refusal: Refusal = { outcome: "missing" };
    if (token !== undefined) {
      try {
        const verification = await verifier.verify(token, { audiences });
        if (verification.outcome === "verified") {
          setToken(metadata, verification.token);
          if (isStream && !this.#isOver) {
            this.#forget = verifier.whenRevoked(verification.token, () => this.#revoke());
          }
          return true;
        }
        refusal = verification;
      } catch (cause) {
        refusal = { outcome: "unknown", staleness: undefined, cause };
      }
    }
    this.#over();
    this.#call.sendStatus(statusOf(refusal));
    return false;
  }

  #over(): void {
    this.#isOver = true;
    this.#forget();
  }

  #revoke(): void {
    if (!this.#isOver) {
      this.#over();
      this.#call.sendStatus(statusOf({ outcome: "invalid", reason: "REVOKED" }));
      // At once, though the caller may be slow to read what was sent before.
      this.#handlers?.onCancel();
    }
  }
}

/** How a refusal is told over gRPC. */
export function statusOf(refusal: Refusal): StatusObject {
  const { code, message } = codeOf(refusal);
  const details = [
    anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { domain: ERROR_DOMAIN, reason: reasonOf(refusal) })),
  ];
  if (refusal.outcome === "unknown") {
    details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: { seconds: 1n } })));
  }
  const metadata = new Metadata();
  const told = create(StatusSchema, { code, message, details });
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, told)));
  return { code, details: message, metadata };
}

function codeOf(refusal: Refusal): { code: status; message: string } {
  switch (refusal.outcome) {
    case "missing":
      return { code: status.UNAUTHENTICATED, message: "No access token." };
    case "role":
      return { code: status.PERMISSION_DENIED, message: "The caller has not the role that is asked for." };
    case "invalid":
      return { code: status.UNAUTHENTICATED, message: "The access token is not accepted." };
    default:
      return { code: status.UNAVAILABLE, message: "It cannot be told whether the access token is still good." };
  }
}
