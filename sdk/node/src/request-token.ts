import type { Token } from "./token.js";

/** The same in both builds of this package, ES modules and CommonJS. */
const TOKEN = Symbol.for("countersign.token");

/**
 * Who is calling, in a handler behind the middleware of this package: given the request (node:http, Express, Fastify,
 * NestJS), or the call of grpc-js. Undefined where no middleware was there.
 */
export function tokenOf(request: object): Token | undefined {
  const carrier = request as { [TOKEN]?: Token; readonly metadata?: { [TOKEN]?: Token } };
  return carrier[TOKEN] ?? carrier.metadata?.[TOKEN];
}

/** Makes the request carry who is calling. The middleware does it; tests of handlers can too. */
export function setToken(request: object, token: Token): void {
  Object.defineProperty(request, TOKEN, { value: token, configurable: true, enumerable: false, writable: true });
}
