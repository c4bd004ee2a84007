import { randomUUID } from "node:crypto";
import {
  create,
  isMessage,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import type { Credential, SharedConnection } from "./connection.js";
import { CallError, callError } from "./errors.js";
import { Pauses, sleep } from "./pause.js";
import {
  ChangePasswordRequestSchema,
  LoginRequestSchema,
  ResetPasswordRequestSchema,
} from "./stubs/countersign/v1/auth_service_pb.js";
import {
  CreateKeyRequestSchema,
  CreateServiceAccountRequestSchema,
  DeleteServiceAccountRequestSchema,
  UpdateServiceAccountRequestSchema,
} from "./stubs/countersign/v1/service_account_service_pb.js";
import {
  CreateUserRequestSchema,
  DeleteUserRequestSchema,
  UpdateUserRequestSchema,
} from "./stubs/countersign/v1/user_service_pb.js";
import { callOnce } from "./unary.js";

/** How long calls take and how they are made again. Times are milliseconds. */
export interface RetryLimits {
  /** How long all attempts of a call may take together, pauses included. */
  readonly deadline: number;
  /** How long one attempt may take. */
  readonly attemptTimeout: number;
  /** The longest pause between two attempts where the server does not say how long to wait. */
  readonly maxBackoff: number;
}

/**
 * Makes a call, and makes it again where that is safe and helps. Rejects with a {@link CallError}, or with the reason
 * of `signal`.
 */
export async function callWithRetries<I extends DescMessage, O extends DescMessage>(
  connection: SharedConnection,
  method: DescMethodUnary<I, O>,
  init: MessageInitShape<I>,
  limits: RetryLimits,
  credential: Credential | undefined,
  signal: AbortSignal | undefined,
): Promise<MessageShape<O>> {
  const request = repeatable(create(method.input, init));
  const pauses = new Pauses(limits.maxBackoff);
  const latest = performance.now() + limits.deadline;
  for (;;) {
    let sent = false;
    try {
      return await callOnce(connection.get(), method, {
        request: request as MessageInitShape<I>,
        credential,
        timeout: Math.max(1, Math.min(limits.attemptTimeout, latest - performance.now())),
        signal,
        onSent: () => {
          sent = true;
        },
      });
    } catch (cause) {
      if (signal?.aborted === true) {
        throw cause;
      }
      const error = callError(cause);
      if (!(error instanceof CallError) || !mayRepeat(error, sent, request)) {
        throw error;
      }
      // Never earlier than the server asks for, and not all clients at once.
      const asked = (error.retryAfter ?? 0) * (1 + 0.2 * Math.random());
      const pause = Math.max(asked, pauses.draw());
      if (performance.now() + pause >= latest) {
        throw error;
      }
      await sleep(pause, signal);
    }
  }
}

/** Whether a call that failed may be made again, and whether that can help. */
function mayRepeat(error: CallError, sent: boolean, request: unknown): boolean {
  if (error.reason === "LOGIN_OVERLOADED" || error.reason === "SERVER_OVERLOADED") {
    // The server has not begun.
    return true;
  }
  switch (error.numericCode) {
    case status.UNAVAILABLE:
      return !sent || hasOneAnswer(request);
    case status.DEADLINE_EXCEEDED:
      return hasOneAnswer(request);
    default:
      return false;
  }
}

/** Requests that are answered otherwise when they come a second time. */
const ONCE = [
  LoginRequestSchema,
  ChangePasswordRequestSchema,
  ResetPasswordRequestSchema,
  DeleteUserRequestSchema,
  DeleteServiceAccountRequestSchema,
];

/** Whether the same request is answered alike when it comes a second time. */
function hasOneAnswer(request: unknown): boolean {
  if (isMessage(request, UpdateUserRequestSchema) || isMessage(request, UpdateServiceAccountRequestSchema)) {
    return request.etag === "";
  }
  return !ONCE.some((schema) => isMessage(request, schema));
}

/** Gives what is made a request id where it has none, so that it can be asked for again. */
function repeatable<M>(request: M): M {
  const isCreation =
    (isMessage(request, CreateUserRequestSchema) && request.userId === "") ||
    isMessage(request, CreateServiceAccountRequestSchema) ||
    isMessage(request, CreateKeyRequestSchema);
  if (isCreation && request.requestId === "") {
    request.requestId = randomUUID();
  }
  return request;
}
