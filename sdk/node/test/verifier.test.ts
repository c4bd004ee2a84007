import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer } from "node:net";
import { test } from "node:test";
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import type { VerifierOptions } from "../src/options.js";
import { covers, type Revocation } from "../src/revocations.js";
import * as fastify from "../src/fastify.js";
import * as grpc from "../src/grpc.js";
import * as http from "../src/http.js";
import { Client, Verifier, type Token, type Verification } from "../src/index.js";
import { CountersignGuard } from "../src/nestjs.js";
import { WatchRevocationsResponseSchema } from "../src/stubs/countersign/v1/revocation_service_pb.js";
import { TestClock } from "../testing/clock.js";
import { formatUserId } from "../src/id.js";
import { FakeServer, Queue, until, within } from "../testing/fake-server.js";
import { connect, following, quick } from "../testing/following.js";
import { TestSigner, testId } from "../testing/forge.js";

function reasonOf(verification: Verification): string {
  return verification.outcome === "invalid" ? verification.reason : verification.outcome;
}

test("a revocation is told, and the stream resumes", async (t) => {
  const told = new Queue<Revocation>();
  const { verifier, clock, server, stream, signer } = await following(t, { onRevoked: (it) => told.put(it) });
  const session = testId(1);
  const token = signer.token(session, clock.wall());
  const verified = await verifier.verify(token);
  assert.ok(verified.outcome === "verified" && verified.token.username === "ada" && verified.token.hasRole("admin"));
  const ended = new Promise<void>((resolve) => {
    verifier.whenRevoked(verified.token, resolve);
  });
  stream.revoked(9n, session);
  assert.ok(covers(await told.take("onRevoked"), verified.token));
  await within("whenRevoked", ended);
  assert.equal(reasonOf(await verifier.verify(token)), "REVOKED");
  assert.equal(reasonOf(verifier.verifyHere(token)), "REVOKED");
  // Also when it was revoked before.
  await within(
    "whenRevoked afterwards",
    new Promise<void>((resolve) => {
      verifier.whenRevoked(verified.token, resolve);
    }),
  );
  stream.end();
  const resume = await (await server.next()).started();
  assert.deepEqual([resume?.incarnation, resume?.sequence], [1n, 9n]);
});

test("an epoch is raised, exactly", async (t) => {
  const told = new Queue<Revocation>();
  const { verifier, clock, stream, signer } = await following(t, { onRevoked: (it) => told.put(it) });
  const subject = testId(0x42);
  // Two epochs that are one number as float64.
  const epoch = 2n ** 63n + 1n;
  const tokenOf = (claim: bigint): string => signer.token(testId(1), clock.wall(), { epoch: claim });
  const [before, after] = [tokenOf(epoch - 1n), tokenOf(epoch)];
  stream.raised(6n, subject, epoch);
  assert.deepEqual(await told.take("onRevoked"), { subject: formatUserId(subject), epoch });
  assert.equal(reasonOf(await verifier.verify(before)), "REVOKED");
  const verified = await verifier.verify(after);
  assert.ok(verified.outcome === "verified" && verified.token.epoch === epoch);
  assert.equal((JSON.parse(JSON.stringify(verified.token)) as { epoch: unknown }).epoch, String(epoch));
});

test("what is over is forgotten", async (t) => {
  const { verifier, clock, stream, signer } = await following(t);
  const verified = await verifier.verify(signer.token(testId(1), clock.wall()));
  assert.ok(verified.outcome === "verified");
  let calls = 0;
  const forget = verifier.whenRevoked(verified.token, () => {
    calls++;
  });
  forget();
  forget();
  const heard = new Promise<void>((resolve) => {
    verifier.whenRevoked(verified.token, resolve);
  });
  stream.revoked(6n, testId(1));
  await within("the other listener", heard);
  assert.equal(calls, 0);
});

test("what a callback throws ends nothing", async (t) => {
  const warned = new Queue<string>();
  const { verifier, clock, stream, signer } = await following(t, {
    onRevoked: () => {
      throw new Error("a defect of the application");
    },
    logger: { debug: () => undefined, info: () => undefined, warn: (message) => warned.put(message) },
  });
  stream.revoked(6n, testId(1));
  assert.match(await warned.take("a warning"), /onRevoked/);
  stream.revoked(7n, testId(2));
  const token = signer.token(testId(2), clock.wall());
  await until("it goes on", () => reasonOf(verifier.verifyHere(token)) === "REVOKED");
});

