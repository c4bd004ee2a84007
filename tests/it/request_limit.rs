//! How many requests one client may make: one suite for the count in process and the one in Redis, and the edge with it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use countersign::auth::RequestLimit;
use countersign::http::HttpOptions;
use countersign::model::throttle::{Admission, Rate, Source};
use countersign::model::{Clock as _, ManualClock};
use countersign::store::RequestThrottle;
use countersign::store::in_process::InProcessRequests;
use countersign::store::redis::RedisRequests;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::conformance::{MS, START};
use crate::redis_store::{CLUSTER, SERVER, open, options};
use crate::support::http::{alone, credentials, request, service};
use crate::support::redis::is_installed;
use crate::support::stub::Stub;

/// 100 a minute.
const RATE: Rate = Rate { burst: NonZeroU32::new(100).unwrap(), interval: Duration::from_millis(600) };

struct World {
    clock: Arc<ManualClock>,
    throttle: Arc<dyn RequestThrottle>,
}

fn source(text: &str) -> Source {
    Source::of(text.parse().unwrap())
}

impl World {
    async fn wait(&self, from: &str) -> Duration {
        match self.throttle.admit(source(from)).await.unwrap() {
            Admission::Admitted => Duration::ZERO,
            Admission::Refused { retry_after } => retry_after,
        }
    }
}

async fn so_many_at_once_and_then_one_after_each_interval(world: World) {
    for _ in 0..100 {
        assert_eq!(world.wait("192.0.2.1").await, Duration::ZERO);
    }
    for _ in 0..3 {
        assert_eq!(world.wait("192.0.2.1").await, RATE.interval, "a refusal does not count");
    }
    assert_eq!(world.wait("192.0.2.2").await, Duration::ZERO, "another address is another client");
    assert_eq!(world.wait("2001:db8::1").await, Duration::ZERO);
    world.clock.advance(RATE.interval.saturating_sub(MS));
    assert_eq!(world.wait("192.0.2.1").await, MS);
    world.clock.advance(MS);
    assert_eq!(world.wait("192.0.2.1").await, Duration::ZERO);
    assert_eq!(world.wait("192.0.2.1").await, RATE.interval);
    world.clock.advance(Duration::from_mins(1));
    for number in 0..100 {
        assert_eq!(world.wait("192.0.2.1").await, Duration::ZERO, "{number}");
    }
    assert!(world.wait("192.0.2.1").await > Duration::ZERO);
}

async fn requests_at_once_are_no_more_than_the_limit(world: World) {
    let mut requests = JoinSet::new();
    for _ in 0..300 {
        let throttle = Arc::clone(&world.throttle);
        requests.spawn(async move { throttle.admit(source("192.0.2.1")).await.unwrap() });
    }
    let answers = requests.join_all().await;
    assert_eq!(answers.iter().filter(|answer| **answer == Admission::Admitted).count(), 100);
}

fn in_process() -> impl Iterator<Item = World> {
    let clock = Arc::new(ManualClock::new(START));
    let throttle = Arc::new(InProcessRequests::new(clock.clone(), RATE));
    std::iter::once(World { clock, throttle })
}

fn in_redis_at(url: &str) -> World {
    let clock = Arc::new(ManualClock::new(START));
    let throttle = Arc::new(RedisRequests::new(open(&options(url), clock.clone()), RATE));
    World { clock, throttle }
}

fn in_redis() -> impl Iterator<Item = World> {
    is_installed("a limit of requests in Redis").then(|| in_redis_at(&SERVER.url())).into_iter()
}

fn in_cluster() -> impl Iterator<Item = World> {
    is_installed("a limit of requests in a Redis Cluster").then(|| in_redis_at(&CLUSTER.url())).into_iter()
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
        $(every_case!($name: so_many_at_once_and_then_one_after_each_interval,
            requests_at_once_are_no_more_than_the_limit);)+
    };
}

every_case!(in_process, in_redis, in_cluster);

