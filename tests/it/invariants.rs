//! Random histories of the real use cases over every kind of store, on one clock that only the test moves: clients,
//! thieves, operators, restarts, outages and callers that go away. After every step the invariants of the design
//! hold, by a model of what was issued and acknowledged.
//!
//! Which way a call went that nobody waited for is not for the model to know: it is looked up in the store.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::conformance::{DEADLINE, GRACE, IDLE, MS, SETTLED, START, just_before};
use crate::support::histories::histories;
use crate::support::landscape::{Landscape, on_every_landscape};
use run::Run;
use service::{ACCESS_TTL, MAX_STALENESS};

mod model;
mod operation;
mod run;
mod service;
mod traces;

/// What may happen next.
#[derive(Debug, Clone)]
enum Step {
    Login(Index, Typed, Patience),
    /// The honest client refreshes with what it has in its jar, and takes in the answer or loses it.
    Refresh(Index, Heard),
    /// Somebody presents any token that was ever issued for a session.
    Present(Index, Index, Patience),
    /// Somebody logs out with any token that was ever issued for a session.
    Logout(Index, Index, Means, Patience),
    Operator(Index, Change),
    /// Another process revokes a session.
    RevokeElsewhere(Index),
    /// Time passes; the ledger is polled at the end of it, or not yet.
    Advance(Duration, bool),
    Poll,
    /// All that is in memory is lost.
    Restart,
    /// The stores can be read and not written: another process has the write lock, or took the right away.
    Lock,
    /// The store's connections are gone.
    Close,
    /// The store works again.
    Mend,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Typed {
    Right,
    Wrong,
    /// The user's first password, which may have been changed since.
    First,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Yes,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    Refresh,
    Everywhere,
    Access,
}

/// How long a caller stays.
#[derive(Debug, Clone, Copy)]
enum Patience {
    Stays,
    /// Until the call has been woken so often and is still not answered.
    Leaves(u32),
}

#[derive(Debug, Clone, Copy)]
enum Change {
    SetPassword,
    Disable,
    Enable,
    SetRoles,
}

fn step() -> impl Strategy<Value = Step> {
    use proptest::sample::select;
    let index = any::<Index>;
    let patience = || prop_oneof![3 => Just(Patience::Stays), 1 => (0..6_u32).prop_map(Patience::Leaves)];
    let heard = prop_oneof![2 => Just(Heard::Yes), 1 => Just(Heard::No)];
    let typed = prop_oneof![4 => Just(Typed::Right), 1 => Just(Typed::Wrong), 1 => Just(Typed::First)];
    let means = select(vec![Means::Refresh, Means::Refresh, Means::Access, Means::Everywhere]);
    let change = select(vec![
        Change::SetPassword,
        Change::Disable,
        Change::Enable,
        Change::Enable,
        Change::SetRoles,
        Change::SetRoles,
    ]);
    prop_oneof![
        6 => (index(), typed, patience()).prop_map(|(account, typed, stay)| Step::Login(account, typed, stay)),
        20 => (index(), heard).prop_map(|(chain, heard)| Step::Refresh(chain, heard)),
        10 => (index(), index(), patience()).prop_map(|(chain, token, stay)| Step::Present(chain, token, stay)),
        4 => (index(), index(), means, patience())
            .prop_map(|(chain, token, means, stay)| Step::Logout(chain, token, means, stay)),
        4 => (index(), change).prop_map(|(account, change)| Step::Operator(account, change)),
        2 => index().prop_map(Step::RevokeElsewhere),
        18 => (pause(), prop::bool::weighted(0.85)).prop_map(|(by, polled)| Step::Advance(by, polled)),
        3 => Just(Step::Poll),
        3 => Just(Step::Restart),
        3 => Just(Step::Lock),
        2 => Just(Step::Close),
        6 => Just(Step::Mend),
    ]
}

/// Pauses that meet the boundaries often.
fn pause() -> impl Strategy<Value = Duration> {
    let around = |edge| [just_before(edge), edge, edge + MS];
    let short = [GRACE, SETTLED, DEADLINE].map(around).concat();
    let long = [ACCESS_TTL, MAX_STALENESS].map(around).concat();
    prop_oneof![
        10 => proptest::sample::select(short),
        4 => proptest::sample::select(long),
        1 => proptest::sample::select(around(IDLE).to_vec()),
        2 => (0..28_000_u64).prop_map(Duration::from_millis),
    ]
}

/// How many histories there are for each kind of store.
const HISTORIES: u32 = 16;

fn the_invariants_hold_whatever_clients_thieves_operators_and_outages_do<L: Landscape>(test: &str) {
    histories(HISTORIES, 30, step(), async |steps| {
        let Some(mut run) = Run::<L>::new(test, START).await else { return };
        for step in steps {
            run.step(step).await;
            run.check().await;
        }
        run.finish().await;
    });
}

on_every_landscape!(the_invariants_hold_whatever_clients_thieves_operators_and_outages_do);
