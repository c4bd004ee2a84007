//! `countersign key`

use std::io::Write;
use std::time::Duration;

use async_trait::async_trait;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::Failure;
use super::data::Data;
use super::output::{json_line, rfc3339};
use super::place::Place;
use super::program::{BoxError, Program};
use crate::auth::KeyEntry;
use crate::auth::bounds::REQUEST_ID_MAX_BYTES;
use crate::config::duration;
use crate::model::{self, Position, UnixMillis};
use crate::token::{self, KeyEncryption};

/// Lists, makes and withdraws keys.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make the first keys, both of them used at once; touches nothing where there are keys
    Init(Init),
    /// List the keys, without their secrets
    List(List),
    /// Make a key in the directory, which every replica must have before it is used
    Generate(Generate),
    /// Make the next key in the database, which is used when every replica has it and it was announced for long enough
    Rotate(Rotate),
    /// Withdraw a key in the database: no token that was made with it is accepted any more
    Withdraw(Withdraw),
    /// Move the keys of the directory into a database that has none; the directory stays as it is
    Move(Move),
    /// Encrypt the keys in the database anew, with the current key-encryption key
    Rewrap(Rewrap),
    /// Print a new key-encryption key
    MakeEncryptionKey,
}

/// Makes the next key.
#[derive(Debug, Args)]
pub struct Rotate {
    /// What it is for
    #[arg(long)]
    pub kind: KeyKind,
    /// The same command again, with the same id, finds the key that it made; at most 128 bytes
    #[arg(long, value_name = "ID", value_parser = request_id)]
    pub request_id: Option<String>,
    /// Where.
    #[command(flatten)]
    pub place: Place,
}

/// Withdraws a key.
#[derive(Debug, Args)]
pub struct Withdraw {
    /// Its id, as `countersign key list` shows it
    pub id: String,
    /// Where.
    #[command(flatten)]
    pub place: Place,
}

/// Moves keys from the directory into the database.
#[derive(Debug, Args)]
pub struct Move {
    /// Which data.
    #[command(flatten)]
    pub data: Data,
}

/// Encrypts keys anew.
#[derive(Debug, Args)]
pub struct Rewrap {
    /// Which data.
    #[command(flatten)]
    pub data: Data,
}

/// Makes the first keys.
#[derive(Debug, Args)]
pub struct Init {
    /// Which data.
    #[command(flatten)]
    pub data: Data,
}

/// Lists the keys.
#[derive(Debug, Args)]
pub struct List {
    /// One JSON object on each line
    #[arg(long)]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub place: Place,
}

/// Makes a key.
#[derive(Debug, Args)]
pub struct Generate {
    /// What it is for
    #[arg(long)]
    pub kind: KeyKind,
    /// How long from now it is used, such as 1h; by default, as soon as every replica is sure to have it
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub activate_in: Option<Duration>,
    /// Which data.
    #[command(flatten)]
    pub data: Data,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Signs access tokens
    Signing,
    /// Makes refresh tokens
    Refresh,
}

impl From<model::KeyKind> for KeyKind {
    fn from(kind: model::KeyKind) -> Self {
        match kind {
            model::KeyKind::Signing => Self::Signing,
            model::KeyKind::Refresh => Self::Refresh,
        }
    }
}

impl From<KeyKind> for model::KeyKind {
    fn from(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Signing => Self::Signing,
            KeyKind::Refresh => Self::Refresh,
        }
    }
}

impl KeyKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Refresh => "refresh",
        }
    }
}

/// What a key is used for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Nothing yet.
    Pending,
    /// New tokens are made with it.
    Current,
    /// Tokens that were made with it are still taken.
    VerifyOnly,
    /// It ended when every token of it had expired.
    Retired,
    /// It was withdrawn.
    Withdrawn,
}

impl From<token::KeyState> for KeyState {
    fn from(state: token::KeyState) -> Self {
        match state {
            token::KeyState::Active => Self::Current,
            token::KeyState::Upcoming => Self::Pending,
            token::KeyState::VerifyOnly => Self::VerifyOnly,
            token::KeyState::Retired => Self::Retired,
            token::KeyState::Withdrawn => Self::Withdrawn,
        }
    }
}

impl KeyState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Current => "current",
            Self::VerifyOnly => "verify_only",
            Self::Retired => "retired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What may be shown of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// What it is for.
    pub kind: KeyKind,
    /// Its name: the `kid` of a signing key.
    pub id: String,
    /// Its algorithm, such as `EdDSA`.
    pub algorithm: String,
    /// What it is used for now.
    pub state: KeyState,
    /// From when on new tokens are made with it; `None` for a key that has no beginning, or makes none.
    pub activate_at: Option<UnixMillis>,
    /// The replicas that lack it.
    pub missing_on: Vec<String>,
}

impl From<KeyEntry> for KeyFacts {
    fn from(key: KeyEntry) -> Self {
        let KeyEntry { id, kind, algorithm, state, activate_at, missing_on, created_at: _, ended_at: _ } =
            key;
        Self { kind: kind.into(), id, algorithm, state: state.into(), activate_at, missing_on }
    }
}

/// A key was withdrawn, which is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyWithdrawn {
    /// Where the ledger tells of it.
    pub position: Position,
    /// Whether the replicas were told at once; `None` where a service was asked, which tells them itself.
    pub pushed: Option<bool>,
}

/// What a running service does with its keys, too, when it is asked.
#[async_trait]
pub trait KeyAdministration: Send + Sync {
    /// Every key.
    async fn list(&self) -> Result<Vec<KeyFacts>, BoxError>;

