//! Verify: is this access token good, now?
//!
//! No I/O: keys and revocations are in memory.

use secrecy::ExposeSecret as _;

use super::authenticator::Authenticator;
use super::error::AuthError;
use super::types::{Verification, Verify, VerifyRequest};

/// Answers by the rules of RFC 8725 and of the ledger. A token that is bad by itself is answered even from a stale
/// view; that a token is good is said only by a view that is fresh enough to know.
pub(super) fn verify(auth: &Authenticator, request: &VerifyRequest) -> Result<Verify, AuthError> {
    let revocation_staleness = auth.staleness();
    let token = request.access_token.expose_secret();
    let verification = match auth.verifier.verify(token, &request.audiences, auth.parts.clock.now()) {
        Ok(token) => {
            auth.require_fresh(revocation_staleness, request.max_staleness)?;
            Verification::Verified(token)
        }
        Err(reason) => Verification::Invalid(reason),
    };
    Ok(Verify { verification, revocation_staleness })
}
