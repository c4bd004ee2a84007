//! Audit events: what somebody will want to know after an incident, as structured log lines under the target
//! `countersign::audit`. The list with its fields is in `docs/logging.md`.
//!
//! No event carries a token, a password, or what was typed as a username by somebody who could not log in: people
//! type passwords into the wrong field.

use std::net::IpAddr;

use crate::model::{
    KeyEnd, MacKeyId, RevocationReason, ServiceAccount, ServiceAccountId, ServiceKeyId, SessionId, UserId,
    Username,
};
use crate::store::{Honoured, KeyChange, NewKeyActivation};

/// An address, or nothing where there is none.
fn address(peer: Option<IpAddr>) -> String {
    peer.map(|peer| peer.to_string()).unwrap_or_default()
}

/// A login succeeded.
pub(super) fn login_succeeded(user: UserId, username: &Username, session: SessionId, peer: Option<IpAddr>) {
    tracing::info!(
        target: "countersign::audit",
        event = "login.succeeded",
        %user, username = username.as_str(), %session, peer = address(peer),
        "login succeeded"
    );
}

/// A login failed. `user` is known when the username was that of a user.
pub(super) fn login_failed(user: Option<UserId>, why: &'static str, peer: Option<IpAddr>) {
    tracing::warn!(
        target: "countersign::audit",
        event = "login.failed",
        user = user.map(|user| user.to_string()), why, peer = address(peer),
        "login failed"
    );
}

/// A session was refreshed.
pub(super) fn refreshed(user: UserId, session: SessionId, how: Honoured, peer: Option<IpAddr>) {
    // The line going on is the ordinary case, many times a day for each user; all else is worth seeing.
    match how {
        Honoured::Rotated | Honoured::Unchanged | Honoured::Replayed => tracing::debug!(
            target: "countersign::audit",
            event = "session.refreshed", %user, %session, how = how.as_str(), peer = address(peer), "session refreshed"
        ),
        Honoured::Withdrawn | Honoured::Adopted => tracing::info!(
            target: "countersign::audit",
            event = "session.refreshed", %user, %session, how = how.as_str(), peer = address(peer), "session refreshed"
        ),
    }
}

/// A refresh token names a MAC key that is not there. Anybody can write such a token; many of one key are a key that was taken
/// away too early.
pub(super) fn unknown_mac_key(key: MacKeyId, peer: Option<IpAddr>) {
    tracing::warn!(
        target: "countersign::audit",
        event = "session.unknown_mac_key",
        mac_key = %key, peer = address(peer),
        "refresh refused: it was made with a MAC key that is not there"
    );
}

/// An old refresh token came back, and the session was revoked for it.
pub(super) fn refresh_token_reused(user: UserId, session: SessionId, peer: Option<IpAddr>) {
    tracing::warn!(
        target: "countersign::audit",
        event = "session.refresh_token_reused",
        %user, %session, peer = address(peer),
        "an old refresh token came back: session revoked"
    );
}

/// A session was revoked for another reason.
pub(super) fn session_revoked(
    user: UserId,
    session: SessionId,
    reason: RevocationReason,
    peer: Option<IpAddr>,
) {
    tracing::info!(
        target: "countersign::audit",
        event = "session.revoked",
        %user, %session, reason = reason.as_str(), peer = address(peer),
        "session revoked"
    );
}

/// A session was revoked by somebody else than its user.
pub(super) fn session_revoked_by(user: UserId, session: SessionId, reason: RevocationReason, actor: &str) {
    tracing::info!(
        target: "countersign::audit",
        event = "session.revoked",
        %user, %session, reason = reason.as_str(), actor,
        "session revoked"
    );
}

/// A user was created, changed, or all their sessions were revoked. `what` is `created`, or a revocation's reason.
pub(super) fn user_changed(user: UserId, username: Option<&Username>, what: &'static str, actor: &str) {
    tracing::info!(
        target: "countersign::audit",
        event = "user.changed",
        %user, username = username.map(Username::as_str), what, actor,
        "user changed"
    );
}

/// An import has ended, or was cut off: what became of its rows.
pub(super) fn users_imported(created: u64, unchanged: u64, refused: u64, dry_run: bool, actor: &str) {
    tracing::info!(
        target: "countersign::audit",
        event = "users.imported",
        created, unchanged, refused, dry_run, actor,
        "users imported"
    );
}

/// A service account was `created`, `changed`, `disabled`, `enabled` or `deleted`.
pub(super) fn service_account_changed(account: &ServiceAccount, what: &'static str, actor: &str) {
    tracing::info!(
        target: "countersign::audit",
        event = "service_account.changed",
        service_account = %account.id, name = account.name.as_str(), what, actor,
        "service account changed"
    );
}

/// A key of a service account was made.
pub(super) fn service_key_created(account: &ServiceAccount, key: ServiceKeyId, actor: &str) {
    tracing::info!(
        target: "countersign::audit",
        event = "service_key.created",
        service_account = %account.id, name = account.name.as_str(), service_key = %key, actor,
        "service key created"
    );
}

/// A key of a service account was revoked.
pub(super) fn service_key_revoked(account: &ServiceAccount, key: ServiceKeyId, actor: &str) {
    tracing::info!(
        target: "countersign::audit",
        event = "service_key.revoked",
        service_account = %account.id, name = account.name.as_str(), service_key = %key, actor,
        "service key revoked"
    );
}

/// A service account got an access token.
pub(super) fn service_token_issued(account: &ServiceAccount, key: ServiceKeyId, peer: Option<IpAddr>) {
    tracing::info!(
        target: "countersign::audit",
        event = "service_token.issued",
        service_account = %account.id, name = account.name.as_str(), service_key = %key, peer = address(peer),
        "service token issued"
    );
}

/// The access tokens that were got with one key were ended by one of them.
pub(super) fn service_tokens_ended(account: ServiceAccountId, session: SessionId, peer: Option<IpAddr>) {
    tracing::info!(
        target: "countersign::audit",
        event = "service_token.ended",
        service_account = %account, %session, peer = address(peer),
        "service tokens ended"
    );
}

/// A key that makes tokens was made, came into use or ended.
pub(super) fn key_changed(change: &KeyChange, actor: &str) {
    let (key, what) = match change {
        KeyChange::Add(new) if new.activation == NewKeyActivation::Later => (&new.id, "announced"),
        KeyChange::Add(new) => (&new.id, "created"),
        KeyChange::Activate(id) => (id, "activated"),
        KeyChange::End(id, KeyEnd::Retired) => (id, "retired"),
        KeyChange::End(id, KeyEnd::Withdrawn) => (id, "withdrawn"),
        KeyChange::Settle(_) | KeyChange::Forget(_) | KeyChange::Reseal(..) | KeyChange::Tell => return,
    };
    tracing::info!(target: "countersign::audit", event = "key.changed", key = %key, what, actor, "key changed");
}
