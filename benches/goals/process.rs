//! What the operating system says of a process.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::load::count;

/// How long all threads of a process have been on a processor, in user and kernel mode (`/proc/PID/task/*/schedstat`, to the
/// nanosecond). A thread that has ended takes its share with it; servers under load keep theirs.
fn cpu_time(pid: u32) -> Duration {
    let nanos = fs::read_dir(format!("/proc/{pid}/task"))
        .unwrap()
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split(' ').next()?.parse::<u64>().ok())
        .sum();
    Duration::from_nanos(nanos)
}

/// A stretch of a process's time on processors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuMeter {
    pid: u32,
    before: Duration,
}

impl CpuMeter {
    /// Begins now.
    pub(crate) fn start(pid: u32) -> Self {
        Self { pid, before: cpu_time(pid) }
    }

    /// Of this process.
    pub(crate) fn start_here() -> Self {
        Self::start(std::process::id())
    }

    /// How much it was up to now.
    pub(crate) fn read(&self) -> Duration {
        cpu_time(self.pid).saturating_sub(self.before)
    }

    /// How much of it one of so many operations took, in microseconds.
    pub(crate) fn micros_each(&self, operations: u64) -> f64 {
        self.read().as_secs_f64() * 1e6 / count(operations)
    }
}

/// Memory that is resident now, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    status(pid, "VmRSS:")
}

/// What of it no file holds: neither shared with other processes of the same program, nor given back when memory is short.
pub(crate) fn anonymous_bytes(pid: u32) -> u64 {
    status(pid, "RssAnon:")
}

/// The most memory that was ever resident, in bytes.
pub(crate) fn peak_resident_bytes(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

/// One half of the processors for a server, the other for its load and what it stands on: a latency is then the server's
/// own, and not the time that the load generator waited for a processor. Dropped, all are everybody's again.
pub(crate) struct Halves {
    processors: usize,
}

impl Halves {
    /// This process is load from here on, and so is what it starts. None where there is one processor, or no `taskset`.
    pub(crate) fn begin() -> Option<Self> {
        let processors = std::thread::available_parallelism().unwrap().get();
        let halves = Self { processors };
        (processors > 1 && Self::move_to(processors / 2..processors)).then_some(halves)
    }

    /// Starts a server.
    pub(crate) async fn server<T>(halves: Option<&Self>, start: impl Future<Output = T>) -> T {
        let Some(halves) = halves else { return start.await };
        assert!(Self::move_to(0..halves.processors / 2));
        let server = start.await;
        assert!(Self::move_to(halves.processors / 2..halves.processors));
        server
    }

    /// All threads of this process, and with them what they start.
    fn move_to(processors: std::ops::Range<usize>) -> bool {
        let list = format!("{}-{}", processors.start, processors.end - 1);
        let moved = Command::new("taskset").args(["-acp", &list, &std::process::id().to_string()]).output();
        moved.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Halves {
    fn drop(&mut self) {
        Self::move_to(0..self.processors);
    }
}

fn status(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
