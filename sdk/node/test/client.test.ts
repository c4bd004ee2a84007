import assert from "node:assert/strict";
import { createServer } from "node:net";
import { inspect } from "node:util";
import { test, type TestContext } from "node:test";
import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import {
  Metadata,
  Server,
  status,
  type sendUnaryData,
  type ServerUnaryCall,
  type UntypedHandleCall,
} from "@grpc/grpc-js";
import { CallError, Client, sessionEnded, type ClientOptions } from "../src/index.js";
import { AuthService } from "../src/stubs/countersign/v1/auth_service_pb.js";
import { ServiceAccountService } from "../src/stubs/countersign/v1/service_account_service_pb.js";
import { UserService, type CreateUserRequest } from "../src/stubs/countersign/v1/user_service_pb.js";
import { definitionOf, listen } from "../testing/fake-server.js";
import { refusal } from "../testing/refusal.js";

type Call = ServerUnaryCall<unknown, unknown>;

/** What the server says to a call: an error, nothing at all, or what it has to say. */
type Say = (number: number, call: Call) => Error | "silence" | undefined;

const TOKENS = { tokens: { accessToken: "access", refreshToken: "refresh", expiresIn: 300 } };
const ANSWERS: Record<string, object> = {
  login: TOKENS,
  refresh: TOKENS,
  logout: { position: "p1" },
  changePassword: TOKENS,
};

/** A server that answers each call with what the test says, and counts. */
function serverOf(say: Say): { server: Server; calls: () => number } {
  let calls = 0;
  const server = new Server();
  for (const service of [AuthService, UserService, ServiceAccountService]) {
    const handlers: Record<string, UntypedHandleCall> = {};
    for (const method of service.methods) {
      if (method.methodKind === "unary") {
        handlers[method.localName] = ((call: Call, answer: sendUnaryData<unknown>) => {
          const said = say(++calls, call);
          if (said === undefined) {
            const init = (ANSWERS[method.localName] ?? {}) as MessageInitShape<DescMessage>;
            answer(null, create(method.output, init));
          } else if (said !== "silence") {
            answer(said);
          }
        }) as UntypedHandleCall;
      }
    }
    server.addService(definitionOf(service), handlers);
  }
  return { server, calls: () => calls };
}

function clientOf(t: TestContext, address: string, changed: Partial<ClientOptions> = {}): Client {
  const client = new Client({
    endpoint: `http://${address}`,
    credential: () => "csgn_sk_operator",
    attemptTimeout: 500,
    maxBackoff: 10,
    ...changed,
  });
  t.after(() => client.close());
  return client;
}

async function scripted(
  t: TestContext,
  say: Say,
  changed?: Partial<ClientOptions>,
): Promise<{ client: Client; calls: () => number }> {
  const { server, calls } = serverOf(say);
  return { client: clientOf(t, await listen(t, server), changed), calls };
}

test("a refresh waits as long as the server says", async (t) => {
  const wait = 120;
  const { client, calls } = await scripted(t, (n) =>
    n === 1 ? refusal(status.UNAVAILABLE, "REFRESH_IN_PROGRESS", wait) : undefined,
  );
  const begun = performance.now();
  const tokens = await client.refresh("refresh");
  assert.deepEqual([tokens.accessToken, tokens.refreshToken, tokens.expiresIn, calls()], ["access", "refresh", 300, 2]);
  assert.ok(performance.now() - begun >= wait);
});

