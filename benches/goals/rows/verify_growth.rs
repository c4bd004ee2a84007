//! What Verify costs as more is revoked, as more tokens are about, and as more connect.

use std::sync::Arc;
use std::time::Duration;

use countersign::model::{Clock as _, SystemClock};
use countersign_verifier::Verifier;
use prost::bytes::Bytes;
use sqlx::{Connection as _, SqliteConnection};

use super::Effort;
use super::verify_cached::{CONNECTIONS, IN_FLIGHT, echo_of, echo_target, verify_target};
use crate::callers::Once;
use crate::figures::{Curve, Figure, Goal, Outcome, Series, Spread};
use crate::load::{Tally, Target, count, cpu, in_turn};
use crate::world::{ACCESS_TTL, Alone, verify_connections, verify_frames};

const CALLERS: usize = CONNECTIONS * IN_FLIGHT;

/// With 1 to 10⁶ live revocations.
pub(crate) async fn revocations(effort: Effort) -> Option<Outcome> {
    let numbers = powers_of_ten(1, effort.largest);
    let (mut services, mut targets) = (Vec::new(), Vec::new());
    for &number in &numbers {
        let service = Alone::start_after(async |database| revoke(database, number).await).await;
        let frames = verify_frames(&service.keys, 0..1000);
        targets.push(verify_target(&service.replica, &frames, CONNECTIONS, CALLERS).await);
        services.push((service, frames));
    }
    let (echo, _) = echo_of(&services[0].0.replica, &services[0].1).await;
    targets.push(echo_target(&echo, &services[0].1, CONNECTIONS, CALLERS).await);
    let rounds = in_turn(&mut targets, effort).await;
    let (title, of) = ("Verify with more and more live revocations", "live revocations");
    Some(growth("verify_revocations", title, of, &numbers, &rounds))
}

/// With 10² to 10⁶ tokens that are used at random.
pub(crate) async fn tokens(effort: Effort) -> Option<Outcome> {
    let numbers = powers_of_ten(100, effort.largest);
    let service = Alone::start().await;
    let most = verify_frames(&service.keys, 0..effort.largest);
    let (echo, _) = echo_of(&service.replica, &most).await;
    let replicas: Vec<_> = numbers.iter().map(|_| service.another()).collect();
    let mut targets = Vec::new();
    for (&number, replica) in numbers.iter().zip(&replicas) {
        let frames: Arc<[Bytes]> = most[..usize::try_from(number).unwrap()].into();
        // As many as the cache can hold, and then some.
        let seen: Arc<[Bytes]> = frames[..frames.len().min(Verifier::CACHED_TOKENS * 3 / 2)].into();
        let connections = verify_connections(replica, CONNECTIONS).await;
        Target::new(replica.pid(), connections, Once::callers(&seen, CALLERS)).round(Duration::MAX).await;
        targets.push(verify_target(replica, &frames, CONNECTIONS, CALLERS).await);
    }
    targets.push(echo_target(&echo, &most, CONNECTIONS, CALLERS).await);
    let rounds = in_turn(&mut targets, effort).await;
    let (title, of) = ("Verify with more and more tokens, drawn at random", "different tokens");
    Some(growth("verify_tokens", title, of, &numbers, &rounds).noting(format!(
        "A server remembers {} tokens; what is drawn beyond is verified anew.",
        Verifier::CACHED_TOKENS
    )))
}

/// Over 1 to 1,000 connections.
pub(crate) async fn connections(effort: Effort) -> Option<Outcome> {
    let service = Alone::start().await;
    let frames = verify_frames(&service.keys, 0..1000);
    let (echo, _) = echo_of(&service.replica, &frames).await;
    let (mut verified, mut echoed) = (Vec::new(), Vec::new());
    for number in powers_of_ten(1, 1000) {
        let connections = usize::try_from(number).unwrap();
        let callers = connections.max(CALLERS);
        let mut targets = [
            echo_target(&echo, &frames, connections, callers).await,
            verify_target(&service.replica, &frames, connections, callers).await,
        ];
        let rounds = in_turn(&mut targets, effort).await;
        echoed.push((count(number), Spread::of(cpu(&rounds[0]))));
        verified.push((count(number), Spread::of(cpu(&rounds[1]))));
    }
    let last = verified.len() - 1;
    let [few, many] = [verified[0].1, verified[last].1].map(|spread| spread.median);
    let ratio = Spread::of([many / few]);
    let curve = Curve {
        name: "verify_connections".to_owned(),
        title: "Verify over more and more connections".to_owned(),
        of: "connections".to_owned(),
        unit: "µs of server CPU for a call".to_owned(),
        series: vec![series("Verify", verified), series("echo", echoed)],
    };
    let name = "Verify: server CPU over 1,000 connections ÷ over one";
    Some(
        Outcome::of([Figure::informative(name, ratio, "")]).with_curve(curve).noting(format!(
            "{CALLERS} calls in flight in all, or one on each connection where these are more."
        )),
    )
}

fn growth(name: &str, title: &str, of: &str, numbers: &[u64], rounds: &[Vec<Tally>]) -> Outcome {
    let (echo, verify) = rounds.split_last().expect("the echo is the last");
    let points = |of: &dyn Fn(&[Tally]) -> Spread| -> Vec<_> {
        numbers.iter().zip(verify).map(|(number, rounds)| (count(*number), of(rounds))).collect()
    };
    let verified = points(&|rounds| Spread::of(cpu(rounds)));
    let echoed = numbers.iter().map(|number| (count(*number), Spread::of(cpu(echo)))).collect();
    let last = verify.len() - 1;
    let ratio = Spread::of_ratios(&cpu(&verify[last]), &cpu(&verify[0]));
    let curve = Curve {
        name: name.to_owned(),
        title: title.to_owned(),
        of: of.to_owned(),
        unit: "µs of server CPU for a call".to_owned(),
        series: vec![series("Verify", verified), series("echo", echoed)],
    };
    let name = format!(
        "Verify: server CPU with {} {of} ÷ with {}",
        crate::figures::number(count(numbers[last])),
        crate::figures::number(count(numbers[0]))
    );
    Outcome::of([Figure::new(name, ratio, "", Goal::Informative)]).with_curve(curve)
}

pub(super) fn series(name: &str, points: Vec<(f64, Spread)>) -> Series {
    Series { name: name.to_owned(), points }
}

pub(super) fn powers_of_ten(from: u64, to: u64) -> Vec<u64> {
    std::iter::successors(Some(from), |number| number.checked_mul(10))
        .take_while(|number| *number <= to)
        .collect()
}

/// Writes rows into the ledger as a service would have, numbered without a gap, for sessions that nobody has.
async fn revoke(database: &str, number: u64) {
    let now = SystemClock::new().now();
    let mut connection = SqliteConnection::connect(database).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)
         INSERT INTO ledger SELECT (SELECT seq FROM ledger_head) + n, random(), 'session', randomblob(16),
             randomblob(16), NULL, 'logout', 'user', $2, $3 FROM numbers",
    )
    .bind(number.cast_signed())
    .bind(now.0)
    .bind((now + ACCESS_TTL).0)
    .execute(&mut *transaction)
    .await
    .unwrap();
    sqlx::query(
        "UPDATE ledger_head SET (seq, mark) = (SELECT seq, mark FROM ledger ORDER BY seq DESC LIMIT 1)",
    )
    .execute(&mut *transaction)
    .await
    .unwrap();
    transaction.commit().await.unwrap();
}