test("what an asynchronous callback or a logger throws ends nothing", async (t) => {
  const warned = new Queue<string>();
  const broken = (): never => {
    throw new Error("a defect of the logger");
  };
  const { verifier, clock, stream, server, signer } = await following(t, {
    onRevoked: async () => {
      throw new Error("a defect of the application");
    },
    logger: {
      debug: broken,
      info: broken,
      warn: (message) => {
        warned.put(message);
        broken();
      },
    },
  });
  const { token } = verifier.verifyHere(signer.token(testId(1), clock.wall())) as { token: Token };
  verifier.whenRevoked(token, async () => {
    throw new Error("another defect of the application");
  });
  stream.revoked(6n, testId(1));
  const warnings = [await warned.take("a warning"), await warned.take("a second warning")];
  assert.deepEqual(warnings.map((it) => /onRevoked|whenRevoked/.exec(it)?.[0]).sort(), ["onRevoked", "whenRevoked"]);
  stream.end();
  assert.equal((await (await server.next()).started())?.sequence, 6n);
});

test("a snapshot may take longer than a ping, for as long as it comes", () => {
  const clock = new TestClock();
  const { verifier, follower } = Verifier.unconnected({ ...quick(""), clock, patience: 1000 });
  const { conversation } = follower.start();
  const take = (message: MessageInitShape<typeof WatchRevocationsResponseSchema>["message"]): void => {
    const told = create(WatchRevocationsResponseSchema, { message } as never);
    assert.equal([...follower.takeIn(toBinary(WatchRevocationsResponseSchema, told), conversation)].length, 0);
  };
  const ping = (): bigint => {
    const { ping: asked, sent } = follower.ping(conversation);
    sent();
    return asked.nonce;
  };
  take({ case: "begin", value: { incarnation: 1n } });
  ping();
  for (let i = 0; i < 5; i++) {
    clock.advance(700);
    take({ case: "revoked", value: {} });
    ping();
  }
  take({ case: "revoked", value: { sequence: 5n } });
  clock.advance(1000);
  const last = ping();
  take({ case: "heartbeat", value: { nonce: last, sequence: 5n, staleness: {} } });
  assert.equal(verifier.staleness(), 0);
  ping();
  clock.advance(700);
  take({ case: "revoked", value: { sequence: 6n } });
  clock.advance(700);
  assert.throws(ping, /does not answer pings/, "what follows a snapshot answers no ping");
});

test("audiences that are no array are not searched", async (t) => {
  const { verifier, clock, signer } = await following(t);
  const token = signer.token(testId(1), clock.wall());
  for (const audiences of ["orders-archive", null, 5, [""], new Set(["orders"])] as unknown as (readonly string[])[]) {
    await assert.rejects(verifier.verify(token, { audiences }), /`audiences`/);
    await assert.rejects(verifier.verifyAtLeast("p1", token, { audiences }), /`audiences`/);
    assert.throws(() => verifier.verifyHere(token, audiences), /`audiences`/);
    assert.throws(() => http.authenticate(verifier, { audiences }), /`audiences`/);
    assert.throws(() => grpc.authenticate(verifier, { audiences }), /`audiences`/);
    assert.throws(() => fastify.authenticate(verifier, { audiences }), /`audiences`/);
    assert.throws(() => new CountersignGuard(verifier, { audiences }), /`audiences`/);
  }
});

test("a credential that cannot be sent is not shown", async (t) => {
  const server = await FakeServer.start(t);
  for (const credential of ["csgn_sk_secret\n", "", 5, "sécret"] as string[]) {
    const options = { ...quick(server.address), credential };
    const secretless = ({ message }: Error): boolean => /the credential is/.test(message) && !/s.cret/.test(message);
    assert.throws(() => Verifier.connect(options), secretless);
    assert.throws(() => new Client({ endpoint: options.endpoint, credential }), secretless);
  }
  const warned = new Queue<string>();
  const warn = (...said: unknown[]): void => warned.put(JSON.stringify(said));
  const logger = { debug: () => undefined, info: () => undefined, warn };
  connect(t, { ...quick(server.address), credential: () => "csgn_sk_secret\n", logger });
  const warning = await warned.take("a warning");
  assert.match(warning, /the credential is/);
  assert.doesNotMatch(warning, /secret/);
});

test("a clock that breaks ends the stream alone", async (t) => {
  const server = await FakeServer.start(t);
  const clock = new TestClock();
  let isBroken = true;
  const wall = (): number => {
    if (isBroken) {
      throw new Error("a defect of the clock");
    }
    return clock.wall();
  };
  const verifier = connect(t, { ...quick(server.address), clock: { wall, monotonic: () => clock.monotonic() } });
  await until("it was tried", () => verifier.statistics().streamsEnded > 0);
  isBroken = false;
  await server.next();
});

