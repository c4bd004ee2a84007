// The shop against the real binary: COUNTERSIGN_BIN; PRICES_BIN is the Go service, built.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Client } from "@countersign/node";

const { COUNTERSIGN_BIN, PRICES_BIN } = process.env;
const data = mkdtempSync(join(tmpdir(), "shop-"));
const children = [];
let at, client, password, key;

const freePort = () =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

function start(file, args, env) {
  const child = spawn(file, args, { env: { PATH: process.env.PATH, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  return child;
}

async function until(url) {
  const deadline = Date.now() + 20_000;
  while (!(await fetch(url).then((answer) => answer.ok, () => false))) {
    assert.ok(Date.now() < deadline, `${url} is not ready`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

before(async () => {
  const [grpc, http, operations, catalog, prices] = await Promise.all(Array.from({ length: 5 }, freePort));
  const url = (port) => `http://127.0.0.1:${port}`;
  at = { grpc: url(grpc), http: url(http), catalog: url(catalog), prices: url(prices) };
  const address = (port) => `127.0.0.1:${port}`;
  const listen = ["--grpc-listen", address(grpc), "--http-listen", address(http), "--operations-listen", address(operations)];
  const server = start(COUNTERSIGN_BIN, ["dev", "--data-dir", data, "--log-level", "error", ...listen]);
  let said = "";
  server.stdout.on("data", (chunk) => (said += chunk));
  await until(`${url(operations)}/readyz`);
  while (!/password +\S+/.test(said)) await new Promise((resolve) => setTimeout(resolve, 20));
  password = /password +(\S+)/.exec(said)[1];
  const cli = (...args) => execFileSync(COUNTERSIGN_BIN, ["service-account", ...args, "--data-dir", data], { encoding: "utf8" });
  cli("create", "catalog");
  key = cli("key", "create", "catalog", "--ttl", "1d").trim().split("\n").at(-1);
  start(PRICES_BIN, [], { COUNTERSIGN: at.grpc, LISTEN: address(prices) });
  start(process.execPath, ["catalog/main.mjs"], {
    COUNTERSIGN: at.grpc, EDGE: at.http, PRICES: at.prices, SERVICE_NAME: "catalog", SERVICE_KEY: key, LISTEN_PORT: catalog,
  });
  await Promise.all([until(`${at.catalog}/readyz`), until(`${at.prices}/readyz`)]);
  client = new Client({ endpoint: at.grpc });
});

after(() => {
  client?.close();
  for (const child of children.reverse()) child.kill();
  rmSync(data, { recursive: true, force: true });
});

const ask = (url, bearer, user) =>
  fetch(url, {
    headers: { ...(bearer && { authorization: `Bearer ${bearer}` }), ...(user && { "x-user-token": user }) },
    signal: AbortSignal.timeout(5000),
  });

async function serviceToken() {
  const form = { grant_type: "client_credentials", client_id: "catalog", client_secret: key };
  return (await (await fetch(`${at.http}/oauth2/token`, { method: "POST", body: new URLSearchParams(form) })).json()).access_token;
}

test("a user is told a price, and a logout ends it everywhere", async () => {
  const tokens = await client.login({ username: "admin", password });
  const service = await serviceToken();
  const bought = await ask(`${at.catalog}/items/tea`, tokens.accessToken);
  assert.deepEqual([bought.status, await bought.json()], [200, { cents: 450, for: "admin" }]);
  const streams = await Promise.all([
    ask(`${at.catalog}/stream`, tokens.accessToken),
    ask(`${at.prices}/stream`, service, tokens.accessToken),
  ]);
  assert.deepEqual(streams.map(({ status }) => status), [200, 200]);
  const ended = Promise.all(streams.map((stream) => stream.text()));

  await client.logout(tokens.refreshToken);
  const deadline = performance.now() + 1000;
  for (const text of await ended) assert.match(text, /event: over/);
  const refused = async (ask) => {
    while ((await ask()).status !== 401) assert.ok(performance.now() < deadline, "not refused within a second");
  };
  await Promise.all([
    refused(() => ask(`${at.catalog}/items/tea`, tokens.accessToken)),
    refused(() => ask(`${at.prices}/prices/tea`, service, tokens.accessToken)),
  ]);
  assert.ok(performance.now() < deadline, "the streams did not end within a second");
});

test("users' tokens and services' do not stand for each other", async () => {
  const { accessToken: user } = await client.login({ username: "admin", password });
  const service = await serviceToken();
  const statuses = await Promise.all([
    ask(`${at.catalog}/items/tea`),
    ask(`${at.prices}/prices/tea`),
    ask(`${at.prices}/prices/tea`, service),
    ask(`${at.catalog}/stream`, service), // prices would refuse an item anyway
    ask(`${at.prices}/prices/tea`, user, user),
    ask(`${at.prices}/prices/tea`, service, service),
    ask(`${at.prices}/prices/tea`, service, user),
  ]);
  assert.deepEqual(statuses.map(({ status }) => status), [401, 401, 401, 403, 403, 403, 200]);
});
