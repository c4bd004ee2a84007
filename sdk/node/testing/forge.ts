import { Buffer } from "node:buffer";
import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { formatSessionId, formatUserId, idOfBytes, type Id } from "../src/id.js";
import { PublicKey } from "../src/key.js";

export const ISSUER = "https://auth.example";
export const AUDIENCE = "orders";

/** An id whose first byte is this, and all others 0. */
export function testId(first: number): Id {
  return idOfBytes(Uint8Array.of(first, ...new Array<number>(15).fill(0)));
}

export function idBytes(id: Id): Buffer {
  return Buffer.from(formatSessionId(id), "base64url");
}

/** Makes tokens of its own. */
export class TestSigner {
  readonly kid: string;
  readonly spki: Buffer;
  readonly key: PublicKey;
  readonly #private: KeyObject;

  constructor(kid: string) {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    this.kid = kid;
    this.spki = publicKey.export({ format: "der", type: "spki" });
    this.key = PublicKey.parse(kid, "EdDSA", this.spki);
    this.#private = privateKey;
  }

  /** One that is good at `now` (milliseconds since 1970) for a quarter of an hour, but for these claims. */
  token(session: Id, now: number, changed: Record<string, unknown> = {}): string {
    const seconds = Math.floor(now / 1000);
    const header = { typ: "at+jwt", alg: "EdDSA", kid: this.kid };
    const claims = {
      iss: ISSUER,
      sub: formatUserId(testId(0x42)),
      aud: [AUDIENCE],
      exp: seconds + 900,
      iat: seconds,
      jti: "AAAAAAAAAAAAAAAAAAAAAA",
      sid: formatSessionId(session),
      username: "ada",
      roles: ["admin"],
      auth_time: seconds,
      amr: ["pwd"],
      epoch: 3,
      sxp: seconds + 86_400,
      ...changed,
    };
    const input = [header, claims].map((part) => Buffer.from(write(part)).toString("base64url")).join(".");
    return `${input}.${sign(null, Buffer.from(input), this.#private).toString("base64url")}`;
  }
}

/** Writes JSON with exact bigints. */
function write(value: unknown): string {
  const text = JSON.stringify(value, (_, it: unknown) => (typeof it === "bigint" ? `bigint:${it}` : it));
  return text.replace(/"bigint:(\d+)"/g, "$1");
}
