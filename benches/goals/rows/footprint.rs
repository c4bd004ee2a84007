//! What the service takes before anybody asks it for anything.

use std::time::Duration;

use super::Effort;
use crate::figures::{Figure, Goal, Outcome, Spread};
use crate::load::{OK, count, now};
use crate::process;
use crate::stores::Backed;
use crate::world::{verify_connections, verify_frames};

pub(crate) async fn measure(effort: Effort) -> Option<Outcome> {
    let backed = Backed::prepare("footprint", &[("TOKENS__ACCESS_TTL", "2h")]).await?;
    let frame = verify_frames(&backed.keys(), 0..2)[0].clone();
    let (mut memory, mut anonymous, mut first_answer) = (Vec::new(), Vec::new(), Vec::new());
    let mib = |bytes: u64| count(bytes) / f64::from(1 << 20);
    for _ in 0..effort.rounds * 2 {
        let begun = now();
        let service = backed.deployment.spawn(&[]);
        let connections = verify_connections(&service, 1).await;
        // Until the ledger is loaded it answers UNAVAILABLE.
        while connections.call(0, frame.clone()).await.code != OK {}
        first_answer.push(begun.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(500)).await;
        memory.push(mib(process::resident_bytes(service.pid())));
        anonymous.push(mib(process::anonymous_bytes(service.pid())));
    }
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_countersign")).unwrap().len();
    Some(
        Outcome::of([
            Figure::new("Idle memory", Spread::of(memory), "MiB", Goal::AtMost(12.0)),
            Figure::informative(
                "· without pages of files, which processes share and the kernel takes back",
                Spread::of(anonymous),
                "MiB",
            ),
            Figure::new("exec → first verified token", Spread::of(first_answer), "ms", Goal::AtMost(50.0)),
            Figure::new("Stripped binary", Spread::of([count(binary) / 1e6]), "MB", Goal::AtMost(15.0)),
        ])
        .noting("On PostgreSQL and Redis; memory (VmRSS) half a second after the first answer."),
    )
}
