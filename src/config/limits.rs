//! `[limits]`

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{bounds, duration};

/// What callers may hold, and for how long they may do nothing, on every port. docs/operations.md has all bounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// What callers may hold in memory together, in MiB; 16 to 1048576: connections, requests that have begun, answers
    /// that were not read. `COUNTERSIGN__LIMITS__MEMORY_MIB`
    pub memory_mib: u32,
    /// The most connections of one peer to a port, 1 to 1,000,000. `COUNTERSIGN__LIMITS__CONNECTIONS_PER_PEER`
    pub connections_per_peer: u32,
    /// The most requests under way at once on one HTTP/2 connection, 1 to 1000.
    /// `COUNTERSIGN__LIMITS__STREAMS_PER_CONNECTION`
    pub streams_per_connection: u32,
    /// How long a request's head, and a message that has begun, may take to arrive; 1s to 10m.
    /// `COUNTERSIGN__LIMITS__REQUEST_TIMEOUT`
    #[serde(with = "duration")]
    pub request_timeout: Duration,
    /// How long the client of a stream may say nothing between two messages; 1s to 1d.
    /// `COUNTERSIGN__LIMITS__STREAM_IDLE_TIMEOUT`
    #[serde(with = "duration")]
    pub stream_idle_timeout: Duration,
    /// How long a client may read nothing of an answer; 1s to 10m. `COUNTERSIGN__LIMITS__UNREAD_TIMEOUT`
    #[serde(with = "duration")]
    pub unread_timeout: Duration,
    /// How long a connection of HTTP/1 may be silent between requests; 1s to 1h.
    /// `COUNTERSIGN__LIMITS__KEEP_ALIVE_TIMEOUT`
    #[serde(with = "duration")]
    pub keep_alive_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 256,
            connections_per_peer: 5_000,
            streams_per_connection: 128,
            request_timeout: Duration::from_secs(10),
            stream_idle_timeout: Duration::from_mins(5),
            unread_timeout: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(75),
        }
    }
}

impl Limits {
    /// [`Limits::memory_mib`] in bytes.
    pub fn memory_bytes(&self) -> usize {
        usize::try_from(self.memory_mib).unwrap_or(usize::MAX).saturating_mul(1024 * 1024)
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        bounds::number("limits.memory_mib", self.memory_mib, &(16..=1_048_576))?;
        bounds::number("limits.connections_per_peer", self.connections_per_peer, &(1..=1_000_000))?;
        bounds::number("limits.streams_per_connection", self.streams_per_connection, &(1..=1000))?;
        bounds::time("limits.request_timeout", self.request_timeout, ["1s", "10m"])?;
        bounds::time("limits.stream_idle_timeout", self.stream_idle_timeout, ["1s", "1d"])?;
        bounds::time("limits.unread_timeout", self.unread_timeout, ["1s", "10m"])?;
        bounds::time("limits.keep_alive_timeout", self.keep_alive_timeout, ["1s", "1h"])
    }
}
