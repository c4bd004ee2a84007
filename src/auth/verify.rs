//! Verify: is this access token good, now?
//!
//! No I/O: keys and revocations are in memory.

use std::time::Duration;

use super::authenticator::Authenticator;
use super::error::AuthError;
use super::types::{InvalidReason, Verification, Verify};

/// Answers by the rules of RFC 8725 and of the ledger. A token that is bad by itself is answered even from a stale
/// view; that a token is good is said only by a view that is fresh enough to know.
pub(super) fn verify(
    auth: &Authenticator,
    token: &str,
    audiences: &[String],
    max_staleness: Option<Duration>,
) -> Result<Verify, AuthError> {
    let (now, monotonic) = (auth.parts.clock.now(), auth.parts.clock.monotonic());
    let revocation_staleness = auth.parts.revocations.view().staleness_at(now, monotonic);
    let verification = match auth.verifier.verify(token, audiences, now) {
        Ok(token) => {
            auth.require_fresh(revocation_staleness, max_staleness)?;
            Verification::Verified(token)
        }
        Err(reason) => {
            // A key that is not known here may have been announced since: only a view that is fresh knows that there is none.
            if reason == InvalidReason::UnknownKey {
                auth.require_fresh(revocation_staleness, max_staleness)?;
            }
            Verification::Invalid(reason)
        }
    };
    Ok(Verify { verification, revocation_staleness })
}