test("past the bound the server is asked", async (t) => {
  const { verifier, clock, server, signer } = await following(t, {
    onStale: "ask-server",
    pingInterval: 3_600_000,
    credential: () => "csgn_sk_test",
  });
  const token = signer.token(testId(1), clock.wall());
  let asked = 0;
  server.verify = (request, metadata): ReturnType<typeof server.verify> => {
    assert.deepEqual([request.audiences, request.maxStaleness?.seconds], [["orders"], 10n]);
    assert.deepEqual(metadata.get("authorization"), ["Bearer csgn_sk_test"]);
    switch (++asked) {
      case 1:
        return { result: { case: "verified", value: {} } };
      case 2:
        return { result: { case: "invalid", value: { reason: 9 } } };
      case 3:
        return { result: { case: "invalid", value: { reason: Number("999") } } };
      case 4:
        return { result: { case: undefined } };
      default:
        throw Object.assign(new Error("not now"), { code: status.UNAVAILABLE });
    }
  };
  assert.equal(reasonOf(await verifier.verify(token)), "verified");
  assert.equal(asked, 0);
  clock.advance(11_000);
  const verified = await verifier.verify(token);
  assert.ok(verified.outcome === "verified" && verified.token.username === "ada");
  assert.equal(reasonOf(await verifier.verify(token)), "REVOKED");
  assert.equal(reasonOf(await verifier.verify(token)), "MALFORMED");
  for (let i = 0; i < 2; i++) {
    const unknown = await verifier.verify(token);
    assert.ok(unknown.outcome === "unknown" && unknown.cause instanceof Error);
  }
  // What is bad by itself is not asked for.
  assert.equal(reasonOf(await verifier.verify("a.b.c")), "MALFORMED");
  assert.equal(asked, 5);
  assert.equal(reasonOf(verifier.verifyHere(token)), "unknown");
});

test("a stalled stream is left, for a new connection, and resumes", async (t) => {
  const { clock, server, stream } = await following(t);
  await stream.pinged();
  clock.advance(6000);
  const resume = await (await server.next()).started();
  assert.equal(resume?.sequence, 5n);
  await until("the old one is given up", () => stream.isCancelled);
});

test("a server that says nothing at all is left", async (t) => {
  const server = await FakeServer.start(t);
  const verifier = connect(t, { ...quick(server.address), pingInterval: 3_600_000, patience: 20 });
  await server.next();
  await server.next();
  assert.equal(verifier.staleness(), undefined);
});

test("bytes that are no message, and other nonsense, end the stream, and the next begins anew", async (t) => {
  const { server, stream } = await following(t);
  stream.tellBytes(Buffer.from([0xff, 0xff, 0xff]));
  const second = await server.next();
  assert.equal(await second.started(), undefined);
  second.begin(1n);
  // A session of three bytes.
  second.tellBytes(Buffer.from([0x1a, 0x07, 0x0a, 0x05, 0x0a, 0x03, 1, 2, 3]));
  const third = await server.next();
  assert.equal(await third.started(), undefined);
});

test("a message that is too big ends the stream and is not kept", async (t) => {
  const { verifier, server, stream, clock, signer } = await following(t);
  stream.tellBytes(Buffer.alloc(16 * 2 ** 20 + 1));
  const resume = await (await server.next()).started();
  assert.equal(resume?.sequence, 5n);
  assert.equal(reasonOf(await verifier.verify(signer.token(testId(1), clock.wall()))), "verified");
});

test("what is no gRPC server is not listened to, and nothing is known", async (t) => {
  const connections = new Queue<void>();
  const garbage = createServer((socket) => {
    connections.put();
    socket.on("error", () => undefined);
    socket.end("HTTP/1.1 200 OK\r\n\r\nhello");
  });
  await new Promise<void>((resolve) => {
    garbage.listen(0, "127.0.0.1", resolve);
  });
  t.after(() => garbage.close());
  const { port } = garbage.address() as { port: number };
  const verifier = connect(t, quick(`127.0.0.1:${port}`));
  for (let i = 0; i < 3; i++) {
    await connections.take("it connects again");
  }
  const token = new TestSigner("k1").token(testId(1), Date.now());
  assert.deepEqual(await verifier.verify(token), { outcome: "unknown", staleness: undefined });
});

test("it finds a server that comes later", async (t) => {
  const first = await FakeServer.start(t);
  const { address } = first;
  first.server.forceShutdown();
  const verifier = connect(t, quick(address));
  const unknown = await verifier.verify(new TestSigner("k1").token(testId(1), Date.now()));
  assert.deepEqual(unknown, { outcome: "unknown", staleness: undefined });
  await assert.rejects(verifier.ready(AbortSignal.timeout(50)), { name: "TimeoutError" });
  assert.equal(verifier.isReady, false);
  const stream = await (await FakeServer.start(t, address)).next();
  await stream.started();
  stream.begin(1n);
  stream.revoked(1n);
  stream.beat(await stream.pinged(), 1n);
  await within("ready", verifier.ready());
  assert.equal(verifier.isReady, true);
});

