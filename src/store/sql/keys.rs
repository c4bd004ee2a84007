//! Keys in SQL. Every change raises the revision in the one row of `key_head` first, and is done only if that was the one
//! expected: of two that were decided on the same table, one is made.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::dialect::Dialect;
use super::driver::{Value, values};
use super::failure::Failure;
use super::pool::Connection;
use super::{Mode, SqlStore, audit, ledger, rows};
use crate::model::{
    Actor, EventKind, KeyEnd, KeyKind, KeyTable, NewEvent, Origin, ReplicaId, RevocationReason,
    RevocationScope, SealedKey, UnixMillis,
};
use crate::store::{
    Cause, KeyChange, KeyReport, KeyStore, KeysChanged, NewKeyActivation, NewTokenKey, StoreError, Until,
};

/// For how long a row of the ledger tells that keys have changed.
const TOLD_FOR: Duration = Duration::from_hours(24);
/// How long a replica that fell silent is remembered.
const SILENT_FOR: Duration = Duration::from_hours(1);

#[async_trait]
impl<D: Dialect> KeyStore for SqlStore<D> {
    fn attributed_to(&self, origin: Arc<Origin>) -> Arc<dyn KeyStore> {
        Arc::new(self.attributed(origin))
    }

    async fn keys(&self) -> Result<KeyTable, StoreError> {
        self.run(Mode::Read, (), |(), connection| Box::pin(table(connection))).await
    }

    async fn report(&self, report: KeyReport) -> Result<KeyTable, StoreError> {
        self.run(Mode::Transaction, report, |report, connection| Box::pin(note(report, connection))).await
    }

    async fn leave(&self, replica: ReplicaId) -> Result<(), StoreError> {
        self.run(Mode::Transaction, replica, |&replica, connection| {
            Box::pin(async move {
                connection.execute(D::STATEMENTS.delete_key_replica, values![replica]).await?;
                connection.execute(D::STATEMENTS.give_up_key_lease, values![replica]).await?;
                Ok(())
            })
        })
        .await
    }

    async fn change(
        &self,
        revision: u64,
        changes: Vec<KeyChange>,
        actor: Actor,
    ) -> Result<Option<KeysChanged>, StoreError> {
        let events: Vec<NewEvent> =
            changes.iter().filter_map(|change| event(change, actor, &self.origin)).collect();
        let change = (revision, changes, actor, events);
        self.run(Mode::Transaction, change, |(revision, changes, actor, events), connection| {
            Box::pin(async move {
                let outcome = self::change(*revision, changes, *actor, connection).await?;
                if outcome.is_some() {
                    audit::note(connection, events).await?;
                }
                Ok(outcome)
            })
        })
        .await
    }
}

/// The head is read first: a change that is committed in between makes the keys newer than the revision says, and what is
/// decided on it is not done.
async fn table<D: Dialect>(connection: &mut Connection<D>) -> Result<KeyTable, Failure> {
    let time = connection.time();
    let head = connection.fetch(D::STATEMENTS.key_head, vec![time]).await?;
    let head = head.first().ok_or(NO_HEAD)?;
    let (now, revision) = (rows::time(head, "now")?, rows::unsigned(head, "revision")?);
    let holds = rows::time(head, "lease_until")? > now;
    let leader = holds.then(|| rows::replica_id(head, "holder")).transpose()?;
    let keys = connection.fetch(D::STATEMENTS.token_keys, values![]).await?;
    let keys = keys.iter().map(rows::token_key).collect::<Result<_, _>>()?;
    let replicas = connection.fetch(D::STATEMENTS.key_replicas, values![now]).await?;
    let replicas = replicas.iter().map(rows::key_replica).collect::<Result<_, _>>()?;
    Ok(KeyTable { now, revision, leader: leader.filter(|id| *id != ReplicaId::NONE), keys, replicas })
}

async fn note<D: Dialect>(report: &KeyReport, connection: &mut Connection<D>) -> Result<KeyTable, Failure> {
    let KeyReport { id, name, revision, lease, access_life, refresh_life } = report;
    let time = connection.time();
    let head = connection.fetch(D::STATEMENTS.key_head, vec![time]).await?;
    let now = rows::time(head.first().ok_or(NO_HEAD)?, "now")?;
    let until = now + *lease;
    let row = values![*id, name.as_str(), *revision, until];
    connection.execute(D::STATEMENTS.put_key_replica, row).await?;
    connection.execute(D::STATEMENTS.take_key_lease, values![*id, until, *id, now]).await?;
    for (kind, life) in [(KeyKind::Signing, access_life), (KeyKind::Refresh, refresh_life)] {
        let life = millis(*life);
        connection.execute(D::STATEMENTS.raise_key_life, values![life, kind.as_str(), life]).await?;
    }
    connection.execute(D::STATEMENTS.forget_key_replicas, values![now - SILENT_FOR]).await?;
    table(connection).await
}

