/**
 * Breaks each rule of the design's sections on Verify and on revocation in a copy of what the tests run, and expects
 * the corpus to notice:
 *
 * npm run mutants npm run mutants -- 'exp|iat'
 *
 * An argument is a regular expression that chooses rules.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

interface Mutant {
  /** The rule that is broken. */
  readonly rule: string;
  /** The file in src. */
  readonly file: string;
  /** What stands there once. */
  readonly before: string;
  /** What is put in its place. */
  readonly after: string;
  /** Is in what the failing tests say. */
  readonly caughtBy: string;
}

/** The changes are made to what TypeScript has built, which is the source without its types. */
const MUTANTS: readonly Mutant[] = [
  // Size and shape.
  m("size cap", "options", "MAX_TOKEN_BYTES = 8192", "MAX_TOKEN_BYTES = 9000", "8193 bytes"),
  m(
    "three parts",
    "jws",
    'const last = token.lastIndexOf(".");',
    'token = token.split(".").slice(0, 3).join(".");\n    const last = token.lastIndexOf(".");',
    "four parts",
  ),
  m("no empty part", "jws", 'if (part === "")', "if (false)", "an empty signature"),
  m("one spelling", "jws", 'decoded.toString("base64url") === part', "decoded.length > 0 || part", "trailing bits"),
  m(
    "no line breaks",
    "jws",
    'decoded.toString("base64url") === part',
    'decoded.toString("base64url") === part.replace(/[\\r\\n]/g, "")',
    "a line break after",
  ),
  m("no name twice", "strict-json", "if (name in object)", "if (false)", "alg twice"),
  m("UTF-8", "strict-json", "fatal: true", "fatal: false", "not UTF-8"),
  m(
    "no lone surrogates",
    "strict-json",
    "first > 0xdbff || second < 0xdc00 || second > 0xdfff",
    "false",
    "two halves that are no pair",
  ),
  m("nesting is bounded", "strict-json", "MAX_DEPTH = 127", "MAX_DEPTH = 100_000", "deep"),
  // The header.
  m("typ", "jws", "/^(?:application\\/)?at\\+jwt$/i.test(header.typ)", 'header.typ !== ""', 'typ "JWT"'),
  m("alg of exactly the key", "rules", "if (header.alg !== key.algorithm)", "if (false)", "alg none"),
  m(
    "alg from the header alone",
    "rules",
    "if (header.alg !== key.algorithm)",
    'if (!["EdDSA", "ES256", "RS256"].includes(header.alg))',
    "ES256 by the EdDSA key",
  ),
  m(
    "kid names a key",
    "rules",
    'if (header.kid === undefined) {\n            return "UNKNOWN_KEY";\n        }\n        const key = this.#keys.keys.get(header.kid);',
    "const key = this.#keys.keys.get(header.kid) ?? [...this.#keys.keys.values()].find((it) => it.algorithm === header.alg);",
    "no kid",
  ),
  m("no crit, no key of its own", "rules", "if (header.hasForbidden)", "if (false)", "crit"),
  // The signature.
  m("EdDSA signature", "key", "&& verify(null, signed, this.#key, signature)", "", "of another token"),
  m(
    "ES256 signature",
    "key",
    '&& verify("sha256", signed, { key: this.#key, dsaEncoding: "ieee-p1363" }, signature)',
    "",
    "its bytes reversed",
  ),
  m(
    "ES256 signature of 64 bytes",
    "key",
    'signature.length === 64 && verify("sha256"',
    '(signature = signature.subarray(0, 64)).length === 64 && verify("sha256"',
    "a byte too many",
  ),
  m(
    "RS256 signature",
    "key",
    'return verify("sha256", signed, this.#key, signature);',
    "return signature.length === 256;",
    "ones",
  ),
  // Claims.
  m("a service is its own client", "claims", 'if (isService && take("client_id") !== sub)', 'if (isService && take("client_id") === "")', "client_id"),
  m("iss", "rules", "if (claims.issuer !== this.rules.issuer)", "if (false)", "the issuer is one exact string"),
  m(
    "aud is required",
    "rules",
    "if (!claims.token.audiences.some",
    "if (audiences.length > 0 && !claims.token.audiences.some",
    "no audience is never any audience",
  ),
  m(
    "aud is exact",
    "rules",
    "expected.includes(audience)",
    "expected.some((it) => it.toLowerCase() === audience.toLowerCase())",
    'aud "ORDERS"',
  ),
  m("exp without leeway", "rules", "now >= claims.expiresAt", "now >= claims.expiresAt + 5000", "exp -1 s"),
  m("exp is the first moment", "rules", "now >= claims.expiresAt", "now > claims.expiresAt", "at exp"),
  m("iat", "rules", "claims.issuedAt > latest || ", "", "iat +6 s"),
  m("nbf", "rules", " || claims.notBefore > latest", "", "nbf +6 s"),
  m("leeway", "rules", "const latest = now + this.rules.leeway", "const latest = now", "iat +5 s"),
  m(
    "times are integers",
    "claims",
    "/^[0-9]{1,20}$/.test(digits) ? BigInt(digits)",
    "/^[0-9.]{1,20}$/.test(digits) ? BigInt(Math.floor(Number(digits)))",
    "1700000900.0",
  ),
  m("times are exact", "claims", "seconds <= LARGEST_EXACT", "true", "9007199254740993"),
  m("an epoch is read exactly", "claims", "? BigInt(digits)", "? BigInt(Number(digits))", "an epoch of 64 bits"),
  m("no control characters", "claims", " && !/\\p{Cc}/u.test(value)", "", "with NUL"),
  m("one spelling of a user", "id", "UUID.test(text) ?", "UUID.test(text.toLowerCase()) ?", "42424A"),
  m(
    "every claim is required",
    "claims",
    "return Array.isArray(value) ?",
    "return value === null ? [] : Array.isArray(value) ?",
    "roles null",
  ),
  // Revocation.
  m(
    "session",
    "revocations",
    "if (shard(this.#sessions, session).find(session) >= 0)",
    "if (false)",
    "its session is revoked",
  ),
  m("epoch", "revocations", "return place >= 0 && epoch < users.epoch(place)", "return false", "above the token's own"),
  m(
    "its own epoch is good",
    "revocations",
    "epoch < users.epoch(place)",
    "epoch <= users.epoch(place)",
    "to the token's own",
  ),
  m(
    "revocation on a hit",
    "rules",
    "const reason = this.#check(known.claims, audiences, now);",
    'const found = this.#check(known.claims, audiences, now);\n            const reason = found === "REVOKED" ? undefined : found;',
    "snapshot-and-deltas",
  ),
  m(
    "exp on a hit",
    "rules",
    "const reason = this.#check(known.claims, audiences, now);",
    'const found = this.#check(known.claims, audiences, now);\n            const reason = found === "EXPIRED" ? undefined : found;',
    "expires-while-remembered",
  ),
  m(
    "aud on a hit",
    "rules",
    "this.#check(known.claims, audiences, now)",
    "this.#check(known.claims, known.claims.token.audiences, now)",
    "the second time: verified",
  ),
  m("a withdrawn key empties the cache", "rules", "this.cache.clear();", "", "key-withdrawn"),
  m(
    "an epoch never falls",
    "revocations",
    "if (epoch <= this.#epochs[place])",
    "if (epoch === this.#epochs[place])",
    "epoch-never-falls",
  ),
  m("forgotten at its time", "revocations", "table.purge(now);", "table.purge(now + 1);", "forgotten"),
  // Freshness.
  m(
    "counted from when the ping was sent",
    "follower",
    "recordAnswer(answered.sent,",
    "recordAnswer(this.#clock.monotonic(),",
    "heartbeat-late",
  ),
  m(
    "the server's own staleness",
    "follower",
    "Number(age.seconds) * 1000 + age.nanos / 1e6",
    "0",
    "snapshot-and-deltas",
  ),
  m(
    "only an echoed ping proves",
    "follower",
    'throw nonsense("an answer to no ping");',
    "this.#engine.freshness.recordAnswer(this.#clock.monotonic(), 0);\n            return;",
    "heartbeat-for-no-ping",
  ),
  m(
    "the watermark",
    "follower",
    "this.#position === undefined || this.#position.sequence < heartbeat.sequence",
    "false",
    "heartbeat-for-more-than-was-sent",
  ),
  m(
    "a snapshot may take its time",
    "follower",
    "Math.max(oldest.sent, conversation.latestPart)",
    "oldest.sent",
    "a-large-snapshot",
  ),
  m(
    "silence ends the stream",
    "follower",
    "monotonic - Math.max(oldest.sent, conversation.latestPart) > this.#patience",
    "false",
    "silence",
  ),
  m("resynchronise begins anew", "follower", 'why === "resynchronise" || ', "", "resynchronise"),
  m(
    "a position is an incarnation's",
    "follower",
    "conversation.incarnation = begin.incarnation",
    "conversation.incarnation = 1n",
    "another-incarnation",
  ),
  m("the wall clock steps", "clock", " || this.drift(wall, monotonic) > CLOCK_STEP", "", "clock-step"),
  m(
    "the bound",
    "verifier",
    "staleness !== undefined && staleness <= maxStaleness",
    "staleness !== undefined",
    "heartbeat-late",
  ),
  m(
    "an unknown key in a stale view",
    "verifier",
    'verification.reason === "UNKNOWN_KEY" && !fresh ?',
    "false ?",
    "key-unknown-while-stale",
  ),
  // Keys.
  m("RSA keys of 2048 bits and more", "key", "MIN_RSA_BITS = 2048", "MIN_RSA_BITS = 1024", "an RSA key of 1024 bits"),
  m("a key has one algorithm", "key", ".startsWith(IDENTIFIERS[algorithm])", '.startsWith("30")', "key as"),
];

