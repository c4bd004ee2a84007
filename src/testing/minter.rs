//! Tokens in any state, made by what makes the real ones.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign_verifier::{Epoch, KeyId};
use secrecy::ExposeSecret as _;

use crate::auth::{AuthError, Authenticator, Caller, CreateUser, KeyAdmin, NewCredential, Policy, UserAdmin};
use crate::auth::{UserAdminError, UserRef};
use crate::model::{
    Actor, ClientFacts, Clock, CustomClaims, ExternalId, KeyKind, Line, MacKeyId, Position, Presented,
    RevocationReason, Role, Session, SessionId, UnixMillis, User, UserId, Username, new_user_id,
};
use crate::revocation::Revocations;
use crate::store::{Cause, SessionRevocation, Until};
use crate::token::{AccessGrant, AccessTokenIssuer, Keyring, LoadedKeys, SessionSecret, SigningKey};

/// How long ago a token has expired that is expired.
const EXPIRED_AGO: Duration = Duration::from_mins(1);
/// How far ahead a token is made that is not valid yet.
const NOT_YET: Duration = Duration::from_hours(1);
/// Whom a token is for that is for somebody else.
const ANOTHER_AUDIENCE: &str = "somebody-else";
/// Who has made a token that somebody else has made.
const ANOTHER_ISSUER: &str = "https://somebody-else.invalid";

/// What kind of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// An access token.
    Access,
    /// A refresh token.
    Refresh,
}

/// What is right or wrong with it; the contract says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "countersign.test.v1.TokenState says it")]
pub enum TokenState {
    Good,
    Expired,
    NotYetValid,
    WrongAudience,
    WrongIssuer,
    Revoked,
    UnknownKey,
    WithdrawnKey,
    BadSignature,
    Malformed,
    Reused,
}

/// The token that is asked for.
#[derive(Debug, Clone)]
pub struct Mint {
    /// Which kind.
    pub kind: TokenKind,
    /// In which state.
    pub state: TokenState,
    /// Whose.
    pub user_id: Option<UserId>,
    /// What they are called.
    pub username: Option<Username>,
    /// Their roles, where they are not those of the user.
    pub roles: Option<Vec<Role>>,
    /// Their claims, where they are not those of the user.
    pub claims: Option<CustomClaims>,
    /// Their external id, where it is not that of the user.
    pub external_id: Option<ExternalId>,
    /// Whom it is for; the default audience where there is none.
    pub audiences: Vec<String>,
    /// How long an access token lives, where it is not as configured.
    pub lifetime: Option<Duration>,
}

/// The token that was made.
pub struct Minted {
    /// Its text.
    pub token: String,
    /// Whose it is.
    pub user: UserId,
    /// What they are called.
    pub username: String,
    /// Its session.
    pub session: SessionId,
    /// From when on it is not accepted.
    pub expires_at: UnixMillis,
    /// Where the ledger tells of its revocation, if it was revoked.
    pub position: Option<Position>,
}

/// Makes tokens of a world.
pub struct Minter {
    /// The world's use cases.
    pub authenticator: Arc<Authenticator>,
    /// What they were told to do.
    pub policy: Policy,
    /// The world's users.
    pub users: Arc<UserAdmin>,
    /// The world's keys.
    pub keys: Arc<Keyring>,
    /// What withdraws them.
    pub key_admin: Arc<KeyAdmin>,
    /// What revokes.
    pub revocations: Revocations,
    /// The world's time.
    pub clock: Arc<dyn Clock>,
    /// A key that was withdrawn, once one is needed.
    pub withdrawn: Mutex<Option<Withdrawn>>,
}

/// The keys as they were when this one was among them.
#[derive(Clone)]
pub struct Withdrawn {
    keys: Arc<LoadedKeys>,
    id: String,
    position: Position,
}

impl Minter {
    /// Makes a token.
    pub async fn mint(&self, mint: Mint) -> Result<Minted, AuthError> {
        if let Some(unknown) = mint.audiences.iter().find(|it| !self.policy.audiences.contains(it)) {
            let what = format!("{unknown:?} is none of those that are configured");
            return Err(AuthError::invalid_field("audiences", what));
        }
        match mint.kind {
            TokenKind::Access => self.access(mint).await,
            TokenKind::Refresh => self.refresh(mint).await,
        }
    }

