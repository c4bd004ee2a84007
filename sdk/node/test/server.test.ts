import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { test, type TestContext } from "node:test";
import { systemClock, type Clock } from "../src/clock.js";
import { CallError, sessionEnded, type Tokens, Verifier, type Verification } from "../src/index.js";
import { balance } from "../testing/balance.js";
import { Deployment, freePort } from "../testing/deployment.js";
import { Queue, until, within } from "../testing/fake-server.js";

function said(verification: Verification): string {
  return verification.outcome === "invalid" ? verification.reason : verification.outcome;
}

test("a revocation reaches fifty verifiers", async (t) => {
  const d = await Deployment.start(t);
  if (d === undefined) {
    return;
  }
  const [count, rounds] = [50, 20];
  const client = d.client();
  const all: { verifier: Verifier; heard: Queue<number> }[] = [];
  for (let i = 0; i < count; i++) {
    const heard = new Queue<number>();
    all.push({ heard, verifier: await d.verifier({ onRevoked: () => heard.put(performance.now()) }) });
  }
  const delays: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const tokens = await d.login(client);
    for (const { verifier } of all) {
      assert.equal(said(await verifier.verify(tokens.accessToken)), "verified");
    }
    const position = await client.logout(tokens.refreshToken);
    const acknowledged = performance.now();
    assert.notEqual(position, "");
    for (const { verifier } of all.slice(0, 3)) {
      assert.equal(said(await verifier.verifyAtLeast(position, tokens.accessToken)), "REVOKED");
    }
    for (const { verifier, heard } of all) {
      delays.push(Math.max(0, (await heard.take("a verifier is told")) - acknowledged));
      assert.equal(said(verifier.verifyHere(tokens.accessToken)), "REVOKED");
    }
  }
  delays.sort((a, b) => a - b);
  const at = (share: number): string => `${delays[Math.floor(((delays.length - 1) * share) / 100)]!.toFixed(1)} ms`;
  t.diagnostic(
    `acknowledged to refused, ${count} verifiers, ${rounds} logouts: p50 ${at(50)}, p99 ${at(99)}, max ${at(100)}`,
  );
});

/** The system's clocks, some time later. */
class MovedClock implements Clock {
  #later = 0;

  wall(): number {
    return systemClock.wall() + this.#later;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.#later;
  }

  advance(milliseconds: number): void {
    this.#later += milliseconds;
  }
}

const BOUND = 10_000;

/** A verifier of each policy, over one clock. */
class Observed {
  readonly d: Deployment;
  readonly clock = new MovedClock();
  closed!: Verifier;
  asks!: Verifier;
  serves!: Verifier;
  good!: Tokens;
  revoked!: string;

  constructor(d: Deployment) {
    this.d = d;
  }

  static async start(t: TestContext): Promise<Observed | undefined> {
    const d = await Deployment.start(t);
    if (d === undefined) {
      return undefined;
    }
    const o = new Observed(d);
    const usual = { clock: o.clock, pingInterval: 100 };
    o.closed = await d.verifier({ ...usual, onStale: "fail-closed" });
    o.asks = await d.verifier({ ...usual, onStale: "ask-server" });
    o.serves = await d.verifier({ ...usual, onStale: "serve" });
    const client = d.client();
    o.good = await d.login(client);
    const bad = await d.login(client);
    o.revoked = bad.accessToken;
    await client.logout(bad.refreshToken);
    for (const verifier of o.all) {
      await o.untilRevoked(verifier, o.revoked);
      assert.equal(said(await verifier.verify(o.good.accessToken)), "verified");
    }
    return o;
  }

  get all(): Verifier[] {
    return [this.closed, this.asks, this.serves];
  }

  untilRevoked(verifier: Verifier, token: string): Promise<void> {
    return until("the revocation arrives", async () => said(await verifier.verify(token)) === "REVOKED");
  }

  /** Holds the verifiers to what they must do while the server cannot be heard. */
  async unheard(): Promise<void> {
    // A heartbeat may have been on its way.
    this.clock.advance(BOUND / 2);
    for (const verifier of this.all) {
      const age = verifier.staleness();
      assert.ok(age !== undefined && age >= BOUND / 2, `staleness ${age}`);
      assert.equal(said(await verifier.verify(this.good.accessToken)), "verified", "within the bound");
    }
    this.clock.advance(BOUND / 2 + 1000);
    const expected: [Verifier, string][] = [
      [this.closed, "unknown"],
      [this.asks, "unknown"],
      [this.serves, "verified"],
    ];
    for (const [verifier, outcome] of expected) {
      assert.equal(said(await verifier.verify(this.good.accessToken)), outcome, "past the bound");
      if (outcome === "verified") {
        assert.equal(said(await verifier.verify(this.revoked)), "REVOKED", "what is known is said");
      }
    }
  }

