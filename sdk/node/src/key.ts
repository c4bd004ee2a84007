import { createPublicKey, verify, type KeyObject } from "node:crypto";
import { Buffer } from "node:buffer";
import type { WatchKeySet } from "./stubs/countersign/v1/revocation_service_pb.js";

const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;

/** The one algorithm that a key is used with (RFC 7518 section 3.1, RFC 8037). */
export type Algorithm = "EdDSA" | "ES256" | "RS256";

/**
 * The DER of the `AlgorithmIdentifier` that a key of each algorithm has: RFC 8410 section 3, RFC 5480 section 2.1.1,
 * RFC 3279 section 2.3.1.
 */
const IDENTIFIERS: Readonly<Record<Algorithm, string>> = {
  EdDSA: "300506032b6570",
  ES256: "301306072a8648ce3d020106082a8648ce3d030107",
  RS256: "300d06092a864886f70d0101010500",
};

/**
 * Verifies the tokens that name it, with one algorithm: a token's header has no say in how it is used (RFC 8725 section
 * 3.1).
 */
export class PublicKey {
  readonly id: string;
  readonly algorithm: Algorithm;
  readonly spki: Buffer;
  readonly #key: KeyObject;

  private constructor(id: string, algorithm: Algorithm, spki: Buffer, key: KeyObject) {
    this.id = id;
    this.algorithm = algorithm;
    this.spki = spki;
    this.#key = key;
  }

  /**
   * Takes a DER `SubjectPublicKeyInfo` (RFC 5280 section 4.1) in its canonical form. Throws an error that says what is
   * wrong with it.
   */
  static parse(id: string, algorithm: string, told: Uint8Array): PublicKey {
    if (!/^[A-Za-z0-9._-]{1,64}$/.test(id)) {
      throw new Error("its id is not 1 to 64 characters out of A-Z a-z 0-9 . _ -");
    }
    if (!isAlgorithm(algorithm)) {
      throw new Error("its algorithm is none of EdDSA, ES256 and RS256");
    }
    const spki = Buffer.from(told);
    if (!derSequenceBody(spki).toString("hex").startsWith(IDENTIFIERS[algorithm])) {
      throw new Error(`it is not a key for ${algorithm}`);
    }
    const key = createPublicKey({ key: spki, format: "der", type: "spki" });
    if (!key.export({ format: "der", type: "spki" }).equals(spki)) {
      throw new Error("it is not in its canonical form");
    }
    const bits = key.asymmetricKeyDetails?.modulusLength;
    if (bits !== undefined && (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS)) {
      throw new Error(`an RSA key of ${bits} bits; ${MIN_RSA_BITS} to ${MAX_RSA_BITS} are allowed`);
    }
    return new PublicKey(id, algorithm, spki, key);
  }

  /**
   * Whether `signature` is this key's over `message`, in the form of RFC 7518 section 3 (for ES256 the 64 bytes of r
   * and s) and RFC 8037 section 3.1.
   */
  verify(message: string, signature: Buffer): boolean {
    const signed = Buffer.from(message, "latin1");
    switch (this.algorithm) {
      case "EdDSA":
        return signature.length === 64 && verify(null, signed, this.#key, signature);
      case "ES256":
        return (
          signature.length === 64 && verify("sha256", signed, { key: this.#key, dsaEncoding: "ieee-p1363" }, signature)
        );
      case "RS256":
        return verify("sha256", signed, this.#key, signature);
    }
  }

  /** Whether it is the same key, under the same name. */
  equals(other: PublicKey | undefined): boolean {
    return other !== undefined && other.algorithm === this.algorithm && other.spki.equals(this.spki);
  }
}

function isAlgorithm(name: string): name is Algorithm {
  return Object.hasOwn(IDENTIFIERS, name);
}

/** What follows the tag and the length of a DER SEQUENCE; empty where it is none. */
function derSequenceBody(der: Buffer): Buffer {
  const length = der[1];
  if (der[0] !== 0x30 || length === undefined || length === 0x80) {
    return der.subarray(0, 0);
  }
  return der.subarray(length < 0x80 ? 2 : 2 + (length & 0x7f));
}

/** The keys that tokens are accepted from. */
export class KeySet {
  readonly keys: ReadonlyMap<string, PublicKey>;

  constructor(keys: ReadonlyMap<string, PublicKey> = new Map()) {
    this.keys = keys;
  }

  /**
   * Reads the server's keys. One that this release cannot read is left out, with an error that says why: its tokens are
   * signed by a key that is not trusted. Undefined where two keys have one id.
   */
  static parse(told: WatchKeySet): { set: KeySet; unreadable: { id: string; error: unknown }[] } | undefined {
    const keys = new Map<string, PublicKey>();
    const unreadable = [];
    for (const { id, algorithm, spki } of told.keys) {
      let key;
      try {
        key = PublicKey.parse(id, algorithm, spki);
      } catch (error) {
        unreadable.push({ id, error });
        continue;
      }
      if (keys.has(id)) {
        return undefined;
      }
      keys.set(id, key);
    }
    return { set: new KeySet(keys), unreadable };
  }

  /** Whether a key of this set is not in the next one, as one is not whose name another key has there. */
  loses(next: KeySet): boolean {
    return [...this.keys.values()].some((key) => !key.equals(next.keys.get(key.id)));
  }
}
