//! Can a stranger tell by the clock whether a username exists? `make bench` prints how well the best timing rule separates a
//! wrong password, an unknown user, a disabled user, a user whose hash was made with cheaper parameters, and one who was
//! brought with a bcrypt hash: the area under its ROC curve, 0.5 when it only guesses.

use std::time::{Duration, Instant};

use countersign::app::App;
use countersign::auth::{Caller, CreateUser, NewCredential};
use countersign::config::Config;
use countersign::grpc::proto::v1::LoginRequest;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::model::Username;

/// Of another password than any that is tried.
const BCRYPT: &str = "$2b$10$e3.qnd8KukY1RwztNd/4sOOOOMzZi8FzUhOZP0pAVovs3k6xZrBEW";

/// Tries of each kind, interleaved.
const TRIES: usize = 700;

const KINDS: [(&str, &str); 5] = [
    ("wrong password", "present"),
    ("unknown user", "absent"),
    ("disabled user", "disabled"),
    ("cheap old hash", "old"),
    ("bcrypt hash", "brought"),
];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = Config::dev(folder.path()).expect("a configuration");
    config.grpc.listen = ([127, 0, 0, 1], 0).into();
    config.operations.listen = ([127, 0, 0, 1], 0).into();
    with_a_cheap_hash(config.clone(), "old").await;
    let app = App::build(config, true).await.expect("the service starts");
    let admin = app.user_admin().expect("threads to hash on");
    for name in ["present", "disabled"] {
        let password = "correct horse battery".to_owned();
        let username = Username::parse(name).expect("a username");
        let new = CreateUser::new(username, password);
        admin.create(&Caller::operator(), new, None).await.expect("a user");
    }
    let credential = NewCredential::Hash(BCRYPT.into());
    let brought = Username::parse("brought").expect("a username");
    let new = CreateUser { credential, ..CreateUser::new(brought, String::new()) };
    admin.create(&Caller::operator(), new, None).await.expect("a user");
    let disabled = Username::parse("disabled").expect("a username").into();
    admin.disable(&Caller::operator(), &disabled).await.expect("disabled");
    let address = app.grpc_address().expect("an address");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(app.run(async { drop(stopped.await) }));

    let mut client = AuthServiceClient::connect(format!("http://{address}")).await.expect("a connection");
    let mut times: [Vec<Duration>; 5] = Default::default();
    for turn in 0..(TRIES + 10) * KINDS.len() {
        let kind = turn % KINDS.len();
        // The disabled user is tried with the right password: the answer must not tell.
        let password = if kind == 2 { "correct horse battery" } else { "wrong horse battery" };
        let request = LoginRequest {
            username: KINDS[kind].1.to_owned(),
            password: password.to_owned(),
            ..LoginRequest::default()
        };
        #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
        let begun = Instant::now();
        let status = client.login(request).await.expect_err("nobody gets in");
        let took = begun.elapsed();
        assert_eq!(status.code(), tonic::Code::Unauthenticated, "{status:?}");
        if turn >= 10 * KINDS.len() {
            times[kind].push(took);
        }
    }
    report(&times);
    drop(stop);
    let _ = running.await;
}

/// A user from before the parameters were raised.
async fn with_a_cheap_hash(mut config: Config, username: &str) {
    config.passwords.memory_kib = 8192;
    config.passwords.iterations = 1;
    let app = App::build(config, true).await.expect("the service starts");
    let admin = app.user_admin().expect("threads to hash on");
    let password = "correct horse battery".to_owned();
    let username = Username::parse(username).expect("a username");
    let new = CreateUser::new(username, password);
    admin.create(&Caller::operator(), new, None).await.expect("a user");
}

fn report(times: &[Vec<Duration>; 5]) {
    println!("user enumeration by time, {TRIES} interleaved tries of each kind");
    for (kind, times) in KINDS.iter().zip(times) {
        println!("  {:<15} median {:>8.3} ms", kind.0, median(times) * 1e3);
    }
    let mut worst = 0.5_f64;
    for (a, b) in (0..KINDS.len()).flat_map(|a| (a + 1..KINDS.len()).map(move |b| (a, b))) {
        let by_time = separation(&seconds(&times[a]), &seconds(&times[b]));
        let middle = median(&times[a]).midpoint(median(&times[b]));
        let by_spread = separation(&distances(&times[a], middle), &distances(&times[b], middle));
        println!(
            "  {} / {}: AUC {by_time:.3} by time, {by_spread:.3} by distance from the median",
            KINDS[a].0, KINDS[b].0
        );
        worst = worst.max(by_time).max(by_spread);
    }
    println!("  worst AUC {worst:.3} (goal: at most 0.55)");
}

fn seconds(times: &[Duration]) -> Vec<f64> {
    times.iter().map(Duration::as_secs_f64).collect()
}

fn distances(times: &[Duration], middle: f64) -> Vec<f64> {
    times.iter().map(|time| (time.as_secs_f64() - middle).abs()).collect()
}

fn median(times: &[Duration]) -> f64 {
    let mut sorted = seconds(times);
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The area under the ROC curve of "greater means b", turned so that it is at least one half.
fn separation(a: &[f64], b: &[f64]) -> f64 {
    let mut wins = 0.0;
    for x in a {
        for y in b {
            wins += if y > x {
                1.0
            } else if (y - x).abs() < f64::EPSILON {
                0.5
            } else {
                0.0
            };
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let area = wins / (a.len() * b.len()) as f64;
    area.max(1.0 - area)
}
