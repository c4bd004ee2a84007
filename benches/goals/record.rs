//! The last run, kept as JSON beside the document that is made of it, so that a single row can be measured again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign::model::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::figures::Outcome;

/// What a run was made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
}

impl Machine {
    /// This one.
    pub(crate) fn here() -> Self {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let kib: u64 = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory: format!("{} GiB", (kib + (1 << 19)) >> 20),
            kernel: told(Command::new("uname").arg("-sr")),
            rustc: told(Command::new("rustc").arg("-V")),
        }
    }
}

/// One row of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The day, in UTC.
    pub(crate) taken: String,
    /// The commit that was measured.
    pub(crate) commit: String,
    /// How long it took.
    pub(crate) seconds: f64,
    pub(crate) outcome: Outcome,
}

impl Entry {
    /// Measured now.
    pub(crate) fn new(outcome: Outcome, seconds: f64) -> Self {
        let today = OffsetDateTime::from_unix_timestamp(SystemClock::new().now().as_secs()).unwrap().date();
        let commit = told(Command::new("git").args(["describe", "--always", "--dirty"]));
        Self { taken: today.to_string(), commit, seconds, outcome }
    }
}

/// What was measured on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) machine: Machine,
    pub(crate) rows: BTreeMap<String, Entry>,
}

impl Record {
    /// What is kept, if it was measured on this very machine; rows of two machines are never shown as one table.
    pub(crate) fn load(directory: &Path) -> Self {
        let machine = Machine::here();
        let kept = fs::read_to_string(file(directory)).ok();
        kept.and_then(|json| serde_json::from_str::<Self>(&json).ok())
            .filter(|record| record.machine == machine)
            .unwrap_or(Self { machine, rows: BTreeMap::new() })
    }

    pub(crate) fn save(&self, directory: &Path) {
        fs::create_dir_all(directory.join("benchmarks")).unwrap();
        fs::write(file(directory), serde_json::to_string_pretty(self).unwrap() + "\n").unwrap();
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join("benchmarks/last-run.json")
}

/// What a command prints; nothing when it cannot be run.
fn told(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}
