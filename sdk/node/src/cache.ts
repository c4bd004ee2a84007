import { Buffer } from "node:buffer";
import type { Claims } from "./claims.js";
import type { Verification } from "./token.js";

/** What is remembered of an authentic token. */
export interface Remembered {
  readonly claims: Claims;
  /** The answer where it is good. */
  readonly verified: Verification;
}

interface Entry extends Remembered {
  readonly text: string;
  /** Whether it was asked for since the eviction last came by. */
  used: boolean;
}

/** How many remembered tokens are looked at for one that was not asked for lately. */
const LOOKED_AT = 8;

/** How many characters at the end of a token find its place: more than 190 bits of its signature. */
const TAIL = 32;

/**
 * Remembers tokens that were found authentic lately. The end of the signature only finds the place and proves nothing:
 * whether it is the same token is decided by all of its characters, so that another spelling of a token is another
 * token. To hash all of them would take longer than everything else. Whoever does not know the end of a token's
 * signature is not compared with it, and so learns nothing of the token from how long a comparison takes; and nobody
 * can make authentic tokens that have the same end.
 *
 * A token that comes when the cache is full takes the place of one that was not asked for lately.
 */
export class TokenCache {
  readonly #capacity: number;
  /** By the end of the token. */
  readonly #entries = new Map<string, Entry>();
  /** All entries in the order in which the eviction comes by. */
  readonly #ring: Entry[] = [];
  #hand = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(token: string): Remembered | undefined {
    const entry = this.#entries.get(token.slice(-TAIL));
    if (entry === undefined || entry.text !== token) {
      return undefined;
    }
    entry.used = true;
    return entry;
  }

  put(token: string, remembered: Remembered): void {
    // The token may be part of a larger text, which must not be kept for it.
    const text = Buffer.from(token, "latin1").toString("latin1");
    const tail = text.slice(-TAIL);
    if (this.#capacity <= 0 || this.#entries.has(tail)) {
      return;
    }
    const entry: Entry = { ...remembered, text, used: false };
    if (this.#ring.length < this.#capacity) {
      this.#ring.push(entry);
    } else {
      this.#entries.delete(this.#replace(entry).text.slice(-TAIL));
    }
    this.#entries.set(tail, entry);
  }

  /** Forgets everything: a key was withdrawn. */
  clear(): void {
    this.#entries.clear();
    this.#ring.length = 0;
    this.#hand = 0;
  }

  /** Puts an entry in the place of another one, and returns that. */
  #replace(entry: Entry): Entry {
    for (let looked = 0; looked < LOOKED_AT && this.#ring[this.#hand]!.used; looked++) {
      this.#ring[this.#hand]!.used = false;
      this.#hand = (this.#hand + 1) % this.#ring.length;
    }
    const old = this.#ring[this.#hand]!;
    this.#ring[this.#hand] = entry;
    this.#hand = (this.#hand + 1) % this.#ring.length;
    return old;
  }
}
