import type { TestContext } from "node:test";
import assert from "node:assert/strict";
import type { VerifierOptions } from "../src/options.js";
import { Verifier } from "../src/verifier.js";
import { TestClock } from "./clock.js";
import { FakeServer, within, type FakeStream } from "./fake-server.js";
import { AUDIENCE, ISSUER, TestSigner } from "./forge.js";

/** Options for tests that do not wait. */
export function quick(address: string, clock: TestClock = new TestClock()): VerifierOptions {
  return {
    endpoint: `http://${address}`,
    issuer: ISSUER,
    audiences: [AUDIENCE],
    pingInterval: 5,
    maxBackoff: 10,
    clock,
    logger: { debug: () => undefined, info: () => undefined, warn: () => undefined },
  };
}

export function connect(t: TestContext, options: VerifierOptions): Verifier {
  const verifier = Verifier.connect(options);
  t.after(() => verifier.close());
  return verifier;
}

/** A verifier that has loaded what the fake server told: one key, and nothing revoked, up to position 5. */
export interface Following {
  readonly verifier: Verifier;
  readonly clock: TestClock;
  readonly server: FakeServer;
  readonly stream: FakeStream;
  readonly signer: TestSigner;
}

export async function following(t: TestContext, changed: Partial<VerifierOptions> = {}): Promise<Following> {
  const server = await FakeServer.start(t);
  const clock = new TestClock();
  const signer = new TestSigner("k1");
  const verifier = connect(t, { ...quick(server.address, clock), ...changed });
  const stream = await server.next();
  assert.equal(await stream.started(), undefined);
  stream.begin(1n);
  stream.keys(signer);
  stream.revoked(5n);
  stream.beat(await stream.pinged(), 5n);
  await within("the verifier is ready", verifier.ready());
  return { verifier, clock, server, stream, signer };
}