/// What two replicas count in one Redis is one count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_count_together() {
    if !is_installed("replicas_count_together") {
        return;
    }
    let clock = Arc::new(ManualClock::new(START));
    let of_both = options(&SERVER.url());
    let [one, other] = [(); 2].map(|()| RedisRequests::new(open(&of_both, clock.clone()), RATE));
    let mut admitted = 0;
    for _ in 0..80 {
        for replica in [&one, &other] {
            admitted += u32::from(replica.admit(source("192.0.2.1")).await.unwrap() == Admission::Admitted);
        }
    }
    assert_eq!((admitted, clock.now()), (100, START));
}

#[tokio::test]
async fn the_edge_answers_one_request_too_many_with_429_and_when_to_come_again() {
    let clock = Arc::new(ManualClock::new(START));
    let rate = Rate { burst: NonZeroU32::new(3).unwrap(), interval: Duration::from_secs(20) };
    let requests = Some(RequestLimit::new(Arc::new(InProcessRequests::new(clock.clone(), rate)), None));
    let origin = "https://app.example";
    let allowed_origins = vec![origin.to_owned()];
    let usual = crate::support::http::options();
    let edge = alone(Arc::new(Stub::default()), HttpOptions { requests, allowed_origins, ..usual }).await;
    let session = [("authorization", "Bearer a"), ("origin", origin)];
    for _ in 0..2 {
        assert_eq!(edge.http.get("/v1/auth/session", &session).await.status, 200);
    }
    assert_eq!(edge.http.post("/v1/auth/login", &[], &credentials()).await.status, 200);
    let refused = edge.http.get("/v1/auth/session", &session).await;
    refused.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(refused.header("retry-after"), "20");
    assert_eq!(refused.header("access-control-allow-origin"), origin, "the page can read it");
    edge.http.post("/v1/auth/login", &[], &credentials()).await.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    edge.http.get("/v1/auth/nothing", &[]).await.assert_refused(429, "RATE_LIMIT_EXCEEDED");

    // What is asked on behalf of everybody goes on.
    let verify = json!({ "accessToken": "a" });
    for _ in 0..5 {
        assert_eq!(edge.http.post("/v1/auth/verify", &[], &verify).await.status, 200);
        assert_eq!(edge.http.get("/.well-known/jwks.json", &[]).await.status, 200);
        assert_eq!(edge.http.get("/forward-auth", &session[..1]).await.status, 200);
        let preflight = [("origin", origin), ("access-control-request-method", "POST")];
        let preflight = request("OPTIONS", "/v1/auth/login", &preflight, "");
        assert_eq!(edge.http.send(preflight).await.status, 200);
    }
    clock.advance(Duration::from_secs(20));
    assert_eq!(edge.http.get("/v1/auth/session", &session).await.status, 200);
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_told_apart() {
    let settings = [("THROTTLE__REQUESTS", "2"), ("EDGE__TRUSTED_PROXIES", "127.0.0.0/8")];
    let service = service(&settings).await;
    let ask = async |client: &str| {
        let headers = [("x-forwarded-for", client)];
        service.http.get("/v1/auth/session", &headers).await.status.as_u16()
    };
    let mut answers = Vec::new();
    for client in ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"] {
        answers.push(ask(client).await);
    }
    assert_eq!(answers, [401, 401, 429, 401, 429]);
    let health = service.operations.get("/readyz", &[]).await;
    assert_eq!(health.status, 200);
    let metrics = service.operations.get("/metrics", &[]).await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("operation=\"throttle.request\""), "{metrics}");
}

#[tokio::test]
async fn there_is_no_limit_where_none_is_set() {
    let service = service(&[]).await;
    for _ in 0..120 {
        let answer = service.http.get("/v1/auth/session", &[]).await;
        answer.assert_refused(401, "TOKEN_MISSING");
    }
    let document = service.http.get("/openapi.json", &[]).await.json();
    assert!(document["paths"]["/v1/auth/session"]["get"]["responses"]["429"] != Value::Null);
}
