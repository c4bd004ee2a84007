//! What an operator should know at start: settings with which Redis may lose sessions.

use deadpool_redis::redis::{self, FromRedisValue as _, Value};

use super::RedisStore;
use super::failure::Failure;

/// The oldest version that has all that the scripts use.
const OLDEST: (u32, u32) = (6, 2);

impl RedisStore {
    /// What is wrong with the servers' settings, each in a sentence that names the setting; or that it cannot be
    /// told. Lost sessions cost a login each and never let a revoked one live, so none of it stops a start.
    pub async fn warnings(&self) -> Vec<String> {
        match self.look_for_warnings().await {
            Ok(warnings) => warnings,
            Err(failure) => vec![format!("the settings of Redis could not be checked: {failure}")],
        }
    }

    async fn look_for_warnings(&self) -> Result<Vec<String>, Failure> {
        let mut warnings = Vec::new();
        let mut replicated = Vec::new();
        for (server, answer) in self.connections.run_on_all(&redis::cmd("INFO")).await? {
            let info = text(&answer)?;
            let version = field(&info, "redis_version").unwrap_or_default();
            if parse_version(version).is_some_and(|version| version < OLDEST) {
                let (major, minor) = OLDEST;
                warnings.push(format!("{server} is Redis {version}; at least {major}.{minor} is needed"));
            }
            if field(&info, "connected_slaves").is_some_and(|count| count != "0") {
                replicated.push(server);
            }
        }
        for (server, value) in self.setting("appendonly").await? {
            if value == "no" {
                warnings.push(format!(
                    "{server}: appendonly is off, so that a restart loses the sessions of the last minutes; \
                     set appendonly yes"
                ));
            }
        }
        for (server, value) in self.setting("maxmemory-policy").await? {
            if value != "noeviction" {
                warnings.push(format!(
                    "{server}: maxmemory-policy is {value}, so that a full store drops living sessions; \
                     set maxmemory-policy noeviction"
                ));
            }
        }
        for (server, value) in self.setting("min-replicas-to-write").await? {
            if value == "0" && replicated.contains(&server) {
                warnings.push(format!(
                    "{server}: min-replicas-to-write is 0, so that a master that is cut off goes on and its \
                     writes are lost; set min-replicas-to-write 1"
                ));
            }
        }
        Ok(warnings)
    }

    async fn setting(&self, name: &str) -> Result<Vec<(String, String)>, Failure> {
        let mut command = redis::cmd("CONFIG");
        let answers = self.connections.run_on_all(command.arg("GET").arg(name)).await?;
        let mut values = Vec::with_capacity(answers.len());
        for (server, answer) in answers {
            let pair: Vec<String> = Vec::from_redis_value(answer).map_err(redis::RedisError::from)?;
            values.push((server, pair.into_iter().nth(1).unwrap_or_default()));
        }
        Ok(values)
    }
}

fn text(answer: &Value) -> Result<String, Failure> {
    Ok(String::from_redis_value_ref(answer).map_err(redis::RedisError::from)?)
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
}

fn parse_version(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(parse_version("6.0.16").unwrap() < OLDEST);
        assert!(parse_version("6.2.0").unwrap() >= OLDEST);
        assert!(parse_version("10.1.0").unwrap() > OLDEST);
        assert_eq!(parse_version("unstable"), None);
        assert_eq!(field("a:1\r\nredis_version:7.0.15\r\n", "redis_version"), Some("7.0.15"));
    }
}
