//! `[sessions]`

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{Rotation, Tokens, bounds, duration};
use crate::model::{ClientFacts, SessionLimit};

/// Where sessions are kept, how long they live, and how many a user may have.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// Where sessions are kept. `COUNTERSIGN__SESSIONS__STORE`
    pub store: SessionsStore,
    /// How long a session lives without a Refresh; longer than `rotation.grace` and twice `rotation.deadline`
    /// together, at most `absolute`. `COUNTERSIGN__SESSIONS__IDLE`
    #[serde(with = "duration")]
    pub idle: Duration,
    /// How long a session lives whatever happens; 1s to 3650d. `COUNTERSIGN__SESSIONS__ABSOLUTE`
    #[serde(with = "duration")]
    pub absolute: Duration,
    /// How many sessions a user may have at once, at most 10000; 0 is as many as they like.
    /// `COUNTERSIGN__SESSIONS__MAX_PER_USER`
    pub max_per_user: u32,
    /// What happens to one more. `COUNTERSIGN__SESSIONS__ON_LIMIT`
    pub on_limit: OnLimit,
    /// `[sessions.limits]`: the classes of clients, and how many sessions of each a user may have at once, beside
    /// `max_per_user`; at most 10000, 0 is as many as they like. At most 16 classes.
    /// `COUNTERSIGN__SESSIONS__LIMITS`, as `web=1,mobile=2`
    pub limits: BTreeMap<String, u32>,
}

/// Where sessions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionsStore {
    /// In Redis where `redis.url` is set, otherwise in the database.
    Auto,
    /// In the database.
    Sql,
    /// In Redis.
    Redis,
}

/// What happens to a login of a user who has as many sessions as they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    /// It ends the session that was refreshed longest ago.
    EvictOldest,
    /// It is refused.
    Deny,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            store: SessionsStore::Auto,
            idle: Duration::from_hours(14 * 24),
            absolute: Duration::from_hours(90 * 24),
            max_per_user: 0,
            on_limit: OnLimit::EvictOldest,
            limits: BTreeMap::new(),
        }
    }
}

impl Sessions {
    /// The limit as the session store takes it.
    pub fn limit(&self) -> SessionLimit {
        self.limit_of(self.max_per_user)
    }

    /// The limit of each class.
    pub fn class_limits(&self) -> BTreeMap<String, SessionLimit> {
        self.limits.iter().map(|(class, &most)| (class.clone(), self.limit_of(most))).collect()
    }

    const fn limit_of(&self, most: u32) -> SessionLimit {
        match (NonZeroU32::new(most), self.on_limit) {
            (None, _) => SessionLimit::Unlimited,
            (Some(most), OnLimit::EvictOldest) => SessionLimit::EvictOldest(most),
            (Some(most), OnLimit::Deny) => SessionLimit::Deny(most),
        }
    }

    pub(super) fn check(&self, rotation: &Rotation, tokens: &Tokens) -> Result<(), Problem> {
        bounds::time("sessions.absolute", self.absolute, ["1s", "3650d"])?;
        let (idle, absolute) = (duration::format(self.idle), duration::format(self.absolute));
        if self.idle > self.absolute {
            let what = format!("{idle} is longer than sessions.absolute, which is {absolute}");
            return Err(Problem::between("sessions.idle", "sessions.absolute", what));
        }
        // A session that died within the window would log an honest client out that only retries.
        let window = rotation.grace + 2 * rotation.deadline;
        if self.idle <= window {
            let what = format!(
                "{idle} is not longer than rotation.grace and twice rotation.deadline together, which are {}",
                duration::format(window)
            );
            return Err(Problem::between("sessions.idle", "rotation.grace", what));
        }
        if tokens.access_ttl > self.absolute {
            let access = duration::format(tokens.access_ttl);
            let what = format!("{access} is longer than sessions.absolute, which is {absolute}");
            return Err(Problem::between("tokens.access_ttl", "sessions.absolute", what));
        }
        bounds::number("sessions.max_per_user", self.max_per_user, &(0..=10_000))?;
        self.check_limits()
    }

    fn check_limits(&self) -> Result<(), Problem> {
        const KEY: &str = "sessions.limits";
        const MOST_CLASSES: usize = 16;
        if self.limits.len() > MOST_CLASSES {
            return Err(Problem::new(KEY, format!("names more than {MOST_CLASSES} classes")));
        }
        self.limits.iter().try_for_each(|(class, &most)| {
            if !ClientFacts::is_class(class) {
                let bytes = ClientFacts::CLASS_MAX_BYTES;
                return Err(Problem::new(KEY, format!("{class:?} is not 1 to {bytes} of a-z 0-9 _ -")));
            }
            bounds::number(KEY, most, &(0..=10_000))
        })
    }
}
