import { Token } from "../src/token.js";
import type { Verification } from "../src/token.js";
import type { VerifyOptions } from "../src/verifier.js";

/** A token of somebody. */
export function someToken(audiences: readonly string[] = []): Token {
  return new Token({
    subject: "42000000-0000-0000-0000-000000000000",
    username: "ada",
    sessionId: "AQAAAAAAAAAAAAAAAAAAAA",
    roles: ["admin"],
    audiences,
    tokenId: "t",
    issuedAt: 0,
    expiresAt: 900,
    authTime: 0,
    amr: ["pwd"],
    epoch: 3n,
    sessionExpiresAt: 86_400,
    customClaims: {},
  });
}

/** A verifier that answers by the token's text, and revokes when the test says so. */
export class Answers {
  readonly #listeners = new Set<() => void>();

  async verify(token: string, { audiences = [] }: VerifyOptions = {}): Promise<Verification> {
    switch (token) {
      case "good":
        return { outcome: "verified", token: someToken(audiences) };
      case "expired":
        return { outcome: "invalid", reason: "EXPIRED" };
      case "broken":
        throw new Error("a defect of the verifier");
      default:
        return { outcome: "unknown", staleness: undefined };
    }
  }

  whenRevoked(_token: Token, listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** How many listen. */
  get listeners(): number {
    return this.#listeners.size;
  }

  revoke(): void {
    [...this.#listeners].forEach((listener) => listener());
  }
}
