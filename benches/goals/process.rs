//! What the operating system says of a process.

use std::fs;
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

/// The most memory that was ever resident, in bytes.
pub(crate) fn peak_resident_bytes(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

fn status(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
