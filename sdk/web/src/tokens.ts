import { ProtocolError } from "./errors.js";
import { holdToken, instantOrUndefined, isObject, stringOrUndefined, type HeldToken } from "./token.js";

/** Reads the `tokens` of an answer to Login or Refresh. `asked` is when the request was sent. */
export function readTokens(answer: unknown, asked: number): HeldToken {
  const tokens = isObject(answer) ? answer["tokens"] : undefined;
  const accessToken = isObject(tokens) ? stringOrUndefined(tokens["accessToken"]) : undefined;
  if (!isObject(tokens) || !accessToken) {
    throw new ProtocolError("The answer has no access token: is baseUrl the edge, with edge.envelope off?");
  }
  if (stringOrUndefined(tokens["refreshToken"])) {
    throw new ProtocolError(
      "The edge hands refresh tokens to scripts: this client needs the refresh token transport `cookie`.",
    );
  }
  // proto3 JSON leaves out a zero. Servers of 0.1.0 wrote the number as a string.
  const seconds = Number(tokens["expiresIn"] ?? 0);
  if (!Number.isFinite(seconds)) throw new ProtocolError("The answer does not say how long the token lives.");
  const serverExpiry = Date.parse(instantOrUndefined(tokens["accessExpiresAt"]) ?? "");
  // Counted from when the request was sent, so that the token is never thought to live longer than it does.
  return holdToken(accessToken, Number.isFinite(serverExpiry) ? serverExpiry : 0, seconds * 1_000, asked);
}