function m(rule: string, file: string, before: string, after: string, caughtBy: string): Mutant {
  return { rule, file: `${file}.js`, before, after, caughtBy };
}

const root = mkdtempSync(join(tmpdir(), "countersign-mutants-"));
process.once("exit", () => rmSync(root, { recursive: true, force: true }));
const home = fileURLToPath(new URL("../..", import.meta.url));
const copy = join(root, "node");
for (const folder of ["src", "test", "testing"]) {
  cpSync(join(home, "build", folder), join(copy, "build", folder), { recursive: true });
}
cpSync(join(home, "package.json"), join(copy, "package.json"));
symlinkSync(join(home, "node_modules"), join(copy, "node_modules"));
symlinkSync(join(home, "../conformance"), join(root, "conformance"));

/** Runs the corpus, and returns what it says where it fails. */
function runCorpus(): string | undefined {
  const files = ["keys", "tokens", "streams"].map((it) => `build/test/corpus-${it}.test.js`);
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--test", "--test-reporter=tap", ...files], {
    cwd: copy,
    encoding: "utf8",
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    maxBuffer: 2 ** 28,
  });
  return status === 0 ? undefined : stdout + stderr;
}

const untouched = runCorpus();
if (untouched !== undefined) {
  throw new Error(`without a change the corpus says:\n${untouched}`);
}
const chosen = new RegExp(process.argv[2] ?? "");
let failed = 0;
for (const { rule, file, before, after, caughtBy } of MUTANTS.filter((it) => chosen.test(it.rule))) {
  const path = join(copy, "build/src", file);
  const source = readFileSync(path, "utf8");
  const parts = source.split(before);
  let said;
  if (parts.length !== 2) {
    said = `${file} has ${parts.length - 1} times: ${before}`;
  } else {
    writeFileSync(path, parts.join(after));
    const output = runCorpus();
    writeFileSync(path, source);
    if (output === undefined) {
      said = "nothing notices";
    } else if (/SyntaxError|ReferenceError/.test(output)) {
      said = `does not run:\n${output.slice(0, 2000)}`;
    } else if (
      !output
        .split("\n")
        .some((line) => line.includes(caughtBy) && !line.startsWith("ok ") && !line.startsWith("# Subtest"))
    ) {
      said = `is noticed, but not by ${JSON.stringify(caughtBy)}:\n${output.slice(0, 2000)}`;
    }
  }
  failed += said === undefined ? 0 : 1;
  console.log(`${said === undefined ? "caught" : "NOT CAUGHT"}: ${rule}${said === undefined ? "" : `: ${said}`}`);
}
if (failed > 0) {
  console.error(`${failed} mutants are not caught`);
  process.exit(1);
}
