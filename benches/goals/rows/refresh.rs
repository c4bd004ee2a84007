//! What a Refresh costs, against the least that it can be made of.

use aws_lc_rs::signature::Ed25519KeyPair;
use countersign::grpc::proto::v1::{RefreshRequest, RefreshResponse};
use countersign::password::HashParameters;
use prost::bytes::Bytes;

use super::Effort;
use super::evalsha::Evalsha;
use super::sql_read;
use super::verify_cached::{CONNECTIONS, echo_target};
use crate::callers::Draw;
use crate::echo::EchoServer;
use crate::figures::{Figure, Goal, Outcome, Spread};
use crate::load::{Answer, Caller, Connections, OK, Tally, Target, count, cpu, frame};
use crate::process::CpuMeter;
use crate::stores::{Backed, Held};

pub(super) const REFRESH: &str = "/countersign.v1.AuthService/Refresh";
/// How many Refreshes are under way.
pub(super) const CALLERS: usize = 64;
/// Without a grace window each Refresh moves its line; with one, only the first in a while does.
pub(super) const CONFIGURATION: [(&str, &str); 1] = [("ROTATION__GRACE", "0s")];

/// A client of some sessions, who refreshes one or another.
pub(super) struct Refresher {
    tokens: Vec<String>,
    asked: usize,
    draw: Draw,
}

impl Refresher {
    /// So many clients that have these sessions among them.
    pub(super) fn callers(held: &[Held], callers: usize) -> Vec<Self> {
        Self::with_tokens(&held.iter().map(|held| held.token.clone()).collect::<Vec<_>>(), callers)
    }

    /// The same for sessions of which the refresh tokens are known.
    pub(super) fn with_tokens(tokens: &[String], callers: usize) -> Vec<Self> {
        let of = |seed: usize| Self {
            tokens: tokens.iter().skip(seed).step_by(callers).cloned().collect(),
            asked: 0,
            draw: Draw::new(seed as u64),
        };
        (0..callers).map(of).collect()
    }
}

impl Caller for Refresher {
    fn request(&mut self) -> Option<Bytes> {
        self.asked = self.draw.below(self.tokens.len());
        Some(request(&self.tokens[self.asked]))
    }

    fn answer(&mut self, answer: Answer) -> bool {
        // Without an answer the token is kept, and works again.
        if answer.code == OK {
            let tokens = answer.message::<RefreshResponse>().tokens.expect("tokens");
            self.tokens[self.asked] = tokens.refresh_token;
        }
        answer.code == OK
    }
}

fn request(token: &str) -> Bytes {
    frame(&RefreshRequest { refresh_token: token.to_owned() })
}

