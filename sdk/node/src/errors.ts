import { Buffer } from "node:buffer";
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { status } from "@grpc/grpc-js";
import { isServiceError } from "./service-error.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  LocalizedMessageSchema,
  RetryInfoSchema,
} from "./stubs/google/rpc/error_details_pb.js";
import { StatusSchema } from "./stubs/google/rpc/status_pb.js";

/** The domain of every reason, in `google.rpc.ErrorInfo`. */
export const ERROR_DOMAIN = "countersign";

/** One field that the server refused, and why. */
export interface FieldViolation {
  /** The field as the contract names it; empty for the request as a whole. */
  readonly field: string;
  /** For people. */
  readonly description: string;
}

/** What the server says beside the message. */
interface Details {
  readonly reason?: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfter?: number;
  readonly violations: readonly FieldViolation[];
  readonly localizedMessage?: string;
}

/** A call that has failed. */
export class CallError extends Error {
  override readonly name = "CallError";
  /** gRPC's code, such as `UNAUTHENTICATED`. */
  readonly code: keyof typeof status;
  /** The same as a number (`google.rpc.Code`). */
  readonly numericCode: number;
  /**
   * The name in the catalogue of reasons (docs/errors.md), such as `REFRESH_TOKEN_REUSED`; undefined when no server
   * answered.
   */
  readonly reason: string | undefined;
  /**
   * What ended a session, where a Refresh is refused with `SESSION_REVOKED`: `LOGGED_OUT`, `PASSWORD_CHANGED` and so on
   * (docs/errors.md).
   */
  readonly endCause: string | undefined;
  /** What else the reason says. */
  readonly metadata: Readonly<Record<string, string>>;
  /** In how many milliseconds trying again may help, where the server says it. */
  readonly retryAfter: number | undefined;
  /** Which fields were refused. */
  readonly violations: readonly FieldViolation[];
  /** A message for people, in their language where the call asked for one. */
  readonly localizedMessage: string | undefined;

  constructor(message: string, numericCode: number, details: Details, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.numericCode = numericCode;
    this.code = (status[numericCode] ?? "UNKNOWN") as keyof typeof status;
    this.reason = details.reason;
    this.endCause = details.metadata["cause"];
    this.metadata = details.metadata;
    this.retryAfter = details.retryAfter;
    this.violations = details.violations;
    this.localizedMessage = details.localizedMessage;
  }
}

/** Makes a {@link CallError} of what gRPC says; other errors stay as they are. */
export function callError(error: unknown): unknown {
  if (!isServiceError(error)) {
    return error;
  }
  const details = readDetails(error.metadata.get("grpc-status-details-bin")[0]);
  const said = details.reason === undefined ? error.details : `${details.reason}: ${error.details}`;
  return new CallError(`countersign: ${said}`, error.code, details, error);
}

function readDetails(bytes: unknown): Details {
  const details: { -readonly [Name in keyof Details]: Details[Name] } = { metadata: {}, violations: [] };
  if (!Buffer.isBuffer(bytes)) {
    return details;
  }
  let told;
  try {
    told = fromBinary(StatusSchema, bytes).details;
  } catch {
    // Something between the server and here has made it up.
    return details;
  }
  for (const any of told) {
    const info = unpack(() => anyUnpack(any, ErrorInfoSchema));
    if (info?.domain === ERROR_DOMAIN) {
      details.reason = info.reason;
      details.metadata = info.metadata;
    }
    const delay = unpack(() => anyUnpack(any, RetryInfoSchema))?.retryDelay;
    if (delay !== undefined) {
      details.retryAfter = Math.max(0, Number(delay.seconds) * 1000 + delay.nanos / 1e6);
    }
    const request = unpack(() => anyUnpack(any, BadRequestSchema));
    if (request !== undefined) {
      details.violations = request.fieldViolations.map(({ field, description }) => ({ field, description }));
    }
    const localized = unpack(() => anyUnpack(any, LocalizedMessageSchema));
    if (localized !== undefined) {
      details.localizedMessage = localized.message;
    }
  }
  return details;
}

function unpack<T>(read: () => T | undefined): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

const ENDING: ReadonlySet<unknown> = new Set([
  "REFRESH_TOKEN_INVALID",
  "REFRESH_TOKEN_EXPIRED",
  "REFRESH_TOKEN_REUSED",
  "SESSION_REVOKED",
]);

/**
 * Whether an error of `refresh` means that the session is over: forget its tokens and let the user log in. On every
 * other error keep them.
 */
export function sessionEnded(error: unknown): error is CallError {
  return error instanceof Error && error.name === "CallError" && "reason" in error && ENDING.has(error.reason);
}
