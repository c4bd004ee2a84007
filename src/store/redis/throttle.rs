//! Login throttling that all replicas share.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redis::Value;

use super::RedisStore;
use super::failure::Failure;
use super::scripts::Arguments;
use crate::model::throttle::{Admission, KNOWN_FOR, LoginAttempt, Rate, ThrottlePolicy};
use crate::store::{LoginThrottle, StoreError};

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

    fn keys(&self, attempt: LoginAttempt) -> [String; 4] {
        let prefix = format!("{}{{login}}:", self.store.prefix);
        let account = URL_SAFE_NO_PAD.encode(attempt.account.as_bytes());
        let source = URL_SAFE_NO_PAD.encode(attempt.source.as_bytes());
        [
            format!("{prefix}account:{account}:{source}"),
            format!("{prefix}source:{source}"),
            format!("{prefix}all"),
            format!("{prefix}known:{account}:{source}"),
        ]
    }
}

#[async_trait]
impl LoginThrottle for RedisThrottle {
    async fn admit(&self, attempt: LoginAttempt) -> Result<Admission, StoreError> {
        let ThrottlePolicy { account, source, global } = self.policy;
        let arguments = Arguments::default()
            .number(account.free)
            .number(account.first.as_millis())
            .number(account.longest.as_millis())
            .number(account.forget.as_millis());
        let arguments = rate(rate(arguments, source), global)
            .bytes(self.store.now().as_bytes())
            .number(KNOWN_FOR.as_millis());
        let keys = self.keys(attempt);
        let script = &self.store.scripts.admit;
        match self
            .store
            .connections
            .script(script, &keys.each_ref().map(String::as_bytes), &arguments)
            .await?
        {
            Value::Int(0) => Ok(Admission::Admitted),
            Value::Int(millis) => {
                Ok(Admission::Refused { retry_after: Duration::from_millis(millis.unsigned_abs()) })
            }
            _ => Err(Failure::Corrupt("admit.lua answered with something else").into()),
        }
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

fn rate(arguments: Arguments, rate: Rate) -> Arguments {
    arguments.number(rate.burst).number(rate.interval.as_millis())
}
