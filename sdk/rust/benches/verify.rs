//! What one in-process verification costs, in nanoseconds: `cargo bench -p countersign-verifier`.
//!
//! Each figure is the median of several rounds; the rounds of all cases are interleaved, so that a machine that
//! is slow for a while is slow for all of them.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::digest;
use countersign_verifier::{
    Algorithm, Clock, KeySet, RevocationView, Rules, SessionId, SystemClock, TrustedKeys, UnixMillis,
    Verifier,
};

#[path = "../tests/it/support.rs"]
#[expect(dead_code, unused_macros, unused_imports, reason = "the tests need more of it than the bench does")]
mod support;
use support::{AUDIENCE, ISSUER, NOW, Signer, claims, with};

const ROUNDS: usize = 15;
const CALLS: usize = 200_000;
const AT: UnixMillis = UnixMillis::from_secs(NOW);

type Case<'a> = (&'static str, Box<dyn Fn() -> f64 + 'a>);

struct World {
    verifier: Verifier,
    tokens: Vec<String>,
}

impl World {
    /// A verifier that has seen `tokens` tokens, with `revoked` sessions revoked.
    fn new(signer: &Signer, tokens: usize, revoked: u32, cache: usize) -> Self {
        let rules = Rules::new(ISSUER, vec![AUDIENCE.to_owned()]);
        let keys = KeySet::new([signer.verifying_key()]).unwrap();
        let view = RevocationView::new();
        for number in 0..revoked {
            view.index.revoke_session(session(number | 1 << 31), AT);
        }
        let verifier =
            Verifier::new(rules, Arc::new(TrustedKeys::new(keys)), Arc::new(view)).with_cache(cache);
        let header = signer.header().to_string();
        let of = |number| {
            let sid = session(u32::try_from(number).unwrap()).to_string();
            signer.token(&header, with(claims(), "sid", sid.into()).to_string())
        };
        let tokens: Vec<_> = (0..tokens).map(of).collect();
        for token in &tokens {
            verifier.verify(token, &[], AT).unwrap();
        }
        Self { verifier, tokens }
    }

    fn nanos_per_call(&self, threads: usize, calls: usize) -> f64 {
        #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
        let begin = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..threads {
                scope.spawn(move || {
                    for call in 0..calls {
                        let token = &self.tokens[(call * 7 + thread) % self.tokens.len()];
                        black_box(self.verifier.verify(black_box(token), &[], AT)).unwrap();
                    }
                });
            }
        });
        nanos(begin) / float(calls)
    }
}

/// Spread over all sixteen bytes, as hashes are.
fn session(number: u32) -> SessionId {
    let hash = digest::digest(&digest::SHA256, &number.to_le_bytes());
    SessionId::from_bytes(hash.as_ref()[..16].try_into().unwrap())
}

fn nanos(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e9
}

fn float(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

fn main() {
    let signer = Signer::generate("20260101T000000Z-0a1b2c3d", Algorithm::EdDSA);
    let one = World::new(&signer, 1, 0, 65_536);
    let many = World::new(&signer, 1_000, 0, 65_536);
    let revoked = World::new(&signer, 1_000, 1_000_000, 65_536);
    let uncached = World::new(&signer, 10, 0, 0);
    let token = one.tokens[0].clone();
    println!("token of {} bytes; medians of {ROUNDS} rounds, in ns a call", token.len());

    let clock = SystemClock::new();
    let cases: [Case<'_>; 8] = [
        ("SHA-256 of the token alone", Box::new(|| each(|| sha256(black_box(&token))))),
        ("the two clocks alone", Box::new(|| each(|| (clock.now(), clock.monotonic())))),
        ("seen before: one token", Box::new(|| one.nanos_per_call(1, CALLS))),
        ("seen before: 1,000 tokens", Box::new(|| many.nanos_per_call(1, CALLS))),
        ("seen before: 1,000 tokens, 10⁶ sessions revoked", Box::new(|| revoked.nanos_per_call(1, CALLS))),
        ("seen before: 1,000 tokens, 2 threads", Box::new(|| many.nanos_per_call(2, CALLS))),
        ("seen before: one token, 2 threads", Box::new(|| one.nanos_per_call(2, CALLS))),
        ("never seen (Ed25519)", Box::new(|| uncached.nanos_per_call(1, 500))),
    ];
    let mut figures = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for ((_, case), figures) in cases.iter().zip(&mut figures) {
            figures.push(case());
        }
    }
    for ((name, _), figures) in cases.iter().zip(&mut figures) {
        figures.sort_by(f64::total_cmp);
        println!(
            "{name:<50} {:>9.0}  ({:.0} to {:.0})",
            figures[ROUNDS / 2],
            figures[0],
            figures[ROUNDS - 1]
        );
    }
}

fn sha256(token: &str) -> digest::Digest {
    digest::digest(&digest::SHA256, token.as_bytes())
}

fn each<T>(work: impl Fn() -> T) -> f64 {
    #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
    let begin = Instant::now();
    (0..CALLS).for_each(|_| drop(black_box(work())));
    nanos(begin) / float(CALLS)
}
