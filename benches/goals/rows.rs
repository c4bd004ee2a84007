//! The rows of the table: one file each.

use std::pin::Pin;
use std::time::Duration;

use crate::figures::Outcome;

mod verify_cached;

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// How often each case is measured, one after the other in turn.
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
pub(crate) const ROWS: &[Row] = &[("verify_cached", |effort| Box::pin(verify_cached::measure(effort)))];
