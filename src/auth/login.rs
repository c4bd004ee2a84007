//! Login: a password for a session.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::audit;
use super::authenticator::Authenticator;
use super::error::AuthError;
use super::event_recorder::TOO_MANY_ATTEMPTS;
use super::login_turns::Turn;
use super::types::{CallContext, Login, LoginRequest, SessionSummary};
use crate::model::throttle::{AccountDigest, Admission, LoginAttempt, Source};
use crate::model::{
    Actor, ClientFacts, Credential, EventKind, NewEvent, NewSession, PasswordHash, RevocationReason, Session,
    SessionLimit, User, UserId, Username,
};
use crate::password::{Password, PoolError, Reservation, Verdict};
use crate::reason::Reason;
use crate::store::{Cause, Created, SessionPolicy, SessionRevocation, StoreError, Until};
use crate::token::SessionSecret;
use crate::token::access::AccessTokenIssuer;

/// Checks the password and opens a session.
///
/// A wrong password, an unknown user and a disabled one are told with the same bytes after the same work.
pub(super) async fn login(
    auth: &Authenticator,
    call: &CallContext,
    request: LoginRequest,
) -> Result<Login, AuthError> {
    let audiences = check_audiences(auth, request.audiences)?;
    let class_limit = class_limit(auth, &request.client.class)?;
    let username = Username::parse(&request.username)
        .map_err(|error| AuthError::invalid_field("username", error.to_string()))?;
    let password = Password::new(request.password.expose_secret().to_owned())
        .map_err(|error| AuthError::invalid_field("password", error.to_string()))?;

    let user = with_password(auth, &username, password, call).await?;
    let policy = SessionPolicy { class_limit, ..auth.policy.session };
    let client = request.client.clone();
    let login = begin_session(auth, &user, audiences, request.client, &policy, call).await?;
    audit::login_succeeded(user.id, &username, login.session.id, call.peer);
    let event = NewEvent::new(EventKind::LoginSucceeded, Actor::User(user.id), &call.origin());
    let event = event.about(user.id).session(login.session.id);
    auth.parts.events.record(NewEvent { facts: event.facts.with_client(&client), ..event });
    Ok(login)
}

/// How many sessions of a class a user may have; a class that is not configured is a mistake of the client's maker.
fn class_limit(auth: &Authenticator, class: &str) -> Result<SessionLimit, AuthError> {
    if class.is_empty() {
        return Ok(SessionLimit::Unlimited);
    }
    let classes = &auth.policy.classes;
    classes.get(class).copied().ok_or_else(|| {
        let known: Vec<&str> = classes.keys().map(String::as_str).collect();
        let what = match known.as_slice() {
            [] => "must be empty: no class is configured".to_owned(),
            known => format!("must be empty or one of {}", known.join(", ")),
        };
        AuthError::invalid_field("client.class", what)
    })
}

/// The user with this name and this password, counted as an attempt to log in.
pub(super) async fn with_password(
    auth: &Authenticator,
    username: &Username,
    password: Password,
    call: &CallContext,
) -> Result<User, AuthError> {
    // Before any store is asked: a flood of logins costs the stores no more than what can be hashed.
    let place = auth.parts.passwords.reserve(call.deadline)?;
    let (attempt, turn) = admit(auth, username, call).await?;
    let credential = auth.parts.users.credential(username).await?;
    let user = check_password(auth, place, password, credential, call).await?;
    take_back(auth, attempt).await;
    drop(turn);
    Ok(user)
}

/// A session of the user, in the epoch in which they are given.
pub(super) async fn begin_session(
    auth: &Authenticator,
    user: &User,
    audiences: Vec<String>,
    client: ClientFacts,
    policy: &SessionPolicy,
    call: &CallContext,
) -> Result<Login, AuthError> {
    let secret = SessionSecret::generate();
    let session = NewSession {
        id: secret.session_id(),
        user: user.id,
        epoch: user.epoch,
        mac_key: auth.parts.keys.current().mac.active(auth.store_time().now),
        audiences,
        client,
    };
    let session = open(auth, session, policy, call).await?;
    let tokens = auth.tokens(user, &session, &secret)?;
    Ok(Login {
        tokens,
        session: SessionSummary {
            id: session.id,
            user: session.user,
            username: user.username.as_str().to_owned(),
            created_at: session.created_at,
            expires_at: session.expires_at,
        },
    })
}

/// Counts the attempt before anything is looked at, so that a thousand guesses at once are no more than a few. One that is
/// refused while others are under way, which count until their passwords were looked at, waits for what comes of them.
async fn admit(
    auth: &Authenticator,
    username: &Username,
    call: &CallContext,
) -> Result<(LoginAttempt, Option<Turn>), AuthError> {
    let source = call.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let attempt = LoginAttempt { account: AccountDigest::of(username), source: Source::of(source) };
    let Some(throttle) = &auth.parts.throttle else { return Ok((attempt, None)) };
    let mut turn = auth.login_turns.begin(attempt.source);
    loop {
        let Admission::Refused { retry_after } = throttle.admit(attempt).await? else {
            turn.admitted();
            return Ok((attempt, Some(turn)));
        };
        let left = call.deadline.since(auth.parts.clock.monotonic()).saturating_sub(TIME_TO_ANSWER);
        if !turn.after_another(left).await {
            audit::login_failed(None, "too many attempts", call.peer);
            let event = NewEvent::new(EventKind::LoginFailed, "", &call.origin());
            auth.parts.events.record(event.because(TOO_MANY_ATTEMPTS));
            return Err(AuthError::new(Reason::RateLimitExceeded).retry_after(retry_after));
        }
    }
}

