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
    /// How long after W the last row of the table begins, in times D.
    pub(super) quiet: u8,
}

impl Rules {
    const fn changed(name: &'static str, decide: Decide) -> Self {
        Self { name, decide, quiet: 1 }
    }
}

/// The very function that production calls.
pub(super) const PRODUCTION: Rules = Rules::changed("the rules", decide);
pub(super) const WITHOUT_UNCHANGED: Rules = Rules::changed("without \"unchanged\"", without_unchanged);
pub(super) const WITHOUT_QUIET_ZONE: Rules = Rules::changed("without the quiet zone", without_quiet_zone);
pub(super) const WITHOUT_WITHDRAWAL: Rules = Rules::changed("without withdrawal", without_withdrawal);
pub(super) const SAME_GENERATION: Rules = Rules::changed("withdrawal keeps the generation", same_generation);
pub(super) const WITHOUT_ADOPTION: Rules = Rules::changed("without following", without_adoption);
pub(super) const STRICT: Rules = Rules::changed("strict", strict);
pub(super) const WIDER: Rules = Rules { name: "wider windows", decide: wider::<0, 0>, quiet: 2 };
pub(super) const WIDER_BUT_UNCHANGED: Rules =
    Rules { name: "wider windows, \"unchanged\" one unit less", decide: wider::<1, 0>, quiet: 2 };
pub(super) const WIDER_BUT_QUIET_ZONE: Rules =
    Rules { name: "wider windows, the quiet zone one unit less", decide: wider::<0, 1>, quiet: 2 };

/// C rotates again however young it is.
fn without_unchanged(
    line: &Line,
    presented: Presented,
    now: UnixMillis,
    policy: &RotationPolicy,
) -> Decision {
    match decide(line, presented, now, policy) {
        Decision::Unchanged => Decision::Rotate(Line {
            current: line.current.next(),
            predecessor: Some(line.current),
            rotated_at: now,
        }),
        decision => decision,
    }
}

/// The successor is withdrawn straight after W.
fn without_quiet_zone(
    line: &Line,
    presented: Presented,
    now: UnixMillis,
    policy: &RotationPolicy,
) -> Decision {
    match decide(line, presented, now, policy) {
        Decision::InProgress => Decision::Withdraw(Line {
            current: line.current.next(),
            predecessor: line.predecessor,
            rotated_at: now,
        }),
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

/// A predecessor that comes back after W + D is reuse.
fn strict(line: &Line, presented: Presented, now: UnixMillis, policy: &RotationPolicy) -> Decision {
    decide(line, presented, now, &RotationPolicy { strict: true, ..*policy })
}

/// "Unchanged" and the quiet zone both last until W + 2 D, less a number of units each.
fn wider<const UNCHANGED_LESS: u64, const QUIET_LESS: u64>(
    line: &Line,
    presented: Presented,
    now: UnixMillis,
    policy: &RotationPolicy,
) -> Decision {
    let until = policy.grace + 2 * policy.deadline;
    let is_open = |less| now.since(line.rotated_at) + Duration::from_secs(less) <= until;
    match decide(line, presented, now, policy) {
        Decision::Rotate(_) if line.predecessor.is_some() && is_open(UNCHANGED_LESS) => Decision::Unchanged,
        Decision::Withdraw(_) if is_open(QUIET_LESS) => Decision::InProgress,
        decision => decision,
    }
}
