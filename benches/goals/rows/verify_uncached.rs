//! Verify of a token that was never seen, against a server that does nothing and one bare check of a signature.

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::Effort;
use super::verify_cached::{CONNECTIONS, IN_FLIGHT, echo_of, echo_target};
use crate::callers::Once;
use crate::figures::{Figure, Goal, Outcome, Spread};
use crate::load::{Tally, Target, cpu};
use crate::process::CpuMeter;
use crate::world::{Alone, verify_connections, verify_frames};

pub(crate) async fn measure(effort: Effort) -> Option<Outcome> {
    let service = Alone::start().await;
    let callers = CONNECTIONS * IN_FLIGHT;
    let each_round = effort.largest.min(150_000) / 10;
    let connections = verify_connections(&service.replica, CONNECTIONS).await;
    let some = verify_frames(&service.keys, 0..1000);
    let (echo, _) = echo_of(&service.replica, &some).await;
    let mut bare = echo_target(&echo, &some, CONNECTIONS, callers).await;
    let check = SignatureCheck::new(some[0].len());
    bare.round(effort.round).await;
    let (mut verified, mut echoed, mut checks) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=effort.rounds as u64 {
        let first = 1000 + round * each_round;
        let frames = verify_frames(&service.keys, first..first + each_round);
        let once = Once::callers(&frames, callers);
        let mut verify = Target::new(service.replica.pid(), connections.clone(), once);
        let tally = verify.round(Duration::MAX).await;
        if round > 0 {
            verified.push(tally);
            echoed.push(bare.round(effort.round).await);
            checks.push(check.micros(2000));
        }
    }
    let least: Vec<_> = cpu(&echoed).iter().zip(&checks).map(|(echo, check)| echo + check).collect();
    Some(
        Outcome::of([
            Figure::new(
                "Verify, token never seen: server CPU ÷ (echo + one bare signature check)",
                Spread::of_ratios(&cpu(&verified), &least),
                "",
                Goal::AtMost(1.10),
            ),
            Figure::informative("· server CPU of a Verify", Spread::of(cpu(&verified)), "µs"),
            Figure::informative("· server CPU of an echo", Spread::of(cpu(&echoed)), "µs"),
            Figure::informative("· one bare check of an Ed25519 signature", Spread::of(checks), "µs"),
            Figure::informative(
                "· Verify calls/s",
                Spread::of(verified.iter().map(Tally::calls_per_second)),
                "/s",
            ),
        ])
        .noting(format!(
            "{each_round} new tokens in each round; the check is that of aws-lc-rs, in this process."
        )),
    )
}

/// A signature over as many bytes as a token has, checked without anything around it.
struct SignatureCheck {
    key: UnparsedPublicKey<Vec<u8>>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl SignatureCheck {
    fn new(bytes: usize) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let message = vec![b'x'; bytes];
        let signature = pair.sign(&message).as_ref().to_vec();
        Self {
            key: UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref().to_vec()),
            message,
            signature,
        }
    }

    fn micros(&self, times: u64) -> f64 {
        let meter = CpuMeter::start_here();
        for _ in 0..times {
            black_box(self.key.verify(black_box(&self.message), &self.signature)).unwrap();
        }
        meter.micros_each(times)
    }
}
