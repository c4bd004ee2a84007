/**
 * Lets only requests with a good access token through, in Express, Connect and plain node:http.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { admit, refusalForRole } from "./http-guard.js";
import { checkAudiences } from "./options.js";
import { problemOf, type Refusal } from "./refusal.js";
import type { TokenVerifier } from "./verifier.js";

export { tokenOf } from "./request-token.js";
export type { Refusal } from "./refusal.js";

/** A function of Express's form: it answers the request, or calls `next`. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void;

/** What {@link authenticate} may be changed by. */
export interface AuthenticateOptions {
  /** The names that this service goes by, instead of the verifier's own. */
  readonly audiences?: readonly string[] | undefined;
  /** Answers requests that are not let in, instead of {@link refuse}. */
  readonly refuse?: ((refusal: Refusal, request: IncomingMessage, response: ServerResponse) => void) | undefined;
}

/**
 * Lets requests with a good token in `Authorization: Bearer` through; {@link tokenOf} of the request says who is
 * calling. Others are answered 401, or 503 where nothing can be known about their token.
 *
 * `next` is given an error where the verifier or `refuse` has thrown: then the request is not let in. Express answers
 * it by itself; a `next` of your own must look at it.
 */
export function authenticate(verifier: TokenVerifier, options: AuthenticateOptions = {}): Middleware {
  const { refuse: answer } = options;
  const audiences = checkAudiences(options.audiences);
  const letIn = async (request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    const refusal = await admit(verifier, request, request, audiences);
    if (refusal === undefined) {
      return true;
    }
    await (answer === undefined ? refuse(refusal, response) : answer(refusal, request, response));
    return false;
  };
  return (request, response, next) => {
    // What `next` throws is not for `next` again: it would do everything a second time.
    void letIn(request, response).then((isLetIn) => {
      if (isLetIn) {
        next();
      }
    }, next);
  };
}

/** Lets only callers with the role through to what is behind {@link authenticate}. Others are answered 403. */
export function requireRole(role: string): Middleware {
  return (request, response, next) => {
    const refusal = refusalForRole(request, role);
    if (refusal === undefined) {
      next();
    } else {
      refuse(refusal, response);
    }
  };
}

/**
 * Answers a request that is not let in, as the server's own HTTP edge does: a problem (RFC 9457) with the reason,
 * `WWW-Authenticate` (RFC 6750) with 401 and `Retry-After` with 503. An answer that has begun already is cut.
 */
export function refuse(refusal: Refusal, response: ServerResponse): void {
  if (response.headersSent) {
    // Something else has begun to answer, and cannot be told to stop.
    if (!response.writableEnded) {
      response.destroy();
    }
    return;
  }
  const { status, headers, body } = problemOf(refusal);
  response.writeHead(status, { ...headers });
  response.end(JSON.stringify(body));
}