/// How much of its time a login keeps for its answer when it waits for others.
const TIME_TO_ANSWER: Duration = Duration::from_millis(250);

/// The attempt succeeded, and so counts for nothing. Where that cannot be noted it goes on counting for a while,
/// which is no reason to refuse the login.
async fn take_back(auth: &Authenticator, attempt: LoginAttempt) {
    if let Some(throttle) = &auth.parts.throttle
        && let Err(error) = throttle.succeeded(attempt).await
    {
        tracing::debug!(%error, "a successful login still counts as an attempt");
    }
}

/// Only configured audiences, each once; empty stands for the default, whatever it will be.
pub(super) fn check_audiences(
    auth: &Authenticator,
    mut asked: Vec<String>,
) -> Result<Vec<String>, AuthError> {
    asked.sort_unstable();
    asked.dedup();
    if asked.iter().any(|audience| !auth.policy.audiences.contains(audience)) {
        return Err(AuthError::invalid_field("audiences", "contains an audience that is not configured"));
    }
    match AccessTokenIssuer::check_audiences(&asked) {
        Ok(()) => Ok(asked),
        Err(error) => Err(AuthError::invalid_field("audiences", error.to_string())),
    }
}

async fn check_password(
    auth: &Authenticator,
    place: Reservation,
    password: Password,
    credential: Option<Credential>,
    call: &CallContext,
) -> Result<User, AuthError> {
    let hash = credential.as_ref().map(|credential| credential.password_hash.clone());
    let may_enter = credential.as_ref().is_some_and(|credential| !credential.user.disabled);
    let verdict = match place.verify(password.clone(), hash, may_enter).await {
        // The caller must not learn from this that there is such a user; it took as long as any other hash.
        Err(PoolError::CorruptHash(error)) => {
            let user = credential.as_ref().map(|credential| credential.user.id.to_string());
            tracing::error!(user, %error, "a stored password hash cannot be read");
            Verdict { matches: false, needs_rehash: false }
        }
        verdict => verdict?,
    };
    let refused = match &credential {
        None => Some(("unknown user", "UNKNOWN_USER")),
        Some(_) if !verdict.matches => Some(("wrong password", "WRONG_PASSWORD")),
        Some(credential) if credential.user.disabled => Some(("user disabled", "USER_DISABLED")),
        Some(_) => None,
    };
    match (refused, credential) {
        (None, Some(Credential { user, password_hash })) => {
            if verdict.needs_rehash {
                rehash(auth, user.id, password, password_hash, call);
            }
            Ok(user)
        }
        (why, credential) => {
            let (user, (why, cause)) = (credential.map(|it| it.user.id), why.unwrap_or_default());
            audit::login_failed(user, why, call.peer);
            let event = NewEvent::new(EventKind::LoginFailed, "", &call.origin()).because(cause);
            auth.parts.events.record(NewEvent { user, ..event });
            Err(AuthError::new(Reason::InvalidCredentials))
        }
    }
}

/// Brings the hash up to today's parameters. The login does not wait for it, and the next one tries again when it
/// fails.
fn rehash(auth: &Authenticator, user: UserId, password: Password, old: PasswordHash, call: &CallContext) {
    let (passwords, users) = (auth.parts.passwords.clone(), auth.parts.users.clone());
    let deadline = call.deadline;
    tokio::spawn(async move {
        let Ok(new) = passwords.hash(password, deadline).await else { return };
        match users.rehash(user, &old, &new).await {
            Ok(true) => tracing::info!(%user, "password rehashed with the current parameters"),
            Ok(false) => tracing::debug!(%user, "password changed while it was being rehashed"),
            Err(error) => tracing::warn!(%user, %error, "password not rehashed"),
        }
    });
}

/// Creates the session, and ends those that must make room for it before anybody hears of the new one. Should we die
/// in between, nothing has ended, and the next login finds them again.
async fn open(
    auth: &Authenticator,
    session: NewSession,
    policy: &SessionPolicy,
    call: &CallContext,
) -> Result<Session, AuthError> {
    match auth.parts.sessions.create(session, policy).await? {
        Created::LimitReached => Err(AuthError::new(Reason::SessionLimitReached)),
        Created::Session(session, evicted) => {
            for evicted in &evicted {
                revoke_evicted(auth, evicted, call).await?;
                auth.forget(evicted.user, evicted.id).await;
            }
            Ok(*session)
        }
    }
}

async fn revoke_evicted(
    auth: &Authenticator,
    evicted: &Session,
    call: &CallContext,
) -> Result<(), StoreError> {
    let reason = RevocationReason::SessionLimit;
    let cause = Cause { actor: Actor::System, reason, until: Until::At(evicted.expires_at) };
    let revocation = SessionRevocation { session: evicted.id, user: evicted.user, cause };
    auth.parts.revocations.revoke_session(revocation, Arc::new(call.origin())).await?;
    audit::session_revoked(evicted.user, evicted.id, reason, call.peer);
    Ok(())
}

impl From<PoolError> for AuthError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Overloaded { retry_after } => {
                Self::new(Reason::LoginOverloaded).retry_after(retry_after)
            }
            PoolError::Deadline => Self::new(Reason::DeadlineExceeded),
            PoolError::CorruptHash(_) | PoolError::Closed | PoolError::Panicked => Self::internal(error),
        }
    }
}
