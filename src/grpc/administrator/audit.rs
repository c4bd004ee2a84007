//! `AuditService`.

use tonic::Streaming;

use super::answer::{self, Unreadable};
use super::{Administrator, AdministratorError, asked, next};
use crate::grpc::administration::{kind_of, type_of};
use crate::grpc::convert;
use crate::grpc::proto::v1;
use crate::model::{Event, EventFacts, EventFilter, EventKind, Position};

/// Events as a service tells them.
#[derive(Debug)]
pub struct ToldEvents(Streaming<v1::WatchEventsResponse>);

impl ToldEvents {
    /// The next events, which may be none, and up to where everything was told; `None` when the stream has ended.
    pub async fn next(&mut self) -> Result<Option<(Vec<Event>, Position)>, AdministratorError> {
        let Some(told) = self.0.message().await? else { return Ok(None) };
        let events: Result<_, _> = told.events.into_iter().map(event).collect();
        Ok(Some((events?, answer::position(&told.position)?)))
    }
}

impl Administrator {
    /// Some of the events that the filter admits, the newest first, and how to ask for the next ones.
    pub async fn list_events(
        &self,
        filter: &EventFilter,
        after: Option<&str>,
        size: u32,
    ) -> Result<(Vec<Event>, Option<String>), AdministratorError> {
        let request = v1::ListEventsRequest {
            filter: Some(asked_for(filter)),
            page_size: i32::try_from(size).unwrap_or(i32::MAX),
            page_token: after.unwrap_or_default().to_owned(),
        };
        let page = asked(self.audit().list_events(request)).await?;
        let events: Result<_, _> = page.events.into_iter().map(event).collect();
        Ok((events?, next(page.next_page_token)))
    }

    /// Events as they are committed, after a position; from the oldest one, or from now on, where none is given.
    pub async fn watch_events(
        &self,
        filter: &EventFilter,
        position: Option<Position>,
        from_oldest: bool,
    ) -> Result<ToldEvents, AdministratorError> {
        let request = v1::WatchEventsRequest {
            position: position.map(|position| position.to_string()).unwrap_or_default(),
            from_oldest,
            filter: Some(asked_for(filter)),
        };
        Ok(ToldEvents(asked(self.audit().watch_events(request)).await?))
    }
}

fn asked_for(filter: &EventFilter) -> v1::EventFilter {
    v1::EventFilter {
        types: filter.kinds.iter().map(|kind: &EventKind| type_of(*kind).into()).collect(),
        actor: filter.actor.clone().unwrap_or_default(),
        user_id: filter.user.map(|user| user.to_string()).unwrap_or_default(),
        session_id: filter.session.map(|session| session.to_string()).unwrap_or_default(),
        since: filter.since.map(convert::timestamp),
        until: filter.until.map(convert::timestamp),
    }
}

fn event(event: v1::Event) -> Result<Event, Unreadable> {
    let kind = kind_of(event.r#type());
    let id = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let millis = |what, time: Option<prost_types::Timestamp>| {
        time.map(|time| answer::time(what, Some(time)).map(|time| time.0)).transpose()
    };
    Ok(Event {
        position: answer::position(&event.position)?,
        at: answer::time("time", event.time)?,
        kind,
        user: answer::read("user_id", id(&event.user_id).map(|id| id.parse()).transpose())?,
        session: answer::read("session_id", id(&event.session_id).map(|id| id.parse()).transpose())?,
        actor: event.actor,
        facts: EventFacts {
            peer: event.peer,
            request_id: event.request_id,
            cause: event.cause,
            name: event.name,
            service_account: event.service_account_id,
            key: event.key_id,
            method: event.method,
            count: event.count,
            first_at: millis("first_at", event.first_at)?,
            last_at: millis("last_at", event.last_at)?,
            client_name: event.client_name,
            client_user_agent: event.client_user_agent,
            client_class: event.client_class,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SessionId, UnixMillis, UserId};

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let text = |text: &str| text.to_owned();
        let written = Event {
            position: Position { seq: 7, mark: 9 },
            at: UnixMillis(1_700_000_000_123),
            kind: Some(EventKind::LoginSucceeded),
            actor: text("user:x"),
            user: Some(UserId::from_bytes([1; 16])),
            session: Some(SessionId::from_bytes([2; 16])),
            facts: EventFacts {
                peer: text("192.0.2.1"),
                request_id: text("r"),
                cause: text("c"),
                name: text("n"),
                service_account: text("s"),
                key: text("k"),
                method: text("m"),
                count: 3,
                first_at: Some(1),
                last_at: Some(2),
                client_name: text("cn"),
                client_user_agent: text("cu"),
                client_class: text("cc"),
            },
        };
        assert_eq!(event(written.clone().into()), Ok(written));
        assert!(event(v1::Event::default()).is_err());
    }
}
