//! Tokens that are made of valid ones by whoever has no key: `make fuzz` tries ten million, `make test` fewer.
//!
//! Token number n is made of n alone, so that a failure can be repeated.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use countersign_verifier::{InvalidReason, KeySet, RevocationView, Rules, TrustedKeys, UnixMillis, Verifier};

use crate::numbers::Numbers;
use crate::support::{AUDIENCE, ISSUER, NOW, Signer};

mod forgery;

use forgery::Forge;

/// How many where the environment does not say.
const TOKENS: u64 = 100_000;
const AT: UnixMillis = UnixMillis::from_secs(NOW);

#[test]
fn no_forged_token_is_accepted() {
    let count = std::env::var("FUZZ_TOKENS").map_or(TOKENS, |count| count.parse().unwrap());
    let forge = Forge::new();
    let keys = KeySet::new(forge.trusted.iter().map(Signer::verifying_key)).unwrap();
    let rules = Rules::new(ISSUER, vec![AUDIENCE.to_owned()]);
    let verifier = Verifier::new(rules, Arc::new(TrustedKeys::new(keys)), Arc::new(RevocationView::new()))
        .with_cache(4096);
    let valid_are_accepted =
        || assert!(forge.valid.iter().all(|token| verifier.verify(token, &[], AT).is_ok()), "the controls");
    // They are remembered from now on, so a forgery that the cache takes for one of them would be found out.
    valid_are_accepted();

    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let refusals = std::thread::scope(|scope| {
        let shares = (0..threads).map(|first| {
            let numbers = (first..count).step_by(usize::try_from(threads).unwrap());
            let (forge, verifier) = (&forge, &verifier);
            scope.spawn(move || refusals(forge, verifier, numbers))
        });
        let shares: Vec<_> = shares.collect();
        shares.into_iter().map(|share| share.join().unwrap()).fold(BTreeMap::new(), |mut all, share| {
            for (reason, number) in share {
                *all.entry(reason).or_default() += number;
            }
            all
        })
    });
    valid_are_accepted();
    assert_eq!(refusals.values().sum::<u64>(), count);
    println!("{count} forged tokens, none accepted: {refusals:?}");
    for reason in InvalidReason::ALL {
        let possible = !matches!(reason, InvalidReason::Revoked);
        assert_eq!(refusals.contains_key(reason.as_str()), possible, "{reason}: {refusals:?}");
    }
}

/// Presents the tokens of these numbers, and counts why they were refused.
fn refusals(
    forge: &Forge,
    verifier: &Verifier,
    numbers: impl Iterator<Item = u64>,
) -> BTreeMap<&'static str, u64> {
    let mut refusals = BTreeMap::new();
    for number in numbers {
        let token = forge.token(&mut Numbers::new(number));
        let answer = catch_unwind(AssertUnwindSafe(|| verifier.verify(&token, &[], AT)));
        let answer = answer.map_err(|_| format!("number {number} made it panic: {token}")).unwrap();
        let reason = answer.expect_err(&format!("number {number} was accepted: {token}"));
        *refusals.entry(reason.as_str()).or_default() += 1;
    }
    refusals
}
