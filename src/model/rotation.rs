//! The rules of refresh rotation, as one pure function.
//!
//! Every store answers by these rules: those that can run Rust between a read and a guarded write call
//! [`decide`] itself, and those that cannot (a Lua script) are held to it by the conformance suite.

use std::time::Duration;

use countersign_verifier::UnixMillis;

/// The place of a refresh token in its session's line: 0 at login, one more with each rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(pub u32);

impl Generation {
    /// What a login mints.
    pub const FIRST: Self = Self(0);

    /// The generation after this one. Saturates: after four billion rotations a line stands still, and its next
    /// token is the last one again.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What the store keeps of a session's line of refresh tokens. From this, and the secret that only the token
/// carries, the current token can be computed again; without the secret nothing can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Line {
    /// C: the generation that the next rotation is made from.
    pub current: Generation,
    /// P: the generation that C was minted from, honoured for a while; none after a login.
    pub predecessor: Option<Generation>,
    /// When C was minted, by the store's clock: the issued-at inside C.
    pub rotated_at: UnixMillis,
}

impl Line {
    /// The line of a session that has just begun.
    pub const fn begin(now: UnixMillis) -> Self {
        Self { current: Generation::FIRST, predecessor: None, rotated_at: now }
    }
}

/// What an authentic refresh token says of its place in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Presented {
    /// g.
    pub generation: Generation,
    /// When it was minted, by the store's clock then.
    pub issued_at: UnixMillis,
}

/// How long what is honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationPolicy {
    /// W: how long the predecessor gets the identical successor again. Zero switches the grace rows off.
    pub grace: Duration,
    /// D: no answer to a Refresh comes later than this; at most W, unless W is zero.
    pub deadline: Duration,
    /// Takes a predecessor that comes back after W + D for theft, instead of withdrawing the successor that
    /// nobody ever used.
    pub strict: bool,
}

/// What a refresh token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It is the current one: the line goes on.
    Rotate(Line),
    /// It is the current one and was minted a moment ago: it is answered again, unchanged.
    Unchanged,
    /// It is the predecessor within the grace window: the identical successor again.
    Replay,
    /// It is the predecessor just after the grace window: its answer may still be under way.
    InProgress,
    /// It is the predecessor, long after: the successor was never used, and makes room for another.
    Withdraw(Line),
    /// The store is behind the token, which we issued: the store lost writes, and follows.
    Adopt(Line),
    /// An old token came back, or one of a line that somebody else continued: the session must die.
    Reuse,
}

impl Decision {
    /// The line that the store must hold from now on; none where nothing changes.
    pub const fn next_line(self) -> Option<Line> {
        match self {
            Self::Rotate(line) | Self::Withdraw(line) | Self::Adopt(line) => Some(line),
            Self::Unchanged | Self::Replay | Self::InProgress | Self::Reuse => None,
        }
    }
}

/// Decides by the table in `docs/rotation.md`, row by row. `now` is the store's time; no elapsed time is ever
/// below zero.
pub fn decide(line: &Line, presented: Presented, now: UnixMillis, policy: &RotationPolicy) -> Decision {
    let Line { current, predecessor, rotated_at } = *line;
    let Presented { generation, issued_at } = presented;
    let elapsed = now.since(rotated_at);
    let minted_from =
        |predecessor| Line { current: current.next(), predecessor: Some(predecessor), rotated_at: now };

    if generation == current && issued_at == rotated_at {
        // A login's token is not the answer to a rotation, so nobody can be waiting for it.
        let just_minted = predecessor.is_some() && elapsed < policy.grace;
        return if just_minted { Decision::Unchanged } else { Decision::Rotate(minted_from(current)) };
    }
    if generation >= current {
        return if issued_at > rotated_at {
            let next = Line { current: generation.next(), predecessor: Some(generation), rotated_at: now };
            Decision::Adopt(next)
        } else {
            Decision::Reuse
        };
    }
    match predecessor {
        Some(predecessor) if generation == predecessor => {
            if policy.grace.is_zero() {
                after_grace(policy, minted_from(predecessor))
            } else if elapsed <= policy.grace {
                Decision::Replay
            } else if elapsed <= policy.grace + policy.deadline {
                Decision::InProgress
            } else {
                after_grace(policy, minted_from(predecessor))
            }
        }
        _ => Decision::Reuse,
    }
}

const fn after_grace(policy: &RotationPolicy, next: Line) -> Decision {
    if policy.strict { Decision::Reuse } else { Decision::Withdraw(next) }
}
