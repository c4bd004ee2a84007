//! `countersign audit`

use std::io::Write;
use std::time::Duration;

use async_trait::async_trait;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::Failure;
use super::output::{json_line, rfc3339_millis};
use super::place::Place;
use super::program::{BoxError, Page, Program};
use crate::config::duration;
use crate::model::{
    Clock as _, Event, EventFilter, EventKind, Position, SessionId, SystemClock, UnixMillis, UserId,
};

/// Reads the audit log.
#[async_trait]
pub trait AuditReading: Send + Sync {
    /// At most `size` events that the filter admits, the newest first.
    async fn page(
        &self,
        filter: &EventFilter,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<Event>, BoxError>;

    /// Events as they are committed.
    async fn follow(&self, filter: &EventFilter, from: Start) -> Result<Box<dyn Following>, BoxError>;
}

/// Where following begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With what is committed from now on.
    Now,
    /// With the oldest event that is kept.
    Oldest,
    /// After this position.
    After(Position),
}

/// Events as they are committed.
#[async_trait]
pub trait Following: Send {
    /// The next events, which may be none, and up to where everything was told; waits until there is something to tell, or some
    /// seconds have passed. `None`: it has ended, and can be begun again from the last position.
    async fn next(&mut self) -> Result<Option<(Vec<Event>, Position)>, BoxError>;
}

/// Shows who did what to whom.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List events, the newest first
    List(List),
    /// Show events as they happen, until it is interrupted
    Follow(Follow),
}

/// Lists events.
#[derive(Debug, Args)]
pub struct List {
    /// Which ones.
    #[command(flatten)]
    pub which: Which,
    /// Only what happened then or later: a time such as 2026-01-31T08:00:00Z, or how long ago, such as 24h
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Moment>,
    /// Only what happened before
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Moment>,
    /// The most events
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// One JSON object on each line
    #[arg(long)]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub place: Place,
}

/// Follows events.
#[derive(Debug, Args)]
pub struct Follow {
    /// Which ones.
    #[command(flatten)]
    pub which: Which,
    /// Go on after this position, as an event has it; without it, with what happens from now on
    #[arg(long, value_name = "POSITION", value_parser = position)]
    pub from: Option<Position>,
    /// Begin with the oldest event that is kept
    #[arg(long, conflicts_with = "from")]
    pub from_oldest: bool,
    /// End after so many events
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// One JSON object on each line
    #[arg(long)]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub place: Place,
}

/// Which events: those of which everything that is given is true.
#[derive(Debug, Args)]
pub struct Which {
    /// Of this type, such as `LOGIN_FAILED`; may be given more than once
    #[arg(long = "type", value_name = "TYPE", value_parser = kind)]
    pub kinds: Vec<EventKind>,
    /// By this actor, as an event has it: operator, user:ID, service:ID
    #[arg(long)]
    pub actor: Option<String>,
    /// About the user with this id
    #[arg(long, value_name = "ID")]
    pub user: Option<UserId>,
    /// About this session: the claim `sid` of its access tokens
    #[arg(long, value_name = "ID", value_parser = session_id, allow_hyphen_values = true)]
    pub session: Option<SessionId>,
}

impl Which {
    fn filter(self) -> EventFilter {
        let Self { kinds, actor, user, session } = self;
        EventFilter { kinds, actor, user, session, since: None, until: None }
    }
}

/// A moment, or how long ago it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// This one.
    At(UnixMillis),
    /// So long ago.
    Ago(Duration),
}

impl Moment {
    fn before(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now - ago,
        }
    }
}

fn moment(typed: &str) -> Result<Moment, String> {
    if let Ok(ago) = duration::parse(typed) {
        return Ok(Moment::Ago(ago));
    }
    let format = &time::format_description::well_known::Rfc3339;
    let at = time::OffsetDateTime::parse(typed, format);
    let at =
        at.map_err(|_| "write a time such as 2026-01-31T08:00:00Z, or how long ago, such as 24h".to_owned())?;
    let millis = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).map_err(|error| error.to_string())?;
    Ok(Moment::At(UnixMillis(millis)))
}

fn kind(typed: &str) -> Result<EventKind, String> {
    EventKind::from_name(&typed.to_ascii_uppercase()).ok_or_else(|| {
        let known: Vec<&str> = EventKind::ALL.into_iter().map(EventKind::as_str).collect();
        format!("there is no such type; those that there are: {}", known.join(", "))
    })
}

fn session_id(typed: &str) -> Result<SessionId, String> {
    typed.parse().map_err(|_| "a session's id is 22 characters of base64url".to_owned())
}

fn position(typed: &str) -> Result<Position, String> {
    typed.parse().map_err(|_| "not a position of the audit log, as an event has it".to_owned())
}

/// An event as programs read it.
#[derive(Serialize)]
struct EventLine<'a> {
    position: String,
    time: String,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    cause: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    service_account_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    key_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    peer: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    client_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    client_user_agent: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    client_class: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
}