    async fn access(&self, mint: Mint) -> Result<Minted, AuthError> {
        let state = mint.state;
        if state == TokenState::Reused {
            return Err(AuthError::invalid_field("state", "is one that refresh tokens alone can have"));
        }
        let ttl = mint.lifetime.unwrap_or(self.policy.access_ttl);
        let now = self.clock.now();
        let made = match state {
            TokenState::Expired => now - ttl - EXPIRED_AGO,
            TokenState::NotYetValid => now + NOT_YET,
            _ => now,
        };
        let audiences = match (state, mint.audiences.is_empty()) {
            (TokenState::WrongAudience, _) => vec![ANOTHER_AUDIENCE.to_owned()],
            (_, true) => vec![self.policy.default_audience.clone()],
            (_, false) => mint.audiences.clone(),
        };
        let known = self.known(&mint).await?;
        let user = described(known, &mint, now);
        let session = self.session(&user, &audiences, made, ttl);
        let grant = AccessGrant { user: &user, session: &session, audiences: &audiences, now: made };
        let (token, position) = self.signed(state, &grant, ttl).await?;
        let position = match state {
            TokenState::Revoked => Some(self.revoke(user.id, session.id, session.expires_at).await?),
            _ => position,
        };
        Ok(Minted {
            token,
            user: user.id,
            username: user.username.as_str().to_owned(),
            session: session.id,
            expires_at: UnixMillis::from_secs((made + ttl).as_secs()),
            position,
        })
    }

    /// The text of an access token, and where the ledger tells that its key was withdrawn, if it was.
    async fn signed(
        &self,
        state: TokenState,
        grant: &AccessGrant<'_>,
        ttl: Duration,
    ) -> Result<(String, Option<Position>), AuthError> {
        let issuer = match state {
            TokenState::WrongIssuer => &AccessTokenIssuer::new(ANOTHER_ISSUER),
            _ => &self.policy.access_tokens,
        };
        let sign = |signer: &SigningKey| {
            let token = issuer.mint(signer, grant, ttl).map_err(AuthError::internal)?;
            Ok::<_, AuthError>(token.expose().to_owned())
        };
        let current = self.keys.current();
        let signer = current.signing.signer(self.revocations.store_time().now);
        Ok(match state {
            TokenState::UnknownKey => (sign(&unknown_key(signer)?)?, None),
            TokenState::WithdrawnKey => {
                let withdrawn = self.withdrawn().await?;
                let key = withdrawn.keys.signing.signing().find(|key| key.id().as_str() == withdrawn.id);
                (
                    sign(key.ok_or_else(|| AuthError::internal("the withdrawn key is gone"))?)?,
                    Some(withdrawn.position),
                )
            }
            TokenState::BadSignature => (with_another_end(&sign(signer)?), None),
            TokenState::Malformed => (sign(signer)?.replace('.', ""), None),
            _ => (sign(signer)?, None),
        })
    }

    async fn refresh(&self, mint: Mint) -> Result<Minted, AuthError> {
        use TokenState::{BadSignature, Expired, Good, Malformed, Reused, Revoked};
        if !matches!(mint.state, Good | Expired | Revoked | BadSignature | Malformed | Reused) {
            return Err(AuthError::invalid_field("state", "is one that access tokens alone can have"));
        }
        if mint.lifetime.is_some() {
            return Err(AuthError::invalid_field("lifetime", "is for access tokens alone"));
        }
        let user = match self.known(&mint).await? {
            Some(user) => user,
            None => self.create(&mint).await?,
        };
        let login = self.authenticator.begin_session_unchecked(&user, mint.audiences.clone()).await?;
        let good = login.tokens.refresh_token.expose_secret();
        let keys = self.keys.current();
        let claims = keys.mac.open(good).map_err(AuthError::internal)?;
        let again = |presented: Presented, expires_at: UnixMillis| {
            let token = keys.mac.mint(claims.secret(), claims.user, claims.mac_key, presented, expires_at);
            Ok::<_, AuthError>(token.map_err(AuthError::internal)?.expose().to_owned())
        };
        let past = self.clock.now() - EXPIRED_AGO;
        let mut expires_at = claims.expires_at;
        let token = match mint.state {
            Expired => {
                expires_at = past;
                again(claims.presented, past)?
            }
            // The token of a line that somebody else has continued since.
            Reused => {
                let issued_at = claims.presented.issued_at - EXPIRED_AGO;
                again(Presented { issued_at, ..claims.presented }, claims.expires_at)?
            }
            BadSignature => with_another_end(good),
            Malformed => good[..good.len() / 2].to_owned(),
            _ => good.to_owned(),
        };
        let position = if mint.state == Revoked {
            Some(self.revoke(user.id, login.session.id, claims.expires_at).await?)
        } else {
            None
        };
        Ok(Minted {
            token,
            user: user.id,
            username: user.username.as_str().to_owned(),
            session: login.session.id,
            expires_at,
            position,
        })
    }

