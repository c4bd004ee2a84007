//! Verify of a token that was seen before, against a server that does nothing.

use std::sync::Arc;

use prost::bytes::Bytes;

use super::Effort;
use crate::callers::Replay;
use crate::echo::{self, EchoServer};
use crate::figures::{Figure, Goal, Outcome, Spread};
use crate::load::{Connections, Target, cpu, in_turn, rate};
use crate::support::replica::Replica;
use crate::world::{Alone, verify_connections, verify_frames};

pub(super) const CONNECTIONS: usize = 8;
pub(super) const IN_FLIGHT: usize = 8;
const TOKENS: u64 = 1000;

/// A server that does nothing, with answers of the size that the service gives to these calls of Verify.
pub(super) async fn echo_of(service: &Replica, frames: &Arc<[Bytes]>) -> (EchoServer, usize) {
    let answered = verify_connections(service, 1).await.call(0, frames[0].clone()).await.body.len();
    let echo = EchoServer::start(answered - 5);
    let connections = Connections::open(echo.address, echo::PATH, 1).await;
    assert_eq!(connections.call(0, frames[0].clone()).await.body.len(), answered, "of the same size");
    (echo, answered - 5)
}

/// Callers of Verify over so many connections.
pub(super) async fn verify_target(
    service: &Replica,
    frames: &Arc<[Bytes]>,
    connections: usize,
    callers: usize,
) -> Target<Replay> {
    let opened = verify_connections(service, connections).await;
    Target::new(service.pid(), opened, Replay::callers(frames, callers))
}

/// The same callers of the echo.
pub(super) async fn echo_target(
    echo: &EchoServer,
    frames: &Arc<[Bytes]>,
    connections: usize,
    callers: usize,
) -> Target<Replay> {
    let opened = Connections::open(echo.address, echo::PATH, connections).await;
    Target::new(echo.pid(), opened, Replay::callers(frames, callers))
}

pub(crate) async fn measure(effort: Effort) -> Option<Outcome> {
    let service = Alone::start().await;
    let frames = verify_frames(&service.keys, 0..TOKENS);
    let (echo, answered) = echo_of(&service.replica, &frames).await;
    let callers = CONNECTIONS * IN_FLIGHT;
    let mut targets = [
        echo_target(&echo, &frames, CONNECTIONS, callers).await,
        verify_target(&service.replica, &frames, CONNECTIONS, callers).await,
    ];
    let rounds = in_turn(&mut targets, effort).await;
    let (echoed, verified) = (&rounds[0], &rounds[1]);
    let ratio = Spread::of_ratios(&cpu(verified), &cpu(echoed));
    let by_the_wall = Spread::of_ratios(&rate(verified), &rate(echoed));
    Some(
        Outcome::of([
            Figure::new("Verify, token seen before: server CPU ÷ echo", ratio, "", Goal::AtMost(0.75)),
            Figure::informative("· server CPU of a Verify", Spread::of(cpu(verified)), "µs"),
            Figure::informative("· server CPU of an echo", Spread::of(cpu(echoed)), "µs"),
            Figure::informative("· Verify calls/s ÷ echo calls/s, by the wall clock", by_the_wall, ""),
        ])
        .noting(format!(
            "{TOKENS} tokens, {CONNECTIONS} connections with {IN_FLIGHT} calls in flight each; messages of {} \
             and {answered} bytes, the same for both.",
            frames[0].len() - 5,
        )),
    )
}
