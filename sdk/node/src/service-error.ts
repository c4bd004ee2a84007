import { Metadata, type ServiceError } from "@grpc/grpc-js";

/** Whether an error is one of gRPC's. */
export function isServiceError(error: unknown): error is ServiceError {
  return (
    error instanceof Error &&
    typeof (error as Partial<ServiceError>).code === "number" &&
    (error as Partial<ServiceError>).metadata instanceof Metadata
  );
}
