//! What a store on a database server promises when the server is slow, down, or comes back.

use std::sync::Arc;
use std::time::Duration;

use countersign::model::ManualClock;
use countersign::store::sql::{NetworkOptions, SqlStore, TimeSource};

use crate::conformance::Stores;
use crate::support::database::Server;

/// Empty stores in a database of their own on the server that all tests share.
pub(crate) async fn on_shared<S: Server>(clock: Arc<ManualClock>) -> Option<Stores> {
    let server = S::shared(std::any::type_name::<S>())?;
    let database = server.create_database().await;
    // A deadline that a busy machine keeps.
    let options = NetworkOptions {
        deadline: Duration::from_secs(20),
        time: TimeSource::Clock(clock),
        ..NetworkOptions::new(server.url(&database).into())
    };
    let store: Arc<SqlStore<S::Dialect>> = Arc::new(S::open(&options));
    store.migrate().await.unwrap();
    Some(Stores { users: store.clone(), ledger: store.clone(), sessions: store.clone(), keep: Box::new(()) })
}