  async untilFresh(): Promise<void> {
    for (const verifier of this.all) {
      await until("it is fresh", () => (verifier.staleness() ?? Infinity) < BOUND / 4);
    }
  }

  /** Waits until the verifiers are fresh again, by themselves. */
  async heals(): Promise<void> {
    await this.untilFresh();
    for (const verifier of this.all) {
      assert.equal(said(await verifier.verify(this.good.accessToken)), "verified", "afterwards");
      assert.equal(said(await verifier.verify(this.revoked)), "REVOKED", "afterwards the revoked one");
    }
  }
}

test("the server is killed", async (t) => {
  const o = await Observed.start(t);
  if (o === undefined) {
    return;
  }
  o.d.stop(o.d.server);
  await o.unheard();
  await o.d.startServer();
  await o.heals();
  // What is revoked after the restart is heard.
  await o.d.client().logout(o.good.refreshToken);
  for (const verifier of o.all) {
    await o.untilRevoked(verifier, o.good.accessToken);
  }
});

test("the stream stalls", async (t) => {
  const o = await Observed.start(t);
  if (o === undefined) {
    return;
  }
  await o.d.halt();
  await o.unheard();
  o.d.resume();
  await o.heals();
});

test("Redis dies: the ledger is in the database, so revocations go on, and verifiers stay fresh", async (t) => {
  const o = await Observed.start(t);
  if (o === undefined) {
    return;
  }
  o.d.stop(o.d.redis);
  const client = o.d.client();
  await client.logout(o.good.refreshToken);
  for (const verifier of o.all) {
    await o.untilRevoked(verifier, o.good.accessToken);
  }
  o.clock.advance(BOUND / 2);
  await o.untilFresh();
  await o.d.startRedis();
  // Logins work again by themselves.
  await until("a login after Redis came back", async () => {
    const tokens: Tokens | undefined = await o.d.login(client).catch(() => undefined);
    o.good = tokens ?? o.good;
    return tokens !== undefined;
  });
  await o.heals();
});

test("the database is restored from a backup: everything is loaded anew, and nothing that was revoked comes back", async (t) => {
  const o = await Observed.start(t);
  if (o === undefined) {
    return;
  }
  await o.d.kill(o.d.server);
  const restore = o.d.backUp();
  await o.d.startServer();
  await o.heals();
  const client = o.d.client();
  const lost = await o.d.login(client);
  await client.logout(lost.refreshToken);
  for (const verifier of o.all) {
    await o.untilRevoked(verifier, lost.accessToken);
  }
  await o.d.kill(o.d.server);
  restore();
  await o.d.startServer();
  o.clock.advance(BOUND / 2);
  await o.heals();
  for (const verifier of o.all) {
    assert.equal(said(await verifier.verify(lost.accessToken)), "REVOKED");
  }
  // What is revoked after that is heard, though its number may have been told before.
  await client.logout(o.good.refreshToken);
  for (const verifier of o.all) {
    await o.untilRevoked(verifier, o.good.accessToken);
  }
});

test("a rolling restart of two replicas refuses no good token", async (t) => {
  const d = await Deployment.start(t);
  if (d === undefined) {
    return;
  }
  const replicas = [
    { address: d.grpc, server: d.server },
    { address: `127.0.0.1:${await freePort()}`, server: undefined as ChildProcess | undefined },
  ];
  const [first, second] = replicas as [(typeof replicas)[0], (typeof replicas)[0]];
  second.server = await d.startReplica(second.address);
  t.after(() => replicas.forEach(({ server }) => d.stop(server)));
  const ready = new Set([first.address, second.address]);
  const service = await balance(t, ready);
  const client = d.client({ endpoint: `http://${service}` });
  const verifiers = await Promise.all(
    Array.from({ length: 4 }, () => d.verifier({ endpoint: `http://${service}`, pingInterval: 100 })),
  );
  const tokens = await d.login(client);
  let isOver = false;
  let asked = 0;
  const asking = (async () => {
    while (!isOver) {
      for (const verifier of verifiers) {
        asked++;
        assert.equal(said(await verifier.verify(tokens.accessToken)), "verified");
      }
      await new Promise(setImmediate);
    }
  })();
  const streams = (): number => verifiers.reduce((sum, it) => sum + it.statistics().streamsEnded, 0);
  for (const replica of [first, second, first, second]) {
    // As Kubernetes does it: no new connection comes, and the server is asked to stop.
    ready.delete(replica.address);
    const gone = new Promise((resolve) => replica.server?.once("exit", resolve));
    replica.server?.kill("SIGTERM");
    await within("the replica stops", gone);
    replica.server = await d.startReplica(replica.address);
    ready.add(replica.address);
  }
  await until("each verifier is fresh", () => verifiers.every((it) => (it.staleness() ?? Infinity) < 1000));
  isOver = true;
  await asking;
  assert.ok(streams() > 0, "no stream has ended");
  t.diagnostic(`${asked} verifications, ${streams()} streams ended, and not one good token was refused`);
  const position = await client.logout(tokens.refreshToken);
  for (const verifier of verifiers) {
    assert.equal(said(await verifier.verifyAtLeast(position, tokens.accessToken)), "REVOKED");
  }
});

