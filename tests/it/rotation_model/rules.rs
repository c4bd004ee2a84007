//! The rules that production decides with, and the same rules with one of them changed.

use std::time::Duration;

use countersign::model::{Decision, Line, Presented, RotationPolicy, UnixMillis, decide};

/// Something that can stand in the place of [`decide`].
type Decide = fn(&Line, Presented, UnixMillis, &RotationPolicy) -> Decision;

/// What a model decides by.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) name: &'static str,
    pub(super) decide: Decide,
}

impl Rules {
    const fn changed(name: &'static str, decide: Decide) -> Self {
        Self { name, decide }
    }
}

/// The very function that production calls.
pub(super) const PRODUCTION: Rules = Rules::changed("the rules", decide);
pub(super) const WITHOUT_WITHDRAWAL: Rules = Rules::changed("without withdrawal", without_withdrawal);
pub(super) const SAME_GENERATION: Rules = Rules::changed("withdrawal keeps the generation", same_generation);
pub(super) const WITHOUT_ADOPTION: Rules = Rules::changed("without following", without_adoption);
pub(super) const STRICT: Rules = Rules::changed("strict", strict);

/// C rotates again however young it is.
pub(super) const WITHOUT_UNCHANGED: Rules =
    Rules::changed("without \"unchanged\"", |line, presented, now, policy| {
        narrowed(line, presented, now, policy, [Duration::ZERO, Duration::MAX])
    });

/// The successor is withdrawn straight after W.
pub(super) const WITHOUT_QUIET_ZONE: Rules =
    Rules::changed("without the quiet zone", |line, presented, now, policy| {
        narrowed(line, presented, now, policy, [Duration::MAX, Duration::ZERO])
    });

/// The windows that suffice while only answers are late: `Unchanged` before W, `InProgress` until W + D.
pub(super) const NARROW: Rules = Rules::changed("narrow windows", |line, presented, now, policy| {
    narrowed(line, presented, now, policy, [policy.grace, policy.grace + policy.deadline + UNIT])
});

pub(super) const UNCHANGED_ONE_LESS: Rules =
    Rules::changed("\"unchanged\" one unit less", |line, presented, now, policy| {
        let until = policy.grace + 2 * policy.deadline;
        narrowed(line, presented, now, policy, [until, until + UNIT])
    });

pub(super) const QUIET_ZONE_ONE_LESS: Rules =
    Rules::changed("the quiet zone one unit less", |line, presented, now, policy| {
        let until = policy.grace + 2 * policy.deadline;
        narrowed(line, presented, now, policy, [until + UNIT, until])
    });

const UNIT: Duration = Duration::from_secs(1);

/// `Unchanged` and `InProgress` each end at a time of their own, unless production ends them before.
fn narrowed(
    line: &Line,
    presented: Presented,
    now: UnixMillis,
    policy: &RotationPolicy,
    [unchanged_ends, quiet_ends]: [Duration; 2],
) -> Decision {
    let elapsed = now.since(line.rotated_at);
    let next = |predecessor| Line { current: line.current.next(), predecessor, rotated_at: now };
    match decide(line, presented, now, policy) {
        Decision::Unchanged if elapsed >= unchanged_ends => Decision::Rotate(next(Some(line.current))),
        Decision::InProgress if elapsed >= quiet_ends => Decision::Withdraw(next(line.predecessor)),
        decision => decision,
    }
}

/// The predecessor is honoured for ever: nothing is withdrawn.
fn without_withdrawal(
    line: &Line,
    presented: Presented,
    now: UnixMillis,
    policy: &RotationPolicy,
) -> Decision {
    match decide(line, presented, now, policy) {
        Decision::Withdraw(_) => Decision::Replay,
        decision => decision,
    }
}

/// What replaces a withdrawn successor has its generation, and only another time.
fn same_generation(line: &Line, presented: Presented, now: UnixMillis, policy: &RotationPolicy) -> Decision {
    match decide(line, presented, now, policy) {
        Decision::Withdraw(_) => Decision::Withdraw(Line { rotated_at: now, ..*line }),
        decision => decision,
    }
}

/// A store that is behind an authentic token takes it for reuse.
fn without_adoption(line: &Line, presented: Presented, now: UnixMillis, policy: &RotationPolicy) -> Decision {
    match decide(line, presented, now, policy) {
        Decision::Adopt(_) => Decision::Reuse,
        decision => decision,
    }
}

/// A predecessor that comes back after W + 2 D is reuse.
fn strict(line: &Line, presented: Presented, now: UnixMillis, policy: &RotationPolicy) -> Decision {
    decide(line, presented, now, &RotationPolicy { strict: true, ..*policy })
}
