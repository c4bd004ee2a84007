import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { FakeServer, until } from "../testing/fake-server.js";
import { TestSigner, testId } from "../testing/forge.js";
import { get } from "../testing/requests.js";

const PACKAGE = new URL("../../", import.meta.url);
const require = createRequire(import.meta.url);

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>;
}

const manifest = JSON.parse(readFileSync(new URL("package.json", PACKAGE), "utf8")) as Manifest;

test("each entry is an ES module and a CommonJS module with the same names", async () => {
  const entries = Object.keys(manifest.exports).filter((entry) => entry !== "./package.json");
  assert.ok(entries.length >= 7);
  for (const entry of entries) {
    const name = entry.replace(".", manifest.name);
    const commonjs = Object.keys(require(name) as object).filter((it) => it !== "__esModule");
    assert.deepEqual(Object.keys((await import(name)) as object).sort(), commonjs.sort(), name);
  }
});

test("no framework is a hard dependency", () => {
  assert.deepEqual(Object.keys(manifest.dependencies), ["@bufbuild/protobuf", "@grpc/grpc-js"]);
  for (const peer of Object.keys(manifest.peerDependencies)) {
    assert.equal(manifest.peerDependenciesMeta[peer]?.optional, true, peer);
  }
});

test("the example of the README lets in whom it should", async (t) => {
  const readme = readFileSync(new URL("README.md", PACKAGE), "utf8");
  const example = /```js\n(\/\/ service\.mjs\n[^]*?)```/.exec(readme)?.[1];
  assert.ok(example !== undefined);
  const folder = new URL("build/example/", PACKAGE);
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL("service.mjs", folder), example);
  const server = await FakeServer.start(t);
  const port = await freePort();
  const service = spawn(process.execPath, [fileURLToPath(new URL("service.mjs", folder))], {
    env: { ...process.env, COUNTERSIGN: `http://${server.address}`, PORT: String(port), NODE_TEST_CONTEXT: "" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  t.after(() => service.kill("SIGKILL"));
  const exited = new Promise((resolve) => {
    service.once("exit", resolve);
  });
  const stream = await server.next();
  const status = async (path: string, ...authorization: string[]): Promise<number | undefined> =>
    (await get(port, path, ...authorization).catch(() => undefined))?.status;
  await until("it listens", async () => (await status("/readyz")) === 503);
  const signer = new TestSigner("k1");
  stream.begin(1n);
  stream.keys(signer);
  stream.revoked(5n);
  await stream.started();
  stream.beat(await stream.pinged(), 5n);
  await until("it is ready", async () => (await status("/readyz")) === 200);
  const token = signer.token(testId(1), Date.now(), { iss: "countersign" });
  assert.equal((await get(port, "/", `Bearer ${token}`)).body, "Hello, ada.\n");
  assert.equal(await status("/"), 401);
  stream.revoked(6n, testId(1));
  await until("it is revoked", async () => (await status("/", `Bearer ${token}`)) === 401);
  service.kill("SIGTERM");
  assert.equal(await exited, 0, "it ends by itself");
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const holder = createServer();
    holder.once("error", reject);
    holder.listen(0, "127.0.0.1", () => {
      const { port } = holder.address() as { port: number };
      holder.close(() => resolve(port));
    });
  });
}