test("the credential goes with the stream", async (t) => {
  const { server } = await following(t, { credential: "csgn_sk_test" });
  assert.deepEqual(server.metadata[0]?.get("authorization"), ["Bearer csgn_sk_test"]);
});

test("close ends everything", async (t) => {
  const { verifier, stream } = await following(t);
  await verifier.close();
  await verifier.close();
  await until("the stream is over", () => stream.isCancelled);
  const server = await FakeServer.start(t);
  const early = Verifier.connect(quick(server.address));
  const waiting = assert.rejects(early.ready(), /was closed/);
  await early.close();
  await waiting;
});

test("a large snapshot does not hold the event loop", async (t) => {
  const { verifier, stream, signer, clock } = await following(t, { pingInterval: 1000 });
  // 15 MiB in one message: some 420,000 sessions. The server sends a thousand at a time.
  const count = 420_000;
  const entry = Buffer.from([
    0x0a,
    0x1a,
    0x0a,
    0x10,
    ...new Array<number>(16).fill(0),
    0x12,
    0x06,
    0x08,
    0xff,
    0xff,
    0xff,
    0xff,
    0x0f,
  ]);
  const body = Buffer.alloc(entry.length * count);
  for (let i = 0; i < count; i++) {
    entry.writeUInt32BE(Math.imul(i, 0x9e3779b1) >>> 0, 4);
    entry.writeUInt32BE(i, 16);
    entry.copy(body, i * entry.length);
  }
  const head = Buffer.from([0x1a, ...varint(body.length)]);
  const message = Buffer.concat([head, body]);
  // By both clocks, of the wall and of the processor: on a busy machine this process has to wait for others.
  let longest = 0;
  let last = { wall: performance.now(), processor: process.cpuUsage() };
  let isOver = false;
  const watch = (): void => {
    const { user, system } = process.cpuUsage(last.processor);
    longest = Math.max(longest, Math.min(performance.now() - last.wall, (user + system) / 1000));
    last = { wall: performance.now(), processor: process.cpuUsage() };
    if (!isOver) {
      setImmediate(watch);
    }
  };
  watch();
  stream.tellBytes(message);
  await until("all are known", () => verifier.statistics().revocations === count);
  isOver = true;
  t.diagnostic(`the event loop was held for ${longest.toFixed(1)} ms at most`);
  // At a stretch it takes three times as long, and more on a busy machine.
  assert.ok(longest < 250, `${longest} ms`);
  assert.equal(reasonOf(verifier.verifyHere(signer.token(testId(1), clock.wall()))), "verified");
});

function varint(value: number): number[] {
  const bytes = [];
  for (; value > 0x7f; value >>>= 7) {
    bytes.push((value & 0x7f) | 0x80);
  }
  return [...bytes, value];
}

test("options are checked", async (t) => {
  const good = quick("127.0.0.1:1");
  const bad: Record<string, Partial<Record<keyof VerifierOptions, unknown>>> = {
    "no endpoint": { endpoint: "" },
    "no scheme": { endpoint: "127.0.0.1:1" },
    "another scheme": { endpoint: "grpc://127.0.0.1:1" },
    "a path": { endpoint: "http://127.0.0.1:1/path" },
    "TLS without https": { tls: {} },
    "a file that is not": { endpoint: "https://a:1", tls: { caFile: "/nowhere" } },
    "a certificate, no key": { endpoint: "https://a:1", tls: { certFile: "/nowhere" } },
    "no issuer": { issuer: "" },
    "no audience": { audiences: [] },
    "an empty audience": { audiences: [""] },
    "audiences that are a text": { audiences: "orders" },
    "no policy": { onStale: "never" },
    "a negative bound": { maxStaleness: -1 },
    "a bound that is no number": { maxStaleness: Number.NaN },
    "too large a cache": { cachedTokens: 2 ** 30 },
    "a callback that is none": { onRevoked: "f" },
    "a misspelt option": { maxStalenes: 1 } as object,
    "a misspelt option of TLS": { endpoint: "https://a:1", tls: { ca: "/nowhere" } },
    "a clock that is none": { clock: {} },
    "half a logger": { logger: { warn: () => undefined } },
  };
  for (const [name, changed] of Object.entries(bad)) {
    assert.throws(() => Verifier.connect({ ...good, ...changed } as VerifierOptions), /countersign: /, name);
  }
  assert.throws(() => Verifier.connect(undefined as never), /countersign: /);
  for (const endpoint of ["http://127.0.0.1:1", "https://countersign:50051", "https://[::1]:1/", "https://a.example"]) {
    connect(t, { ...good, endpoint });
  }
});
