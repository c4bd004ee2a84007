/**
 * Verifies access tokens of a Countersign server in your own process: no call for each request, and
 * still refused at once after a logout.
 *
 * <p>A {@link dev.countersign.Verifier} follows a server, which pushes keys and revocations to it
 * as they happen. It proves with its own pings how old its knowledge is, and past a bound acts by a
 * policy that you choose. The artifacts {@code countersign-servlet} and {@code
 * countersign-spring-security} put it before a web application, and {@code dev.countersign.grpc}
 * before a gRPC server. A {@link dev.countersign.Client} logs in, refreshes, logs out and manages
 * users and sessions. The package {@code dev.countersign.v1} has the stubs of the whole contract.
 *
 * <p>No method takes or returns null, unless its documentation says so.
 */
package dev.countersign;
