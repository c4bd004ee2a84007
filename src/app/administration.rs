//! What operators' commands need of the service, without serving.

use std::sync::Arc;

use super::{Assembly, StartError, Stores, keys};
use crate::auth::{DatabaseKeys, EventLog, PasswordResets, ServiceAccountAdmin, SessionAdmin, UserAdmin};
use crate::config::Config;
use crate::grpc;
use crate::model::{Clock, SystemClock};
use crate::password::{HashingPool, PoolOptions};
use crate::store::{AuditStore, KeyStore, Ledger, UserStore};
use crate::telemetry::tables::Counters;
use crate::token::Keyring;

/// The stores, open for an operator.
pub struct Administration {
    /// Changes to users.
    pub users: Arc<UserAdmin>,
    /// Their sessions.
    pub sessions: SessionAdmin,
    /// Service accounts and their keys.
    pub service_accounts: ServiceAccountAdmin,
    /// The audit log.
    pub events: EventLog,
    audit: Arc<dyn AuditStore>,
    ledger: Arc<dyn Ledger>,
    keys: Arc<dyn KeyStore>,
}

impl Administration {
    /// Opens the keys in the database that the configuration names; its schema must be one that this release works with.
    pub async fn open_keys(config: &Config) -> Result<DatabaseKeys, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        keys::from_outside(config, Stores::open(config, &clock, false, None).await?)
    }

    /// Opens the database that the configuration names; its schema must be one that this release works with.
    pub async fn open(config: &Config) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let stores = Stores::open(config, &clock, false, None).await?;
        if let Some(warning) = &stores.schema_warning {
            tracing::warn!("{warning}");
        }
        let users = Arc::new(user_admin(config, stores.users, clock)?.telling(stores.push.clone()));
        let sessions = SessionAdmin::new(users.clone(), stores.sessions, stores.ledger.clone());
        let service_accounts = ServiceAccountAdmin::new(stores.service_accounts, config.tokens.access_ttl);
        let service_accounts = service_accounts.telling(stores.push);
        let (audit, ledger, keys) = (stores.audit, stores.ledger, stores.keys);
        let events = EventLog::new(audit.clone());
        Ok(Self { users, sessions, service_accounts, events, audit, ledger, keys })
    }

    /// Makes tokens for new passwords, with the keys of the replicas, which are read for it.
    pub async fn password_resets(&self, config: &Config) -> Result<PasswordResets, StartError> {
        let keys = keys::read(config, self.keys.as_ref()).await?;
        let (users, keys) = (self.users.clone(), Arc::new(Keyring::new(keys)));
        Ok(PasswordResets::new(users, keys, self.ledger.clone(), self.audit.clone()))
    }
}

/// An operator hashes one password at a time.
pub(super) fn user_admin(
    config: &Config,
    users: Arc<dyn UserStore>,
    clock: Arc<dyn Clock>,
) -> Result<UserAdmin, StartError> {
    let options = PoolOptions { threads: 1, queue: 1, parameters: super::hash_parameters(config)? };
    let passwords = HashingPool::start(options, clock.clone()).map_err(StartError::Threads)?;
    let admin = UserAdmin::new(users, Arc::new(passwords), clock, config.sessions.absolute);
    Ok(admin.with_policy(super::password_policy(config)?))
}

/// What the administrative services of a replica work with. Passwords are hashed where logins hash them.
pub(super) fn within(parts: &Assembly) -> grpc::Administration {
    let Stores { users, sessions, ledger, service_accounts, audit, .. } = &parts.stores;
    let admin = UserAdmin::new(
        users.clone(),
        parts.passwords.clone(),
        parts.clock.clone(),
        parts.config.sessions.absolute,
    );
    let imported = parts.metrics.added(Counters::new(
        "countersign_users_imported",
        "Rows that were imported, by what became of them.",
        "outcome",
        ["created", "unchanged", "refused"],
    ));
    let admin = admin.with_policy(parts.password_policy.clone());
    let admin = admin.counting_imported(Arc::new(move |outcome| imported.count_named(outcome, 1)));
    let users = Arc::new(admin.within(parts.revocations.clone()));
    let sessions = SessionAdmin::new(users.clone(), sessions.clone(), ledger.clone());
    let sessions = Arc::new(sessions.within(parts.revocations.clone()));
    let resets = PasswordResets::new(users.clone(), parts.keys.clone(), ledger.clone(), audit.clone());
    let accounts = ServiceAccountAdmin::new(service_accounts.clone(), parts.config.tokens.access_ttl);
    let accounts = accounts.within(parts.revocations.clone());
    let Assembly { config, stores, keeper, keys: keyring, clock, revocations, .. } = parts;
    let keys = keys::administration(config, stores, keeper.as_ref(), keyring, clock, revocations);
    grpc::Administration {
        keys: Arc::new(keys),
        users,
        sessions,
        resets: Arc::new(resets),
        service_accounts: Arc::new(accounts),
        service_keys: parts.service_keys.clone(),
        events: EventLog::new(audit.clone()),
    }
}
