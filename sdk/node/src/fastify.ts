/**
 * Lets only requests with a good access token through to the routes of a Fastify instance.
 *
 * @module
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestAsyncHookHandler } from "fastify";
import { admit, refusalForRole } from "./http-guard.js";
import { checkAudiences } from "./options.js";
import { problemOf, type Refusal } from "./refusal.js";
import type { TokenVerifier } from "./verifier.js";

export { tokenOf } from "./request-token.js";
export type { Refusal } from "./refusal.js";

/** What the hooks may be changed by. */
export interface AuthenticateOptions {
  /** The names that this service goes by, instead of the verifier's own. */
  readonly audiences?: readonly string[] | undefined;
  /** Whether everybody may make this request: health checks, for example. */
  readonly open?: ((request: FastifyRequest) => boolean) | undefined;
  /** Answers requests that are not let in, instead of {@link refuse}. It must send the reply. */
  readonly refuse?: ((refusal: Refusal, request: FastifyRequest, reply: FastifyReply) => FastifyReply) | undefined;
}

/** The options of the plugin. */
export interface PluginOptions extends AuthenticateOptions {
  /** What decides. */
  readonly verifier: TokenVerifier;
}

/**
 * A plugin that puts {@link authenticate} before every route of the instance that it is registered in, and of those
 * below it:
 *
 * ```ts
 * await app.register(countersign, { verifier });
 * ```
 */
export async function countersign(app: FastifyInstance, { verifier, ...options }: PluginOptions): Promise<void> {
  app.addHook("onRequest", authenticate(verifier, options));
}

// The hook is for the instance that registers the plugin, and not for one of the plugin's own.
Object.assign(countersign, {
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "@countersign/node",
});

/**
 * A hook for `onRequest` that lets requests with a good token in `Authorization: Bearer` through; {@link tokenOf} of
 * the request says who is calling. Others are answered 401, or 503 where nothing can be known about their token.
 */
export function authenticate(verifier: TokenVerifier, options: AuthenticateOptions = {}): onRequestAsyncHookHandler {
  const { open, refuse: answer } = options;
  const audiences = checkAudiences(options.audiences);
  return async (request, reply) => {
    if (open?.(request) === true) {
      return;
    }
    const refusal = await admit(verifier, request.raw, request, audiences);
    if (refusal !== undefined) {
      return answer === undefined ? refuse(refusal, reply) : answer(refusal, request, reply);
    }
  };
}

/** A hook that lets only callers with the role through, behind {@link authenticate}. Others are answered 403. */
export function requireRole(role: string): onRequestAsyncHookHandler {
  return async (request, reply) => {
    const refusal = refusalForRole(request, role);
    if (refusal !== undefined) {
      return refuse(refusal, reply);
    }
  };
}

/** Answers a request that is not let in, as the server's own HTTP edge does: a problem (RFC 9457) with the reason. */
export function refuse(refusal: Refusal, reply: FastifyReply): FastifyReply {
  const { status, headers, body } = problemOf(refusal);
  return reply
    .code(status)
    .headers({ ...headers })
    .send(JSON.stringify(body));
}

export default countersign;
