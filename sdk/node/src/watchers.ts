import { covers, type Revocation } from "./revocations.js";
import type { Token } from "./token.js";

interface Watcher {
  readonly token: Token;
  readonly call: () => void;
}

/** Those who want to know when a token is revoked, by its session and by its user. */
export class Watchers {
  readonly #sessions = new Map<string, Set<Watcher>>();
  readonly #subjects = new Map<string, Set<Watcher>>();

  /** Calls `call` once the token is revoked, perhaps more than once, until the function that is returned is called. */
  add(token: Token, call: () => void): () => void {
    const added = { token, call };
    put(this.#sessions, token.sessionId, added);
    put(this.#subjects, token.subject, added);
    return () => {
      remove(this.#sessions, token.sessionId, added);
      remove(this.#subjects, token.subject, added);
    };
  }

  get size(): number {
    return this.#sessions.size + this.#subjects.size;
  }

  /** Calls everybody whose token is refused now. */
  tell(revocation: Revocation): void {
    const concerned =
      "sessionId" in revocation ? this.#sessions.get(revocation.sessionId) : this.#subjects.get(revocation.subject);
    for (const { token, call } of [...(concerned ?? [])]) {
      if (covers(revocation, token)) {
        call();
      }
    }
  }
}

function put(all: Map<string, Set<Watcher>>, key: string, added: Watcher): void {
  const some = all.get(key);
  if (some === undefined) {
    all.set(key, new Set([added]));
  } else {
    some.add(added);
  }
}

function remove(all: Map<string, Set<Watcher>>, key: string, removed: Watcher): void {
  const some = all.get(key);
  if (some?.delete(removed) === true && some.size === 0) {
    all.delete(key);
  }
}
