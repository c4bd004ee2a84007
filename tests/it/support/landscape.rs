//! Every combination of stores that a deployment may have, behind one face: what processes open, and what can
//! happen to the servers meanwhile. A property test that is written against it runs on all of them unchanged.

use std::sync::Arc;

use countersign::model::ManualClock;
use countersign::store::{Ledger, Probe, ServiceAccountStore, SessionStore, UserStore};

mod redis;
mod sql;

pub(crate) use self::redis::{Alone, Beside, Clustered};
pub(crate) use self::sql::{Embedded, Whole};

/// The stores, as one process has opened them.
pub(crate) struct Opened {
    pub(crate) users: Arc<dyn UserStore>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) accounts: Arc<dyn ServiceAccountStore>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) probes: Vec<Arc<dyn Probe>>,
}

impl Opened {
    /// Waits for what is under way and closes the connections of this process.
    pub(crate) async fn close(&self) {
        for probe in &self.probes {
            probe.close().await;
        }
    }
}

/// The servers of one deployment, and what is on them.
pub(crate) trait Landscape: Sized + Send + Sync + 'static {
    /// An empty one; none when what it needs is not installed.
    async fn new(test: &str) -> Option<Self>;

    /// Opens the stores as one more process, which takes the time from `clock`. What one process asks for is done
    /// in the order in which it asks, so that whatever it left under way is done when the next thing is.
    async fn open(&self, clock: Arc<ManualClock>) -> Opened;

    /// Copies the sessions aside.
    async fn save(&self);

    /// The copy takes their place: all writes since are lost, while the ledger keeps what it acknowledged.
    async fn restore(&self);

    /// Nothing can be written from now on, though everything can be read; or it can be again.
    async fn set_writable(&self, writable: bool);

    /// All that is in the stores, byte by byte.
    async fn contents(&self) -> Vec<Vec<u8>>;
}

/// Makes tests of a property, one for each combination of stores.
macro_rules! on_every_landscape {
    ($property:ident) => {
        $crate::support::landscape::on_every_landscape!($property:
            on_sqlite: $crate::support::landscape::Embedded,
            on_postgres: $crate::support::landscape::Whole<$crate::support::postgres::Postgres>,
            on_mariadb: $crate::support::landscape::Whole<$crate::support::mariadb::MariaDb>,
            on_redis_beside_postgres: $crate::support::landscape::Beside<
                $crate::support::postgres::Postgres,
                $crate::support::landscape::Alone,
            >,
            on_redis_cluster_beside_mariadb: $crate::support::landscape::Beside<
                $crate::support::mariadb::MariaDb,
                $crate::support::landscape::Clustered,
            >);
    };
    ($property:ident: $($name:ident: $landscape:ty),+) => {
        $(
            mod $name {
                #[test]
                fn $property() {
                    super::$property::<$landscape>(concat!(stringify!($property), " ", stringify!($name)));
                }
            }
        )+
    };
}

pub(crate) use on_every_landscape;
