//! The first row again, by somebody else's load generator: h2load, of nghttp2.

use std::path::Path;
use std::process::Command;

use prost::bytes::Bytes;

use super::Effort;
use super::verify_cached::{CONNECTIONS, IN_FLIGHT, echo_of};
use crate::echo;
use crate::figures::{Figure, Goal, Outcome, Spread};
use crate::load::OK;
use crate::process::CpuMeter;
use crate::support::tool;
use crate::world::{Alone, VERIFY, verify_connections, verify_frames};

pub(crate) async fn measure(effort: Effort) -> Option<Outcome> {
    let h2load = tool::find("h2load", "outside")?;
    let service = Alone::start().await;
    let frames = verify_frames(&service.keys, 0..2);
    let (echo, _) = echo_of(&service.replica, &frames).await;
    let answer = verify_connections(&service.replica, 1).await.call(0, frames[0].clone()).await;
    assert_eq!(answer.code, OK, "h2load itself looks at HTTP alone");
    let body = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(body.path(), Bytes::clone(&frames[0])).unwrap();
    let calls = effort.largest.min(50_000);
    let run = |pid: u32, address: std::net::SocketAddr, path: &str| {
        let meter = CpuMeter::start(pid);
        post(&h2load, body.path(), calls, &format!("http://{address}{path}"));
        meter.micros_each(calls)
    };
    let (mut verified, mut echoed) = (Vec::new(), Vec::new());
    for round in 0..=effort.rounds {
        let bare = run(echo.pid(), echo.address, echo::PATH);
        let verify = run(service.replica.pid(), service.replica.grpc, VERIFY);
        if round > 0 {
            echoed.push(bare);
            verified.push(verify);
        }
    }
    Some(
        Outcome::of([
            Figure::new(
                "Verify, token seen before: server CPU ÷ echo, by h2load",
                Spread::of_ratios(&verified, &echoed),
                "",
                Goal::AtMost(0.75),
            ),
            Figure::informative("· server CPU of a Verify", Spread::of(verified), "µs"),
            Figure::informative("· server CPU of an echo", Spread::of(echoed), "µs"),
        ])
        .noting(format!(
            "`h2load -n {calls} -c {CONNECTIONS} -m {IN_FLIGHT} -t 1`, with the same message each time."
        )),
    )
}

fn post(h2load: &Path, body: &Path, calls: u64, uri: &str) {
    let output = Command::new(h2load)
        .args(["-n", &calls.to_string(), "-c", &CONNECTIONS.to_string(), "-m", &IN_FLIGHT.to_string()])
        .args(["-t", "1", "-H", "content-type: application/grpc", "-H", "te: trailers", "-d"])
        .arg(body)
        .arg(uri)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains(&format!("{calls} succeeded, 0 failed")), "{told}");
}
