import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSessionId, parseUserId } from "../src/id.js";
import { KeySet, type PublicKey } from "../src/key.js";
import { MAX_TOKEN_BYTES } from "../src/options.js";
import { Engine } from "../src/rules.js";
import type { Token } from "../src/token.js";
import { bigintOf, corpusIsMissing, holdMembers, readJson, readLines } from "../testing/corpus.js";
import { corpusKeys } from "../testing/corpus-keys.js";

interface TokenCase {
  readonly name: string;
  readonly token: string;
  readonly keys: string[];
  readonly now_ms: number;
  readonly issuer: string;
  readonly default_audiences: string[];
  readonly audiences: string[];
  readonly leeway_ms: number;
  readonly revoked: { readonly sessions: string[]; readonly users: { subject: string; epoch: number | string }[] };
  readonly expect: { readonly invalid?: string; readonly verified?: object };
}

/** What the case is asked of. */
function engineFor(it: TokenCase, all: ReadonlyMap<string, PublicKey>): Engine {
  const rules = {
    issuer: it.issuer,
    audiences: it.default_audiences,
    leeway: it.leeway_ms,
    maxTokenBytes: MAX_TOKEN_BYTES,
  };
  const engine = new Engine(rules, 64);
  engine.trust(new KeySet(new Map(it.keys.map((id) => [id, all.get(id)!]))));
  for (const session of it.revoked.sessions) {
    engine.revocations.revokeSession(parseSessionId(session)!, 2 ** 52);
  }
  for (const { subject, epoch } of it.revoked.users) {
    engine.revocations.raiseEpoch(parseUserId(subject)!, bigintOf(epoch), 2 ** 52);
  }
  return engine;
}

/** A token as the corpus writes it. */
function written(token: Token): unknown {
  const identity: Record<string, unknown> = {
    subject: token.subject,
    username: token.username,
    session_id: token.sessionId,
    roles: token.roles,
    audiences: token.audiences,
    token_id: token.tokenId,
    issued_at: token.issuedAt,
    expires_at: token.expiresAt,
    auth_time: token.authTime,
    amr: token.amr,
    epoch: token.epoch,
    session_expires_at: token.sessionExpiresAt,
    custom_claims: token.customClaims,
  };
  if (token.subjectKind !== "user") {
    identity["subject_kind"] = token.subjectKind;
  }
  if (token.externalId !== undefined) {
    identity["external_id"] = token.externalId;
  }
  const text = JSON.stringify(identity, (_, value: unknown) => (typeof value === "bigint" ? `bigint:${value}` : value));
  return readJson(text.replace(/"bigint:(\d+)"/g, "$1"));
}

test("corpus: tokens, each asked twice", { skip: corpusIsMissing }, () => {
  const cases = readLines<TokenCase>("tokens.jsonl");
  assert.ok(cases.length >= 900, `only ${cases.length} cases`);
  const keys = corpusKeys();
  const wrong: string[] = [];
  for (const it of cases) {
    holdMembers(
      it.name,
      it,
      ...[
        "name",
        "token",
        "keys",
        "now_ms",
        "issuer",
        "default_audiences",
        "audiences",
        "leeway_ms",
        "revoked",
        "expect",
      ],
    );
    holdMembers(it.name, it.expect, "invalid", "verified");
    holdMembers(it.name, it.revoked, "sessions", "users");
    const engine = engineFor(it, keys);
    // The second time a good token is in the cache.
    for (const time of ["first", "second"]) {
      const answer = engine.verify(it.token, it.audiences, it.now_ms);
      const got = answer.outcome === "verified" ? undefined : answer.reason;
      if (got !== it.expect.invalid) {
        wrong.push(`${it.name}, the ${time} time: ${got ?? "verified"}, expected ${it.expect.invalid ?? "verified"}`);
      } else if (answer.outcome === "verified") {
        try {
          assert.deepEqual(written(answer.token), it.expect.verified);
        } catch (error) {
          wrong.push(`${it.name}, the ${time} time: ${(error as Error).message}`);
        }
      }
    }
  }
  assert.ok(wrong.length === 0, `${wrong.length} are wrong:\n${wrong.slice(0, 1000).join("\n")}`);
});