    /// Makes the next key in the database.
    async fn rotate(&self, kind: KeyKind, request_id: Option<&str>) -> Result<KeyFacts, BoxError>;

    /// Withdraws a key in the database.
    async fn withdraw(&self, id: &str) -> Result<KeyWithdrawn, BoxError>;
}

/// What is done only where the keys are kept.
#[async_trait]
pub trait KeyKeeping: KeyAdministration {
    /// Makes a key of each kind that is missing, to be used at once, and returns every key there is then.
    async fn init(&self) -> Result<Vec<KeyFacts>, BoxError>;

    /// Makes a key that is used from `activate_in` on; when `None`, from when every replica is sure to have it.
    async fn generate(&self, kind: KeyKind, activate_in: Option<Duration>) -> Result<KeyFacts, BoxError>;

    /// Moves the keys of the directory into the database. Returns how many there are.
    async fn move_to_database(&self) -> Result<usize, BoxError>;

    /// Encrypts keys in the database anew. Returns how many.
    async fn rewrap(&self) -> Result<usize, BoxError>;
}

#[derive(Serialize)]
struct KeyLine<'a> {
    kind: KeyKind,
    id: &'a str,
    algorithm: &'a str,
    state: KeyState,
    activate_at: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    missing_on: &'a [String],
}

impl Key {
    pub(super) async fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Init(Init { data }) => {
                let keys = program.keys(&data.load()?).await?.init().await?;
                write_keys(out, &keys, false)
            }
            Self::List(List { json, place }) => {
                let keys = place.load()?.keys(program).await?.list().await?;
                write_keys(out, &keys, json)
            }
            Self::Generate(Generate { kind, activate_in, data }) => {
                let key = program.keys(&data.load()?).await?.generate(kind, activate_in).await?;
                let (kind, from) = (kind.as_str(), key.activate_at.map(rfc3339).unwrap_or_default());
                writeln!(out, "made {kind} key {} ({}), in use from {from}", key.id, key.algorithm)?;
                Ok(())
            }
            Self::Rotate(Rotate { kind, request_id, place }) => {
                let keys = place.load()?.keys(program).await?;
                let key = keys.rotate(kind, request_id.as_deref()).await?;
                let (kind, state) = (kind.as_str(), key.state.as_str());
                writeln!(out, "the next {kind} key is {} ({}), {state}", key.id, key.algorithm)?;
                Ok(())
            }
            Self::Withdraw(Withdraw { id, place }) => {
                let KeyWithdrawn { position, pushed } =
                    place.load()?.keys(program).await?.withdraw(&id).await?;
                let how = match pushed {
                    Some(true) => "replicas were told at once",
                    Some(false) => "replicas read of it within revocation.poll_interval",
                    None => "whoever asks with at_least of that position accepts no token of it",
                };
                writeln!(out, "withdrew {id} at position {position}; {how}")?;
                Ok(())
            }
            Self::Move(Move { data }) => {
                let count = program.keys(&data.load()?).await?.move_to_database().await?;
                writeln!(
                    out,
                    "the database has the {count} keys of the directory, which may be deleted now"
                )?;
                Ok(())
            }
            Self::Rewrap(Rewrap { data }) => {
                let count = program.keys(&data.load()?).await?.rewrap().await?;
                writeln!(
                    out,
                    "encrypted {count} keys anew; every key is encrypted with keys.encryption_key, and \
                     keys.previous_encryption_key may be taken away"
                )?;
                Ok(())
            }
            Self::MakeEncryptionKey => {
                writeln!(out, "{}", KeyEncryption::generate().as_str())?;
                Ok(())
            }
        }
    }
}

fn request_id(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > REQUEST_ID_MAX_BYTES {
        return Err(format!("must have 1 to {REQUEST_ID_MAX_BYTES} bytes"));
    }
    Ok(text.to_owned())
}

fn write_keys(out: &mut dyn Write, keys: &[KeyFacts], json: bool) -> Result<(), Failure> {
    if !json {
        writeln!(out, "{:<8} {:<11} {:<9} {:<20} ID", "KIND", "STATE", "ALGORITHM", "IN USE FROM")?;
    }
    for KeyFacts { kind, id, algorithm, state, activate_at, missing_on } in keys {
        let activate_at = activate_at.map(rfc3339);
        if json {
            json_line(out, &KeyLine { kind: *kind, id, algorithm, state: *state, activate_at, missing_on })?;
        } else {
            let (kind, state) = (kind.as_str(), state.as_str());
            let from = activate_at.as_deref().unwrap_or("-");
            write!(out, "{kind:<8} {state:<11} {algorithm:<9} {from:<20} {id}")?;
            if !missing_on.is_empty() {
                write!(out, " (not on {} yet)", missing_on.join(", "))?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_listed_for_people_and_for_programs() {
        let key = KeyFacts {
            kind: KeyKind::Signing,
            id: "abc".to_owned(),
            algorithm: "EdDSA".to_owned(),
            state: KeyState::VerifyOnly,
            activate_at: Some(UnixMillis::from_secs(0)),
            missing_on: Vec::new(),
        };
        let listed = |json| {
            let mut out = Vec::new();
            write_keys(&mut out, std::slice::from_ref(&key), json).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            listed(true),
            r#"{"kind":"signing","id":"abc","algorithm":"EdDSA","state":"verify_only","activate_at":"1970-01-01T00:00:00Z"}
"#
        );
        assert!(listed(false).contains("signing  verify_only EdDSA     1970-01-01T00:00:00Z abc\n"));
    }
}
