use std::fmt;
use std::time::Duration;

use prost_types::value::Kind;
use serde_json::{Map, Value};
use tonic::Status;

use super::World;
use crate::UnixMillis;
use crate::client::proto::test_v1 as v1;

/// What is right or wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenState {
    /// Nothing is wrong.
    #[default]
    Good,
    /// It expired a minute ago.
    Expired,
    /// It says that it will be made in an hour. Access tokens only.
    NotYetValid,
    /// It is for somebody else. Access tokens only.
    WrongAudience,
    /// Somebody else says to have made it. Access tokens only.
    WrongIssuer,
    /// It was good, and then its session was revoked.
    Revoked,
    /// Its key is one that there never was. Access tokens only.
    UnknownKey,
    /// It was good, and then its key was withdrawn. Access tokens only.
    WithdrawnKey,
    /// Its signature, or its MAC, is another's.
    BadSignature,
    /// It is no token.
    Malformed,
    /// It was exchanged for another long ago. Refresh tokens only.
    Reused,
}

impl From<TokenState> for v1::TokenState {
    fn from(state: TokenState) -> Self {
        match state {
            TokenState::Good => Self::Good,
            TokenState::Expired => Self::Expired,
            TokenState::NotYetValid => Self::NotYetValid,
            TokenState::WrongAudience => Self::WrongAudience,
            TokenState::WrongIssuer => Self::WrongIssuer,
            TokenState::Revoked => Self::Revoked,
            TokenState::UnknownKey => Self::UnknownKey,
            TokenState::WithdrawnKey => Self::WithdrawnKey,
            TokenState::BadSignature => Self::BadSignature,
            TokenState::Malformed => Self::Malformed,
            TokenState::Reused => Self::Reused,
        }
    }
}

/// A token that was made. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Minted {
    /// Its text.
    pub token: String,
    /// Whose it is: the `sub` of an access token.
    pub user_id: String,
    /// What they are called.
    pub username: String,
    /// The session that it belongs to.
    pub session_id: String,
    /// From when on it is not accepted.
    pub expires_at: UnixMillis,
    /// Where the ledger tells of its revocation, for
    /// [`verify_at_least`](crate::client::LiveVerifier::verify_at_least); empty where it was not revoked.
    pub position: String,
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted")
            .field("user_id", &self.user_id)
            .field("username", &self.username)
            .field("session_id", &self.session_id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A token to be made: see [`World::access_token`] and [`World::refresh_token`].
#[must_use = "nothing is made before `mint`"]
#[derive(Clone)]
pub struct Mint<'w> {
    pub(super) world: &'w World,
    pub(super) request: v1::MintTokenRequest,
}

impl Mint<'_> {
    /// In this state.
    pub fn state(mut self, state: TokenState) -> Self {
        self.request.set_state(state.into());
        self
    }

    /// Of the user with this id, who need not exist.
    pub fn user_id(mut self, id: impl Into<String>) -> Self {
        self.request.user_id = id.into();
        self
    }

    /// Of the user who is called so, who need not exist.
    pub fn username(mut self, name: impl Into<String>) -> Self {
        self.request.username = name.into();
        self
    }

    /// With these roles.
    pub fn roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.request.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// With these claims beside the registered ones.
    pub fn claims(mut self, claims: Map<String, Value>) -> Self {
        self.request.custom_claims = Some(object(claims));
        self
    }

    /// With what the user is called in another system.
    pub fn external_id(mut self, id: impl Into<String>) -> Self {
        self.request.external_id = id.into();
        self
    }

    /// For these audiences, of those that the server has.
    pub fn audiences<A: Into<String>>(mut self, audiences: impl IntoIterator<Item = A>) -> Self {
        self.request.audiences = audiences.into_iter().map(Into::into).collect();
        self
    }

    /// Good for so long; access tokens only.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.request.lifetime = lifetime.try_into().ok();
        self
    }

    /// Makes it.
    pub async fn mint(self) -> Result<Minted, Status> {
        let minted = self.world.test_service().mint_token(self.request).await?.into_inner();
        let expires_at = minted.expires_at.unwrap_or_default();
        Ok(Minted {
            token: minted.token,
            user_id: minted.user_id,
            username: minted.username,
            session_id: minted.session_id,
            expires_at: UnixMillis::from_secs(expires_at.seconds),
            position: minted.position,
        })
    }
}

fn object(map: Map<String, Value>) -> prost_types::Struct {
    prost_types::Struct { fields: map.into_iter().map(|(name, item)| (name, value(item))).collect() }
}

fn value(json: Value) -> prost_types::Value {
    let kind = match json {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(truth),
        // Every number that a claim may have is exact in a double.
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => {
            Kind::ListValue(prost_types::ListValue { values: items.into_iter().map(value).collect() })
        }
        Value::Object(map) => Kind::StructValue(object(map)),
    };
    prost_types::Value { kind: Some(kind) }
}
