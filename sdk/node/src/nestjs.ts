/**
 * Lets only requests with a good access token through to the controllers of a NestJS application, over Express or
 * Fastify.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  createParamDecorator,
  HttpException,
  SetMetadata,
  type CanActivate,
  type ExecutionContext,
} from "@nestjs/common";
import { Reflector } from "@nestjs/core";
import { admit, refusalForRole } from "./http-guard.js";
import { checkAudiences } from "./options.js";
import { problemOf, type Refusal } from "./refusal.js";
import { tokenOf } from "./request-token.js";
import type { TokenVerifier } from "./verifier.js";

export { tokenOf } from "./request-token.js";
export type { Refusal } from "./refusal.js";

const OPEN = "countersign:open";
const ROLE = "countersign:role";

/**
 * Lets everybody in to a handler, or to all of a controller: health checks, for example. What a handler says goes
 * before what its controller says: a {@link RequireRole} in an open controller holds.
 */
export const Open = (): ReturnType<typeof SetMetadata> => SetMetadata(OPEN, true);

/** Lets only callers with the role in to a handler, or to all of a controller. Others are answered 403. */
export const RequireRole = (role: string): ReturnType<typeof SetMetadata> => SetMetadata(ROLE, role);

/** A parameter of a handler: who is calling, a `Token`. */
export const CurrentToken = createParamDecorator((_data: unknown, context: ExecutionContext) =>
  tokenOf(context.switchToHttp().getRequest<object>()),
);

/** What the guard may be changed by. */
export interface GuardOptions {
  /** The names that this service goes by, instead of the verifier's own. */
  readonly audiences?: readonly string[] | undefined;
}

/**
 * Lets requests with a good token in `Authorization: Bearer` in; {@link CurrentToken} says who is calling. Others are
 * answered 401, or 503 where nothing can be known about their token. For the whole application:
 *
 * ```ts
 * app.useGlobalGuards(new CountersignGuard(verifier));
 * ```
 *
 * It is for HTTP alone. A context of another kind is refused with an error, unless {@link requestOf} is overridden for
 * it.
 */
export class CountersignGuard implements CanActivate {
  readonly #verifier: TokenVerifier;
  readonly #options: GuardOptions;
  readonly #reflector = new Reflector();

  constructor(verifier: TokenVerifier, options: GuardOptions = {}) {
    this.#verifier = verifier;
    this.#options = options;
    checkAudiences(options.audiences);
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { isOpen, role } = this.#ruleOf(context);
    if (isOpen) {
      return true;
    }
    const request = this.requestOf(context);
    const raw = "raw" in request ? (request.raw as IncomingMessage) : (request as IncomingMessage);
    const refusal = await admit(this.#verifier, raw, request, this.#options.audiences);
    if (refusal !== undefined) {
      return this.refuse(refusal, context);
    }
    const missing = role === undefined ? undefined : refusalForRole(request, role);
    return missing === undefined || this.refuse(missing, context);
  }

  /** What the handler is decorated with, or else its controller. A role beside `Open` is asked for. */
  #ruleOf(context: ExecutionContext): { isOpen: boolean; role: string | undefined } {
    for (const place of [context.getHandler(), context.getClass()]) {
      const role = this.#reflector.get<string | undefined>(ROLE, place);
      const isOpen = role === undefined && this.#reflector.get<boolean | undefined>(OPEN, place) === true;
      if (isOpen || role !== undefined) {
        return { isOpen, role };
      }
    }
    return { isOpen: false, role: undefined };
  }

  /** The request that brings the token: node's, Express's or Fastify's. Override it for GraphQL, for example. */
  protected requestOf(context: ExecutionContext): object {
    if (context.getType() !== "http") {
      throw new Error(
        `countersign: the guard does not know where a context of the type ${context.getType()} has its request`,
      );
    }
    return context.switchToHttp().getRequest<object>();
  }

  /** Answers a request that is not let in: a problem (RFC 9457) with the reason, in an `HttpException`. */
  protected refuse(refusal: Refusal, context: ExecutionContext): never {
    const { status, headers, body } = problemOf(refusal);
    const response = context.switchToHttp().getResponse<{ raw?: ServerResponse } | ServerResponse>();
    for (const [name, value] of Object.entries(headers)) {
      // Fastify's reply has a way of its own.
      if ("header" in response && typeof response.header === "function") {
        (response.header as (name: string, value: string) => void).call(response, name, value);
      } else {
        (response as ServerResponse).setHeader(name, value);
      }
    }
    throw new HttpException({ ...body }, status);
  }
}
