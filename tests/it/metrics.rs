//! What a scrape tells: all that the documentation says and nothing else, at any time, and nobody's business.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use crate::support::client::Client;
use crate::support::http::{PASSWORD, Service, USERNAME, access_token, bearer, service};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The service with a grace window of nothing, so that the second presentation of a token is reuse. Its store has been asked
/// once how it is: before, the scrape has nothing to tell of it.
async fn started() -> Service {
    let service = service(&[("ROTATION__GRACE", "0s"), ("ROTATION__STRICT", "true")]).await;
    let asked = async {
        while !service.operations.get("/readyz", &[]).await.body.windows(6).any(|word| word == b"sqlite") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), asked).await.expect("the store is asked");
    service
}

/// One scrape, in the format that Prometheus asks for.
pub(crate) async fn scrape(service: &Service) -> String {
    let answer = service.operations.get("/metrics", &[("accept", OPEN_METRICS)]).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, OPEN_METRICS));
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// Every sample: name and labels, and the value. Exemplars are left out.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut samples = BTreeMap::new();
    for line in lines {
        let (series, value) = line.split(" # ").next().unwrap().rsplit_once(' ').unwrap();
        let value = if value == "+Inf" { f64::INFINITY } else { value.parse().unwrap() };
        assert!(samples.insert(series.to_owned(), value).is_none(), "{series} twice");
    }
    samples
}

/// Every family as the documentation names it, and its type: counters with `_total`.
pub(crate) fn families(text: &str) -> BTreeMap<String, String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            let suffix = if kind == "counter" { "_total" } else { "" };
            (format!("{name}{suffix}"), kind.to_owned())
        })
        .collect()
}

/// The table in `docs/operations.md`: name, type, labels.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let text = fs::read_to_string(path).unwrap();
    let table = text.split("## Metrics").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let labels = cells[2].split(", ").map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (cells[0].trim_matches('`').to_owned(), (cells[1].to_owned(), labels))
    })
    .collect()
}

