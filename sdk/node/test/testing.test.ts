import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { CallError, type Verification, type Verifier } from "../src/index.js";
import { TestServer, type TokenState, type World } from "../src/testing.js";
import { hasTool } from "../testing/tool.js";

const PASSWORD = "correct horse battery staple";

/** A world of the server that the tests of this file share; undefined where there is no binary. */
async function world(t: TestContext): Promise<World | undefined> {
  if (!hasTool(t, "COUNTERSIGN_BIN (the path of the server's binary)", process.env["COUNTERSIGN_BIN"] ?? "")) {
    return undefined;
  }
  const it = (await TestServer.shared()).world();
  t.after(() => it.close());
  return it;
}

function said(verification: Verification): string {
  return verification.outcome === "invalid" ? verification.reason : verification.outcome;
}

/** What a verifier says of a token in a state, when it knows of its revocation. */
async function presented(here: World, verifier: Verifier, state: TokenState): Promise<Verification> {
  const { token, position } = await here.accessToken({ state });
  return position === "" ? verifier.verify(token) : verifier.verifyAtLeast(position, token);
}

test("a token in each state is what a verifier says it is", async (t) => {
  const here = await world(t);
  if (here === undefined) {
    return;
  }
  const verifier = await here.verifier();
  const states: readonly (readonly [TokenState, string])[] = [
    ["expired", "EXPIRED"],
    ["not-yet-valid", "NOT_YET_VALID"],
    ["wrong-audience", "WRONG_AUDIENCE"],
    ["wrong-issuer", "WRONG_ISSUER"],
    ["revoked", "REVOKED"],
    ["unknown-key", "UNKNOWN_KEY"],
    ["withdrawn-key", "UNKNOWN_KEY"],
    ["bad-signature", "BAD_SIGNATURE"],
    ["malformed", "MALFORMED"],
    ["good", "verified"],
  ];
  const answers = [];
  for (const [state] of states) {
    answers.push([state, said(await presented(here, verifier, state))]);
  }
  assert.deepEqual(answers, states);
  const claims = { tenant: "acme", seats: 7 };
  const minted = await here.accessToken({ username: "ada", roles: ["admin"], claims, externalId: "42" });
  const verification = await verifier.verify(minted.token);
  if (verification.outcome !== "verified") {
    assert.fail(said(verification));
  }
  const { token } = verification;
  assert.deepEqual([token.username, token.roles[0], token.externalId], ["ada", "admin", "42"]);
  assert.equal(minted.userId, token.subject);
});

test("a session lives through its life by the world's clock", async (t) => {
  const here = await world(t);
  if (here === undefined) {
    return;
  }
  const [verifier, client] = [await here.verifier(), here.client()];
  await client.users.createUser({ username: "ada", credential: { case: "password", value: PASSWORD } });
  const first = await client.login({ username: "ada", password: PASSWORD });
  assert.equal(said(await verifier.verify(first.accessToken)), "verified");
  await here.advance(6 * 60_000);
  assert.equal(said(await verifier.verify(first.accessToken)), "EXPIRED");
  const second = await client.refresh(first.refreshToken);
  assert.equal(said(await verifier.verify(second.accessToken)), "verified");
  const position = await client.logout(second.refreshToken);
  assert.equal(said(await verifier.verifyAtLeast(position, second.accessToken)), "REVOKED");
});

test("a verifier grows stale when its stream is stalled, and recovers", async (t) => {
  const here = await world(t);
  if (here === undefined) {
    return;
  }
  const verifier = await here.verifier();
  const { token } = await here.accessToken({ lifetime: 3_600_000 });
  await here.stallStreams();
  await here.advance(30_000);
  assert.equal(said(await verifier.verify(token)), "unknown");
  await here.resumeStreams();
  await here.advance(30_000);
  assert.equal(said(await verifier.verify(token)), "verified");
  await here.endStreams();
  assert.equal(said(await verifier.verify(token)), "verified");
});

test("a client tries again what fails for a moment, and no more", async (t) => {
  const here = await world(t);
  if (here === undefined) {
    return;
  }
  const client = here.client();
  const { token } = await here.refreshToken();
  const refresh = "countersign.v1.AuthService/Refresh";
  await here.fail(refresh, { code: 14, times: 1 });
  await client.refresh(token);
  await here.fail(refresh, { reason: "SESSION_REVOKED" });
  await assert.rejects(client.refresh(token), (error) => error instanceof CallError && error.reason === "SESSION_REVOKED");
  await here.clearFailures();
  await client.refresh(token);
});

test("worlds do not see each other, over HTTP neither, and one can be made anew", async (t) => {
  const [one, two] = [await world(t), await world(t)];
  if (one === undefined || two === undefined) {
    return;
  }
  const [client, other] = [one.client(), two.client()];
  await client.users.createUser({ username: "ada", credential: { case: "password", value: PASSWORD } });
  const login = { username: "ada", password: PASSWORD };
  await assert.rejects(other.login(login), (error) => error instanceof CallError && error.reason === "INVALID_CREDENTIALS");
  await client.login(login);
  const kid = async ({ jwksUrl }: World): Promise<unknown> => {
    const { keys } = (await (await fetch(jwksUrl)).json()) as { keys: { kid: string }[] };
    return keys[0]?.kid;
  };
  assert.notEqual(await kid(one), await kid(two));
  await one.reset();
  await assert.rejects(client.login(login));
});

test("a server that does not start says why, and one that is stopped is gone", async (t) => {
  await assert.rejects(TestServer.start({ binary: "/nowhere/countersign" }), /cannot run \/nowhere\/countersign/);
  if ((await world(t)) === undefined) {
    return;
  }
  await assert.rejects(TestServer.start({ arguments: ["--listen", "0.0.0.0:0"] }), /grpc\.listen/);
  const server = await TestServer.start({ arguments: ["--issuer", "https://auth.test"] });
  assert.equal(server.issuer, "https://auth.test");
  await server.stop();
  await assert.rejects(fetch(`${server.http}/.well-known/jwks.json`));
});

test("the example of docs/testing.md passes", async (t) => {
  if ((await world(t)) === undefined) {
    return;
  }
  const page = readFileSync(new URL("../../../../docs/testing.md", import.meta.url), "utf8");
  const example = /```js\n([^]*?)```/.exec(page)?.[1];
  assert.ok(example !== undefined);
  const folder = new URL("../example/", import.meta.url);
  mkdirSync(folder, { recursive: true });
  const file = new URL("page.test.mjs", folder);
  writeFileSync(file, example);
  const run = spawn(process.execPath, ["--test", fileURLToPath(file)], {
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  run.stdout.on("data", (data: Buffer) => {
    said += data.toString();
  });
  const [code] = (await once(run, "close")) as [number];
  assert.equal(code, 0, said);
  assert.match(said, /pass 1\n/);
});

test("neither the run of the tests waits for the server nor the server outlives it", async (t) => {
  if ((await world(t)) === undefined) {
    return;
  }
  const script = `
    import { TestServer } from "@countersign/node/testing";
    const server = await TestServer.start();
    console.log(server.http);
  `;
  const run = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let http = "";
  run.stdout.on("data", (data: Buffer) => {
    http += data.toString();
  });
  const [code] = (await once(run, "close")) as [number];
  assert.equal(code, 0);
  // The server's own end follows within a moment.
  for (const latest = performance.now() + 10_000; performance.now() < latest; ) {
    const gone = await fetch(`${http.trim()}/.well-known/jwks.json`).then(
      () => false,
      () => true,
    );
    if (gone) {
      return;
    }
  }
  assert.fail("the server outlives the run");
});
