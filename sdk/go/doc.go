// Package countersign verifies access tokens of a Countersign server in your own process: no call for each request, and
// still refused at once after a logout.
//
// A [Verifier] follows a server, which pushes keys and revocations to it as they happen. It proves with its own pings how
// old its knowledge is, and past a bound acts by a policy that you choose. The packages httpauth and grpcauth put it before an
// http.Handler and a gRPC server. A [Client] logs in, refreshes, logs out and manages users and sessions. The package
// countersign/v1 has the generated stubs of the whole contract.
//
// # Three outcomes
//
// Verify returns a [Token], an [*InvalidError] or an [*UnknownError]. The third says that it is not known at the
// moment whether the token is good; it is never a reason to log a user out. Each error is a gRPC status too, with a reason of
// the published catalogue, so that a gRPC handler can return it as it is.
//
// # What it costs
//
// A token that was seen before costs a hash, a comparison of all of its bytes, and a look at its lifetime, its audience
// and the revocations: no cryptography and no I/O. The cache never changes an answer, is bounded, and is not used for
// what a withdrawn key signed. Signatures are checked with the standard library; the rules for everything else are those
// of the server's own verifier, and held to them by the corpus in sdk/conformance.
package countersign
