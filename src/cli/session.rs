//! `countersign session`

use std::collections::BTreeSet;
use std::io::Write;

use async_trait::async_trait;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::Failure;
use super::output::{json_line, rfc3339};
use super::place::Place;
use super::program::{BoxError, Program};
use super::user::{Named, username};
use crate::auth::{Explanation, MOST_SESSIONS_AT_ONCE, RevokedSessions, SessionEnd, UserRef};
use crate::model::{EndCause, SessionFacts, SessionId, Username};

/// The administration of sessions by an operator. Every end is written to the audit log by whoever implements this, and to the
/// ledger.
#[async_trait]
pub trait SessionAdministration: Send + Sync {
    /// The user's sessions that are alive, the newest first.
    async fn list(&self, username: &Username) -> Result<Vec<SessionFacts>, BoxError>;

    /// Ends those that are named.
    async fn revoke(
        &self,
        username: &Username,
        sessions: &BTreeSet<SessionId>,
    ) -> Result<RevokedSessions, BoxError>;

    /// Ends all of them.
    async fn revoke_all(&self, username: &Username) -> Result<RevokedSessions, BoxError>;

    /// Whether a session goes on and, if it was revoked, why.
    async fn explain(&self, user: &UserRef, session: SessionId) -> Result<Explanation, BoxError>;
}

/// Lists and ends sessions.
#[derive(Debug, Subcommand)]
pub enum Session {
    /// List the sessions of a user, the newest first
    List(List),
    /// End sessions of a user
    Revoke(Revoke),
    /// Say whether a session goes on and, if it was revoked, why, by whom and when
    Explain(Explain),
}

/// Lists sessions.
#[derive(Debug, Args)]
pub struct List {
    /// One JSON object on each line
    #[arg(long)]
    pub json: bool,
    /// Whose, and where.
    #[command(flatten)]
    pub user: Named,
}

/// Ends sessions.
#[derive(Debug, Args)]
pub struct Revoke {
    /// Whose, and where.
    #[command(flatten)]
    pub user: Named,
    /// The sessions' ids, as `countersign session list` shows them
    #[arg(value_name = "ID", value_parser = session_id, required_unless_present = "all", conflicts_with = "all",
          num_args = 1..=MOST_SESSIONS_AT_ONCE)]
    pub ids: Vec<SessionId>,
    /// End every session of the user
    #[arg(long)]
    pub all: bool,
}

/// Explains a session.
#[derive(Debug, Args)]
pub struct Explain {
    /// The username, or the id of a user who may have been deleted
    #[arg(value_name = "USER", value_parser = user_ref)]
    pub user: UserRef,
    /// The session's id: the claim `sid` of its access tokens
    #[arg(value_name = "ID", value_parser = session_id, allow_hyphen_values = true)]
    pub id: SessionId,
    /// Where.
    #[command(flatten)]
    pub place: Place,
}

fn user_ref(typed: &str) -> Result<UserRef, String> {
    typed.parse().map(UserRef::Id).or_else(|_| username(typed).map(UserRef::Name))
}

fn session_id(typed: &str) -> Result<SessionId, String> {
    typed.parse().map_err(|_| "a session's id is 22 characters of base64url".to_owned())
}

/// A session as programs read it.
#[derive(Serialize)]
struct SessionLine<'a> {
    id: String,
    created_at: String,
    refreshed_at: String,
    expires_at: String,
    name: &'a str,
    user_agent: &'a str,
    address: &'a str,
    class: &'a str,
}

impl<'a> From<&'a SessionFacts> for SessionLine<'a> {
    fn from(session: &'a SessionFacts) -> Self {
        Self {
            id: session.id.to_string(),
            created_at: rfc3339(session.created_at),
            refreshed_at: rfc3339(session.refreshed_at),
            expires_at: rfc3339(session.expires_at),
            name: &session.client.name,
            user_agent: &session.client.user_agent,
            address: &session.client.address,
            class: &session.client.class,
        }
    }
}

impl Session {
    pub(super) async fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::List(List { json, user: Named { username, place } }) => {
                let sessions = place.load()?.sessions(program).await?;
                write_all(out, &sessions.list(&username).await?, json)
            }
            Self::Revoke(Revoke { ids, all, user: Named { username, place } }) => {
                let loaded = place.load()?;
                let sessions = loaded.sessions(program).await?;
                let RevokedSessions { count, position } = if all {
                    sessions.revoke_all(&username).await?
                } else {
                    sessions.revoke(&username, &ids.into_iter().collect()).await?
                };
                let what = if count == 1 { "session is" } else { "sessions are" };
                let username = username.as_str();
                writeln!(out, "{username}: {count} {what} over; {}", loaded.refused_within(position))?;
                Ok(())
            }
            Self::Explain(Explain { user, id, place }) => {
                let sessions = place.load()?.sessions(program).await?;
                let explanation = sessions.explain(&user, id).await?;
                writeln!(out, "{}", described(&explanation))?;
                Ok(())
            }
        }
    }
}

fn described(explanation: &Explanation) -> String {
    match explanation {
        Explanation::Alive => "ALIVE".to_owned(),
        Explanation::Unknown => "UNKNOWN: neither the ledger nor the session store knows it".to_owned(),
        Explanation::Revoked(None) => "REVOKED: the ledger has forgotten why".to_owned(),
        Explanation::Revoked(Some(SessionEnd { cause, actor, at })) => {
            let cause = cause.map_or("UNSPECIFIED", EndCause::as_str);
            format!("REVOKED: {cause} by {actor} at {}", rfc3339(*at))
        }
    }
}

fn write_all(out: &mut dyn Write, sessions: &[SessionFacts], json: bool) -> Result<(), Failure> {
    if !json {
        writeln!(
            out,
            "{:<22} {:<20} {:<20} {:<15} {:<8} CLIENT",
            "ID", "CREATED", "REFRESHED", "ADDRESS", "CLASS"
        )?;
    }
    for session in sessions {
        let line = SessionLine::from(session);
        if json {
            json_line(out, &line)?;
            continue;
        }
        let SessionLine { id, created_at, refreshed_at, name, user_agent, address, class, .. } = line;
        let class = if class.is_empty() { "-" } else { class };
        let client = if name.is_empty() { user_agent } else { name };
        writeln!(out, "{id:<22} {created_at:<20} {refreshed_at:<20} {address:<15} {class:<8} {client}")?;
    }
    Ok(())
}
