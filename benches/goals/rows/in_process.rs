//! Verify in the process of the service that wants to know.

use std::hint::black_box;
use std::sync::Arc;

use countersign::model::{Clock as _, SystemClock};
use countersign_verifier::{RevocationView, Rules, TrustedKeys, Verifier};

use super::Effort;
use crate::figures::{Figure, Goal, Outcome, Spread};
use crate::load::now;
use crate::process::CpuMeter;
use crate::world::{ACCESS_TTL, Alone, access_token, session_id};

const TOKENS: u64 = 1000;

pub(crate) async fn measure(effort: Effort) -> Option<Outcome> {
    let service = Alone::start().await;
    let clock = SystemClock::new();
    let view = RevocationView::new();
    // None of the tokens is of these sessions.
    for number in TOKENS..TOKENS + effort.largest {
        view.index.revoke_session(session_id(number), clock.now() + ACCESS_TTL);
    }
    let rules = Rules::new("countersign", vec!["countersign".to_owned()]);
    let keys = Arc::new(TrustedKeys::new((*service.keys.signing.key_set()).clone()));
    let verifier = Verifier::new(rules, keys, Arc::new(view));
    let tokens: Vec<_> = (0..TOKENS).map(|number| access_token(&service.keys, number)).collect();
    let nanos = |tokens: &[String]| {
        let at = clock.now();
        let (begun, meter, mut calls) = (now(), CpuMeter::start_here(), 0);
        while begun.elapsed() < effort.round / 4 {
            for token in tokens.iter().cycle().take(1000) {
                black_box(verifier.verify(black_box(token), &[], at)).unwrap();
            }
            calls += 1000;
        }
        meter.micros_each(calls) * 1e3
    };
    nanos(&tokens);
    let (mut one, mut many) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds * 2 {
        one.push(nanos(&tokens[..1]));
        many.push(nanos(&tokens));
    }
    Some(Outcome::of([
        Figure::new("In-process verify, one token, seen before", Spread::of(one), "ns", Goal::AtMost(300.0)),
        Figure::new(
            format!("In-process verify, {TOKENS} tokens seen before, {} sessions revoked", effort.largest),
            Spread::of(many),
            "ns",
            Goal::AtMost(300.0),
        ),
    ]))
}
