import { inspect } from "node:util";
import type { Tokens as TokensMessage } from "./stubs/countersign/v1/tokens_pb.js";

/** What a client holds of a session. It shows no token where it is printed, logged or written as JSON. */
export class Tokens {
  readonly #accessToken: string;
  readonly #refreshToken: string;
  /** For how many seconds the access token is accepted, from when the answer arrived. */
  readonly expiresIn: number;
  /** When the refresh token is refused unless it was used before, by the server's clock. */
  readonly refreshExpiresAt: Date;

  constructor(message: TokensMessage) {
    this.#accessToken = message.accessToken;
    this.#refreshToken = message.refreshToken;
    this.expiresIn = Number(message.expiresIn);
    const expires = message.refreshExpiresAt;
    this.refreshExpiresAt = new Date(
      expires === undefined ? Number.NaN : Number(expires.seconds) * 1000 + expires.nanos / 1e6,
    );
  }

  /** Goes with each request, as `Authorization: Bearer …`. */
  get accessToken(): string {
    return this.#accessToken;
  }

  /**
   * Goes to `refresh` and `logout`, and nowhere else. Keep it until the next one has arrived, whatever else happens.
   */
  get refreshToken(): string {
    return this.#refreshToken;
  }

  /** Shows no token. */
  toString(): string {
    return `Tokens { expiresIn: ${this.expiresIn} }`;
  }

  /** Shows no token. */
  [inspect.custom](): string {
    return this.toString();
  }
}
