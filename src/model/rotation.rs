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
    /// D: a Refresh is decided, and its answer has arrived, within this time of being sent, or never. At most W,
    /// unless W is zero; a D as long as W is sound too, as `docs/rotation.md` tells.
    pub deadline: Duration,
    /// Takes a predecessor that comes back after W + 2 D for theft, instead of withdrawing the successor that
    /// nobody ever used.
    pub strict: bool,
}

impl RotationPolicy {
    /// W + 2 D: for so long after a rotation the line stands still. None where W is zero, for then it never does.
    ///
    /// The predecessor is answered with the successor until W, and the last such answer may take until W + D to
    /// arrive. Up to that moment the client knows nothing better than to send the predecessor, and what it sends
    /// then is decided by W + 2 D. So until then an honest client may both hold the successor and have a request
    /// under way with the predecessor. Were the successor to rotate, that request would be taken for reuse; were
    /// the successor withdrawn, the client's next one would.
    #[must_use]
    pub const fn settled_after(&self) -> Option<Duration> {
        if self.grace.is_zero() {
            None
        } else {
            Some(self.grace.saturating_add(self.deadline.saturating_mul(2)))
        }
    }
}

/// What a refresh token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It is the current one: the line goes on.
    Rotate(Line),
    /// It is the current one, and requests with its predecessor may be under way: it is answered again, unchanged.
    Unchanged,
    /// It is the predecessor within the grace window: the identical successor again.
    Replay,
    /// It is the predecessor just after the grace window: the client may have the successor by now, or soon.
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
/// below zero, and the time of a session only moves forward: a store whose clock shows a time before `rotated_at` was
/// set back, and what it writes must not look as if it were long ago once the clock is right again.
pub fn decide(line: &Line, presented: Presented, now: UnixMillis, policy: &RotationPolicy) -> Decision {
    let Line { current, predecessor, rotated_at } = *line;
    let Presented { generation, issued_at } = presented;
    let elapsed = now.since(rotated_at);
    let stands_still = policy.settled_after().is_some_and(|settled| elapsed <= settled);
    let (is_behind, now) = (now < rotated_at, now.max(rotated_at));
    let minted_from =
        |predecessor| Line { current: current.next(), predecessor: Some(predecessor), rotated_at: now };

    if generation == current && issued_at == rotated_at {
        // A login's token is not the answer to a rotation, so nobody can be waiting for it. It rotates at once, except by
        // a clock that is behind: how long the line must stand still after that could not be told.
        let is_awaited = stands_still && (predecessor.is_some() || is_behind);
        return if is_awaited { Decision::Unchanged } else { Decision::Rotate(minted_from(current)) };
    }
    if generation >= current {
        // A login and the first rotation may fall into one millisecond, so a greater generation minted at
        // `rotated_at` itself is also one that the store has lost, and not one that another line overtook.
        return if issued_at > rotated_at || (generation > current && issued_at == rotated_at) {
            let rotated_at = now.max(issued_at);
            let next = Line { current: generation.next(), predecessor: Some(generation), rotated_at };
            Decision::Adopt(next)
        } else {
            Decision::Reuse
        };
    }
    match predecessor {
        Some(predecessor) if generation == predecessor => {
            if stands_still && elapsed <= policy.grace {
                Decision::Replay
            } else if stands_still {
                Decision::InProgress
            } else if policy.strict {
                Decision::Reuse
            } else {
                Decision::Withdraw(minted_from(predecessor))
            }
        }
        _ => Decision::Reuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: Duration = Duration::from_secs(10);
    const D: Duration = Duration::from_secs(2);
    const SETTLED: Duration = Duration::from_secs(14);
    const JUST_BEFORE: Duration = Duration::from_millis(13_999);
    const MILLI: Duration = Duration::from_millis(1);
    const DAY: Duration = Duration::from_hours(24);
    const POLICY: RotationPolicy = RotationPolicy { grace: W, deadline: D, strict: false };
    const T: UnixMillis = UnixMillis::from_secs(1_000_000);

    /// C = 7, minted from P = 5 at T; 6 was withdrawn.
    const LINE: Line = Line { current: Generation(7), predecessor: Some(Generation(5)), rotated_at: T };

    fn token(generation: u32, issued_at: UnixMillis) -> Presented {
        Presented { generation: Generation(generation), issued_at }
    }

    fn line(current: u32, predecessor: u32, rotated_at: UnixMillis) -> Line {
        Line { current: Generation(current), predecessor: Some(Generation(predecessor)), rotated_at }
    }

    #[track_caller]
    fn at(elapsed: Duration, presented: Presented, expected: Decision) {
        assert_eq!(
            decide(&LINE, presented, T + elapsed, &POLICY),
            expected,
            "{presented:?} after {elapsed:?}"
        );
    }

    #[test]
    fn the_current_token_rotates_once_nobody_can_be_waiting_for_it() {
        let current = token(7, T);
        for elapsed in [Duration::ZERO, W, W + MILLI, W + D, W + D + MILLI, JUST_BEFORE, SETTLED] {
            at(elapsed, current, Decision::Unchanged);
        }
        at(SETTLED + MILLI, current, Decision::Rotate(line(8, 7, T + SETTLED + MILLI)));
        at(DAY, current, Decision::Rotate(line(8, 7, T + DAY)));
    }

    #[test]
    fn the_token_of_a_login_rotates_at_once() {
        let login = Line::begin(T);
        assert_eq!(decide(&login, token(0, T), T, &POLICY), Decision::Rotate(line(1, 0, T)));
    }

    #[test]
    fn the_predecessor_gets_the_successor_then_has_to_wait_and_then_replaces_it() {
        let predecessor = token(5, T - DAY);
        at(Duration::ZERO, predecessor, Decision::Replay);
        at(W, predecessor, Decision::Replay);
        at(W + MILLI, predecessor, Decision::InProgress);
        at(W + D, predecessor, Decision::InProgress);
        at(W + D + MILLI, predecessor, Decision::InProgress);
        at(JUST_BEFORE, predecessor, Decision::InProgress);
        at(SETTLED, predecessor, Decision::InProgress);
        at(SETTLED + MILLI, predecessor, Decision::Withdraw(line(8, 5, T + SETTLED + MILLI)));
        at(DAY, predecessor, Decision::Withdraw(line(8, 5, T + DAY)));
    }

    #[test]
    fn a_line_settles_two_deadlines_after_the_grace_window_if_there_is_one() {
        assert_eq!(POLICY.settled_after(), Some(SETTLED));
        assert_eq!(RotationPolicy { deadline: Duration::ZERO, ..POLICY }.settled_after(), Some(W));
        assert_eq!(RotationPolicy { grace: Duration::ZERO, ..POLICY }.settled_after(), None);
        assert_eq!(RotationPolicy { grace: Duration::MAX, ..POLICY }.settled_after(), Some(Duration::MAX));
    }

    #[test]
    fn any_other_old_token_is_reuse_at_any_time() {
        for generation in [0, 4, 6] {
            for elapsed in [Duration::ZERO, W, W + D, SETTLED, SETTLED + MILLI, DAY] {
                at(elapsed, token(generation, T - DAY), Decision::Reuse);
            }
        }
        let login = Line { current: Generation(1), predecessor: None, rotated_at: T };
        assert_eq!(decide(&login, token(0, T), T, &POLICY), Decision::Reuse);
    }

    #[test]
    fn a_token_that_the_store_has_lost_is_followed() {
        at(DAY, token(8, T + MILLI), Decision::Adopt(line(9, 8, T + DAY)));
        at(Duration::ZERO, token(70, T + MILLI), Decision::Adopt(line(71, 70, T + MILLI)));
        at(DAY, token(7, T + MILLI), Decision::Adopt(line(8, 7, T + DAY)));
    }

    #[test]
    fn a_lost_rotation_in_the_millisecond_of_the_login_is_followed() {
        let login = Line::begin(T);
        assert_eq!(decide(&login, token(1, T), T + DAY, &POLICY), Decision::Adopt(line(2, 1, T + DAY)));
    }

    #[test]
    fn a_token_of_a_lost_interval_is_reuse_once_the_line_went_on_without_it() {
        for generation in [7, 8, u32::MAX] {
            at(DAY, token(generation, T - MILLI), Decision::Reuse);
        }
    }

    #[test]
    fn strict_takes_a_late_predecessor_for_reuse_and_changes_nothing_else() {
        let strict = RotationPolicy { strict: true, ..POLICY };
        for elapsed in [Duration::ZERO, W, W + MILLI, W + D, SETTLED, SETTLED + MILLI, DAY] {
            for generation in 4..=8 {
                let presented = token(generation, if generation < 7 { T - DAY } else { T });
                let lenient = decide(&LINE, presented, T + elapsed, &POLICY);
                let expected = if let Decision::Withdraw(_) = lenient { Decision::Reuse } else { lenient };
                assert_eq!(decide(&LINE, presented, T + elapsed, &strict), expected);
            }
        }
    }

    #[test]
    fn without_a_grace_window_nothing_is_answered_twice() {
        let policy = RotationPolicy { grace: Duration::ZERO, ..POLICY };
        let strict = RotationPolicy { strict: true, ..policy };
        let predecessor = token(5, T - DAY);
        assert_eq!(decide(&LINE, token(7, T), T, &policy), Decision::Rotate(line(8, 7, T)));
        assert_eq!(decide(&LINE, predecessor, T, &policy), Decision::Withdraw(line(8, 5, T)));
        assert_eq!(decide(&LINE, predecessor, T, &strict), Decision::Reuse);
    }

    #[test]
    fn a_clock_that_was_set_back_counts_as_no_time_passed() {
        let earlier = T - DAY;
        assert_eq!(decide(&LINE, token(7, T), earlier, &POLICY), Decision::Unchanged);
        assert_eq!(decide(&LINE, token(5, T), earlier, &POLICY), Decision::Replay);
    }

    #[test]
    fn a_clock_that_was_set_back_takes_no_line_back_in_time() {
        let earlier = T - 400 * DAY;
        let login = Line::begin(T);
        assert_eq!(decide(&login, token(0, T), earlier, &POLICY), Decision::Unchanged);
        assert_eq!(
            decide(&LINE, token(8, T + MILLI), earlier, &POLICY),
            Decision::Adopt(line(9, 8, T + MILLI))
        );
        let at_once = RotationPolicy { grace: Duration::ZERO, ..POLICY };
        assert_eq!(decide(&login, token(0, T), earlier, &at_once), Decision::Rotate(line(1, 0, T)));
        assert_eq!(decide(&LINE, token(5, T - DAY), earlier, &at_once), Decision::Withdraw(line(8, 5, T)));
    }

    #[test]
    fn a_line_stands_still_at_the_last_generation() {
        let last = Line { current: Generation(u32::MAX), predecessor: None, rotated_at: T };
        let next = line(u32::MAX, u32::MAX, T + W);
        assert_eq!(decide(&last, token(u32::MAX, T), T + W, &POLICY), Decision::Rotate(next));
        assert_eq!(decide(&next, token(u32::MAX, T), T + W, &POLICY), Decision::Reuse);
    }
}
