//! Throttling of logins and of requests that all replicas share.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use deadpool_redis::redis::Value;

use super::RedisStore;
use super::failure::Failure;
use super::scripts::Arguments;
use crate::model::throttle::{Admission, BackOff, KNOWN_FOR, LoginAttempt, Rate, Source, ThrottlePolicy};
use crate::store::{LoginThrottle, RequestThrottle, StoreError};

/// Login throttling in the same Redis as the sessions. Its keys share one slot, since one bound is for all logins
/// together: a script is a few microseconds, a password hash some ten thousand.
#[derive(Debug, Clone)]
pub struct RedisThrottle {
    store: RedisStore,
    policy: ThrottlePolicy,
}

impl RedisThrottle {
    /// Over the connections of this store.
    pub const fn new(store: RedisStore, policy: ThrottlePolicy) -> Self {
        Self { store, policy }
    }

    fn keys(&self, attempt: LoginAttempt) -> [String; 5] {
        let prefix = format!("{}{{login}}:", self.store.prefix);
        let account = URL_SAFE_NO_PAD.encode(attempt.account.as_bytes());
        let source = URL_SAFE_NO_PAD.encode(attempt.source.as_bytes());
        [
            format!("{prefix}account:{account}:{source}"),
            format!("{prefix}source:{source}"),
            format!("{prefix}all"),
            format!("{prefix}known:{account}:{source}"),
            format!("{prefix}total:{account}"),
        ]
    }
}

#[async_trait]
impl LoginThrottle for RedisThrottle {
    async fn admit(&self, attempt: LoginAttempt) -> Result<Admission, StoreError> {
        let ThrottlePolicy { account, account_total, source, global } = self.policy;
        let arguments = rate(rate(back_off(Arguments::default(), account), source), global)
            .bytes(self.store.now().as_bytes())
            .number(KNOWN_FOR.as_millis());
        let arguments = back_off(arguments, account_total);
        let keys = self.keys(attempt);
        let script = &self.store.scripts.admit;
        let keys = keys.each_ref().map(String::as_bytes);
        admission(&self.store.connections.script(script, &keys, &arguments).await?)
    }

    async fn succeeded(&self, attempt: LoginAttempt) -> Result<(), StoreError> {
        let ThrottlePolicy { source, global, .. } = self.policy;
        let arguments = Arguments::default()
            .number(source.interval.as_millis())
            .number(global.interval.as_millis())
            .bytes(self.store.now().as_bytes())
            .number(KNOWN_FOR.as_millis());
        let keys = self.keys(attempt);
        let script = &self.store.scripts.succeed;
        self.store.connections.script(script, &keys.each_ref().map(String::as_bytes), &arguments).await?;
        Ok(())
    }
}

/// Throttling of requests in the same Redis. Each source has a key of its own, and so a slot.
#[derive(Debug, Clone)]
pub struct RedisRequests {
    store: RedisStore,
    rate: Rate,
}

impl RedisRequests {
    /// Over the connections of this store.
    pub const fn new(store: RedisStore, rate: Rate) -> Self {
        Self { store, rate }
    }
}

#[async_trait]
impl RequestThrottle for RedisRequests {
    async fn admit(&self, source: Source) -> Result<Admission, StoreError> {
        let key = format!("{}requests:{}", self.store.prefix, URL_SAFE_NO_PAD.encode(source.as_bytes()));
        let arguments = rate(Arguments::default(), self.rate).bytes(self.store.now().as_bytes());
        let script = &self.store.scripts.request;
        admission(&self.store.connections.script(script, &[key.as_bytes()], &arguments).await?)
    }
}

/// What a script says of an attempt or a request: how many milliseconds it must wait, and 0 when it has been counted.
fn admission(answer: &Value) -> Result<Admission, StoreError> {
    match answer {
        Value::Int(0) => Ok(Admission::Admitted),
        Value::Int(millis) => {
            Ok(Admission::Refused { retry_after: Duration::from_millis(millis.unsigned_abs()) })
        }
        _ => Err(Failure::Corrupt("a throttle's script answered with something else").into()),
    }
}

fn back_off(arguments: Arguments, back_off: BackOff) -> Arguments {
    arguments
        .number(back_off.free)
        .number(back_off.first.as_millis())
        .number(back_off.longest.as_millis())
        .number(back_off.forget.as_millis())
}

fn rate(arguments: Arguments, rate: Rate) -> Arguments {
    arguments.number(rate.burst).number(rate.interval.as_millis())
}