/// Something of everything: logins that succeed and fail, rotation, reuse, logout, verification, over both transports.
async fn load(service: &Service) -> Vec<String> {
    let mut client = Client::connect(service.grpc);
    let login = client.login(USERNAME, PASSWORD).await.unwrap();
    client.verify(&login.access_token).await.unwrap();
    client.verify(&login.access_token).await.unwrap();
    client.verify("no token").await.unwrap();
    let next = client.refresh(&login.refresh_token).await.unwrap();
    let reused = client.refresh(&login.refresh_token).await.unwrap_err();
    assert_eq!(reused.reason, "REFRESH_TOKEN_REUSED");
    client.verify(&next.access_token).await.unwrap();
    client.login(USERNAME, "not the password").await.unwrap_err();
    client.login("nobody-canary", PASSWORD).await.unwrap_err();
    let other = client.login(USERNAME, PASSWORD).await.unwrap();
    client.logout(&other.refresh_token).await.unwrap();

    let http = service.http;
    let over_http = http.login().await;
    let refreshed = http.refresh(&over_http.cookie()).await;
    let access = bearer(&access_token(&refreshed));
    http.get("/v1/auth/session", &[("authorization", &access)]).await;
    http.get("/no-such-canary-path?query-canary", &[]).await;
    http.post("/v1/auth/login", &[], &json!({ "username": USERNAME, "password": "wrong" })).await;
    vec![
        USERNAME.to_owned(),
        "nobody-canary".to_owned(),
        "canary".to_owned(),
        "127.0.0.1".to_owned(),
        PASSWORD.to_owned(),
        login.access_token,
        login.refresh_token,
        next.refresh_token,
        access,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_has_what_is_documented_and_a_load_adds_no_series() {
    let service = started().await;
    let before = scrape(&service).await;
    let private = load(&service).await;
    let after = scrape(&service).await;
    assert!(after.ends_with("# EOF\n"));

    let documented = documented();
    let kinds: BTreeMap<_, _> =
        documented.iter().map(|(name, (kind, _))| (name.clone(), kind.clone())).collect();
    assert_eq!(families(&after), kinds, "the scrape, and the table in docs/operations.md");

    let (before, samples) = (samples(&before), samples(&after));
    let added: Vec<_> = samples.keys().filter(|series| !before.contains_key(*series)).collect();
    assert!(added.is_empty() && before.len() == samples.len(), "a load added {added:?}");
    for series in samples.keys() {
        check_labels(series, &documented);
    }
    for text in private {
        assert!(!after.contains(&text), "{text:?} is told");
    }
}

/// The labels of a series are those of its family.
fn check_labels(series: &str, documented: &BTreeMap<String, (String, BTreeSet<String>)>) {
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    let family = histogram.filter(|family| documented.contains_key(*family)).unwrap_or(name);
    let names = labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty());
    let mut names: BTreeSet<_> = names.map(|label| label.split_once('=').unwrap().0.to_owned()).collect();
    if name.ends_with("_bucket") {
        names.remove("le");
    }
    assert_eq!(names, documented[family].1, "{series}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_is_what_was_counted() {
    let service = started().await;
    load(&service).await;
    let samples = samples(&scrape(&service).await);
    let grpc = |method: &str, code: &str| {
        format!(
            "grpc_server_handled_total{{grpc_type=\"unary\",grpc_service=\"countersign.v1.AuthService\",\
             grpc_method=\"{method}\",grpc_code=\"{code}\"}}"
        )
    };
    let http = |operation: &str, code: &str| {
        format!("http_server_handled_total{{http_operation=\"{operation}\",http_code=\"{code}\"}}")
    };
    let expected = [
        (grpc("Login", "OK"), 2.0),
        (grpc("Login", "Unauthenticated"), 2.0),
        (grpc("Refresh", "OK"), 1.0),
        (grpc("Refresh", "Unauthenticated"), 1.0),
        (grpc("VerifyAccessToken", "OK"), 4.0),
        (http("Login", "200"), 1.0),
        (http("Login", "401"), 1.0),
        (http("GetSession", "200"), 1.0),
        (http("other", "404"), 1.0),
        ("countersign_logins_total{outcome=\"SUCCEEDED\"}".to_owned(), 3.0),
        ("countersign_logins_total{outcome=\"INVALID_CREDENTIALS\"}".to_owned(), 3.0),
        ("countersign_sessions_created_total{outcome=\"created\"}".to_owned(), 3.0),
        ("countersign_sessions_ended_total{reason=\"logout\"}".to_owned(), 1.0),
        ("countersign_sessions_ended_total{reason=\"refresh_token_reused\"}".to_owned(), 1.0),
        ("countersign_rotations_total{outcome=\"rotated\"}".to_owned(), 2.0),
        ("countersign_rotations_total{outcome=\"reused\"}".to_owned(), 1.0),
        ("countersign_verifications_total{outcome=\"VERIFIED\"}".to_owned(), 3.0),
        ("countersign_verifications_total{outcome=\"MALFORMED\"}".to_owned(), 1.0),
        ("countersign_verifications_total{outcome=\"REVOKED\"}".to_owned(), 1.0),
        ("countersign_token_cache_lookups_total{outcome=\"hit\"}".to_owned(), 1.0),
        ("countersign_token_cache_lookups_total{outcome=\"miss\"}".to_owned(), 4.0),
        ("countersign_hash_seconds_count".to_owned(), 6.0),
        ("countersign_revocations_live".to_owned(), 2.0),
        ("countersign_ready".to_owned(), 1.0),
        ("countersign_push_listening".to_owned(), 1.0),
        ("countersign_keys{kind=\"signing\",state=\"active\"}".to_owned(), 1.0),
        ("countersign_store_waiting{store=\"sqlite\",pool=\"writers\"}".to_owned(), 0.0),
        ("countersign_store_failures_total{store=\"sqlite\",operation=\"sessions.rotate\"}".to_owned(), 0.0),
        ("countersign_store_seconds_count{store=\"sqlite\",operation=\"sessions.rotate\"}".to_owned(), 3.0),
    ];
    for (series, value) in expected {
        assert_eq!(samples.get(&series), Some(&value), "{series}");
    }
    assert!(samples["process_open_fds"] > 3.0 && samples["process_resident_memory_bytes"] > 1e6);
    assert!(samples["countersign_revocation_staleness_seconds"] < 30.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_is_there_with_every_code_before_it_is_called() {
    let service = started().await;
    let samples = samples(&scrape(&service).await);
    let methods = countersign::grpc::known_methods();
    assert!(methods.contains("envoy.service.auth.v3.Authorization/Check"), "{methods:?}");
    for method in &methods {
        let (package, name) = method.split_once('/').unwrap();
        let labels = format!("grpc_service=\"{package}\",grpc_method=\"{name}\"");
        let count =
            |family: &str| samples.keys().filter(|it| it.starts_with(family) && it.contains(&labels)).count();
        assert_eq!(count("grpc_server_started_total"), 1, "{method}");
        assert_eq!(count("grpc_server_handled_total"), 17, "{method}");
        assert_eq!(count("grpc_server_handling_seconds_count"), 1, "{method}");
    }
}

/// Scrapes until a series has this value.
async fn becomes(service: &Service, series: &str, value: f64) {
    let reached = async {
        while samples(&scrape(service).await).get(series) != Some(&value) {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(30);
    tokio::time::timeout(patience, reached).await.unwrap_or_else(|_| panic!("{series} is never {value}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_counted_and_so_are_those_that_give_way() {
    let service = service(&[("GRPC__MAX_CONNECTIONS", "2"), ("EDGE__MAX_CONNECTIONS", "3")]).await;
    let connect = async || tokio::net::TcpStream::connect(service.grpc).await.unwrap();
    let open = "countersign_connections{listener=\"grpc\"}";
    let first = connect().await;
    becomes(&service, open, 1.0).await;
    let second = connect().await;
    becomes(&service, open, 2.0).await;
    let third = connect().await;
    // One of the two that have asked nothing.
    becomes(&service, "countersign_connections_ended_total{listener=\"grpc\",reason=\"gave_way\"}", 1.0)
        .await;
    becomes(&service, open, 2.0).await;
    let samples = samples(&scrape(&service).await);
    for (series, value) in [
        ("countersign_connections{listener=\"grpc\"}", 2.0),
        ("countersign_connections{listener=\"http\"}", 0.0),
        ("countersign_connections{listener=\"operations\"}", 1.0),
        ("countersign_connections_limit{listener=\"grpc\"}", 2.0),
        ("countersign_connections_limit{listener=\"http\"}", 3.0),
        ("countersign_connections_limit{listener=\"operations\"}", 256.0),
        ("countersign_connections_refused_total{listener=\"grpc\"}", 0.0),
        ("countersign_connections_refused_total{listener=\"http\"}", 0.0),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series}");
    }
    drop((first, second, third));
    becomes(&service, open, 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_ask_for_open_metrics_gets_the_older_format() {
    let service = started().await;
    let answer = service.operations.get("/metrics", &[]).await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains("# TYPE grpc_server_handled_total counter\n") && !text.contains("# EOF"));
}
