//! The real binary under the chart's memory limit, and peers that want to end or to block it.
//!
//! During each attack `/livez` and `/readyz` answer, a Verify on an open channel is served, and a new client gets in;
//! afterwards the memory comes back. `make abuse` does the attacks at full force against a release build with its default
//! bounds, and prints what it has measured; `cargo test --test it abuse:: -- --ignored --test-threads 1` does them in a few
//! seconds each, with a service whose bounds are small and short. In `make test` they would take the machine from all other
//! tests; `limits` tries the same bounds there.

#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

mod descriptors;
mod floods;
mod frames;
mod h2spec;
mod handshakes;
mod idle;
mod peers;
mod target;
mod unfinished;
mod unread;
mod watch;

/// How hard it is tried.
#[derive(Debug, Clone, Copy)]
struct Force {
    /// How long an attack lasts.
    attack: Duration,
    /// How long the memory may take to come back.
    recovery: Duration,
    /// How many connections attack a port: as many as it may have.
    peers: usize,
    /// How many connections begin messages, each of them as many as it may.
    beginners: usize,
    /// The most that may be resident afterwards beyond what was before, in MiB.
    margin_mib: usize,
    /// Whether the service has its default times, and not a second each.
    default_times: bool,
}

impl Force {
    /// `ABUSE_SECONDS` asks for full force, for so long; `ABUSE_PEERS` for so many connections.
    fn asked() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
        let peers = number("ABUSE_PEERS").map(|peers| peers as usize);
        match number("ABUSE_SECONDS") {
            None => Self {
                attack: Duration::from_millis(2500),
                recovery: Duration::from_secs(20),
                peers: peers.unwrap_or(64),
                beginners: 12,
                margin_mib: 96,
                default_times: false,
            },
            Some(seconds) => Self {
                attack: Duration::from_secs(seconds.into()),
                recovery: Duration::from_mins(1),
                peers: peers.unwrap_or(2000),
                beginners: 100,
                margin_mib: 10,
                default_times: true,
            },
        }
    }
}

/// One attack at a time: each takes what the machine has.
fn alone() -> MutexGuard<'static, ()> {
    static ATTACKING: Mutex<()> = Mutex::new(());
    ATTACKING.lock().unwrap_or_else(PoisonError::into_inner)
}
