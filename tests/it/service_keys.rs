//! Service keys against a store whose clock a test moves, and which it closes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign::auth::{
    Caller, CreateServiceAccount, CreateServiceKey, ServiceAccountAdmin, ServiceAccountRef, ServiceKeys,
};
use countersign::model::{ManualClock, Note, Role, ServiceAccount, ServiceAccountName, UnixMillis};
use countersign::reason::Reason;
use countersign::store::sqlite::{SqliteOptions, SqliteStore};

const ACCESS_TTL: Duration = Duration::from_mins(5);
const TTL: Duration = Duration::from_hours(1);
const PEER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

struct World {
    clock: Arc<ManualClock>,
    store: Arc<SqliteStore>,
    keys: ServiceKeys,
    account: ServiceAccountRef,
    _files: tempfile::TempDir,
}

impl World {
    /// With an account, and a key of it.
    async fn new() -> (Self, String) {
        let files = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(UnixMillis::from_secs(1_700_000_000)));
        let options = SqliteOptions::new(files.path().join("countersign.db"));
        let store = Arc::new(SqliteStore::open(options, clock.clone()).await.unwrap());
        store.migrate().await.unwrap();
        let name = ServiceAccountName::parse("shop").unwrap();
        let roles = Role::parse_all(["countersign:users"]).unwrap();
        let new = CreateServiceAccount { id: None, name: name.clone(), description: Note::default(), roles };
        let admin = ServiceAccountAdmin::new(store.clone(), ACCESS_TTL);
        admin.create(&Caller::operator(), new).await.unwrap();
        let account = ServiceAccountRef::Name(name);
        let new = CreateServiceKey { label: Note::default(), ttl: TTL, request_id: None };
        let (key, _) = admin.create_key(&Caller::operator(), &account, new).await.unwrap();
        let keys = ServiceKeys::new(store.clone(), clock.clone());
        (Self { clock, store, keys, account, _files: files }, key.expose().to_owned())
    }

    /// Whose key it is, or why it is refused.
    async fn account_of(&self, key: &str) -> Result<ServiceAccount, Reason> {
        let presented =
            ServiceKeys::read(key).expect("it is meant to be a key").map_err(|error| error.reason)?;
        self.keys.account(&presented, PEER).await.map_err(|error| error.reason)
    }
}

#[tokio::test]
async fn a_key_expires_to_the_millisecond_by_the_stores_clock() {
    let (world, key) = World::new().await;
    let whole = world.account_of(&key).await.unwrap();
    assert_eq!(whole.name.as_str(), "shop");
    world.clock.advance(TTL.saturating_sub(Duration::from_millis(1)));
    assert_eq!(world.account_of(&key).await, Ok(whole));
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.account_of(&key).await, Err(Reason::ServiceKeyInvalid));
    let listed =
        ServiceAccountAdmin::new(world.store.clone(), ACCESS_TTL).keys(&world.account).await.unwrap();
    assert_eq!(listed.len(), 1, "an operator sees why it is refused");
}

/// The id is no secret: it stands in lists and in the audit log.
#[tokio::test]
async fn whoever_knows_the_id_of_a_key_has_no_key() {
    let (world, key) = World::new().await;
    let presented = ServiceKeys::read(&key).unwrap().unwrap();
    let (forged, _) = countersign::auth::PlainServiceKey::generate(presented.id);
    assert_eq!(ServiceKeys::read(forged.expose()).unwrap().unwrap().id, presented.id);
    assert_eq!(world.account_of(forged.expose()).await, Err(Reason::ServiceKeyInvalid));
    assert!(world.account_of(&key).await.is_ok());
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_no_news_about_a_key_and_a_malformed_one_is_refused_without_it() {
    let (world, key) = World::new().await;
    world.account_of(&key).await.unwrap();
    world.store.close().await;
    for _ in 0..2 {
        assert_eq!(world.account_of(&key).await, Err(Reason::StoreUnavailable));
    }
    assert_eq!(world.account_of(&key[..79]).await, Err(Reason::ServiceKeyInvalid));
    assert_eq!(world.account_of("csgn_sk_").await, Err(Reason::ServiceKeyInvalid));
    assert!(ServiceKeys::read("csgn_rt_").is_none());
}