test("what is tried again", async (t) => {
  const login = (client: Client): Promise<unknown> => client.login({ username: "ada", password: "password" });
  const refresh = (client: Client): Promise<unknown> => client.refresh("refresh");
  const logout = (client: Client): Promise<unknown> => client.logout("refresh", { everywhere: true });
  const change = (client: Client): Promise<unknown> =>
    client.changePassword({ refreshToken: "r", currentPassword: "a", newPassword: "b" });
  const remove = (client: Client): Promise<unknown> => client.users.deleteUser({});
  const update = (client: Client): Promise<unknown> => client.users.updateUser({});
  const updateOf = (client: Client): Promise<unknown> => client.users.updateUser({ etag: "e" });
  const down = (): Error => refusal(status.UNAVAILABLE, "STORE_UNAVAILABLE");
  const exhausted = (reason: string): Error => refusal(status.RESOURCE_EXHAUSTED, reason);
  const broken = Object.assign(new Error("the connection broke"), {
    code: status.UNAVAILABLE,
    metadata: new Metadata(),
  });
  const cases: [string, (client: Client) => Promise<unknown>, Error, number][] = [
    ["refresh, a store is down", refresh, down(), 2],
    ["refresh, the connection broke", refresh, broken, 2],
    ["logout, a store is down", logout, down(), 2],
    ["login, a store is down", login, down(), 1],
    ["login, the queue is full", login, exhausted("LOGIN_OVERLOADED"), 2],
    ["login, no room", login, exhausted("SERVER_OVERLOADED"), 2],
    ["login, too many attempts", login, exhausted("RATE_LIMIT_EXCEEDED"), 1],
    ["login, refused", login, refusal(status.UNAUTHENTICATED, "INVALID_CREDENTIALS"), 1],
    ["refresh, reused", refresh, refusal(status.UNAUTHENTICATED, "REFRESH_TOKEN_REUSED"), 1],
    ["refresh, a defect", refresh, refusal(status.INTERNAL, "INTERNAL"), 1],
    ["refresh, longer than there is time", refresh, refusal(status.UNAVAILABLE, "REFRESH_IN_PROGRESS", 60_000), 1],
    ["a change of the password, a store is down", change, down(), 1],
    ["an update, a store is down", update, down(), 2],
    ["an update with an etag, a store is down", updateOf, down(), 1],
    ["a deletion, a store is down", remove, down(), 1],
    ["a deletion, no room", remove, exhausted("SERVER_OVERLOADED"), 2],
  ];
  for (const [what, call, first, expected] of cases) {
    const { client, calls } = await scripted(t, (n) => (n === 1 ? first : undefined));
    const outcome = await call(client).then(
      () => "answered",
      (error: unknown) => error,
    );
    assert.equal(calls(), expected, what);
    assert.ok(expected === 2 ? outcome === "answered" : outcome instanceof CallError, `${what}: ${String(outcome)}`);
  }
});

test("an attempt that is not answered is made again, unless it may have succeeded", async (t) => {
  const { client, calls } = await scripted(t, (n) => (n === 1 || n === 3 ? "silence" : undefined), {
    attemptTimeout: 300,
  });
  await client.refresh("refresh");
  assert.equal(calls(), 2);
  await assert.rejects(client.login({ username: "ada", password: "password" }), {
    code: "DEADLINE_EXCEEDED",
    reason: undefined,
  });
  assert.equal(calls(), 3);
});

test("a login that was never sent is made again", async (t) => {
  const holder = createServer();
  await new Promise<void>((resolve) => {
    holder.listen(0, "127.0.0.1", resolve);
  });
  const { port } = holder.address() as { port: number };
  await new Promise((resolve) => {
    holder.close(resolve);
  });
  const client = clientOf(t, `127.0.0.1:${port}`);
  const answered = client.login({ username: "ada", password: "password" });
  const { server, calls } = serverOf(() => undefined);
  setTimeout(() => void listen(t, server, undefined, `127.0.0.1:${port}`), 50);
  assert.equal((await answered).accessToken, "access");
  assert.equal(calls(), 1);
});

test("what is created has a request id that stays, and the credential comes along", async (t) => {
  const seen: unknown[] = [];
  const { client } = await scripted(t, (n, { request, metadata }) => {
    seen.push((request as CreateUserRequest).requestId, metadata.get("authorization")[0]);
    return n % 2 === 1 ? refusal(status.UNAVAILABLE, "STORE_UNAVAILABLE") : undefined;
  });
  const request = { username: "ada" };
  await client.users.createUser(request);
  assert.ok(seen[0] !== "" && seen[0] === seen[2], String(seen[0]));
  assert.deepEqual([seen[1], seen[3]], ["Bearer csgn_sk_operator", "Bearer csgn_sk_operator"]);
  assert.deepEqual(request, { username: "ada" });
  await client.serviceAccounts.createKey({ requestId: "mine" });
  assert.deepEqual([seen[4], seen[6]], ["mine", "mine"]);
});

test("the credential does not go with the user's own calls", async (t) => {
  let authorization: unknown;
  const { client } = await scripted(t, (_, { metadata }) => {
    authorization = metadata.get("authorization")[0];
    return undefined;
  });
  assert.equal(await client.logout("refresh"), "p1");
  assert.equal(authorization, undefined);
});

