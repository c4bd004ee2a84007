//! Verify in the process of the service that wants to know.

use std::hint::black_box;
use std::sync::Arc;

use countersign::model::{Clock as _, SessionId, SystemClock};
use countersign_verifier::{RevocationView, Rules, TrustedKeys, Verifier};

use super::Effort;
use crate::figures::{Figure, Goal, Outcome, Spread};
use crate::load::{count, now};
use crate::world::{ACCESS_TTL, Alone, access_token};

const TOKENS: u64 = 1000;

pub(crate) async fn measure(effort: Effort) -> Option<Outcome> {
    let service = Alone::start().await;
    let clock = SystemClock::new();
    let view = RevocationView::new();
    for number in 0..u128::from(effort.largest) {
        // None of the tokens is of these sessions.
        let session = SessionId::from_bytes((number | 1 << 96).to_le_bytes());
        view.index.revoke_session(session, clock.now() + ACCESS_TTL);
    }
    let rules = Rules::new("countersign", vec!["countersign".to_owned()]);
    let keys = Arc::new(TrustedKeys::new((*service.keys.signing.key_set()).clone()));
    let verifier = Verifier::new(rules, keys, Arc::new(view));
    let tokens: Vec<_> = (0..TOKENS).map(|number| access_token(&service.keys, number)).collect();
    let nanos = |tokens: &[String]| {
        let at = clock.now();
        let (begun, mut calls) = (now(), 0);
        while begun.elapsed() < effort.round / 4 {
            for token in tokens.iter().cycle().take(10_000) {
                black_box(verifier.verify(black_box(token), &[], at)).unwrap();
            }
            calls += 10_000;
        }
        begun.elapsed().as_secs_f64() * 1e9 / count(calls)
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
