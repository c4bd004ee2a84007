import { randomBytes } from "node:crypto";
import type { Id } from "./id.js";
import type { Token } from "./token.js";

/** Something that is refused from now on. */
export type Revocation =
  /** One session has ended: {@link Token.sessionId}. */
  | { readonly sessionId: string }
  /** All sessions of a user ({@link Token.subject}) have ended that have a smaller {@link Token.epoch} than this. */
  | { readonly subject: string; readonly epoch: bigint };

/** Whether a revocation refuses the token. */
export function covers(revocation: Revocation, token: Token): boolean {
  return "sessionId" in revocation
    ? revocation.sessionId === token.sessionId
    : revocation.subject === token.subject && token.epoch < revocation.epoch;
}

/** Into how many tables the ids are divided, so that none takes long to be made larger or to be purged. */
const SHARDS = 64;

/**
 * What is revoked. It is only added to, and forgets what cannot matter any more. A million sessions take about 50 MiB,
 * outside of the heap that is searched for garbage.
 */
export class Revocations {
  readonly #sessions: IdTable[] = [];
  readonly #users: EpochTable[] = [];

  constructor() {
    const seed = randomBytes(4).readInt32LE();
    for (let i = 0; i < SHARDS; i++) {
      this.#sessions.push(new IdTable(seed));
      this.#users.push(new EpochTable(seed));
    }
  }

