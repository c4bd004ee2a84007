// Measures what a token costs that was seen before, beside jsonwebtoken and jose, which verify the same token without
// revocation. sdk/node must be built before. jsonwebtoken knows no EdDSA, so ES256 is measured too.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { jwtVerify } from "jose";
import jsonwebtoken from "jsonwebtoken";
import { RevocationService, WatchRevocationsResponseSchema } from "../dist/esm/contract.js";
import { Verifier } from "../dist/esm/index.js";

const ISSUER = "https://auth.example";
const AUDIENCE = "orders";

/** A key, and a token that it has signed. */
function prepare(algorithm) {
  const [type, options, digest] =
    algorithm === "EdDSA" ? ["ed25519", {}, null] : ["ec", { namedCurve: "P-256" }, "sha256"];
  const { publicKey, privateKey } = generateKeyPairSync(type, options);
  const now = Math.floor(Date.now() / 1000);
  const header = { typ: "at+jwt", alg: algorithm, kid: algorithm };
  const claims = {
    iss: ISSUER,
    sub: "018f4e5c-0000-7000-8000-000000000001",
    aud: [AUDIENCE],
    exp: now + 900,
    iat: now,
    jti: "AAAAAAAAAAAAAAAAAAAAAA",
    sid: "AQEBAQEBAQEBAQEBAQEBAQ",
    username: "ada",
    roles: ["admin"],
    auth_time: now,
    amr: ["pwd"],
    epoch: 3,
    sxp: now + 86_400,
  };
  const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const signature = sign(digest, Buffer.from(input), { key: privateKey, dsaEncoding: "ieee-p1363" });
  const spki = publicKey.export({ format: "der", type: "spki" });
  return { algorithm, publicKey, spki, token: `${input}.${signature.toString("base64url")}` };
}

/** A verifier that follows a server, which tells of these keys, and of nothing that is revoked. */
async function follow(t, keys) {
  const server = new Server();
  const { watchRevocations } = RevocationService.method;
  const tell = (call, message) => call.write(create(WatchRevocationsResponseSchema, { message }));
  const definition = {
    path: `/${RevocationService.typeName}/${watchRevocations.name}`,
    requestStream: true,
    responseStream: true,
    requestSerialize: (message) => Buffer.from(toBinary(watchRevocations.input, message)),
    requestDeserialize: (bytes) => fromBinary(watchRevocations.input, bytes),
    responseSerialize: (message) => Buffer.from(toBinary(watchRevocations.output, message)),
    responseDeserialize: (bytes) => fromBinary(watchRevocations.output, bytes),
  };
  server.addService(
    { watchRevocations: definition },
    {
      watchRevocations: (call) => {
        call.on("error", () => undefined);
        call.on("data", ({ message }) => {
          if (message.case === "start") {
            tell(call, { case: "begin", value: { incarnation: 1n } });
            const told = keys.map(({ algorithm, spki }) => ({ id: algorithm, algorithm, spki }));
            tell(call, { case: "keySet", value: { keys: told } });
            tell(call, { case: "revoked", value: { sequence: 1n } });
          } else {
            tell(call, { case: "heartbeat", value: { nonce: message.value.nonce, sequence: 1n, staleness: {} } });
          }
        });
      },
    },
  );
  const port = await new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const verifier = Verifier.connect({ endpoint: `http://127.0.0.1:${port}`, issuer: ISSUER, audiences: [AUDIENCE] });
  t.after(async () => {
    await verifier.close();
    server.forceShutdown();
  });
  await verifier.ready();
  return verifier;
}

/**
 * Nanoseconds of the processor that one call takes: on a busy machine the clock on the wall says more. Each has the
 * token as a text of its own, as a header of a request is one.
 */
async function measure(calls, token, call) {
  const bytes = Buffer.from(token);
  const texts = Array.from({ length: calls }, () => bytes.latin1Slice());
  const begun = process.cpuUsage();
  for (const text of texts) {
    await call(text);
  }
  const { user, system } = process.cpuUsage(begun);
  return ((user + system) * 1000) / calls;
}

test("a token that was seen costs a tenth", { timeout: 120_000 }, async (t) => {
  const keys = [prepare("EdDSA"), prepare("ES256")];
  const verifier = await follow(t, keys);
  for (const { algorithm, publicKey, token } of keys) {
    const ours = (text) => verifier.verify(text);
    assert.equal((await ours(token)).outcome, "verified");
    const rules = { algorithms: [algorithm], issuer: ISSUER, audience: AUDIENCE };
    const theirs = { jose: (text) => jwtVerify(text, publicKey, rules) };
    if (algorithm !== "EdDSA") {
      theirs.jsonwebtoken = (text) => jsonwebtoken.verify(text, publicKey, rules);
    }
    // In turns, and the best of each.
    const best = { ours: Infinity };
    for (let round = 0; round < 7; round++) {
      best.ours = Math.min(best.ours, await measure(10_000, token, ours));
      for (const [name, call] of Object.entries(theirs)) {
        best[name] = Math.min(best[name] ?? Infinity, await measure(200, token, call));
      }
    }
    for (const name of Object.keys(theirs)) {
      const ratio = best[name] / best.ours;
      t.diagnostic(
        `${algorithm}, a token seen before: ${best.ours.toFixed(0)} ns, ${name}: ${best[name].toFixed(0)} ns, ${ratio.toFixed(0)} times as fast`,
      );
      assert.ok(ratio >= 10, `only ${ratio} times as fast as ${name}`);
    }
  }
});
