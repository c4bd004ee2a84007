/**
 * The messages and services of the contract, for protobuf-es (`@bufbuild/protobuf`).
 *
 * @module
 */
export * from "./stubs/countersign/v1/auth_service_pb.js";
export * from "./stubs/countersign/v1/revocation_service_pb.js";
export * from "./stubs/countersign/v1/service_account_service_pb.js";
export * from "./stubs/countersign/v1/session_pb.js";
export * from "./stubs/countersign/v1/session_service_pb.js";
export * from "./stubs/countersign/v1/tokens_pb.js";
export * from "./stubs/countersign/v1/user_service_pb.js";
export * from "./stubs/countersign/v1/verification_pb.js";
export * from "./stubs/google/rpc/error_details_pb.js";
export * from "./stubs/google/rpc/status_pb.js";
