//! The store on MariaDB: the conformance suite, the faults, and what is MariaDB's alone.

use crate::conformance::{Backend, Stores};
use crate::sql_faults::on_shared;
use crate::support::mariadb::MariaDb;

/// Users, ledger and sessions in one database.
pub(crate) struct OnMariaDb;

impl Backend for OnMariaDb {
    async fn fresh(clock: std::sync::Arc<countersign::model::ManualClock>) -> Option<Stores> {
        on_shared::<MariaDb>(clock).await
    }
}

mod conformance {
    crate::conformance::every_case!(crate::mysql_store::OnMariaDb);
}
