//! What a Refresh costs on the embedded store, against the same on PostgreSQL and Redis.

use countersign::password::HashParameters;

use super::Effort;
use super::refresh::{CALLERS, CONFIGURATION, REFRESH, Refresher};
use super::verify_cached::CONNECTIONS;
use crate::figures::{Figure, Goal, Outcome, Spread};
use crate::load::{Connections, Tally, Target, cpu};
use crate::stores::Backed;
use crate::support::replica::{Deployment, PASSWORD};
use crate::world::{Keys, private_directory};

const USERNAME: &str = "ada";
/// As many as there are calls in flight, and some: no session is refreshed twice at once.
const SESSIONS: u64 = 4 * CALLERS as u64;

pub(crate) async fn measure(effort: Effort) -> Option<Outcome> {
    let backed = Backed::prepare("refresh_sqlite", &CONFIGURATION).await?;
    backed.create_users(SESSIONS, HashParameters::default()).await;
    let held = backed.fill_sessions(SESSIONS).await.held;
    let service = backed.deployment.start();
    let connections = Connections::open(service.grpc, REFRESH, CONNECTIONS).await;
    let mut apart = Target::new(service.pid(), connections, Refresher::callers(&held, CALLERS));

    let (data, keys) = (private_directory(), Keys::new());
    let database = format!("sqlite://{}", data.path().join("countersign.db").display());
    let mut deployment =
        Deployment::on(&database, None).with("KEYS__DIRECTORY", keys.path().to_str().unwrap());
    for (key, value) in CONFIGURATION {
        deployment = deployment.with(key, value);
    }
    deployment.prepare();
    deployment.create_user(USERNAME);
    let embedded_service = deployment.start();
    let mut client = embedded_service.client();
    let mut tokens = Vec::new();
    for _ in 0..=SESSIONS {
        tokens.push(client.login(USERNAME, PASSWORD).await.unwrap().refresh_token);
    }
    let ours = tokens.split_off(tokens.len() - 1);
    let connections = Connections::open(embedded_service.grpc, REFRESH, CONNECTIONS).await;
    let callers = Refresher::with_tokens(&tokens, CALLERS);
    let mut embedded = Target::new(embedded_service.pid(), connections, callers);
    let connections = Connections::open(embedded_service.grpc, REFRESH, 1).await;
    let mut one = Target::new(embedded_service.pid(), connections, Refresher::with_tokens(&ours, 1));

    embedded.round(effort.round).await;
    apart.round(effort.round).await;
    let (mut on_sqlite, mut on_both, mut alone) = (vec![], vec![], vec![]);
    for _ in 0..effort.rounds {
        on_sqlite.push(embedded.round(effort.round).await);
        on_both.push(apart.round(effort.round).await);
    }
    for _ in 0..effort.rounds {
        alone.push(one.round(effort.round / 2).await);
    }
    Some(
        Outcome::of([
            Figure::new(
                "Refresh on SQLite: server CPU ÷ on PostgreSQL + Redis",
                Spread::of_ratios(&cpu(&on_sqlite), &cpu(&on_both)),
                "",
                Goal::AtMost(1.3),
            ),
            Figure::new(
                "Refresh on SQLite, calls/s",
                Spread::of(on_sqlite.iter().map(Tally::calls_per_second)),
                "/s",
                Goal::AtLeast(3000.0),
            ),
            Figure::informative("· server CPU of a Refresh on SQLite", Spread::of(cpu(&on_sqlite)), "µs"),
            Figure::informative("· server CPU of a Refresh on PostgreSQL + Redis", Spread::of(cpu(&on_both)), "µs"),
            Figure::informative(
                "· on PostgreSQL + Redis, calls/s",
                Spread::of(on_both.iter().map(Tally::calls_per_second)),
                "/s",
            ),
            Figure::informative(
                "· one caller alone on SQLite, calls/s",
                Spread::of(alone.iter().map(Tally::calls_per_second)),
                "/s",
            ),
        ])
        .noting(format!(
            "{CALLERS} calls in flight, rotation.grace = 0s so that every call rotates, synchronous=FULL. The CPU of PostgreSQL and \
             Redis is apart; SQLite's is in the server."
        )),
    )
}
