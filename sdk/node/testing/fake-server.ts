import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescService,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  Metadata,
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type UntypedHandleCall,
} from "@grpc/grpc-js";
import type { Id } from "../src/id.js";
import {
  RevocationService,
  WatchRevocationsResponseSchema,
  type WatchRevocationsRequest,
} from "../src/stubs/countersign/v1/revocation_service_pb.js";
import {
  AuthService,
  type VerifyAccessTokenRequest,
  type VerifyAccessTokenResponseSchema,
} from "../src/stubs/countersign/v1/auth_service_pb.js";
import type { TestSigner } from "./forge.js";
import { idBytes } from "./forge.js";

/** How long a test waits for what must happen, in milliseconds. */
export const PATIENCE = 30_000;

/** Waits for something, and fails with `what` when it takes far too long. */
export async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it takes too long: ${what}`)), PATIENCE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again whether something holds, and fails when that takes far too long. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const latest = performance.now() + PATIENCE; !(await holds()); ) {
    assert.ok(performance.now() < latest, `it takes too long: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
  }
}

/** What is taken out in the order in which it was put in, by those who may come first. */
export class Queue<T> {
  readonly #items: T[] = [];
  readonly #waiting: ((item: T) => void)[] = [];

  put(item: T): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) {
      this.#items.push(item);
    } else {
      waiting(item);
    }
  }

  take(what: string): Promise<T> {
    const item = this.#items.shift();
    return item === undefined
      ? within(what, new Promise((resolve) => this.#waiting.push(resolve)))
      : Promise.resolve(item);
  }

  get size(): number {
    return this.#items.length;
  }
}

/** grpc-js's definition of a service, from protobuf-es's. */
export function definitionOf(service: DescService): ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => [
      method.localName,
      {
        path: `/${service.typeName}/${method.name}`,
        requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
        responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
        requestSerialize: (message: MessageShape<DescMessage>) => Buffer.from(toBinary(method.input, message)),
        requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes),
        // A test may send bytes that are no message.
        responseSerialize: (message: MessageShape<DescMessage> | Buffer) =>
          Buffer.isBuffer(message) ? message : Buffer.from(toBinary(method.output, message)),
        responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
      },
    ]),
  );
}

/** Listens on a port of the loopback interface, and returns the address. */
export async function listen(
  t: TestContext,
  server: Server,
  credentials = ServerCredentials.createInsecure(),
  address = "127.0.0.1:0",
): Promise<string> {
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  t.after(() => server.forceShutdown());
  return `127.0.0.1:${port}`;
}

type Watch = ServerDuplexStream<WatchRevocationsRequest, unknown>;
type VerifyInit = MessageInitShape<typeof VerifyAccessTokenResponseSchema>;
type Response = MessageInitShape<typeof WatchRevocationsResponseSchema>["message"];

/** A server whose every word is the test's. */
export class FakeServer {
  readonly server = new Server();
  readonly arrivals = new Queue<FakeStream>();
  readonly metadata: Metadata[] = [];
  address = "";
  verify: (request: VerifyAccessTokenRequest, metadata: Metadata) => Pick<VerifyInit, "result"> = () => {
    throw new Error("nobody is expected to ask");
  };

  private constructor() {
    const watch = (call: Watch): void => {
      this.metadata.push(call.metadata);
      this.arrivals.put(new FakeStream(call));
    };
    const verify = (call: ServerUnaryCall<VerifyAccessTokenRequest, unknown>, answer: sendUnaryData<unknown>): void => {
      try {
        answer(null, create(AuthService.method.verifyAccessToken.output, this.verify(call.request, call.metadata)));
      } catch (error) {
        answer(error as Error);
      }
    };
    this.server.addService(definitionOf(RevocationService), { watchRevocations: watch as UntypedHandleCall });
    this.server.addService(definitionOf(AuthService), { verifyAccessToken: verify as UntypedHandleCall });
  }

  static async start(t: TestContext, address?: string, credentials?: ServerCredentials): Promise<FakeServer> {
    const fake = new FakeServer();
    fake.address = await listen(t, fake.server, credentials, address);
    return fake;
  }

  /** The next client that comes. */
  next(): Promise<FakeStream> {
    return this.arrivals.take("no client comes");
  }
}

/** One client's stream. */
export class FakeStream {
  readonly #call: Watch;
  readonly #said = new Queue<WatchRevocationsRequest>();
  /** Whether the client has given the stream up. */
  isCancelled = false;

  constructor(call: Watch) {
    this.#call = call;
    call.on("data", (message: WatchRevocationsRequest) => this.#said.put(message));
    call.on("error", () => undefined);
    call.on("cancelled", () => {
      this.isCancelled = true;
    });
  }

  async hear(): Promise<WatchRevocationsRequest["message"]> {
    return (await this.#said.take("the client says nothing")).message;
  }

  /** Where the client begins. */
  async started(): Promise<{ incarnation: bigint; sequence: bigint } | undefined> {
    const message = await this.hear();
    assert.equal(message.case, "start");
    return message.case === "start" ? message.value.resume : undefined;
  }

  async pinged(): Promise<bigint> {
    const message = await this.hear();
    assert.equal(message.case, "ping");
    return message.case === "ping" ? message.value.nonce : 0n;
  }

  /** The next ping that asks for a position; the usual ones are passed over. */
  async askedFor(position: string): Promise<bigint> {
    const latest = performance.now() + PATIENCE;
    while (performance.now() < latest) {
      const message = await this.hear();
      if (message.case === "ping" && message.value.atLeast !== "") {
        assert.equal(message.value.atLeast, position);
        return message.value.nonce;
      }
    }
    assert.fail(`the client does not ask for ${position}`);
  }

  tell(message: Response): void {
    this.#call.write(create(WatchRevocationsResponseSchema, { message } as never));
  }

  /** Sends bytes that may be no message. */
  tellBytes(bytes: Buffer): void {
    this.#call.write(bytes);
  }

  begin(incarnation: bigint, resumed = false): void {
    this.tell({ case: "begin", value: { incarnation, resumed } });
  }

  keys(...signers: TestSigner[]): void {
    this.tell({
      case: "keySet",
      value: { keys: signers.map(({ kid, spki }) => ({ id: kid, algorithm: "EdDSA", spki })) },
    });
  }

  revoked(sequence: bigint, ...sessions: Id[]): void {
    const forgetAt = { seconds: BigInt(Math.floor(Date.now() / 1000) + 3600) };
    this.tell({
      case: "revoked",
      value: { sequence, sessions: sessions.map((session) => ({ sessionId: idBytes(session), forgetAt })) },
    });
  }

  raised(sequence: bigint, subject: Id, epoch: bigint): void {
    const forgetAt = { seconds: BigInt(Math.floor(Date.now() / 1000) + 3600) };
    this.tell({ case: "revoked", value: { sequence, users: [{ subject: idBytes(subject), epoch, forgetAt }] } });
  }

  beat(nonce: bigint, sequence: bigint, reached?: boolean): void {
    this.tell({
      case: "heartbeat",
      value: { nonce, sequence, ...(reached === undefined ? { staleness: {} } : { reached }) },
    });
  }

  /** Ends the stream with OK. */
  end(): void {
    this.#call.end();
  }
}
