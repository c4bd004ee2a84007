//! The cache of verified tokens never changes an answer: a verifier that remembers and one that does not are led
//! through the same story.

use std::sync::Arc;
use std::time::Duration;

use countersign_verifier::{
    Algorithm, Epoch, InvalidReason, KeySet, RevocationView, Rules, SessionId, TrustedKeys, UnixMillis,
    UserId, Verifier, verify,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::support::{AUDIENCE, ISSUER, NOW, Signer, World, claims, with};

/// One place for each of eight tokens: with three times as many there is always somebody to evict.
const CACHE: usize = 8;
const USERS: u8 = 3;
const SESSIONS: u8 = 6;

/// What happens in a story.
#[derive(Debug, Clone)]
enum Event {
    /// A token is presented to a service that goes by the audience.
    Present { token: usize, audience: usize },
    /// A token is presented with one of its characters changed.
    PresentChanged { token: usize, place: usize },
    /// Time passes.
    Advance { seconds: i64 },
    /// Somebody sets the clock back.
    SetBack { seconds: i64 },
    /// A session is revoked.
    RevokeSession { session: u8 },
    /// All sessions of a user are.
    RaiseEpoch { user: u8, epoch: u64 },
    /// From now on these keys are trusted, one bit for each.
    TrustKeys { set: usize },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        20 => (0..TOKENS, 0..4_usize).prop_map(|(token, audience)| Event::Present { token, audience }),
        4 => (0..TOKENS, 0..10_000_usize).prop_map(|(token, place)| Event::PresentChanged { token, place }),
        2 => (1..200_i64).prop_map(|seconds| Event::Advance { seconds }),
        1 => (1..400_i64).prop_map(|seconds| Event::SetBack { seconds }),
        1 => (0..SESSIONS).prop_map(|session| Event::RevokeSession { session }),
        1 => (0..USERS, 0..4_u64).prop_map(|(user, epoch)| Event::RaiseEpoch { user, epoch }),
        2 => (0..8_usize).prop_map(|set| Event::TrustKeys { set }),
    ]
}

const TOKENS: usize = 24;

fn user(number: u8) -> UserId {
    UserId::from_bytes([number; 16])
}

fn session(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

/// Two keys, and a third that comes under the name of the first.
struct Cast {
    keys: [Signer; 3],
    tokens: Vec<String>,
}

impl Cast {
    fn new() -> Self {
        let keys = ["a", "b", "a"].map(|kid| Signer::generate(kid, Algorithm::EdDSA));
        let tokens = (0..u8::try_from(TOKENS).unwrap())
            .map(|number| {
                let signer = &keys[usize::from(number) % 3];
                let claims = with(claims(), "sub", json!(user(number % USERS).to_string()));
                let claims = with(claims, "sid", json!(session(number % SESSIONS).to_string()));
                let claims = with(claims, "jti", json!(format!("token-{number}")));
                let claims = with(claims, "epoch", json!(number % 4));
                let claims = with(claims, "exp", json!(NOW + 60 * i64::from(number)));
                let claims = match number % 5 {
                    0 => with(claims, "nbf", json!(NOW + 30 * i64::from(number % 7))),
                    _ => claims,
                };
                signer.token(signer.header().to_string(), claims.to_string())
            })
            .collect();
        Self { keys, tokens }
    }

    /// The keys whose bits are set; of two with one name the first.
    fn key_set(&self, bits: usize) -> KeySet {
        let mut chosen: Vec<&Signer> = Vec::new();
        for (bit, key) in self.keys.iter().enumerate() {
            if bits & (1 << bit) != 0 && chosen.iter().all(|other| other.kid != key.kid) {
                chosen.push(key);
            }
        }
        KeySet::new(chosen.into_iter().map(Signer::verifying_key)).unwrap()
    }
}

fn tell(cast: &Cast, story: &[Event]) -> Result<(), TestCaseError> {
    let (keys, view) = (Arc::new(TrustedKeys::new(cast.key_set(0b011))), Arc::new(RevocationView::new()));
    let rules = Rules::new(ISSUER, vec![AUDIENCE.to_owned()]);
    let verifier = Verifier::new(rules.clone(), keys.clone(), view.clone()).with_cache(CACHE);
    let audiences = [
        vec![],
        vec!["billing".to_owned()],
        vec!["nobody".to_owned()],
        vec!["x".to_owned(), AUDIENCE.to_owned()],
    ];
    let mut now = UnixMillis::from_secs(NOW);
    let far = UnixMillis(i64::MAX);
    for event in story {
        match *event {
            Event::Present { token, audience } => {
                let (token, audiences) = (&cast.tokens[token], &audiences[audience]);
                let remembered = verifier.verify(token, audiences, now);
                let anew = verify(token, &rules, &keys.current(), audiences, &view.index, now);
                prop_assert_eq!(remembered.as_deref(), anew.as_ref());
            }
            Event::PresentChanged { token, place } => {
                let mut changed = cast.tokens[token].clone();
                let place = place % changed.len();
                let new = if changed.as_bytes()[place] == b'A' { "B" } else { "A" };
                changed.replace_range(place..=place, new);
                let remembered = verifier.verify(&changed, &[], now);
                let anew = verify(&changed, &rules, &keys.current(), &[], &view.index, now);
                prop_assert_eq!(remembered.as_deref(), anew.as_ref());
                prop_assert!(remembered.is_err());
            }
            Event::Advance { seconds } => now = UnixMillis(now.0 + seconds * 1000),
            Event::SetBack { seconds } => now = UnixMillis(now.0 - seconds * 1000),
            Event::RevokeSession { session: number } => {
                view.index.revoke_session(session(number), far);
            }
            Event::RaiseEpoch { user: number, epoch } => {
                view.index.raise_epoch(user(number), Epoch(epoch), far);
            }
            Event::TrustKeys { set } => {
                keys.replace(cast.key_set(set));
            }
        }
        prop_assert!(verifier.cached_tokens() <= CACHE);
    }
    Ok(())
}

#[test]
fn the_cache_never_changes_an_answer() {
    let cast = Cast::new();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) };
    proptest!(config, |(story in vec(event(), 1..120))| tell(&cast, &story)?);
}

