/** Lets only calls with a good access token through to a gRPC server. */
package dev.countersign.grpc;