test("a credential that does not come is not waited for", async (t) => {
  const { client, calls } = await scripted(t, () => undefined, {
    credential: () => new Promise(() => undefined),
    attemptTimeout: 50,
  });
  await assert.rejects(client.users.listUsers({}), /the credential takes too long/);
  const waiting = client.users.listUsers({}, { signal: AbortSignal.timeout(5) });
  await assert.rejects(waiting, { name: "TimeoutError" });
  assert.equal(calls(), 0);
});

test("a call is given up", async (t) => {
  const { client } = await scripted(t, () => "silence");
  await assert.rejects(client.refresh("refresh", { signal: AbortSignal.timeout(50) }), { name: "TimeoutError" });
  await assert.rejects(client.refresh("refresh", { signal: AbortSignal.abort(new Error("before")) }), /before/);
  // A reason that alone would be a cause to try again.
  const earlier = new CallError("before", status.UNAVAILABLE, { metadata: {}, violations: [] });
  const begun = performance.now();
  await assert.rejects(client.refresh("refresh", { signal: AbortSignal.abort(earlier) }), /before/);
  assert.ok(performance.now() - begun < 1000, "it is not tried again");
});

test("what is no text is not sent as one", async (t) => {
  const { client, calls } = await scripted(t, () => undefined);
  const tokens = await client.refresh("refresh");
  assert.equal(calls(), 1);
  for (const odd of [undefined, null, 5, {}, ["refresh"], tokens] as unknown as string[]) {
    const passwords = { refreshToken: "refresh", currentPassword: "a", newPassword: odd };
    const odds: [string, () => Promise<unknown>][] = [
      ["logout", () => client.logout(odd)],
      ["a change of the password", () => client.changePassword(passwords)],
      ["a login", () => client.login({ username: "ada", password: odd })],
      ["a role", () => client.users.createUser({ username: "ada", roles: [odd] })],
      ["a name of a client", () => client.login({ username: "ada", password: "b", client: { name: odd } })],
    ];
    for (const [what, call] of odds) {
      // A field that is missing is the server's to refuse.
      if ((odd ?? undefined) !== undefined || what === "logout" || what === "a role") {
        await assert.rejects(call(), /countersign: `\w+` is no text/, `${what}: ${JSON.stringify(odd)}`);
      }
    }
  }
  assert.equal(calls(), 1);
});

test("errors say what the server says", async (t) => {
  const { client } = await scripted(t, () => refusal(status.UNAUTHENTICATED, "SESSION_REVOKED", 1500));
  const error = await client.refresh("refresh").then(
    () => undefined,
    (it: unknown) => it,
  );
  assert.ok(error instanceof CallError && sessionEnded(error));
  assert.deepEqual(
    [
      error.code,
      error.numericCode,
      error.reason,
      error.endCause,
      error.retryAfter,
      error.violations,
      error.localizedMessage,
    ],
    ["UNAUTHENTICATED", 16, "SESSION_REVOKED", "LOGGED_OUT", 1500, [{ field: "f", description: "d" }], "Hello"],
  );
  assert.match(error.message, /SESSION_REVOKED/);
  assert.equal(
    sessionEnded(new CallError("", status.UNAVAILABLE, { metadata: {}, violations: [], reason: "STORE_UNAVAILABLE" })),
    false,
  );
  assert.equal(sessionEnded(new Error("x")), false);
});

test("tokens are not shown", async (t) => {
  const { client } = await scripted(t, () => undefined);
  const tokens = await client.login({
    username: "ada",
    password: "password",
    audiences: ["orders"],
    client: { class: "web" },
  });
  for (const text of [
    String(tokens),
    inspect(tokens, { showHidden: true, depth: 9 }),
    JSON.stringify({ tokens }),
    `${Object.values(tokens).join()}`,
  ]) {
    assert.doesNotMatch(text, /access|refresh"/, text);
  }
});

test("options are checked", () => {
  for (const options of [
    {},
    { endpoint: "a:1" },
    { endpoint: "http://a:1", deadline: -1 },
    { endpoint: "http://a:1", tls: {} },
    { endpoint: "http://a:1", timeout: 5 },
    undefined,
  ]) {
    assert.throws(() => new Client(options as ClientOptions), /countersign: /);
  }
});

test("after close nothing is called", async (t) => {
  const { client, calls } = await scripted(t, () => undefined);
  await client.refresh("refresh");
  client.close();
  await assert.rejects(client.refresh("refresh"));
  assert.equal(calls(), 1);
});
