//! How long the slowest hundredth waits, when a server has 70 % of the work that it could do at most.

use std::sync::Arc;
use std::time::Duration;

use prost::bytes::Bytes;

use super::Effort;
use super::verify_cached::{CONNECTIONS, IN_FLIGHT, echo_of, echo_target, verify_target};
use crate::callers::Replay;
use crate::echo;
use crate::figures::{Figure, Goal, Outcome, Spread};
use crate::load::{Connections, OK, Target, rate};
use crate::process::Halves;
use crate::world::{Alone, verify_connections, verify_frames};

const SHARE: f64 = 0.7;
/// What one processor's generator can call in a second without being late itself; a closed loop has less to do.
const MOST: f64 = 40_000.0;

pub(crate) async fn measure(effort: Effort) -> Option<Outcome> {
    let halves = Halves::begin();
    let service = Halves::server(halves.as_ref(), Alone::start()).await;
    let frames = verify_frames(&service.keys, 0..1000);
    let (echo, _) = Halves::server(halves.as_ref(), echo_of(&service.replica, &frames)).await;
    let callers = CONNECTIONS * IN_FLIGHT;
    let mut verify = verify_target(&service.replica, &frames, CONNECTIONS, callers).await;
    let mut bare = echo_target(&echo, &frames, CONNECTIONS, callers).await;
    let (verify_most, echo_most) =
        (saturation(&mut verify, effort).await, saturation(&mut bare, effort).await);
    let rate_of = |most: f64| MOST.min(SHARE * most);
    let (verify_rate, echo_rate) = (rate_of(verify_most), rate_of(echo_most));

    let to_verify = verify_connections(&service.replica, CONNECTIONS).await;
    let to_echo = Connections::open(echo.address, echo::PATH, CONNECTIONS).await;
    let (mut verified, mut echoed) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        echoed.push(p99(&to_echo, &frames, echo_rate, effort.round).await);
        verified.push(p99(&to_verify, &frames, verify_rate, effort.round).await);
    }
    Some(
        Outcome::of([
            Figure::new(
                "Verify p99 ÷ echo p99, each at 70 % of its own saturation",
                Spread::of_ratios(&verified, &echoed),
                "",
                Goal::AtMost(1.2),
            ),
            Figure::informative("· Verify p99", Spread::of(verified), "ms"),
            Figure::informative("· echo p99", Spread::of(echoed), "ms"),
        ])
        .noting(format!(
            "Calls are due at a constant rate, and a latency counts from when its call was due: {verify_rate:.0} of \
             {verify_most:.0} calls of Verify that can be answered in a second, {echo_rate:.0} of {echo_most:.0} of \
             the echo. No more than {MOST:.0}, because beyond that the generator is late itself. {}",
            shares(halves.as_ref())
        )),
    )
}

/// Who has which processors.
pub(super) const fn shares(halves: Option<&Halves>) -> &'static str {
    match halves {
        Some(_) => "The server has one half of the processors, the load generator the other.",
        None => "The load generator has the same processors.",
    }
}

async fn saturation(target: &mut Target<Replay>, effort: Effort) -> f64 {
    let mut rounds = Vec::new();
    for _ in 0..3 {
        rounds.push(target.round(effort.round).await);
    }
    Spread::of(rate(&rounds)).median
}

/// In milliseconds.
pub(super) async fn p99(connections: &Connections, frames: &Arc<[Bytes]>, rate: f64, time: Duration) -> f64 {
    let answers = connections.open_loop(frames, rate, time).await;
    // Whoever got no answer has waited in vain.
    let waited = |(code, latency)| if code == OK { latency } else { Duration::from_secs(10) };
    percentile(answers.into_iter().map(waited), 99)
}

/// In milliseconds.
pub(super) fn percentile(latencies: impl IntoIterator<Item = Duration>, percent: usize) -> f64 {
    let mut sorted: Vec<Duration> = latencies.into_iter().collect();
    sorted.sort_unstable();
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)].as_secs_f64() * 1e3
}
