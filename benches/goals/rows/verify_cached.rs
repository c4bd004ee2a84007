//! Verify of a token that was seen before, against a server that does nothing.

use super::Effort;
use crate::echo::{self, EchoServer};
use crate::figures::{Figure, Goal, Outcome, Spread};
use crate::load::{Connections, Replay, Tally, Target};
use crate::world::{Alone, verify_frames};

const CONNECTIONS: usize = 8;
const IN_FLIGHT: usize = 8;
const TOKENS: u64 = 1000;

pub(crate) async fn measure(effort: Effort) -> Option<Outcome> {
    let service = Alone::start(&[]);
    let frames = verify_frames(&service.keys, 0..TOKENS);
    let connections = service.connections(CONNECTIONS).await;
    let answer = connections.call(0, frames[0].clone()).await;
    let (asked, answered) = (frames[0].len() - 5, answer.body.len() - 5);
    let echo = EchoServer::start(answered);
    let callers = || Replay::callers(&frames, CONNECTIONS * IN_FLIGHT);
    let mut verify = Target::new(service.replica.pid(), connections, callers());
    let connections = Connections::open(echo.address, echo::PATH, CONNECTIONS).await;
    assert_eq!(connections.call(0, frames[0].clone()).await.body.len(), answered + 5, "of the same size");
    let mut bare = Target::new(echo.pid(), connections, callers());

    verify.round(effort.round).await;
    bare.round(effort.round).await;
    let (mut verified, mut echoed) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        echoed.push(bare.round(effort.round).await);
        verified.push(verify.round(effort.round).await);
    }
    let cpu = |rounds: &[Tally]| rounds.iter().map(Tally::micros_of_cpu_per_call).collect::<Vec<_>>();
    let rate = |rounds: &[Tally]| rounds.iter().map(Tally::calls_per_second).collect::<Vec<_>>();
    let (above, below) = (cpu(&verified), cpu(&echoed));
    Some(
        Outcome::of([
            Figure::new(
                "Verify, token seen before: server CPU ÷ echo",
                Spread::of_ratios(&above, &below),
                "",
                Goal::AtMost(0.75),
            ),
            Figure::informative("· server CPU of a Verify", Spread::of(above), "µs"),
            Figure::informative("· server CPU of an echo", Spread::of(below), "µs"),
            Figure::informative(
                "· Verify calls/s ÷ echo calls/s, by the clock on the wall",
                Spread::of_ratios(&rate(&verified), &rate(&echoed)),
                "",
            ),
        ])
        .noting(format!(
            "{TOKENS} tokens, {CONNECTIONS} connections with {IN_FLIGHT} calls in flight each; \
             messages of {asked} and {answered} bytes, both ways the same for both."
        )),
    )
}
