import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { ServerCredentials } from "@grpc/grpc-js";
import { Connector, SharedConnection } from "../src/connection.js";
import { FakeServer, within } from "../testing/fake-server.js";
import { connect, quick } from "../testing/following.js";
import { hasTool } from "../testing/tool.js";

/** Issues certificates into files. */
class Authority {
  readonly folder: string;

  constructor(t: TestContext) {
    this.folder = mkdtempSync(join(tmpdir(), "countersign-tls-"));
    t.after(() => rmSync(this.folder, { recursive: true }));
    this.#openssl(
      "req",
      "-x509",
      ...KEY,
      "-keyout",
      this.path("ca.key"),
      "-out",
      this.path("ca.pem"),
      "-subj",
      "/CN=test",
      "-days",
      "1",
    );
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  issue(name: string): void {
    const request = this.path(`${name}.csr`);
    const extensions = this.path(`${name}.ext`);
    writeFileSync(extensions, "subjectAltName=DNS:countersign.test,IP:127.0.0.1\n");
    this.#openssl("req", ...KEY, "-keyout", this.path(`${name}.key`), "-out", request, "-subj", `/CN=${name}`);
    const by = ["-CA", this.path("ca.pem"), "-CAkey", this.path("ca.key"), "-CAcreateserial", "-extfile", extensions];
    this.#openssl("x509", "-req", "-in", request, "-out", this.path(`${name}.pem`), ...by, "-days", "1");
  }

  /** Credentials of a server that asks for a certificate of this authority. */
  server(): ServerCredentials {
    this.issue("server");
    const pair = {
      private_key: readFileSync(this.path("server.key")),
      cert_chain: readFileSync(this.path("server.pem")),
    };
    return ServerCredentials.createSsl(readFileSync(this.path("ca.pem")), [pair], true);
  }

  /** What a client uses whose certificate this authority has issued. */
  client(): { certFile: string; keyFile: string } {
    this.issue("client");
    return { certFile: this.path("client.pem"), keyFile: this.path("client.key") };
  }

  #openssl(...options: string[]): void {
    execFileSync("openssl", options, { stdio: ["ignore", "ignore", "pipe"] });
  }
}

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

test("TLS with a certificate of one's own that is replaced", async (t) => {
  if (!hasTool(t, "openssl", "openssl", "version")) {
    return;
  }
  const [ours, others] = [new Authority(t), new Authority(t)];
  const server = await FakeServer.start(t, undefined, ours.server());
  const good = ours.client();
  // At first with a certificate that the server does not accept.
  const files = others.client();
  const tls = { ...files, caFile: ours.path("ca.pem") };
  const verifier = connect(t, { ...quick(server.address), endpoint: `https://${server.address}`, tls });
  await assert.rejects(verifier.ready(AbortSignal.timeout(300)), { name: "TimeoutError" });
  assert.equal(server.arrivals.size, 0);
  copyFileSync(good.certFile, files.certFile);
  copyFileSync(good.keyFile, files.keyFile);
  await within("it comes with the new certificate", server.next());
});

test("TLS: another name of the server, and a byte order mark", async (t) => {
  if (!hasTool(t, "openssl", "openssl", "version")) {
    return;
  }
  const ours = new Authority(t);
  const server = await FakeServer.start(t, undefined, ours.server());
  const marked = ours.path("marked.pem");
  writeFileSync(marked, `\ufeff${readFileSync(ours.path("ca.pem"), "utf8")}`);
  const tls = { ...ours.client(), caFile: marked };
  const endpoint = `https://${server.address}`;
  const wrong = connect(t, { ...quick(server.address), endpoint, tls: { ...tls, serverName: "other.test" } });
  await assert.rejects(wrong.ready(AbortSignal.timeout(300)), { name: "TimeoutError" });
  assert.equal(server.arrivals.size, 0);
  connect(t, { ...quick(server.address), endpoint, tls: { ...tls, serverName: "countersign.test" } });
  await within("it comes", server.next());
});

test("TLS trusts no other authority", async (t) => {
  if (!hasTool(t, "openssl", "openssl", "version")) {
    return;
  }
  const [ours, others] = [new Authority(t), new Authority(t)];
  const server = await FakeServer.start(t, undefined, ours.server());
  const files = ours.client();
  for (const caFile of [others.path("ca.pem"), undefined]) {
    const verifier = connect(t, {
      ...quick(server.address),
      endpoint: `https://${server.address}`,
      tls: { ...files, caFile },
    });
    await assert.rejects(verifier.ready(AbortSignal.timeout(300)), { name: "TimeoutError" });
    assert.equal(server.arrivals.size, 0);
  }
});

test("TLS: a connection goes on while its files are replaced, and there is a new one then", (t) => {
  if (!hasTool(t, "openssl", "openssl", "version")) {
    return;
  }
  const ours = new Authority(t);
  const tls = { ...ours.client(), caFile: ours.path("ca.pem") };
  let now = 0;
  const connector = new Connector({ endpoint: "https://127.0.0.1:1", tls, patience: 1000, maxBackoff: 1000 });
  const connection = new SharedConnection(connector, () => now);
  t.after(() => connection.close());
  const first = connection.get();
  for (const text of ["", "no certificate"]) {
    writeFileSync(tls.certFile, text);
    now += 1000;
    assert.equal(connection.get(), first);
  }
  // A certificate and its key, one after the other.
  ours.issue("client");
  assert.equal(connection.get(), first);
  now += 1000;
  const second = connection.get();
  assert.notEqual(second, first);
  now += 1000;
  assert.equal(connection.get(), second);
});
