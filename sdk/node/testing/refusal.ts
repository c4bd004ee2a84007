import { Buffer } from "node:buffer";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata, type ServiceError, type status } from "@grpc/grpc-js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  LocalizedMessageSchema,
  RetryInfoSchema,
} from "../src/stubs/google/rpc/error_details_pb.js";
import { StatusSchema } from "../src/stubs/google/rpc/status_pb.js";

/** What a server answers with to refuse a call. */
export function refusal(code: status, reason: string, wait = 0): ServiceError {
  const metadata = new Metadata();
  const details = [
    anyPack(
      ErrorInfoSchema,
      create(ErrorInfoSchema, { domain: "countersign", reason, metadata: { cause: "LOGGED_OUT" } }),
    ),
    anyPack(
      RetryInfoSchema,
      create(RetryInfoSchema, { retryDelay: { seconds: BigInt(Math.floor(wait / 1000)), nanos: (wait % 1000) * 1e6 } }),
    ),
    anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations: [{ field: "f", description: "d" }] })),
    anyPack(LocalizedMessageSchema, create(LocalizedMessageSchema, { locale: "en", message: "Hello" })),
  ];
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, create(StatusSchema, { code, details }))));
  return Object.assign(new Error(reason), { code, details: reason, metadata });
}