async fn change<D: Dialect>(
    revision: u64,
    changes: &[KeyChange],
    actor: Actor,
    connection: &mut Connection<D>,
) -> Result<Option<KeysChanged>, Failure> {
    if connection.execute(D::STATEMENTS.raise_key_revision, values![revision]).await? == 0 {
        return Ok(None);
    }
    let revision = revision.saturating_add(1);
    let time = connection.time();
    let head = connection.fetch(D::STATEMENTS.key_head, vec![time]).await?;
    let now = rows::time(head.first().ok_or(NO_HEAD)?, "now")?;
    for change in changes {
        if apply(change, revision, now, connection).await? != 1 {
            return Err(Failure::Corrupt("a change of keys touched no key, or more than one"));
        }
    }
    if !changes.iter().any(KeyChange::concerns_replicas) {
        return Ok(Some(KeysChanged { revision, row: None }));
    }
    let cause = Cause { actor, reason: RevocationReason::Operator, until: Until::For(TOLD_FOR) };
    let rows = ledger::append(connection, &[(RevocationScope::KeysChanged, cause)]).await?;
    Ok(Some(KeysChanged { revision, row: rows.first().copied() }))
}

/// What the audit log says of a change; nothing of one that changes no right of anybody.
fn event(change: &KeyChange, actor: Actor, origin: &Origin) -> Option<NewEvent> {
    let (kind, id) = match change {
        KeyChange::Add(key) => (EventKind::KeyCreated, &key.id),
        KeyChange::Activate(id) => (EventKind::KeyActivated, id),
        KeyChange::End(id, KeyEnd::Retired) => (EventKind::KeyRetired, id),
        KeyChange::End(id, KeyEnd::Withdrawn) => (EventKind::KeyWithdrawn, id),
        KeyChange::Reseal(id, _) => (EventKind::KeyReencrypted, id),
        KeyChange::Settle(_) | KeyChange::Forget(_) | KeyChange::Tell => return None,
    };
    let mut event = NewEvent::new(kind, actor, origin);
    event.facts.key.clone_from(id);
    Some(event)
}

async fn apply<D: Dialect>(
    change: &KeyChange,
    revision: u64,
    now: UnixMillis,
    connection: &mut Connection<D>,
) -> Result<u64, Failure> {
    let gone = SealedKey::gone();
    let (statement, values) = match change {
        KeyChange::Add(key) => (D::STATEMENTS.add_token_key, added(key, revision, now)),
        KeyChange::Activate(id) => (D::STATEMENTS.activate_token_key, values![now, revision, id.as_str()]),
        KeyChange::Settle(id) => (D::STATEMENTS.settle_token_key, values![now, id.as_str()]),
        KeyChange::End(id, end) => (
            D::STATEMENTS.end_token_key,
            values![now, end.as_str(), gone.under.as_slice(), gone.bytes.as_slice(), id.as_str()],
        ),
        KeyChange::Tell => return Ok(1),
        KeyChange::Forget(id) => (D::STATEMENTS.forget_token_key, values![id.as_str()]),
        KeyChange::Reseal(id, sealed) => (
            D::STATEMENTS.reseal_token_key,
            values![sealed.under.as_slice(), sealed.bytes.as_slice(), id.as_str()],
        ),
    };
    connection.execute(statement, values).await
}

fn added(key: &NewTokenKey, revision: u64, now: UnixMillis) -> Vec<Value> {
    let at = match key.activation {
        NewKeyActivation::Later => None,
        NewKeyActivation::AtOnce => Some(now),
        NewKeyActivation::At(at) => Some(at),
    };
    values![
        key.id.as_str(),
        key.kind.as_str(),
        key.algorithm.as_str(),
        u32::from(key.verify_only),
        key.sealed.under.as_slice(),
        key.sealed.bytes.as_slice(),
        millis(key.life),
        revision,
        now,
        at,
        at,
        key.request.as_str(),
    ]
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const NO_HEAD: Failure = Failure::Corrupt("the table of keys has no head");
