//! The store on PostgreSQL: the conformance suite, the faults, and what is PostgreSQL's alone.

use crate::conformance::{Backend, Stores};
use crate::sql_faults::on_shared;
use crate::support::postgres::Postgres;

/// Users, ledger and sessions in one database.
pub(crate) struct OnPostgres;

impl Backend for OnPostgres {
    async fn fresh(clock: std::sync::Arc<countersign::model::ManualClock>) -> Option<Stores> {
        on_shared::<Postgres>(clock).await
    }
}

mod conformance {
    crate::conformance::every_case!(crate::postgres_store::OnPostgres);
}
