//! The rows of the table, a file for each or for a few that belong together.

use std::pin::Pin;
use std::time::Duration;

use crate::figures::Outcome;

mod administration;
mod evalsha;
mod footprint;
mod in_process;
mod login;
mod logout;
mod outside;
mod refresh;
mod refresh_growth;
mod refresh_sqlite;
mod sql_read;
mod verify_cached;
mod verify_growth;
mod verify_many;
mod verify_tail;
mod verify_uncached;
mod watchers;

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// How often each case is measured, in turn with the others.
    pub(crate) rounds: usize,
    /// How long each case is measured in each round.
    pub(crate) round: Duration,
    /// The largest number of sessions, tokens and revocations that is tried.
    pub(crate) largest: u64,
}

/// What a row comes to; none when a server that it needs is not installed.
pub(crate) type Measured = Pin<Box<dyn Future<Output = Option<Outcome>>>>;

/// A row's name, for `--row`, and how it is measured.
pub(crate) type Row = (&'static str, fn(Effort) -> Measured);

/// Every row, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    ("verify_cached", |effort| Box::pin(verify_cached::measure(effort))),
    ("verify_h2load", |effort| Box::pin(outside::measure(effort))),
    ("verify_uncached", |effort| Box::pin(verify_uncached::measure(effort))),
    ("verify_tail", |effort| Box::pin(verify_tail::measure(effort))),
    ("verify_many", |effort| Box::pin(verify_many::measure(effort))),
    ("in_process", |effort| Box::pin(in_process::measure(effort))),
    ("login", |effort| Box::pin(login::throughput(effort))),
    ("login_flood", |effort| Box::pin(login::flood(effort))),
    ("login_overload", |effort| Box::pin(login::overload(effort))),
    ("refresh", |effort| Box::pin(refresh::measure(effort))),
    ("refresh_sqlite", |effort| Box::pin(refresh_sqlite::measure(effort))),
    ("refresh_sessions", |effort| Box::pin(refresh_growth::measure(effort))),
    ("logout", |effort| Box::pin(logout::measure(effort))),
    ("watchers", |effort| Box::pin(watchers::measure(effort))),
    ("administration", |effort| Box::pin(administration::measure(effort))),
    ("footprint", |effort| Box::pin(footprint::measure(effort))),
    ("verify_revocations", |effort| Box::pin(verify_growth::revocations(effort))),
    ("verify_tokens", |effort| Box::pin(verify_growth::tokens(effort))),
    ("verify_connections", |effort| Box::pin(verify_growth::connections(effort))),
];
