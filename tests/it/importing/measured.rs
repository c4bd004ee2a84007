//! How long an import of many rows takes, and how much memory: `ROWS=1000000 cargo test --release --test it -- \
//! importing::measured --include-ignored --nocapture`.

use std::io::{BufWriter, Write as _};
use std::time::{Duration, Instant};

use super::BCRYPT;
use super::killed::{command, run};
use crate::support::database::Server as _;
use crate::support::postgres::Postgres;

/// The most that the process has had in memory so far, in KiB.
fn peak_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[tokio::test]
#[ignore = "takes minutes: for measuring"]
#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
async fn many_rows_of_slow_hashes_on_postgresql() {
    const TEST: &str = "many_rows_of_slow_hashes_on_postgresql";
    let rows: u64 = std::env::var("ROWS").map_or(100_000, |rows| rows.parse().unwrap());
    let Some(server) = Postgres::start_with(TEST, &["fsync=on", "shared_buffers=128MB"]) else { return };
    let url = server.url(&server.create_database().await);
    assert_eq!(run(&url, &["migrate"]).0, 0);
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut lines = BufWriter::new(file.as_file());
    for n in 0..rows {
        writeln!(
            lines,
            r#"{{"username":"user{n:07}","password_hash":"{BCRYPT}","external_id":{n},"roles":["user"]}}"#
        )
        .unwrap();
    }
    lines.flush().unwrap();
    drop(lines);
    let path = file.path().to_str().unwrap();
    for what in ["first", "again"] {
        let begun = Instant::now();
        let mut child = command(&url, &["user", "import", path]).spawn().unwrap();
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            peak = peak.max(peak_kib(child.id()).unwrap_or(0));
            std::thread::sleep(Duration::from_millis(100));
        }
        let took = begun.elapsed();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        println!(
            "{what}: {rows} rows in {:.1} s, {:.0} rows/s, {} MiB at the most: {}",
            took.as_secs_f64(),
            f64::from(u32::try_from(rows).unwrap()) / took.as_secs_f64(),
            peak / 1024,
            said.trim()
        );
    }
}