fn verifier(world: &World) -> Verifier {
    let keys = Arc::new(TrustedKeys::new(world.keys.clone()));
    Verifier::new(world.rules.clone(), keys, Arc::new(RevocationView::new()))
}

#[test]
fn a_token_seen_before_is_the_same_identity_and_another_spelling_is_not_it() {
    let world = &*crate::support::WORLD;
    let verifier = verifier(world);
    let now = UnixMillis::from_secs(NOW);
    let token = world.signers[0].valid();
    let first = verifier.verify(&token, &[], now).unwrap();
    assert!(Arc::ptr_eq(&first, &verifier.verify(&token, &[], now).unwrap()), "it was remembered");
    let mut forged = token.clone();
    let last = if forged.pop() == Some('A') { 'Q' } else { 'A' };
    forged.push(last);
    assert!(verifier.verify(&forged, &[], now).is_err(), "the signature is part of what is remembered");
    assert_eq!(verifier.cached_tokens(), 1);
}

#[test]
fn a_withdrawn_key_empties_the_cache_and_a_new_one_does_not() {
    let world = &*crate::support::WORLD;
    let verifier = verifier(world);
    let now = UnixMillis::from_secs(NOW);
    let [first, other, _] = &world.signers;
    let identity = verifier.verify(&first.valid(), &[], now);
    let other_token = other.valid();
    let other_identity = verifier.verify(&other_token, &[], now).unwrap();

    let added = Signer::generate("added", Algorithm::EdDSA);
    let keys = |signers: &[&Signer]| KeySet::new(signers.iter().map(|it| it.verifying_key())).unwrap();
    assert!(!verifier.keys().replace(keys(&[first, other, &world.signers[2]])));
    assert!(!verifier.keys().replace(keys(&[first, other, &world.signers[2], &added])));
    assert!(Arc::ptr_eq(&other_identity, &verifier.verify(&other_token, &[], now).unwrap()));

    assert!(verifier.keys().replace(keys(&[other, &added])));
    assert!(identity.is_ok());
    assert_eq!(verifier.verify(&first.valid(), &[], now).unwrap_err(), InvalidReason::UnknownKey);
    let anew = verifier.verify(&other_token, &[], now).unwrap();
    assert!(!Arc::ptr_eq(&other_identity, &anew), "every token was verified anew");
}

#[test]
fn a_full_cache_keeps_what_is_asked_for() {
    let world = &*crate::support::WORLD;
    let verifier = verifier(world).with_cache(CACHE);
    let now = UnixMillis::from_secs(NOW);
    let signer = &world.signers[0];
    let token = |number: usize| signer.with_claim("jti", json!(format!("token-{number}")));
    let wanted = token(0);
    let identity = verifier.verify(&wanted, &[], now).unwrap();
    for number in 1..100 {
        verifier.verify(&token(number), &[], now).unwrap();
        let again = verifier.verify(&wanted, &[], now).unwrap();
        assert!(Arc::ptr_eq(&identity, &again), "evicted after {number} others, though it was in use");
    }
    assert_eq!(verifier.cached_tokens(), CACHE);
    let later = now + Duration::from_mins(15);
    assert_eq!(verifier.verify(&wanted, &[], later).unwrap_err(), InvalidReason::Expired);
}

/// While readers go on, a key is withdrawn. Once the withdrawal has returned, no token of it is accepted, however
/// the verifications that were under way are timed.
#[test]
fn no_verification_under_way_outlives_a_withdrawn_key() {
    let signer = Signer::generate("a", Algorithm::EdDSA);
    let token = signer.valid();
    let now = UnixMillis::from_secs(NOW);
    for _ in 0..50 {
        let keys = Arc::new(TrustedKeys::new(KeySet::new([signer.verifying_key()]).unwrap()));
        let rules = Rules::new(ISSUER, vec![AUDIENCE.to_owned()]);
        let verifier = Verifier::new(rules, keys.clone(), Arc::new(RevocationView::new())).with_cache(CACHE);
        std::thread::scope(|scope| {
            // Bounded, so that a cache that is wrong fails the test instead of running for ever.
            let reader =
                || (0..2_000).take_while(|_| verifier.verify(&token, &[], now).is_ok()).for_each(drop);
            scope.spawn(reader);
            scope.spawn(reader);
            keys.replace(KeySet::default());
            assert_eq!(verifier.verify(&token, &[], now).unwrap_err(), InvalidReason::UnknownKey);
        });
        assert_eq!(verifier.verify(&token, &[], now).unwrap_err(), InvalidReason::UnknownKey);
    }
}
