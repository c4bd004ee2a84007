//! Login throttling: one suite for the one in process and the one in Redis.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use countersign::model::throttle::{
    AccountDigest, Admission, BackOff, KNOWN_FOR, LoginAttempt, Rate, Source, ThrottlePolicy,
};
use countersign::model::{Clock as _, ManualClock};
use countersign::store::LoginThrottle;
use countersign::store::in_process::InProcessThrottle;
use countersign::store::redis::RedisThrottle;
use proptest::prelude::*;
use tokio::task::JoinSet;

use crate::conformance::{MS, START, just_before, username};
use crate::redis_store::{CLUSTER, SERVER, open, options};
use crate::support::redis::is_installed;

const SECOND: Duration = Duration::from_secs(1);

const fn some(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

const TOTAL_WAIT: Duration = Duration::from_mins(5);

pub(crate) const POLICY: ThrottlePolicy = ThrottlePolicy {
    account: BackOff {
        free: some(5),
        first: SECOND,
        longest: Duration::from_mins(5),
        forget: Duration::from_hours(1),
    },
    account_total: BackOff { free: some(30), first: TOTAL_WAIT, longest: TOTAL_WAIT, forget: KNOWN_FOR },
    source: Rate { burst: some(20), interval: Duration::from_secs(2) },
    global: Rate { burst: some(50), interval: Duration::from_millis(100) },
};

pub(crate) fn attempt(account: &str, source: &str) -> LoginAttempt {
    LoginAttempt {
        account: AccountDigest::of(&username(account)),
        source: Source::of(source.parse().unwrap()),
    }
}

fn wait(admission: Admission) -> Duration {
    match admission {
        Admission::Admitted => Duration::ZERO,
        Admission::Refused { retry_after } => retry_after,
    }
}

struct World {
    clock: Arc<ManualClock>,
    throttle: Arc<dyn LoginThrottle>,
}

impl World {
    async fn admit(&self, account: &str, source: &str) -> Duration {
        wait(self.throttle.admit(attempt(account, source)).await.unwrap())
    }

    async fn succeed(&self, account: &str, source: &str) {
        assert_eq!(self.admit(account, source).await, Duration::ZERO);
        self.throttle.succeeded(attempt(account, source)).await.unwrap();
    }
}

async fn guesses_at_once_are_no_more_than_the_limit(world: World) {
    let mut guesses = JoinSet::new();
    for _ in 0..1000 {
        let throttle = Arc::clone(&world.throttle);
        guesses.spawn(async move { throttle.admit(attempt("ada", "192.0.2.1")).await.unwrap() });
    }
    let answers = guesses.join_all().await;
    assert_eq!(answers.iter().filter(|answer| **answer == Admission::Admitted).count(), 5);
    assert!(answers.iter().all(|answer| wait(*answer) <= SECOND));
}

async fn pauses_grow_and_refusals_do_not_count(world: World) {
    for _ in 0..5 {
        assert_eq!(world.admit("ada", "192.0.2.1").await, Duration::ZERO);
    }
    for pause in [1, 2, 4, 8, 16] {
        for _ in 0..3 {
            assert_eq!(world.admit("ada", "192.0.2.1").await, pause * SECOND);
        }
        world.clock.advance(just_before(pause * SECOND));
        assert_eq!(world.admit("ada", "192.0.2.1").await, MS);
        world.clock.advance(MS);
        assert_eq!(world.admit("ada", "192.0.2.1").await, Duration::ZERO);
    }
    world.clock.advance(POLICY.account.forget);
    for _ in 0..5 {
        assert_eq!(world.admit("ada", "192.0.2.1").await, Duration::ZERO, "they are forgotten");
    }
}

async fn an_attacker_does_not_lock_the_owner_out(world: World) {
    for source in ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"] {
        for _ in 0..20 {
            world.admit("ada", source).await;
        }
        assert!(world.admit("ada", source).await > Duration::ZERO);
    }
    world.succeed("ada", "198.51.100.7").await;
    assert!(world.admit("ada", "2001:db8::2").await > Duration::ZERO, "the same network is the same source");
    assert!(world.admit("ada", "192.0.2.1").await > Duration::ZERO, "and the attacker gains nothing by it");
}

