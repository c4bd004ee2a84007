//! Sessions in Redis: all of one user's in one key. Time is the server's, unless a test passes its own.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::Value;

use super::failure::Failure;
use super::scripts::{Arguments, Script};
use super::{RedisStore, TimeSource, record};
use crate::model::{NewSession, Session, SessionId, SessionLimit, UserId};
use crate::store::{Created, Honoured, Presentation, Rotation, SessionPolicy, SessionStore, StoreError};

#[async_trait]
impl SessionStore for RedisStore {
    async fn create(&self, session: NewSession, policy: &SessionPolicy) -> Result<Created, StoreError> {
        let numbers =
            |limit: SessionLimit| limit.most().map_or((0, false), |(most, evict)| (most.get(), evict));
        let (most, may_evict) = numbers(policy.limit);
        let (most_in_class, may_evict_in_class) = numbers(policy.class_limit);
        let arguments = Arguments::default()
            .bytes(session.id.as_bytes())
            .bytes(&session.epoch.0.to_be_bytes())
            .bytes(&session.mac_key.to_bytes())
            .bytes(&record::facts(&session)?)
            .number(policy.idle.as_millis())
            .number(policy.absolute.as_millis())
            .number(most)
            .flag(may_evict)
            .number(most_in_class)
            .flag(may_evict_in_class)
            .bytes(session.client.class.as_bytes())
            .bytes(self.now().as_bytes());
        let within = policy.rotation.deadline.max(self.deadline);
        let answer = self.in_time(&self.scripts.create, session.user, arguments, within).await?;
        Ok(created(session.user, &answer)?)
    }

    async fn rotate(&self, ask: Presentation, policy: &SessionPolicy) -> Result<Rotation, StoreError> {
        let rules = policy.rotation;
        let arguments = Arguments::default()
            .bytes(ask.session.as_bytes())
            .number(ask.presented.generation.0)
            .number(ask.presented.issued_at.0)
            .bytes(&ask.user_epoch.0.to_be_bytes())
            .bytes(&ask.mac_key.to_bytes())
            .number(policy.idle.as_millis())
            .number(exact_millis(rules.grace))
            .number(rules.settled_after().map_or_else(|| "-1".to_owned(), exact_millis))
            .flag(rules.strict)
            .bytes(self.now().as_bytes());
        let answer = self.in_time(&self.scripts.rotate, ask.user, arguments, ask.within).await?;
        Ok(rotation(ask.user, &answer)?)
    }

    async fn find(&self, user: UserId, session: SessionId) -> Result<Option<Session>, StoreError> {
        let arguments = Arguments::default().bytes(session.as_bytes()).bytes(self.now().as_bytes());
        let answer = self.script(&self.scripts.find, user, &arguments).await?;
        Ok(record::sessions(user, bytes(&answer)?)?.pop())
    }

    async fn list(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        let arguments = Arguments::default().bytes(self.now().as_bytes());
        let answer = self.script(&self.scripts.list, user, &arguments).await?;
        let mut sessions = record::sessions(user, bytes(&answer)?)?;
        sessions.sort_by(|a, b| {
            let (a_moved, b_moved) = (a.line.rotated_at, b.line.rotated_at);
            b_moved.cmp(&a_moved).then(b.created_at.cmp(&a.created_at)).then(a.id.cmp(&b.id))
        });
        Ok(sessions)
    }

    async fn delete(&self, user: UserId, sessions: &[SessionId]) -> Result<(), StoreError> {
        if sessions.is_empty() {
            return Ok(());
        }
        let arguments = sessions.iter().fold(Arguments::default(), |all, id| all.bytes(id.as_bytes()));
        self.script(&self.scripts.delete, user, &arguments).await?;
        Ok(())
    }

    /// Redis forgets by itself.
    async fn purge(&self, _limit: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}

impl RedisStore {
    /// Runs a script that must be executed soon or never, and whose answer begins with a code and the time.
    async fn in_time(
        &self,
        script: &Script,
        user: UserId,
        arguments: Arguments,
        within: Duration,
    ) -> Result<Value, Failure> {
        let key = self.key(user);
        let TimeSource::Server = self.time else {
            return self.connections.script(script, &[key.as_bytes()], &arguments.bytes(b"")).await;
        };
        // The bound on the server's time may be too late by as much as an answer takes, which comes off, unless there
        // is hardly anything left then.
        let mut patience = within.saturating_sub(self.deadline).max(within.min(self.deadline));
        for _ in 0..2 {
            let (asked, not_after) = self.server_time.bound(patience);
            let bounded = arguments.clone().bytes(not_after.as_bytes());
            let answer = self.connections.script(script, &[key.as_bytes()], &bounded).await?;
            let [code, Value::Int(time), ..] = array(&answer)? else {
                return Err(Failure::Corrupt("a script answered with something else"));
            };
            self.server_time.learn(asked, *time);
            patience = patience.saturating_sub(self.server_time.since(asked));
            if *code != LATE {
                return Ok(answer);
            }
            // Another server, or its clock was set: now its time is known, and nothing has happened.
        }
        Err(Failure::Late(self.deadline))
    }
}

/// What a script answers that does nothing because it comes too late.
const LATE: Value = Value::Int(-1);

fn created(user: UserId, answer: &Value) -> Result<Created, Failure> {
    match array(answer)? {
        [Value::Int(0), _] => Ok(Created::LimitReached),
        [Value::Int(1), _, session, evicted] => {
            let session = record::session(user, bytes(session)?)?;
            Ok(Created::Session(Box::new(session), record::sessions(user, bytes(evicted)?)?))
        }
        _ => Err(Failure::Corrupt("create.lua answered with something else")),
    }
}

fn rotation(user: UserId, answer: &Value) -> Result<Rotation, Failure> {
    let honoured = |honoured, session| {
        Ok(Rotation::Honoured(honoured, Box::new(record::session(user, bytes(session)?)?)))
    };
    match array(answer)? {
        [Value::Int(1), _, session] => honoured(Honoured::Rotated, session),
        [Value::Int(2), _, session] => honoured(Honoured::Unchanged, session),
        [Value::Int(3), _, session] => honoured(Honoured::Replayed, session),
        [Value::Int(4), _, session] => honoured(Honoured::Withdrawn, session),
        [Value::Int(5), _, session] => honoured(Honoured::Adopted, session),
        [Value::Int(6), _] => Ok(Rotation::InProgress),
        [Value::Int(7), _] => Ok(Rotation::Reused),
        [Value::Int(8), _] => Ok(Rotation::Idle),
        [Value::Int(9), _] => Ok(Rotation::Superseded),
        [Value::Int(10), _] => Ok(Rotation::Unknown),
        _ => Err(Failure::Corrupt("rotate.lua answered with something else")),
    }
}

fn array(value: &Value) -> Result<&[Value], Failure> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err(Failure::Corrupt("a script answered with something else")),
    }
}

fn bytes(value: &Value) -> Result<&[u8], Failure> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(Failure::Corrupt("a script answered with something else")),
    }
}

/// What an elapsed time is compared with, fractions included.
fn exact_millis(duration: Duration) -> String {
    format!("{}.{:06}", duration.as_millis(), duration.subsec_nanos() % 1_000_000)
}