test("a client and a verifier through a whole session, eight at once", async (t) => {
  const d = await Deployment.start(t);
  if (d === undefined) {
    return;
  }
  const [client, verifier] = [d.client(), await d.verifier()];
  const session = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      const tokens: Tokens = await d.login(client);
      assert.equal(said(await verifier.verify(tokens.accessToken)), "verified");
      const next = await client.refresh(tokens.refreshToken);
      const own = await client.auth.listOwnSessions({ refreshToken: next.refreshToken });
      assert.ok(own.sessions.some(({ id }) => id === own.currentSessionId));
      const position = await client.logout(next.refreshToken);
      assert.equal(said(await verifier.verifyAtLeast(position, next.accessToken)), "REVOKED");
      await assert.rejects(client.refresh(next.refreshToken), (error) => {
        assert.ok(error instanceof CallError && sessionEnded(error), String(error));
        assert.equal(error.endCause, "LOGGED_OUT");
        return true;
      });
    }
  };
  await Promise.all(Array.from({ length: 8 }, session));
  const tokens = await d.login(client);
  const wrong = client.changePassword({
    refreshToken: tokens.refreshToken,
    currentPassword: "wrong",
    newPassword: "another horse",
  });
  await assert.rejects(wrong, { reason: "INVALID_CREDENTIALS" });
});

test("a server whose rule names a role tells those alone who have it", async (t) => {
  const rule = '[[grpc.allow]]\nmethods = ["countersign.v1.RevocationService/*"]\nroles = ["orders"]\n';
  const d = await Deployment.start(t, rule);
  if (d === undefined) {
    return;
  }
  const client = d.client();
  const warned = new Queue<string>();
  const logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: (_: string, details?: object) => warned.put(JSON.stringify(details)),
  };
  const stranger = Verifier.connect({
    endpoint: `http://${d.grpc}`,
    issuer: "countersign",
    audiences: ["countersign"],
    logger,
  });
  t.after(() => stranger.close());
  assert.match(await warned.take("a warning"), /TOKEN_MISSING|CALLER_NOT_ALLOWED/);
  assert.equal(stranger.isReady, false);
  const verifier = await d.verifier({ credential: async () => (await d.login(client)).accessToken });
  const tokens = await d.login(client);
  assert.equal(said(await verifier.verify(tokens.accessToken)), "verified");
});

test("a backend with a service key makes a user, ends their sessions and deletes them", async (t) => {
  const d = await Deployment.start(t);
  if (d === undefined) {
    return;
  }
  d.run("", "service-account", "create", "shop", "--role", "countersign:admin");
  const made = d.run("", "service-account", "key", "create", "shop", "--json");
  const credential = /csgn_sk_[\w-]+/.exec(made)?.[0] ?? "";
  const [client, verifier] = [d.client({ credential }), await d.verifier()];
  const password = "correct horse battery staple";
  const { user } = await client.users.createUser({
    username: "grace",
    credential: { case: "password", value: password },
    roles: ["buyer"],
    customClaims: { tenant: 7 },
  });
  const ref = { user: { case: "userId" as const, value: user!.id } };
  const found = await client.users.getUser({ user: ref });
  assert.deepEqual(found.user?.customClaims, { tenant: 7 });
  const tokens = await client.login({ username: "grace", password, client: { name: "a test" } });
  const verified = await verifier.verify(tokens.accessToken);
  assert.ok(
    verified.outcome === "verified" && verified.token.hasRole("buyer") && verified.token.customClaims["tenant"] === 7,
  );
  const { sessions } = await client.sessions.listSessions({ user: ref });
  assert.deepEqual(
    sessions.map(({ client: facts }) => facts?.name),
    ["a test"],
  );
  const { revoked, position } = await client.sessions.revokeSessions({ user: ref, all: true });
  assert.equal(revoked, 1);
  assert.equal(said(await verifier.verifyAtLeast(position, tokens.accessToken)), "REVOKED");
  await client.users.deleteUser({ user: ref });
  await assert.rejects(client.users.getUser({ user: ref }), { code: "NOT_FOUND", reason: "USER_NOT_FOUND" });
  await assert.rejects(d.client().users.getUser({ user: ref }), { code: "UNAUTHENTICATED", reason: "TOKEN_MISSING" });
});