pub(crate) async fn measure(effort: Effort) -> Option<Outcome> {
    let sessions = 10_000.min(effort.largest);
    let backed = Backed::prepare("refresh", &CONFIGURATION).await?;
    backed.create_users(sessions, HashParameters::default()).await;
    let filled = backed.fill_sessions(sessions).await;
    // The last one measures the size of an answer, those before it are for the script alone.
    let (held, rest) = filled.held.split_at(filled.held.len() - CALLERS - 1);
    let (sample, for_the_script) = rest.split_last().expect("one more");
    let service = backed.deployment.start();
    let connections = Connections::open(service.grpc, REFRESH, CONNECTIONS).await;
    let answered = connections.call(0, request(&sample.token)).await.body.len() - 5;
    let echo = EchoServer::start(answered);
    let mut bare = echo_target(&echo, &[request(&sample.token)].into(), CONNECTIONS, CALLERS).await;
    let mut refresh = Target::new(service.pid(), connections, Refresher::callers(held, CALLERS));
    let mut evalsha = Evalsha::prepare(&backed, &filled, for_the_script).await;

    bare.round(effort.round).await;
    refresh.round(effort.round).await;
    evalsha.micros(effort.round / 2).await;
    sql_read::micros(&backed, held, effort.round / 2).await;
    let (mut rotated, mut echoed, mut scripts, mut signed, mut read) =
        (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..effort.rounds {
        echoed.push(bare.round(effort.round).await);
        rotated.push(refresh.round(effort.round).await);
        scripts.push(evalsha.micros(effort.round / 2).await);
        signed.push(signature_micros(500));
        read.push(sql_read::micros(&backed, held, effort.round / 2).await);
    }
    let least: Vec<_> = (0..effort.rounds).map(|at| cpu(&echoed)[at] + signed[at] + scripts[at]).collect();
    let with_read: Vec<_> = least.iter().zip(&read).map(|(least, read)| least + read).collect();
    let mut outcome = Outcome::of([
        Figure::new(
            "Refresh: server CPU ÷ (echo + sign + one EVALSHA of the same script)",
            Spread::of_ratios(&cpu(&rotated), &least),
            "",
            Goal::AtMost(1.15),
        ),
        Figure::informative(
            "· ÷ (echo + sign + one EVALSHA + one bare read of the user and the ledger)",
            Spread::of_ratios(&cpu(&rotated), &with_read),
            "",
        ),
        Figure::informative("· server CPU of a Refresh", Spread::of(cpu(&rotated)), "µs"),
        Figure::informative("· server CPU of an echo", Spread::of(cpu(&echoed)), "µs"),
        Figure::informative("· one Ed25519 signature", Spread::of(signed), "µs"),
        Figure::informative("· one EVALSHA, on the caller's side", Spread::of(scripts), "µs"),
        Figure::informative(
            "· one read of the user and the ledger, on the caller's side",
            Spread::of(read),
            "µs",
        ),
        Figure::informative(
            "· Refresh calls/s",
            Spread::of(rotated.iter().map(Tally::calls_per_second)),
            "/s",
        ),
    ]);
    drop(service);
    let held = backed.fill_sessions(sessions).await.held;
    outcome.figures.extend(questions(&backed, &held, effort).await);
    Some(outcome.noting(format!(
        "{sessions} sessions, {CALLERS} calls in flight, rotation.grace = 0s so that every call rotates. The goal's \
         divisor lacks the read of the user and the ledger from PostgreSQL, which every Refresh needs too."
    )))
}

fn signature_micros(times: u64) -> f64 {
    let pair = Ed25519KeyPair::generate().unwrap();
    let message = vec![b'x'; 500];
    let meter = CpuMeter::start_here();
    for _ in 0..times {
        std::hint::black_box(pair.sign(std::hint::black_box(&message)));
    }
    meter.micros_each(times)
}

/// How often Redis and PostgreSQL are asked for each call: what a longer load asks beyond a shorter one, so that the
/// start of the process and of its connections is in neither.
async fn questions(backed: &Backed, held: &[Held], effort: Effort) -> [Figure; 2] {
    let (mut calls, mut commanded, mut reads) = ([0.0; 2], [0.0; 2], [0.0; 2]);
    let callers = Refresher::callers(held, CALLERS);
    let mut callers = Some(callers);
    for (load, times) in [1, 4].into_iter().enumerate() {
        let before = backed.transactions().await;
        let service = backed.deployment.start();
        let connections = Connections::open(service.grpc, REFRESH, CONNECTIONS).await;
        backed.redis.cli(&["CONFIG", "RESETSTAT"]);
        let (given_back, tally) =
            connections.closed_loop(callers.take().expect("they come back"), effort.round * times).await;
        callers = Some(given_back);
        commanded[load] = count(commands(&backed.redis.cli(&["INFO", "commandstats"])));
        drop(service);
        reads[load] = count((backed.transactions().await - before).unsigned_abs());
        calls[load] = count(tally.calls);
    }
    // To a hundredth, because what goes on in the background takes a little more in the longer one.
    let for_a_call = |asked: [f64; 2]| {
        Spread::of([((asked[1] - asked[0]) / (calls[1] - calls[0]) * 100.0).round() / 100.0])
    };
    [
        Figure::new("Refresh: Redis commands for a call", for_a_call(commanded), "", Goal::AtMost(1.0)),
        Figure::new("Refresh: SQL reads for a call", for_a_call(reads), "", Goal::AtMost(1.0)),
    ]
}

/// How many commands clients have sent. What a script calls is counted by Redis too, and so is this asking.
fn commands(stats: &str) -> u64 {
    const NOT_CLIENTS: [&str; 8] =
        ["get", "setrange", "pttl", "pexpire", "time", "config|resetstat", "info", "ping"];
    let lines = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
    lines
        .filter(|(command, _)| !NOT_CLIENTS.contains(command))
        .map(|(_, rest)| rest.split(',').next().unwrap().parse::<u64>().unwrap())
        .sum()
}
