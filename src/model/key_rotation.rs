//! What is to be done next with the keys in a database: pure decisions, which the replica with the lease carries out one
//! by one. Each is one transaction, so that a replica that is killed anywhere leaves a table from which the next goes on.

use std::time::Duration;

use countersign_verifier::UnixMillis;

use super::token_key::{KeyEnd, KeyKind, KeyTable, TokenKey};

/// What the operator decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPolicy {
    /// How long a key makes tokens before the next one does; `None`: until somebody asks for the next one.
    pub rotate_every: Option<Duration>,
    /// How long a key is on every replica before it makes tokens: at least as long as others cache the key set.
    pub announce: Duration,
    /// How much longer than its last token a key is kept: what clocks may differ by.
    pub margin: Duration,
    /// How long an ended key is listed.
    pub remember: Duration,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStep {
    /// There is no key of this kind that could make tokens. Make one that is used at once.
    CreateFirst(KeyKind),
    /// Make the next key of this kind, and announce it.
    Announce(KeyKind),
    /// Every replica has this key as it is now: it is announced everywhere or, once it is activated, its predecessor has made
    /// its last token.
    Settle(String),
    /// New tokens are made with this key from now on.
    Activate(String),
    /// Every token that was made with this key has expired.
    Retire(String),
    /// The key ended long ago.
    Forget(String),
}

/// The next step, or `None` when there is nothing to do yet.
pub fn next_step(table: &KeyTable, policy: &KeyPolicy) -> Option<KeyStep> {
    KeyKind::ALL.into_iter().find_map(|kind| step_of(table, kind, policy)).or_else(|| forget(table, policy))
}

fn step_of(table: &KeyTable, kind: KeyKind, policy: &KeyPolicy) -> Option<KeyStep> {
    let now = table.now;
    let Some(active) = table.active(kind) else {
        // A key that was announced to others is better than one that nobody knows.
        return Some(match table.announced(kind) {
            Some(next) => KeyStep::Activate(next.id.clone()),
            None => KeyStep::CreateFirst(kind),
        });
    };
    if active.settled_at.is_none() {
        let settled = is_reached(active.activate_at, now) && table.is_everywhere(active.revision);
        return settled.then(|| KeyStep::Settle(active.id.clone())).or_else(|| retire(table, kind, policy));
    }
    if let Some(next) = table.announced(kind) {
        // Before it is everywhere, somebody may still be given a key set without it, and keep that.
        let step = match next.settled_at {
            None if table.is_everywhere(next.revision) => Some(KeyStep::Settle(next.id.clone())),
            Some(at) if now >= at + policy.announce => Some(KeyStep::Activate(next.id.clone())),
            _ => None,
        };
        return step.or_else(|| retire(table, kind, policy));
    }
    let due = |every: Duration| {
        let begins = active.activate_at.unwrap_or(now) + every;
        now >= begins - policy.announce
    };
    if policy.rotate_every.is_some_and(due) {
        return Some(KeyStep::Announce(kind));
    }
    retire(table, kind, policy)
}

/// A key has made its last token when a later one was settled; one that only verifies, before it was stored here.
fn retire(table: &KeyTable, kind: KeyKind, policy: &KeyPolicy) -> Option<KeyStep> {
    let done = |key: &&TokenKey| {
        let last_used = if key.verify_only { Some(key.created_at) } else { succeeded_at(table, key) };
        last_used.is_some_and(|at| table.now >= at + key.life + policy.margin)
    };
    table.of(kind).filter(|key| key.is_trusted()).find(done).map(|key| KeyStep::Retire(key.id.clone()))
}

/// When every replica was known to make tokens with a later key.
fn succeeded_at(table: &KeyTable, key: &TokenKey) -> Option<UnixMillis> {
    let keys = table.scheduled(key.kind);
    let place = keys.iter().position(|other| other.id == key.id)?;
    keys[place + 1..].iter().filter_map(|later| later.settled_at).min()
}

fn forget(table: &KeyTable, policy: &KeyPolicy) -> Option<KeyStep> {
    let over = |key: &&TokenKey| key.ended.is_some_and(|(at, _)| table.now >= at + policy.remember);
    table.keys.iter().find(over).map(|key| KeyStep::Forget(key.id.clone()))
}

fn is_reached(at: Option<UnixMillis>, now: UnixMillis) -> bool {
    at.is_some_and(|at| at <= now)
}

/// What becomes of a key that somebody wants to withdraw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withdrawal {
    /// There is no such key.
    Unknown,
    /// It was withdrawn before.
    Before,
    /// It is retired: no token of it is accepted any more.
    Retired,
    /// It may be withdrawn.
    Possible {
        /// The announced key that must make tokens from that moment on.
        activate: Option<String>,
    },
    /// No other key could make tokens.
    NoSuccessor(KeyKind),
}

/// Whether a key may be withdrawn, and which one makes tokens then: the one that made them before, if it is still there, for
/// every cache has it; otherwise the announced one.
pub fn withdrawal(table: &KeyTable, id: &str) -> Withdrawal {
    let Some(key) = table.keys.iter().find(|key| key.id == id) else { return Withdrawal::Unknown };
    match key.ended {
        Some((_, KeyEnd::Withdrawn)) => return Withdrawal::Before,
        Some((_, KeyEnd::Retired)) => return Withdrawal::Retired,
        None => {}
    }
    if table.active(key.kind).is_none_or(|active| active.id != id) {
        return Withdrawal::Possible { activate: None };
    }
    if table.scheduled(key.kind).iter().any(|key| key.id != id) {
        return Withdrawal::Possible { activate: None };
    }
    match table.announced(key.kind) {
        Some(next) => Withdrawal::Possible { activate: Some(next.id.clone()) },
        None => Withdrawal::NoSuccessor(key.kind),
    }
}

/// A replica lags when a key was created or activated so long ago that it must have it by now.
pub fn laggards(table: &KeyTable, patience: Duration) -> Vec<String> {
    let overdue = table.keys.iter().filter(|key| key.is_trusted()).filter(|key| {
        let changed = key.activate_at.unwrap_or(key.created_at).max(key.created_at);
        table.now >= changed + patience
    });
    let Some(revision) = overdue.map(|key| key.revision).max() else { return Vec::new() };
    table.lagging(revision).map(|replica| replica.name.clone()).collect()
}
