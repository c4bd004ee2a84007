/**
 * Verifies access tokens of a Countersign server in your own process: no call for each request, and still refused at
 * once after a logout.
 *
 * A {@link Verifier} follows a server, which pushes keys and revocations to it as they happen. It proves with its own
 * pings how old its knowledge is, and past a bound acts by a policy that you choose. `@countersign/node/http`,
 * `/fastify`, `/nestjs` and `/grpc` put it before a service. A {@link Client} logs in, refreshes, logs out and manages
 * users and sessions. `@countersign/node/contract` has the messages of the whole contract.
 *
 * @module
 */
export { bearerToken } from "./bearer.js";
export { Client, type CallOptions, type ClientOptions, type LoginRequest, type Stub } from "./client.js";
export { systemClock, type Clock } from "./clock.js";
export type { Credential, Tls } from "./connection.js";
export { CallError, sessionEnded, type FieldViolation } from "./errors.js";
export type { Logger } from "./logger.js";
export type { OnStale, VerifierOptions } from "./options.js";
export { problemOf, reasonOf, type Problem, type Refusal } from "./refusal.js";
export { setToken, tokenOf } from "./request-token.js";
export { covers, type Revocation } from "./revocations.js";
export {
  Token,
  type ClaimValue,
  type InvalidReason,
  type SubjectKind,
  type TokenFields,
  type Unknown,
  type Verification,
} from "./token.js";
export { Tokens } from "./tokens.js";
export { Verifier, type Statistics, type TokenVerifier, type VerifyOptions } from "./verifier.js";
