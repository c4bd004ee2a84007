//! The read of a user and the ledger alone, by a bare driver: what it costs whoever asks for it.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;

use crate::load::now;
use crate::process::CpuMeter;
use crate::stores::{Backed, Held};

/// So many that the service has about as many under way.
const CONNECTIONS: usize = 16;

/// What one costs this process, on a processor.
pub(super) async fn micros(backed: &Backed, held: &[Held], time: Duration) -> f64 {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(PgConnection::connect(&backed.database).await.unwrap());
    }
    let meter = CpuMeter::start_here();
    let begun = now();
    let mut tasks = JoinSet::new();
    for (number, mut connection) in connections.into_iter().enumerate() {
        let (user, session) = (held[number].user, held[number].session);
        tasks.spawn(async move {
            let mut reads = 0;
            while begun.elapsed() < time {
                sqlx::query(
                    "SELECT EXISTS (SELECT 1 FROM ledger WHERE session_id = $1) AS session_revoked, u.*
                     FROM (SELECT 1) AS one LEFT JOIN users AS u ON u.id = $2",
                )
                .bind(session.as_bytes().as_slice())
                .bind(user.as_bytes().as_slice())
                .fetch_one(&mut connection)
                .await
                .unwrap();
                reads += 1;
            }
            reads
        });
    }
    meter.micros_each(tasks.join_all().await.into_iter().sum())
}
