import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { connect as http2 } from "node:http2";
import { test, type TestContext } from "node:test";
import {
  Client,
  credentials,
  Metadata,
  Server,
  status,
  type ClientDuplexStream,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type UntypedHandleCall,
} from "@grpc/grpc-js";
import { CallError } from "../src/index.js";
import { callError } from "../src/errors.js";
import { authenticate, tokenOf, type InterceptorOptions } from "../src/grpc.js";
import { Answers } from "../testing/answers.js";
import { listen, Queue, until, within } from "../testing/fake-server.js";

const asText = { serialize: (text: string) => Buffer.from(text), deserialize: (bytes: Buffer) => bytes.toString() };

function method(name: string, isStream: boolean): ServiceDefinition[string] {
  return {
    path: `/test.Echo/${name}`,
    requestStream: isStream,
    responseStream: isStream,
    requestSerialize: asText.serialize,
    requestDeserialize: asText.deserialize,
    responseSerialize: asText.serialize,
    responseDeserialize: asText.deserialize,
  };
}

/** Serves an echo of texts behind the interceptor. */
async function serve(
  t: TestContext,
  verifier: Answers,
  options?: InterceptorOptions,
): Promise<{ address: string; client: Client; calls: Queue<ServerDuplexStream<string, string>> }> {
  const server = new Server({ interceptors: [authenticate(verifier, options)] });
  const calls = new Queue<ServerDuplexStream<string, string>>();
  const once = (call: ServerUnaryCall<string, string>, answer: sendUnaryData<string>): void =>
    answer(null, `${tokenOf(call)?.username} ${call.request}`);
  const many = (call: ServerDuplexStream<string, string>): void => {
    calls.put(call);
    call.on("error", () => undefined);
    call.on("data", (text: string) => call.write(`${tokenOf(call)?.username} ${text}`));
    call.on("end", () => call.end());
  };
  server.addService(
    { once: method("Once", false), many: method("Many", true) },
    { once: once as UntypedHandleCall, many: many as UntypedHandleCall },
  );
  const address = await listen(t, server);
  const client = new Client(address, credentials.createInsecure());
  t.after(() => client.close());
  return { address, client, calls };
}

function metadataOf(...authorization: string[]): Metadata {
  const metadata = new Metadata();
  authorization.forEach((value) => metadata.add("authorization", value));
  return metadata;
}

function once(client: Client, ...authorization: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      "/test.Echo/Once",
      asText.serialize,
      asText.deserialize,
      "hello",
      metadataOf(...authorization),
      (error, answer) => (error === null ? resolve(answer!) : reject(callError(error))),
    );
  });
}

test("one message", async (t) => {
  const { client } = await serve(t, new Answers());
  assert.equal(await once(client, "Bearer good"), "ada hello");
  const cases: [string[], string, string, number | undefined][] = [
    [[], "UNAUTHENTICATED", "TOKEN_MISSING", undefined],
    [["Bearer expired"], "UNAUTHENTICATED", "ACCESS_TOKEN_EXPIRED", undefined],
    [["Bearer other"], "UNAVAILABLE", "REVOCATIONS_STALE", 1000],
    [["Bearer broken"], "UNAVAILABLE", "REVOCATIONS_STALE", 1000],
  ];
  for (const [authorization, code, reason, retryAfter] of cases) {
    await assert.rejects(once(client, ...authorization), (error) => {
      assert.ok(error instanceof CallError);
      assert.deepEqual([error.code, error.reason, error.retryAfter], [code, reason, retryAfter], authorization.join());
      return true;
    });
  }
});

test("open methods are for everybody", async (t) => {
  const { client, calls } = await serve(t, new Answers(), { open: (path) => path === "/test.Echo/Once" });
  assert.equal(await once(client), "undefined hello");
  const { ended } = stream(client);
  assert.equal((await within("the end", ended))?.reason, "TOKEN_MISSING");
  assert.equal(calls.size, 0);
});

/** A stream, what it brings, and how it ends. */
function stream(
  client: Client,
  ...authorization: string[]
): { call: ClientDuplexStream<string, string>; texts: Queue<string>; ended: Promise<CallError | undefined> } {
  const call = client.makeBidiStreamRequest(
    "/test.Echo/Many",
    asText.serialize,
    asText.deserialize,
    metadataOf(...authorization),
  );
  const texts = new Queue<string>();
  call.on("data", (text: string) => texts.put(text));
  const ended = new Promise<CallError | undefined>((resolve) => {
    call.on("error", (error) => resolve(callError(error) as CallError));
    call.on("status", ({ code }) => code === 0 && resolve(undefined));
  });
  return { call, texts, ended };
}

test("an open stream ends when its session is revoked", async (t) => {
  const verifier = new Answers();
  const { client, calls } = await serve(t, verifier);
  const { call, texts, ended } = stream(client, "Bearer good");
  call.write("hello");
  assert.equal(await texts.take("an echo"), "ada hello");
  const handlers = await calls.take("the handler");
  let cancelled = 0;
  handlers.on("cancelled", () => {
    cancelled++;
  });
  verifier.revoke();
  const error = await within("the end", ended);
  assert.deepEqual([error?.code, error?.reason], ["UNAUTHENTICATED", "SESSION_REVOKED"]);
  await until("the handler is told", () => cancelled > 0);
  handlers.write("what comes too late");
  assert.equal(cancelled, 1);
  assert.equal(texts.size, 0);
  assert.equal(verifier.listeners, 0);
});

test("also where the caller reads nothing: the handler is told at once", async (t) => {
  const verifier = new Answers();
  const { address, calls } = await serve(t, verifier);
  const session = http2(`http://${address}`);
  t.after(() => session.destroy());
  const caller = session.request({
    ":method": "POST",
    ":path": "/test.Echo/Many",
    "content-type": "application/grpc",
    te: "trailers",
    authorization: "Bearer good",
  });
  caller.on("error", () => undefined);
  const handlers = await calls.take("the handler");
  const told = new Promise((resolve) => {
    handlers.on("cancelled", resolve);
  });
  // More than a peer takes that does not read.
  handlers.write("x".repeat(2 ** 20));
  verifier.revoke();
  await within("the handler is told", told);
  handlers.write("what comes too late");
  const read = new Promise((resolve) => {
    caller.on("trailers", ({ "grpc-status": code }) => resolve(code));
  });
  caller.resume();
  assert.equal(await within("the trailers", read), String(status.UNAUTHENTICATED));
});

test("a stream is ended before anything was said on it", async (t) => {
  const verifier = new Answers();
  const { client, calls } = await serve(t, verifier);
  const { ended } = stream(client, "Bearer good");
  await calls.take("the handler");
  verifier.revoke();
  assert.equal((await within("the end", ended))?.reason, "SESSION_REVOKED");
});

test("a stream ends as its handler and its caller end it, and is forgotten", async (t) => {
  const verifier = new Answers();
  const { client, calls } = await serve(t, verifier);
  const { call, ended } = stream(client, "Bearer good");
  call.end();
  assert.equal(await within("the end", ended), undefined);
  await until("it is forgotten", () => verifier.listeners === 0);
  const second = stream(client, "Bearer good");
  await calls.take("the first handler");
  await calls.take("the second handler");
  assert.equal(verifier.listeners, 1);
  second.call.cancel();
  assert.equal((await within("the end", second.ended))?.code, "CANCELLED");
  await until("it is forgotten", () => verifier.listeners === 0);
});
