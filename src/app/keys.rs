//! The keys that make tokens: from the directory, or from the database.

use std::sync::Arc;
use std::time::Duration;

use super::{CLOCK_MARGIN, StartError, Stores};
use crate::auth::{DatabaseKeys, KeeperError, KeeperOptions, KeyAdmin, KeyKeeper, KeyTelling, LONGEST_RESET};
use crate::config::{Config, KeyStore};
use crate::model::{Clock, KeyPolicy};
use crate::revocation::Revocations;
use crate::store;
use crate::token::{KeyDirectory, KeyDirectoryError, Keyring, LoadedKeys};

/// For how long a replica that does not answer is waited for, at least.
const SHORTEST_LEASE: Duration = Duration::from_mins(1);
/// How many times a replica may look for new keys in vain before it is named in the log.
const PATIENCE: u32 = 3;
/// How long a key that has ended is listed.
const LISTED_FOR: Duration = Duration::from_hours(30 * 24);

/// Loads the keys of a directory, and makes those that are missing first where the configuration says so.
pub(super) fn of_directory(config: &Config, clock: &dyn Clock) -> Result<LoadedKeys, KeyDirectoryError> {
    let keys = &config.keys;
    if config.create_missing_keys() {
        KeyDirectory::create_missing(&keys.directory, keys.algorithm.into(), clock.now())?;
    }
    open_directory(config)
}

/// The keys that a directory has.
pub(super) fn open_directory(config: &Config) -> Result<LoadedKeys, KeyDirectoryError> {
    KeyDirectory::open(&config.keys.directory, config.keys.permissions.into())
}

/// The keys as they are now, for a command: none is made, and no replica hears of it.
pub(super) async fn read(config: &Config, store: &dyn store::KeyStore) -> Result<LoadedKeys, StartError> {
    if !are_stored(config) {
        return Ok(open_directory(config)?);
    }
    let table = store.keys().await.map_err(KeeperError::from)?;
    let opened = LoadedKeys::of_table(&table, &config.keys.encryption()?).map_err(KeeperError::from)?;
    match opened.error {
        None => Ok(opened.keys),
        Some(error) => Err(KeeperError::from(error).into()),
    }
}

/// Loads the keys of the database, and keeps them from then on.
pub(super) async fn of_database(config: &Config, stores: &Stores) -> Result<KeyKeeper, StartError> {
    let encryption = Arc::new(config.keys.encryption()?);
    Ok(KeyKeeper::start(stores.keys.clone(), encryption, options(config)).await?)
}

/// What administers the keys of a replica.
pub(super) fn administration(
    config: &Config,
    stores: &Stores,
    keeper: Option<&Arc<KeyKeeper>>,
    keyring: &Arc<Keyring>,
    clock: &Arc<dyn Clock>,
    revocations: &Revocations,
) -> KeyAdmin {
    match keeper {
        Some(keeper) => KeyAdmin::Database(Box::new(DatabaseKeys {
            store: stores.keys.clone(),
            encryption: Arc::clone(keeper.encryption()),
            options: options(config),
            telling: KeyTelling::Replica(Arc::clone(keeper), revocations.clone()),
        })),
        None => KeyAdmin::Directory { keys: Arc::clone(keyring), clock: Arc::clone(clock) },
    }
}

/// What administers the keys of a database from outside of the replicas.
pub(super) fn from_outside(config: &Config, stores: Stores) -> Result<DatabaseKeys, StartError> {
    Ok(DatabaseKeys {
        store: stores.keys,
        encryption: Arc::new(config.keys.encryption()?),
        options: options(config),
        telling: KeyTelling::Replicas(stores.push),
    })
}

/// Whether the keys are in the database.
pub(super) fn are_stored(config: &Config) -> bool {
    config.keys.store == KeyStore::Database
}

fn options(config: &Config) -> KeeperOptions {
    let keys = &config.keys;
    KeeperOptions {
        name: host_name(),
        algorithm: keys.algorithm.into(),
        policy: KeyPolicy {
            rotate_every: Some(keys.rotate_every).filter(|every| !every.is_zero()),
            announce: keys.announce,
            margin: CLOCK_MARGIN,
            remember: LISTED_FOR,
        },
        // A replica that is waited for no longer refuses to answer by then: what it knows is too old.
        lease: SHORTEST_LEASE.max(config.revocation.max_staleness * 2).max(keys.reload_interval * 6),
        patience: (keys.reload_interval * PATIENCE).max(Duration::from_secs(10)),
        access_life: config.tokens.access_ttl,
        // The absolute life and not the idle one: the predecessor of a token whose answer was lost is honoured for as long as
        // its session lives, and each time that it is, the session lives on.
        refresh_life: config.sessions.absolute.max(LONGEST_RESET),
        create_first: config.create_missing_keys(),
    }
}

/// What people know this machine, or pod, by.
fn host_name() -> String {
    const MOST: usize = 128;
    let name = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let name = name.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
    let name = name.unwrap_or_default();
    let name: String = name.trim().chars().filter(char::is_ascii_graphic).take(MOST).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}
