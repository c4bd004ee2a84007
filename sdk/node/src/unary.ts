import { Buffer } from "node:buffer";
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { Client } from "@grpc/grpc-js";
import { metadataWith, type Credential } from "./connection.js";
import { checkTexts } from "./texts.js";

/** What a call is made with. */
export interface Attempt<I extends DescMessage> {
  readonly request: MessageInitShape<I>;
  readonly credential?: Credential | undefined;
  /** In milliseconds. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
  /** Called when there was a connection to send it on. */
  readonly onSent?: (() => void) | undefined;
}

/** Makes a call once. Rejects with gRPC's `ServiceError`, or with the reason of `signal`. */
export async function callOnce<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: DescMethodUnary<I, O>,
  { request, credential, timeout, signal, onSent }: Attempt<I>,
): Promise<MessageShape<O>> {
  signal?.throwIfAborted();
  const deadline = Date.now() + timeout;
  const metadata = await metadataWith(credential, timeout, signal);
  signal?.throwIfAborted();
  const message = create(method.input, request);
  checkTexts(reflect(method.input, message));
  return new Promise((resolve, reject) => {
    const call = client.makeUnaryRequest(
      `/${method.parent.typeName}/${method.name}`,
      (it: MessageShape<I>) => Buffer.from(toBinary(method.input, it)),
      (bytes: Buffer) => fromBinary(method.output, bytes),
      message,
      metadata,
      { deadline },
      (error, answer) => {
        signal?.removeEventListener("abort", aborted);
        if (!UNSENT.test(call.getPeer())) {
          onSent?.();
        }
        if (signal?.aborted === true) {
          reject(signal.reason as Error);
        } else if (error !== null) {
          reject(error);
        } else {
          resolve(answer!);
        }
      },
    );
    const aborted = (): void => call.cancel();
    signal?.addEventListener("abort", aborted);
  });
}

/** What gRPC says for the peer of a call that had no connection: nothing, or the name of the target. */
const UNSENT = /^(?:unknown$|dns:)/;