/// One account is guessed from a thousand sources: they get no more tries together than one patient guesser, and the owner
/// goes on where they have logged in before.
async fn a_guess_from_a_thousand_sources_is_one_guess_more(world: World) {
    world.succeed("ada", "198.51.100.7").await;
    let mut looked_at = 0;
    for number in 0..360 {
        world.clock.advance(Duration::from_millis(100));
        looked_at += u32::from(world.admit("ada", &format!("2001:db8:1:{number:x}::1")).await.is_zero());
    }
    assert_eq!(looked_at, 30);
    assert_eq!(world.admit("bob", "2001:db8:2::1").await, Duration::ZERO, "another account is not meant");
    assert_eq!(world.admit("ada", "198.51.100.7").await, Duration::ZERO, "the owner is known there");
    world.clock.advance(TOTAL_WAIT);
    assert_eq!(world.admit("ada", "2001:db8:3::1").await, Duration::ZERO, "one more after the pause");
    assert!(world.admit("ada", "2001:db8:4::1").await > Duration::ZERO);
    world.throttle.succeeded(attempt("ada", "198.51.100.7")).await.unwrap();
    assert_eq!(world.admit("ada", "2001:db8:4::1").await, Duration::ZERO, "they are no longer in a row");
}

async fn a_source_that_tries_many_accounts_is_held_up(world: World) {
    for number in 0..20 {
        assert_eq!(world.admit(&format!("user-{number}"), "192.0.2.1").await, Duration::ZERO);
    }
    assert_eq!(world.admit("another", "192.0.2.1").await, 2 * SECOND);
    assert_eq!(world.admit("another", "192.0.2.2").await, Duration::ZERO);
    world.clock.advance(2 * SECOND);
    assert_eq!(world.admit("another", "192.0.2.1").await, Duration::ZERO);
}

async fn a_ceiling_holds_for_all_together(world: World) {
    for number in 0..50 {
        let source = format!("192.0.2.{number}");
        assert_eq!(world.admit(&format!("user-{number}"), &source).await, Duration::ZERO);
    }
    assert_eq!(world.admit("ada", "198.51.100.7").await, Duration::from_millis(100));
    world.clock.advance(Duration::from_millis(100));
    assert_eq!(world.admit("ada", "198.51.100.7").await, Duration::ZERO);
}

/// A flood from everywhere holds up those who were never seen, and nobody at a place where they have logged in before.
async fn a_full_ceiling_does_not_lock_out_who_is_known(world: World) {
    world.succeed("ada", "198.51.100.7").await;
    let flood = async || {
        for number in 0..60 {
            world.admit(&format!("user-{number}"), &format!("192.0.2.{number}")).await;
        }
    };
    flood().await;
    assert!(world.admit("grace", "198.51.100.8").await > Duration::ZERO, "the ceiling is reached");
    assert!(world.admit("ada", "198.51.100.8").await > Duration::ZERO, "nobody knows who that is");
    assert!(world.admit("grace", "198.51.100.7").await > Duration::ZERO, "nor that");
    for _ in 0..5 {
        assert_eq!(world.admit("ada", "198.51.100.7").await, Duration::ZERO);
    }
    assert_eq!(world.admit("ada", "198.51.100.7").await, SECOND, "to be known is no licence to guess");

    world.clock.advance(just_before(KNOWN_FOR));
    flood().await;
    assert_eq!(world.admit("ada", "198.51.100.7").await, Duration::ZERO);
    world.clock.advance(MS);
    flood().await;
    assert!(world.admit("ada", "198.51.100.7").await > Duration::ZERO, "it is forgotten");
}

async fn success_counts_for_nothing(world: World) {
    for number in 0..200 {
        world.succeed(&format!("user-{}", number % 7), "192.0.2.1").await;
    }
    for _ in 0..4 {
        assert_eq!(world.admit("ada", "192.0.2.1").await, Duration::ZERO);
    }
    world.succeed("ada", "192.0.2.1").await;
    for _ in 0..5 {
        assert_eq!(
            world.admit("ada", "192.0.2.1").await,
            Duration::ZERO,
            "the failures before are forgotten"
        );
    }
    assert!(world.admit("ada", "192.0.2.1").await > Duration::ZERO);
}

