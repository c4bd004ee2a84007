//! `countersign service-account key`

use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::{Named, done, note, over};
use crate::auth::{LONGEST_KEY_TTL, SHORTEST_KEY_TTL};
use crate::cli::Failure;
use crate::cli::output::{json_line, rfc3339};
use crate::cli::program::Program;
use crate::cli::user::duration_within;
use crate::model::{Note, ServiceKeyFacts, ServiceKeyId};

/// Makes, lists and revokes keys.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key, and show it this once
    Create(Create),
    /// List the keys, without what they are
    List(List),
    /// Refuse a key from now on
    Revoke(Revoke),
}

/// Makes a key.
#[derive(Debug, Args)]
pub struct Create {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Whose, and where.
    #[command(flatten)]
    pub account: Named,
    /// How long it is good: 1m to 365d
    #[arg(long, value_name = "DURATION", value_parser = ttl, default_value = "90d")]
    pub ttl: Duration,
    /// What it is for
    #[arg(long, value_name = "TEXT", value_parser = note, default_value = "")]
    pub label: Note,
}

/// Lists keys.
#[derive(Debug, Args)]
pub struct List {
    /// One JSON object on each line
    #[arg(long)]
    pub json: bool,
    /// Whose, and where.
    #[command(flatten)]
    pub account: Named,
}

/// Revokes a key.
#[derive(Debug, Args)]
pub struct Revoke {
    /// Whose, and where.
    #[command(flatten)]
    pub account: Named,
    /// The key's id, as `countersign service-account key list` shows it
    #[arg(value_name = "ID", value_parser = key_id)]
    pub id: ServiceKeyId,
}

fn key_id(typed: &str) -> Result<ServiceKeyId, String> {
    // Nothing that was typed is repeated: it may be the key itself.
    typed.parse().map_err(|_| "a key's id is a UUID in lower case".to_owned())
}

fn ttl(typed: &str) -> Result<Duration, String> {
    duration_within(typed, SHORTEST_KEY_TTL..=LONGEST_KEY_TTL, "1m to 365d")
}

/// A key as programs read it.
#[derive(Serialize)]
struct KeyLine<'a> {
    id: String,
    label: &'a str,
    created_by: &'a str,
    created_at: String,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

impl<'a> KeyLine<'a> {
    fn of(key: &'a ServiceKeyFacts, secret: Option<&'a str>) -> Self {
        Self {
            id: key.id.to_string(),
            label: key.label.as_str(),
            created_by: &key.created_by,
            created_at: rfc3339(key.created_at),
            expires_at: rfc3339(key.expires_at),
            secret,
        }
    }
}

impl Key {
    pub(super) async fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Create(Create { json, account: Named { name, place }, ttl, label }) => {
                let accounts = place.load()?.service_accounts(program).await?;
                let (secret, key) = accounts.create_key(&name, label, ttl).await?;
                if json {
                    return json_line(out, &KeyLine::of(&key, Some(secret.expose_secret())));
                }
                let (id, until) = (key.id, rfc3339(key.expires_at));
                done(out, &name, &format!("has the key {id}, good until {until} and shown this once:"))?;
                writeln!(out, "{}", secret.expose_secret())?;
                Ok(())
            }
            Self::List(List { json, account: Named { name, place } }) => {
                let accounts = place.load()?.service_accounts(program).await?;
                write_all(out, &accounts.keys(&name).await?, json)
            }
            Self::Revoke(Revoke { account: Named { name, place }, id }) => {
                let loaded = place.load()?;
                let position = loaded.service_accounts(program).await?.revoke_key(&name, id).await?;
                let what = format!("has lost the key {id}; every replica refuses it from the next call on");
                over(out, &name, &what, &loaded, position)
            }
        }
    }
}

fn write_all(out: &mut dyn Write, keys: &[ServiceKeyFacts], json: bool) -> Result<(), Failure> {
    if !json {
        writeln!(out, "{:<36} {:<20} {:<20} LABEL", "ID", "CREATED", "EXPIRES")?;
    }
    for key in keys {
        let line = KeyLine::of(key, None);
        if json {
            json_line(out, &line)?;
            continue;
        }
        let KeyLine { id, label, created_at, expires_at, .. } = line;
        writeln!(out, "{id:<36} {created_at:<20} {expires_at:<20} {label}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_key_is_good_is_bounded() {
        assert_eq!(ttl("90d").unwrap(), crate::auth::USUAL_KEY_TTL);
        for good in ["1m", "365d"] {
            assert!(ttl(good).is_ok(), "{good}");
        }
        for bad in ["59s", "366d", "0s", "x", ""] {
            assert!(ttl(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_id_is_not_repeated() {
        let typed = "csgn_sk_canary";
        assert!(!key_id(typed).unwrap_err().contains(typed));
    }
}
