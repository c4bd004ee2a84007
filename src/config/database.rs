//! `[database]`

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{bounds, duration, secret};
use crate::connection_url::{self, Kind};

/// Where users, sessions and the revocation ledger live.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `postgres://…`, `mysql://…`, `sqlite:///absolute/path` or `sqlite:relative/path`; no default. A secret, because
    /// it may hold a password.
    /// `COUNTERSIGN__DATABASE__URL`, or a file that holds it: `COUNTERSIGN__DATABASE__URL_FILE`
    #[serde(serialize_with = "secret::redacted")]
    pub url: SecretString,
    /// The most connections to PostgreSQL or MySQL at once; 1 to 1000. `COUNTERSIGN__DATABASE__CONNECTIONS`
    pub connections: u32,
    /// On SQLite, how many connections read at once, beside the one that writes; 1 to 64.
    /// `COUNTERSIGN__DATABASE__READERS`
    pub readers: u32,
    /// How long one question may take, the wait for a connection included; 10ms to 1m.
    /// `COUNTERSIGN__DATABASE__TIMEOUT`
    #[serde(with = "duration")]
    pub timeout: Duration,
}

/// What the database's URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseLocation {
    /// The file of an embedded database.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres,
    /// A MySQL or MariaDB server.
    Mysql,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: SecretString::default(),
            connections: 16,
            readers: 4,
            timeout: Duration::from_millis(1500),
        }
    }
}

impl Database {
    const URL: &'static str = "database.url";

    /// Takes the URL apart. A loaded configuration has been through this, and does not fail here.
    pub fn location(&self) -> Result<DatabaseLocation, Problem> {
        let url = self.url.expose_secret();
        if url.is_empty() {
            return Err(Problem::required(Self::URL));
        }
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(Problem::new(
                Self::URL,
                "is not a URL: write postgres://…, mysql://… or sqlite:///path/to/file",
            ));
        };
        match scheme {
            "sqlite" => sqlite_path(rest).map(DatabaseLocation::Sqlite),
            "postgres" | "postgresql" => check(url, Kind::Postgres).map(|()| DatabaseLocation::Postgres),
            "mysql" | "mariadb" => check(url, Kind::Mysql).map(|()| DatabaseLocation::Mysql),
            // What stands before the colon may be anything, a password too, so it is not shown.
            _ => {
                Err(Problem::new(Self::URL, "has a scheme that is not known: use postgres, mysql or sqlite"))
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        self.location()?;
        bounds::number("database.connections", self.connections, &(1..=1000))?;
        bounds::number("database.readers", self.readers, &(1..=64))?;
        bounds::time("database.timeout", self.timeout, ["10ms", "1m"])
    }
}

/// Looks at the parameters before a driver does, which may go on without one, or log it.
fn check(url: &str, kind: Kind) -> Result<(), Problem> {
    connection_url::check(url, kind).map_err(|error| Problem::new(Database::URL, error.to_string()))
}

fn sqlite_path(rest: &str) -> Result<PathBuf, Problem> {
    let refuse = |what: &str| Err(Problem::new(Database::URL, what));
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => {
            return refuse("must be sqlite:///absolute/path or sqlite:relative/path, not sqlite://path");
        }
        None => rest,
    };
    if path.is_empty() || path.ends_with('/') {
        return refuse("names no file");
    }
    if path.contains(":memory:") {
        return refuse("cannot be in memory: every connection would have a database of its own");
    }
    if let Some((name, _)) = connection_url::parameters(path).iter().flatten().next() {
        return refuse(&format!("takes no parameters, and has {}", connection_url::shown(name)));
    }
    if path.contains(['?', '#', '%', '\0']) {
        return refuse("takes no parameters and no escapes: ?, # and % must not be in it");
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(url: &str) -> Result<DatabaseLocation, Problem> {
        Database { url: url.into(), ..Database::default() }.location()
    }

    #[test]
    fn a_url_names_an_absolute_or_a_relative_file() {
        for (url, path) in [
            ("sqlite:///var/lib/countersign.db", "/var/lib/countersign.db"),
            ("sqlite:/var/lib/countersign.db", "/var/lib/countersign.db"),
            ("sqlite:data/countersign.db", "data/countersign.db"),
        ] {
            assert_eq!(location(url), Ok(DatabaseLocation::Sqlite(path.into())));
        }
    }

    #[test]
    fn the_scheme_says_which_database_it_is() {
        for (url, wanted) in [
            ("postgres://u:p@h/d", DatabaseLocation::Postgres),
            ("postgresql://h/d", DatabaseLocation::Postgres),
            ("mysql://u:p@h/d", DatabaseLocation::Mysql),
            ("mariadb://h/d", DatabaseLocation::Mysql),
        ] {
            assert_eq!(location(url), Ok(wanted));
        }
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_without_being_shown() {
        for (url, what) in [
            ("", "is required"),
            ("s3cret", "is not a URL"),
            ("s3cret:x", "not known"),
            ("sqlite://s3cret.db", "not sqlite://path"),
            ("sqlite:", "names no file"),
            ("sqlite:///", "names no file"),
            ("sqlite::memory:", "in memory"),
            ("sqlite:s3cret.db?mode=rwc", "no parameters"),
        ] {
            let problem = location(url).unwrap_err().to_string();
            assert!(problem.starts_with("database.url: ") && problem.contains(what), "{url}: {problem}");
            assert!(!problem.contains("s3cret"), "{problem}");
        }
    }

    #[test]
    fn the_url_is_not_in_debug_output() {
        let database = Database { url: "sqlite:s3cret.db".into(), ..Database::default() };
        assert!(!format!("{database:?}").contains("s3cret"));
    }
}