  isRevoked(user: Id, session: Id, epoch: bigint): boolean {
    if (shard(this.#sessions, session).find(session) >= 0) {
      return true;
    }
    const users = shard(this.#users, user);
    const place = users.find(user);
    return place >= 0 && epoch < users.epoch(place);
  }

  /**
   * Refuses a session, and remembers it at least until `forgetAt` (milliseconds since 1970). Whether it was not refused
   * before.
   */
  revokeSession(session: Id, forgetAt: number): boolean {
    return shard(this.#sessions, session).put(session, forgetAt);
  }

  /**
   * Refuses smaller epochs of a user, and remembers that at least until `forgetAt`. Whether a token is refused now that
   * was not before.
   */
  raiseEpoch(user: Id, epoch: bigint, forgetAt: number): boolean {
    const users = shard(this.#users, user);
    users.put(user, forgetAt);
    return users.raise(users.find(user), epoch);
  }

  /**
   * Forgets what need not be remembered at `now`. Stops after each of its tables, so that the caller can do something
   * else.
   */
  *purging(now: number): Generator<void, void, undefined> {
    for (const table of [...this.#sessions, ...this.#users]) {
      table.purge(now);
      yield;
    }
  }

  /** Does so at a stretch. */
  purge(now: number): void {
    for (const _ of this.purging(now));
  }

  /** How many sessions and users are remembered. */
  get size(): number {
    return [...this.#sessions, ...this.#users].reduce((sum, table) => sum + table.size, 0);
  }
}

/** Takes bits that are random in both kinds of id and that only the server chooses. */
function shard<T>(tables: readonly T[], id: Id): T {
  return tables[id.d & (SHARDS - 1)]!;
}

const FIRST_CAPACITY = 16;

/**
 * Ids, each with the time until which it is remembered, in arrays of numbers: a `Map` of strings takes several times as
 * much, and the garbage collector would walk through all of it. Open addressing, with places that are searched one
 * after another, and never more than three quarters full. The hash is seeded, and ids are chosen by the server.
 */
class IdTable {
  readonly #seed: number;
  #ids = new Int32Array(4 * FIRST_CAPACITY);
  /** 0 where a place is free. */
  #forgetAt = new Float64Array(FIRST_CAPACITY);
  #size = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  get size(): number {
    return this.#size;
  }

  protected get capacity(): number {
    return this.#forgetAt.length;
  }

  /** The place of an id, or -1. */
  find(id: Id): number {
    const place = this.#search(id);
    return this.#forgetAt[place] === 0 ? -1 : place;
  }

  /** Remembers an id at least until `forgetAt`. Whether it was not remembered before. */
  put(id: Id, forgetAt: number): boolean {
    let place = this.#search(id);
    const known = this.#forgetAt[place]!;
    const until = forgetAt === 0 ? Number.MIN_VALUE : forgetAt;
    if (known !== 0) {
      this.#forgetAt[place] = Math.max(known, until);
      return false;
    }
    if ((this.#size + 1) * 4 > this.capacity * 3) {
      this.#rebuild(this.capacity * 2, -Infinity);
      place = this.#search(id);
    }
    this.#write(place, id, until);
    return true;
  }

  /** Forgets what need not be remembered at `now`. */
  purge(now: number): void {
    let left = 0;
    for (const forgetAt of this.#forgetAt) {
      left += forgetAt !== 0 && forgetAt > now ? 1 : 0;
    }
    if (left === this.#size) {
      return;
    }
    let capacity = FIRST_CAPACITY;
    while ((left + 1) * 4 > capacity * 3) {
      capacity *= 2;
    }
    this.#rebuild(capacity, now);
  }

  /** Called when ids move: `from` of the old places becomes `to` of the new ones. */
  protected moved(_from: number, _to: number): void {}

  /** Called before ids move to so many places. */
  protected resized(_capacity: number): void {}

  /** Where the id is, or the free place for it. */
  #search({ a, b, c, d }: Id): number {
    const ids = this.#ids;
    const forgetAt = this.#forgetAt;
    const mask = forgetAt.length - 1;
    let hash = Math.imul(a ^ this.#seed, 0x9e3779b1);
    hash = Math.imul(hash ^ b ^ (hash >>> 15), 0x85ebca6b);
    hash = Math.imul(hash ^ c ^ (hash >>> 13), 0xc2b2ae35);
    hash = Math.imul(hash ^ d ^ (hash >>> 16), 0x27d4eb2f);
    for (let place = (hash ^ (hash >>> 15)) & mask; ; place = (place + 1) & mask) {
      const at = place * 4;
      if (forgetAt[place] === 0 || (ids[at] === a && ids[at + 1] === b && ids[at + 2] === c && ids[at + 3] === d)) {
        return place;
      }
    }
  }

  #write(place: number, { a, b, c, d }: Id, forgetAt: number): void {
    this.#ids[place * 4] = a;
    this.#ids[place * 4 + 1] = b;
    this.#ids[place * 4 + 2] = c;
    this.#ids[place * 4 + 3] = d;
    this.#forgetAt[place] = forgetAt;
    this.#size++;
  }

  #rebuild(capacity: number, now: number): void {
    const ids = this.#ids;
    const forgetAt = this.#forgetAt;
    this.#ids = new Int32Array(4 * capacity);
    this.#forgetAt = new Float64Array(capacity);
    this.#size = 0;
    this.resized(capacity);
    for (let from = 0; from < forgetAt.length; from++) {
      const until = forgetAt[from]!;
      if (until !== 0 && until > now) {
        const at = from * 4;
        const id = { a: ids[at]!, b: ids[at + 1]!, c: ids[at + 2]!, d: ids[at + 3]! };
        const to = this.#search(id);
        this.#write(to, id, until);
        this.moved(from, to);
      }
    }
  }
}

/** Ids of users, each with the smallest epoch that is accepted. */
class EpochTable extends IdTable {
  #epochs = new BigUint64Array(FIRST_CAPACITY);
  #before = this.#epochs;

  epoch(place: number): bigint {
    return this.#epochs[place]!;
  }

  /** Raises the epoch at a place. Whether it was smaller. */
  raise(place: number, epoch: bigint): boolean {
    if (epoch <= this.#epochs[place]!) {
      return false;
    }
    this.#epochs[place] = epoch;
    return true;
  }

  protected override resized(capacity: number): void {
    this.#before = this.#epochs;
    this.#epochs = new BigUint64Array(capacity);
  }

  protected override moved(from: number, to: number): void {
    this.#epochs[to] = this.#before[from]!;
  }
}