impl<'a> From<&'a Event> for EventLine<'a> {
    fn from(event: &'a Event) -> Self {
        let facts = &event.facts;
        let time = |millis: Option<i64>| millis.map(|millis| rfc3339_millis(UnixMillis(millis)));
        Self {
            position: event.position.to_string(),
            time: rfc3339_millis(event.at),
            kind: event.kind.map_or("UNKNOWN", EventKind::as_str),
            actor: &event.actor,
            user_id: event.user.map(|user| user.to_string()),
            session_id: event.session.map(|session| session.to_string()),
            cause: &facts.cause,
            name: &facts.name,
            service_account_id: &facts.service_account,
            key_id: &facts.key,
            method: &facts.method,
            count: Some(facts.count).filter(|count| *count > 0),
            first_at: time(facts.first_at),
            last_at: time(facts.last_at),
            peer: &facts.peer,
            client_name: &facts.client_name,
            client_user_agent: &facts.client_user_agent,
            client_class: &facts.client_class,
            request_id: &facts.request_id,
        }
    }
}

fn write_event(out: &mut dyn Write, event: &Event, json: bool) -> Result<(), Failure> {
    let line = EventLine::from(event);
    if json {
        return json_line(out, &line);
    }
    // What clients say of themselves may have any characters: as JSON writes it, nothing of it can pass for another line.
    let fields = serde_json::to_value(&line).map_err(BoxError::from)?;
    write!(out, "{:<24} {}", line.time, line.kind)?;
    for (name, value) in fields.as_object().into_iter().flatten() {
        match value {
            serde_json::Value::String(text) if text.chars().any(|c| c.is_whitespace() || c.is_control()) => {
                write!(out, " {name}={value}")?;
            }
            serde_json::Value::String(_) if name == "time" || name == "type" => {}
            serde_json::Value::String(text) => write!(out, " {name}={text}")?,
            value => write!(out, " {name}={value}")?,
        }
    }
    writeln!(out)?;
    Ok(())
}

/// The most events that are asked for at once.
const PAGE: u32 = 500;

impl Audit {
    pub(super) async fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::List(List { which, since, until, limit, json, place }) => {
                let now = SystemClock::new().now();
                let (since, until) = (since.map(|at| at.before(now)), until.map(|at| at.before(now)));
                let filter = EventFilter { since, until, ..which.filter() };
                let log = place.load()?.audit(program).await?;
                list(log.as_ref(), &filter, limit, json, out).await
            }
            Self::Follow(Follow { which, from, from_oldest, count, json, place }) => {
                let from = match from {
                    Some(position) => Start::After(position),
                    None if from_oldest => Start::Oldest,
                    None => Start::Now,
                };
                let log = place.load()?.audit(program).await?;
                follow(log.as_ref(), &which.filter(), from, (count, json), out).await
            }
        }
    }
}

async fn list(
    log: &dyn AuditReading,
    filter: &EventFilter,
    mut left: u64,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let size = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let Page { items, next } = log.page(filter, after.as_deref(), size).await?;
        for event in &items {
            write_event(out, event, json)?;
        }
        left = left.saturating_sub(items.len() as u64);
        if next.is_none() || left == 0 {
            return Ok(());
        }
        after = next;
    }
}

async fn follow(
    log: &dyn AuditReading,
    filter: &EventFilter,
    mut from: Start,
    (count, json): (Option<u64>, bool),
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut left = count.unwrap_or(u64::MAX);
    loop {
        let resumable = |from: Start, error: BoxError| match from {
            Start::After(position) => {
                Failure::Failed(format!("{error}; go on with --from {position}").into())
            }
            Start::Now | Start::Oldest => Failure::from(error),
        };
        let mut following = log.follow(filter, from).await.map_err(|error| resumable(from, error))?;
        while let Some((events, position)) = following.next().await.map_err(|error| resumable(from, error))? {
            for event in &events {
                write_event(out, event, json)?;
                left -= 1;
                if left == 0 {
                    return Ok(out.flush()?);
                }
            }
            out.flush()?;
            from = Start::After(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventFacts;

    fn event() -> Event {
        Event {
            position: Position { seq: 7, mark: 9 },
            at: UnixMillis(1_500),
            kind: Some(EventKind::LoginFailed),
            actor: String::new(),
            user: None,
            session: None,
            facts: EventFacts {
                cause: "UNKNOWN_USER".to_owned(),
                client_user_agent: "a b\n1970 LOGOUT".to_owned(),
                ..EventFacts::default()
            },
        }
    }

    fn written(json: bool) -> String {
        let mut out = Vec::new();
        write_event(&mut out, &event(), json).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn events_are_written_for_people_and_for_programs() {
        let position = event().position;
        assert_eq!(
            written(true),
            format!(
                r#"{{"position":"{position}","time":"1970-01-01T00:00:01.500Z","type":"LOGIN_FAILED","cause":"UNKNOWN_USER","client_user_agent":"a b\n1970 LOGOUT"}}"#
            ) + "\n"
        );
        let text = written(false);
        assert!(text.starts_with("1970-01-01T00:00:01.500Z LOGIN_FAILED "), "{text}");
        assert!(
            text.contains(&format!(" position={position}")) && text.contains(" cause=UNKNOWN_USER"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1, "nothing that a client says begins a line: {text}");
    }

    #[test]
    fn a_moment_is_a_time_or_how_long_ago_it_is() {
        assert_eq!(moment("24h"), Ok(Moment::Ago(Duration::from_hours(24))));
        assert_eq!(moment("1970-01-01T01:00:00.5+01:00"), Ok(Moment::At(UnixMillis(500))));
        assert!(moment("yesterday").is_err());
        assert_eq!(Moment::Ago(Duration::from_secs(1)).before(UnixMillis(1_500)), UnixMillis(500));
    }
}
