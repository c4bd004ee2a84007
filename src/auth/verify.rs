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
    let view = auth.parts.revocations.view();
    let keys = auth.parts.keys.current();
    let verified = countersign_verifier::verify(
        request.access_token.expose_secret(),
        &auth.policy.rules,
        &keys.signing.key_set(),
        &request.audiences,
        &view.index,
        auth.parts.clock.now(),
    );
    let (verification, revocation_staleness) = match verified {
        Ok(token) => {
            let staleness = auth.require_fresh(request.max_staleness)?;
            (Verification::Verified(Box::new(token)), Some(staleness))
        }
        Err(reason) => (Verification::Invalid(reason), view.staleness(auth.parts.clock.as_ref())),
    };
    Ok(Verify { verification, revocation_staleness })
}