    /// The user who is meant, if there is one.
    async fn known(&self, mint: &Mint) -> Result<Option<User>, AuthError> {
        let meant = match (mint.user_id, &mint.username) {
            (Some(id), _) => UserRef::Id(id),
            (None, Some(username)) => UserRef::Name(username.clone()),
            (None, None) => return Ok(None),
        };
        match self.users.find(&meant).await {
            Ok(user) => Ok(Some(user)),
            Err(UserAdminError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A user without a password, as they are described.
    async fn create(&self, mint: &Mint) -> Result<User, AuthError> {
        let new = CreateUser {
            id: mint.user_id,
            username: mint.username.clone().unwrap_or_else(made_up_name),
            // Nobody knows it: whoever wants to log in sets another.
            credential: NewCredential::Password(hex::encode(crate::secret::random::<16>()).into()),
            roles: mint.roles.clone().unwrap_or_default(),
            claims: mint.claims.clone().unwrap_or_default(),
            external_id: mint.external_id.clone(),
        };
        Ok(self.users.create(&Caller::operator(), new, None).await?)
    }

    /// A session that no store has.
    fn session(&self, user: &User, audiences: &[String], made: UnixMillis, ttl: Duration) -> Session {
        let ends = made + self.policy.session.absolute.max(ttl);
        Session {
            id: SessionSecret::generate().session_id(),
            user: user.id,
            epoch: user.epoch,
            line: Line::begin(made),
            audiences: audiences.to_vec(),
            mac_key: MacKeyId::from_bytes([0; 4]),
            created_at: made,
            idle_expires_at: ends,
            expires_at: ends,
            client: ClientFacts::default(),
        }
    }

    /// Revokes a session that ends at `until` whatever happens.
    async fn revoke(
        &self,
        user: UserId,
        session: SessionId,
        until: UnixMillis,
    ) -> Result<Position, AuthError> {
        let (actor, reason) = (Actor::Operator, RevocationReason::Operator);
        let cause = Cause { actor, reason, until: Until::At(until) };
        let revocation = SessionRevocation { session, user, cause };
        Ok(self.revocations.revoke_session(revocation, Arc::default()).await?)
    }

    /// A key that was published, and then withdrawn: the same for every token that asks for one.
    async fn withdrawn(&self) -> Result<Withdrawn, AuthError> {
        let kept = || self.withdrawn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(withdrawn) = kept().clone() {
            return Ok(withdrawn);
        }
        let by = Caller::operator();
        let id = self.key_admin.rotate(&by, KeyKind::Signing, None).await?.id;
        let keys = self.keys.current();
        let position = self.key_admin.withdraw(&by, &id).await?.position;
        let withdrawn = Withdrawn { keys, id, position };
        *kept() = Some(withdrawn.clone());
        Ok(withdrawn)
    }
}

/// The user of an access token: who is known, but for what the request says otherwise, or who is made up.
fn described(known: Option<User>, mint: &Mint, now: UnixMillis) -> User {
    let mut user = known.unwrap_or_else(|| User {
        id: mint.user_id.unwrap_or_else(new_user_id),
        username: mint.username.clone().unwrap_or_else(made_up_name),
        roles: Vec::new(),
        claims: CustomClaims::default(),
        external_id: None,
        disabled: false,
        epoch: Epoch(0),
        created_at: now,
        updated_at: now,
    });
    if let Some(username) = &mint.username {
        user.username = username.clone();
    }
    if let Some(roles) = &mint.roles {
        user.roles.clone_from(roles);
    }
    if let Some(claims) = &mint.claims {
        user.claims.clone_from(claims);
    }
    if mint.external_id.is_some() {
        user.external_id.clone_from(&mint.external_id);
    }
    user
}

fn made_up_name() -> Username {
    let id = new_user_id().to_string();
    Username::from_normalized(format!("user-{}", &id[24..]))
}

/// A key of the same algorithm whose name nobody knows.
fn unknown_key(like: &SigningKey) -> Result<SigningKey, AuthError> {
    let pem = SigningKey::generate_pem(like.algorithm()).map_err(AuthError::internal)?;
    let id = format!("unknown-{}", hex::encode(crate::secret::random::<4>()));
    let id = KeyId::parse(&id).map_err(|_| AuthError::internal("the name of a key"))?;
    SigningKey::from_pkcs8_pem(id, &pem).map_err(AuthError::internal)
}

/// The same text with another character in the middle of its last 16 characters: they are of the signature or the MAC, and
/// all of their bits count.
fn with_another_end(token: &str) -> String {
    let place = token.len() - 8;
    let other = if &token[place..=place] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &token[..place], &token[place + 1..])
}