fn here() -> World {
    let clock = Arc::new(ManualClock::new(START));
    let throttle = Arc::new(InProcessThrottle::new(clock.clone(), POLICY));
    World { clock, throttle }
}

fn in_process() -> impl Iterator<Item = World> {
    std::iter::once(here())
}

fn in_redis_at(url: &str) -> World {
    let clock = Arc::new(ManualClock::new(START));
    let throttle = Arc::new(RedisThrottle::new(open(&options(url), clock.clone()), POLICY));
    World { clock, throttle }
}

fn in_redis() -> impl Iterator<Item = World> {
    is_installed("login throttling in Redis").then(|| in_redis_at(&SERVER.url())).into_iter()
}

fn in_cluster() -> impl Iterator<Item = World> {
    is_installed("login throttling in a Redis Cluster").then(|| in_redis_at(&CLUSTER.url())).into_iter()
}

macro_rules! every_case {
    ($name:ident: $($case:ident),+) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    for world in super::$name() {
                        super::$case(world).await;
                    }
                }
            )+
        }
    };
    ($($name:ident),+) => {
        $(every_case!($name: guesses_at_once_are_no_more_than_the_limit, pauses_grow_and_refusals_do_not_count,
            an_attacker_does_not_lock_the_owner_out, a_guess_from_a_thousand_sources_is_one_guess_more,
            a_source_that_tries_many_accounts_is_held_up,
            a_ceiling_holds_for_all_together, a_full_ceiling_does_not_lock_out_who_is_known, success_counts_for_nothing);)+
    };
}

every_case!(in_process, in_redis, in_cluster);

/// Whatever happens, the script and the functions answer alike.
#[test]
fn the_script_answers_as_the_functions_do() {
    if !is_installed("the_script_answers_as_the_functions_do") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let step = (0..3_u32, 0..3_u32, any::<bool>(), prop_oneof![Just(0), 0..3000_u64, 0..4_000_000_u64]);
    let steps = proptest::collection::vec(step, 80);
    let config = ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() };
    proptest::test_runner::TestRunner::new(config)
        .run(&steps, |steps| {
            runtime.block_on(async {
                let (here, there) = (here(), in_redis_at(&SERVER.url()));
                for (account, source, succeeds, pause) in steps {
                    let (account, source) = (format!("user-{account}"), format!("192.0.2.{source}"));
                    let answer = here.admit(&account, &source).await;
                    assert_eq!(there.admit(&account, &source).await, answer, "at {:?}", here.clock.now());
                    if succeeds && answer.is_zero() {
                        here.throttle.succeeded(attempt(&account, &source)).await.unwrap();
                        there.throttle.succeeded(attempt(&account, &source)).await.unwrap();
                    }
                    here.clock.advance(Duration::from_millis(pause));
                    there.clock.advance(Duration::from_millis(pause));
                }
            });
            Ok(())
        })
        .unwrap();
}

/// Attempts under way count as failures until their passwords were looked at; those that are refused for that alone wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn right_logins_at_once_are_all_let_in_and_guesses_at_once_are_no_more_than_in_turn() {
    let service = crate::support::http::service(&[("THROTTLE__ACCOUNT_FREE", "5")]).await;
    for _ in 0..3 {
        let logins: JoinSet<_> = (0..12)
            .map(|_| {
                let http = service.http;
                async move { http.login().await.status.as_u16() }
            })
            .collect();
        assert_eq!(logins.join_all().await, [200; 12]);
    }
    let guesses: JoinSet<_> = (0..60)
        .map(|number| {
            let http = service.http;
            let body =
                serde_json::json!({ "username": "ada", "password": format!("a wrong guess {number}") });
            async move { http.post("/v1/auth/login", &[], &body).await.status.as_u16() }
        })
        .collect();
    let answers = guesses.join_all().await;
    let looked_at = answers.iter().filter(|status| **status == 401).count();
    assert_eq!(looked_at, 5, "{answers:?}");
    assert!(answers.iter().all(|status| [401, 429].contains(status)), "{answers:?}");
}
