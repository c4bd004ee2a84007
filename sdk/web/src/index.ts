export {
  createAuthClient,
  type AuthClient,
  type AuthClientOptions,
  type AuthState,
  type ChangeCause,
  type LoginRequest,
} from "./client.js";
export type { Channel, Environment, Locks } from "./environment.js";
export {
  AuthError,
  ClosedError,
  InvalidCredentialsError,
  InvalidRequestError,
  LoggedOutError,
  PasswordRejectedError,
  ProtocolError,
  RateLimitedError,
  UnavailableError,
  type EndCause,
  type EndingReason,
  type ErrorFacts,
  type FieldViolation,
  type LogoutReason,
} from "./errors.js";
export type { OwnSession } from "./own-session.js";
export type { Session } from "./session.js";
export { decodeAccessToken, type AccessTokenClaims, type DecodedAccessToken } from "./token.js";
