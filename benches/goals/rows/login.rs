//! Login: how close it comes to what the hash alone allows, what a flood of it does to others, and how it is refused.

use std::hint::black_box;
use std::sync::Arc;

use countersign::grpc::proto::v1::LoginRequest;
use countersign::password::{Argon2idHash, HashParameters, Password, WorkingMemory};
use prost::bytes::Bytes;

use super::Effort;
use super::verify_tail::{p99, percentile, shares};
use crate::callers::Replay;
use crate::figures::{Figure, Goal, Outcome, Spread};
use crate::load::{Connections, RESOURCE_EXHAUSTED, Target, count, frame, now, rate};
use crate::process::{self, Halves};
use crate::stores::Backed;
use crate::support::replica::{PASSWORD, Replica};
use crate::world::{verify_connections, verify_frames};

const LOGIN: &str = "/countersign.v1.AuthService/Login";
/// The hash of the default configuration.
const CONFIGURATION: [(&str, &str); 3] =
    [("PASSWORDS__MEMORY_KIB", "19456"), ("PASSWORDS__ITERATIONS", "2"), ("TOKENS__ACCESS_TTL", "2h")];
const USERS: u64 = 64;
/// Logins under way at once: always some that wait for a thread.
const CALLERS: usize = 32;

async fn start(row: &str, halves: Option<&Halves>) -> Option<(Backed, Replica, Arc<[Bytes]>)> {
    let backed = Backed::prepare(row, &CONFIGURATION).await?;
    backed.create_users(USERS, HashParameters::default()).await;
    let login = |user| LoginRequest {
        username: format!("user{user}"),
        password: PASSWORD.to_owned(),
        ..LoginRequest::default()
    };
    let service = Halves::server(halves, async { backed.deployment.start() }).await;
    Some((backed, service, (0..USERS).map(|user| frame(&login(user))).collect()))
}

/// Calls per second, against the hash with reused memory.
pub(crate) async fn throughput(effort: Effort) -> Option<Outcome> {
    let (_backed, service, logins) = start("login", None).await?;
    let connections = Connections::open(service.grpc, LOGIN, 4).await;
    let mut target = Target::new(service.pid(), connections, Replay::callers(&logins, CALLERS));
    let cores = std::thread::available_parallelism().unwrap().get();
    target.round(effort.round).await;
    let (mut logins, mut alone, mut together) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        alone.push(hashes_per_second(1, effort) * count(cores as u64));
        logins.push(target.round(effort.round * 2).await);
        together.push(hashes_per_second(cores, effort));
    }
    let logins = rate(&logins);
    Some(
        Outcome::of([
            Figure::new(
                "Login: calls/s ÷ (cores ÷ time of one hash with reused memory)",
                Spread::of_ratios(&logins, &alone),
                "",
                Goal::AtLeast(0.92),
            ),
            Figure::informative(
                "· ÷ hashes/s on all cores at once, which share the memory's bandwidth",
                Spread::of_ratios(&logins, &together),
                "",
            ),
            Figure::informative("· Login calls/s", Spread::of(logins), "/s"),
            Figure::informative(
                "· one hash, alone",
                Spread::of(alone.iter().map(|rate| count(cores as u64) * 1e3 / rate)),
                "ms",
            ),
        ])
        .noting(format!(
            "Argon2id, m=19456 KiB, t=2, p=1; {cores} hashing threads; {CALLERS} logins in flight, {USERS} users."
        )),
    )
}

/// How many hashes so many threads make in memory of their own that they reuse.
fn hashes_per_second(threads: usize, effort: Effort) -> f64 {
    let password = Password::new(PASSWORD.to_owned()).unwrap();
    let parameters = HashParameters::default();
    std::thread::scope(|scope| {
        let work = || {
            let mut memory = WorkingMemory::new(parameters);
            let mut hash = || {
                black_box(Argon2idHash::compute(black_box(&password), [7; 16], parameters, &mut memory));
            };
            hash();
            let (begun, mut hashes) = (now(), 0);
            while begun.elapsed() < effort.round / 2 {
                hash();
                hashes += 1;
            }
            count(hashes) / begun.elapsed().as_secs_f64()
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

/// What Verify feels of it.
pub(crate) async fn flood(effort: Effort) -> Option<Outcome> {
    const RATE: f64 = 1000.0;
    let halves = Halves::begin();
    let (backed, service, logins) = start("login_flood", halves.as_ref()).await?;
    let verifying = verify_connections(&service, 4).await;
    let tokens = verify_frames(&backed.keys(), 0..1000);
    let connections = Connections::open(service.grpc, LOGIN, 4).await;
    let mut target = Target::new(service.pid(), connections, Replay::callers(&logins, CALLERS));
    p99(&verifying, &tokens, RATE, effort.round).await;
    let (mut idle, mut flooded) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        idle.push(p99(&verifying, &tokens, RATE, effort.round).await);
        let calls = p99(&verifying, &tokens, RATE, effort.round);
        flooded.push(tokio::join!(target.round(effort.round), calls).1);
    }
    Some(
        Outcome::of([
            Figure::new(
                "Verify p99 while logins are flooding ÷ idle",
                Spread::of_ratios(&flooded, &idle),
                "",
                Goal::AtMost(2.0),
            ),
            Figure::informative("· Verify p99, idle", Spread::of(idle), "ms"),
            Figure::informative("· Verify p99, flooded", Spread::of(flooded), "ms"),
        ])
        .noting(format!(
            "{RATE} calls of Verify a second, {CALLERS} logins in flight. {}",
            shares(halves.as_ref())
        )),
    )
}

/// How fast it says no, and what that costs in memory.
pub(crate) async fn overload(effort: Effort) -> Option<Outcome> {
    const RATE: f64 = 1000.0;
    let halves = Halves::begin();
    let (_backed, service, logins) = start("login_overload", halves.as_ref()).await?;
    let connections = Connections::open(service.grpc, LOGIN, 8).await;
    connections.call(0, logins[0].clone()).await;
    let base = process::resident_bytes(service.pid());
    let mut refused = Vec::new();
    let mut share = Vec::new();
    for _ in 0..effort.rounds {
        let answers = connections.open_loop(&logins, RATE, effort.round * 2).await;
        let all = answers.len() as u64;
        let refusals: Vec<_> = answers
            .into_iter()
            .filter(|(code, _)| *code == RESOURCE_EXHAUSTED)
            .map(|(_, took)| took)
            .collect();
        if !refusals.is_empty() {
            share.push(count(refusals.len() as u64) / count(all) * 100.0);
            refused.push(percentile(refusals, 99));
        }
    }
    let mib = |bytes: u64| count(bytes) / f64::from(1 << 20);
    let more = mib(process::peak_resident_bytes(service.pid()).saturating_sub(base));
    // As many as the service hashes on.
    let cores =
        std::thread::available_parallelism().unwrap().get().div_ceil(1 + usize::from(halves.is_some()));
    Some(
        Outcome::of([
            Figure::new(
                "Overload: time to refuse a login, p99",
                Spread::of(refused),
                "ms",
                Goal::AtMost(5.0),
            ),
            Figure::informative("· of all logins refused", Spread::of(share), "%"),
            Figure::new(
                "Overload: peak memory beyond that after one login",
                Spread::of([more]),
                "MiB",
                Goal::AtMost(19.0 * count(cores as u64)),
            ),
            Figure::informative("· memory after one login", Spread::of([mib(base)]), "MiB"),
        ])
        .noting(format!(
            "{RATE} logins a second, whatever is answered; passwords.queue is 256, the default. {}",
            shares(halves.as_ref())
        )),
    )
}
