//! Who calls with a service key. The store is asked for each call, so that what is revoked, disabled or deleted is refused
//! from the next one on, on every replica.

use std::net::IpAddr;
use std::sync::Arc;

use subtle::ConstantTimeEq as _;

use super::error::AuthError;
use crate::model::{Clock, ServiceAccount};
use crate::reason::Reason;
use crate::store::{ServiceAccountStore, StoredKey};
use crate::token::PresentedKey;

mod guesses;

use guesses::Guesses;

/// Recognises service keys.
pub struct ServiceKeys {
    accounts: Arc<dyn ServiceAccountStore>,
    guesses: Guesses,
}

impl ServiceKeys {
    /// Over this store; the clock is for the bound on keys that turn out to be none.
    pub fn new(accounts: Arc<dyn ServiceAccountStore>, clock: Arc<dyn Clock>) -> Self {
        Self { accounts, guesses: Guesses::new(clock) }
    }

    /// Reads a bearer token that is meant to be a service key; `None` for any other. Asks no store: a key that was cut off or
    /// mistyped is refused here.
    pub fn read(bearer: &str) -> Option<Result<PresentedKey, AuthError>> {
        PresentedKey::is_meant_by(bearer).then(|| {
            PresentedKey::parse(bearer).ok_or_else(|| {
                AuthError::from(Reason::ServiceKeyInvalid).caused_by("the service key is malformed")
            })
        })
    }

    /// The account that the key belongs to, as it is now; refused as by [`Self::shown`].
    pub async fn account(
        &self,
        presented: &PresentedKey,
        peer: Option<IpAddr>,
    ) -> Result<ServiceAccount, AuthError> {
        self.shown(presented, peer).await.map(|stored| stored.account)
    }

    /// What is stored of the key, with its account as it is now. A key that is unknown, revoked or expired, or whose account is
    /// disabled or deleted, is refused in one way.
    pub async fn shown(
        &self,
        presented: &PresentedKey,
        peer: Option<IpAddr>,
    ) -> Result<StoredKey, AuthError> {
        let guess = self.guesses.admit(presented.digest, peer)?;
        let stored = match self.accounts.stored_key(presented.id).await {
            Ok(stored) => stored,
            Err(error) => {
                guess.was_not_answered();
                return Err(error.into());
            }
        };
        match stored.filter(|stored| is_of(stored, presented)) {
            Some(stored) if !stored.account.disabled => {
                guess.was_right();
                Ok(stored)
            }
            Some(_) => Err(refused("the service account is disabled")),
            None => Err(refused("there is no such service key, or it has expired")),
        }
    }
}

fn is_of(stored: &StoredKey, presented: &PresentedKey) -> bool {
    stored.digest.as_bytes().ct_eq(presented.digest.as_bytes()).into()
}

fn refused(why: &'static str) -> AuthError {
    AuthError::from(Reason::ServiceKeyInvalid).caused_by(why)
}
