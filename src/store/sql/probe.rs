//! Whether the database takes what it is given. Reading proves little: a full disk, a standby, a missing grant and a
//! file system that became read-only all answer reads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::dialect::Dialect;
use super::driver::values;
use super::failure::Failure;
use super::{Mode, SqlStore, sessions};
use crate::model::{Clock as _, Monotonic, SystemClock};
use crate::store::{PoolStats, Probe, StoreError};

/// How often the probe writes while nothing fails: a disk that is otherwise idle is asked for no more.
const WRITES_EVERY: Duration = Duration::from_secs(10);

/// When the probe writes next: at once after a write has failed, its own or a caller's, and until one succeeds.
#[derive(Debug)]
pub(super) struct Writing {
    clock: SystemClock,
    /// In ms on this clock; 0 at first.
    due: AtomicU64,
    failed: AtomicBool,
}

impl Writing {
    pub(super) fn new() -> Self {
        Self { clock: SystemClock::new(), due: AtomicU64::new(0), failed: AtomicBool::new(false) }
    }

    /// A write has failed.
    pub(super) fn failed(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Whether to write now. Then [`Writing::failed`] must be called if that fails.
    fn begin(&self, now: Monotonic) -> bool {
        let failed = self.failed.swap(false, Ordering::Relaxed);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let due = failed || millis(now.0) >= self.due.load(Ordering::Relaxed);
        if due {
            self.due.store(millis(now.0 + WRITES_EVERY), Ordering::Relaxed);
        }
        due
    }
}

#[async_trait]
impl<D: Dialect> Probe for SqlStore<D> {
    fn name(&self) -> &'static str {
        D::NAME
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.run(Mode::Read, (), |(), connection| {
            Box::pin(async move {
                let head = connection.fetch("SELECT seq FROM ledger_head", values![]).await?;
                head.first().map(drop).ok_or(Failure::Corrupt("the ledger has no head"))
            })
        })
        .await?;
        if !self.writing.begin(self.writing.clock.monotonic()) {
            return Ok(());
        }
        self.run(Mode::Transaction, (), |(), connection| Box::pin(sessions::write_and_take_back(connection)))
            .await
    }

    async fn warnings(&self) -> Vec<String> {
        self.warnings().await
    }

    fn pools(&self) -> Vec<PoolStats> {
        if self.readers.is(&self.writers) {
            vec![self.readers.stats("all")]
        } else {
            vec![self.readers.stats("readers"), self.writers.stats("writers")]
        }
    }

    async fn close(&self) {
        self.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_disk_is_written_to_rarely_and_one_that_failed_each_time() {
        let writing = Writing::new();
        let asked = |millis| writing.begin(Monotonic(Duration::from_millis(millis)));
        assert!(asked(0), "at the start");
        assert_eq!((1..10).filter(|second| asked(second * 1000)).count(), 0);
        assert!(asked(10_000));
        assert!(!asked(11_000));
        for second in 12..15 {
            writing.failed();
            assert!(asked(second * 1000));
        }
        assert!(!asked(15_000), "it has succeeded");
        assert!(!asked(23_999) && asked(24_000));
    }
}
