//! Verify for those who have many tokens: in batches, and over a stream.

use std::sync::Arc;

use countersign::grpc::proto::v1::{BatchVerifyAccessTokensRequest, VerifyAccessTokenRequest};
use prost::Message as _;
use prost::bytes::Bytes;

use super::Effort;
use super::verify_cached::{CONNECTIONS, IN_FLIGHT, echo_of, echo_target};
use crate::callers::Replay;
use crate::figures::{Figure, Goal, Outcome, Spread};
use crate::load::{Connections, Tally, Target, cpu, frame, rate};
use crate::stream::Streams;
use crate::world::{Alone, verify_frames};

const BATCH_PATH: &str = "/countersign.v1.AuthService/BatchVerifyAccessTokens";
const STREAM_PATH: &str = "/countersign.v1.AuthService/VerifyStream";
/// As many tokens as fit into the largest request that the default configuration takes.
const BATCH: usize = 100;
/// How many tokens are under way on each stream.
const PIPELINED: usize = 256;

pub(crate) async fn measure(effort: Effort) -> Option<Outcome> {
    let service = Alone::start().await;
    let frames = verify_frames(&service.keys, 0..1000);
    let (echo, _) = echo_of(&service.replica, &frames).await;
    let mut bare = echo_target(&echo, &frames, CONNECTIONS, CONNECTIONS * IN_FLIGHT).await;
    let connections = Connections::open(service.replica.grpc, BATCH_PATH, 4).await;
    let pid = service.replica.pid();
    let mut batches = Target::new(pid, connections, Replay::callers(&in_batches(&frames), 8));
    let mut streams = Streams::open(service.replica.grpc, STREAM_PATH, 4).await;

    let (mut echoed, mut by_batch, mut by_stream) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=effort.rounds {
        let results = (
            bare.round(effort.round).await,
            batches.round(effort.round).await,
            streams.round(pid, &frames, PIPELINED, effort.round).await,
        );
        if round > 0 {
            echoed.push(results.0);
            by_batch.push(Tally { calls: results.1.calls * BATCH as u64, ..results.1 });
            by_stream.push(results.2);
        }
    }
    let speed = |of: &[Tally]| Spread::of_ratios(&rate(of), &rate(&echoed));
    let cost = |of: &[Tally]| Spread::of_ratios(&cpu(&echoed), &cpu(of));
    Some(
        Outcome::of([
            Figure::new("Batch verify: tokens/s ÷ unary echo calls/s", speed(&by_batch), "", Goal::AtLeast(5.0)),
            Figure::informative("· server CPU of an echo ÷ of a token in a batch", cost(&by_batch), ""),
            Figure::informative("· tokens in batches", Spread::of(rate(&by_batch)), "/s"),
            Figure::informative("Stream verify: tokens/s ÷ unary echo calls/s", speed(&by_stream), ""),
            Figure::informative("· server CPU of an echo ÷ of a token on a stream", cost(&by_stream), ""),
            Figure::informative("· tokens on streams", Spread::of(rate(&by_stream)), "/s"),
        ])
        .noting(format!(
            "Batches of {BATCH} tokens, 8 at once over 4 connections; 4 streams with {PIPELINED} tokens under way \
             on each. By the wall clock, so the load generator's own work is in it."
        )),
    )
}

fn in_batches(frames: &Arc<[Bytes]>) -> Arc<[Bytes]> {
    let token = |frame: &Bytes| VerifyAccessTokenRequest::decode(&frame[5..]).unwrap().access_token;
    let batch = |frames: &[Bytes]| BatchVerifyAccessTokensRequest {
        access_tokens: frames.iter().map(token).collect(),
        ..BatchVerifyAccessTokensRequest::default()
    };
    frames.chunks(BATCH).map(|frames| frame(&batch(frames))).collect()
}
