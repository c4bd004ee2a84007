//! `countersign.v1.AuditService`.

use std::pin::Pin;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Request, Response, Status};

use super::Service;
use super::message::page_size;
use crate::auth::{AuthError, EventLog, EventPage, EventsAfter};
use crate::grpc::call::Call;
use crate::grpc::proto::v1;
use crate::grpc::proto::v1::audit_service_server::AuditService;
use crate::grpc::{convert, status};
use crate::model::audit::ACTOR_MAX_BYTES;
use crate::model::{Clock as _, Event, EventFilter, EventKind, Monotonic, Position, SystemClock};
use crate::reason::Reason;

/// The path of the stream.
pub(in crate::grpc) const PATH: &str = "/countersign.v1.AuditService/WatchEvents";
/// How many streams may be open: each holds a page of events at the most, some 100 KiB.
pub(super) const MOST_AT_ONCE: usize = 32;

/// The most events on a page, and how many there are where nobody says.
const EVENTS_ON_A_PAGE: (i32, i32) = (1000, 100);
/// The most types of a filter.
const MOST_TYPES: usize = 32;
/// The most events of one message of the stream.
const EVENTS_IN_A_MESSAGE: u32 = 200;
/// How often a stream looks for events.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// A message comes at least as often, and whether the caller still may is looked at anew.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);

#[tonic::async_trait]
impl AuditService for Service {
    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let (call, message) = Call::split(request);
        let page = self.run(&call, async move |administration, _| {
            let size = page_size(message.page_size, EVENTS_ON_A_PAGE)?;
            let filter = filter(&message.filter.unwrap_or_default())?;
            let before = place(&message.page_token)?;
            Ok(administration.events.page(filter, before, size).await?)
        });
        let EventPage { events, next } = page.await?;
        Ok(Response::new(v1::ListEventsResponse {
            events: events.into_iter().map(Into::into).collect(),
            next_page_token: next.map(|next| URL_SAFE_NO_PAD.encode(next.to_be_bytes())).unwrap_or_default(),
        }))
    }

    type WatchEventsStream = Pin<Box<dyn Stream<Item = Answer> + Send>>;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let (call, message) = Call::split(request);
        let Ok(permit) = self.watches.clone().try_acquire_owned() else {
            return Err(status::refuse(&Reason::ServerOverloaded.into(), call.language));
        };
        let begun = self.run(&call, async move |administration, _| {
            let (filter, from) = asked(message)?;
            let log = administration.events;
            let from = match from {
                From::Oldest => None,
                From::Position(position) => Some(position),
                From::Now => Some(log.end().await?),
            };
            // A position that is not known any more is an answer to this call, and not the end of a stream.
            if let EventsAfter::Expired = log.after(from, 1).await? {
                return Err(Reason::PositionExpired.into());
            }
            Ok((log, filter, from))
        });
        let (log, filter, position) = begun.await?;
        let (end, clock) = (self.end.reached(), SystemClock::new());
        let watch = Watch {
            service: self.clone(),
            call,
            log,
            filter,
            position,
            told: None,
            checked: clock.monotonic(),
            clock,
            over: false,
            _permit: permit,
        };
        let told = stream::unfold(watch, |mut watch| async {
            let answer = watch.next().await?;
            Some((answer, watch))
        });
        Ok(Response::new(Box::pin(told.take_until(end))))
    }
}

type Answer = Result<v1::WatchEventsResponse, Status>;

/// One caller's stream. It reads on when the caller has room for more, and keeps nothing but its place in the log.
struct Watch {
    service: Service,
    call: Call,
    log: EventLog,
    filter: EventFilter,
    /// Up to where everything was told; `None` before the oldest event.
    position: Option<Position>,
    /// When something was told last.
    told: Option<Monotonic>,
    /// When it was last looked at whether the caller may.
    checked: Monotonic,
    clock: SystemClock,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Watch {
    async fn next(&mut self) -> Option<Answer> {
        if self.over {
            return None;
        }
        let answer = self.read().await;
        self.over = answer.is_err();
        Some(answer)
    }

    /// The next message, as soon as there is one.
    async fn read(&mut self) -> Answer {
        if let (None, Some(position)) = (self.told, self.position) {
            return Ok(self.message(Vec::new(), position));
        }
        loop {
            if self.clock.monotonic().since(self.checked) >= HEARTBEAT_EVERY {
                self.service.run(&self.call, async |_, _| Ok(())).await?;
                self.checked = self.clock.monotonic();
            }
            let read = self.log.after(self.position, EVENTS_IN_A_MESSAGE).await;
            let refuse = |error: AuthError| status::refuse(&error, self.call.language);
            let (events, position) = match read.map_err(|error| refuse(error.into()))? {
                EventsAfter::Events(events, position) => (events, position),
                EventsAfter::Expired => return Err(refuse(Reason::PositionExpired.into())),
            };
            let (read, full) = (events.len(), events.len() == EVENTS_IN_A_MESSAGE as usize);
            let events: Vec<_> = events.into_iter().filter(|event| self.filter.admits(event)).collect();
            let silent = self.told.is_none_or(|told| self.clock.monotonic().since(told) >= HEARTBEAT_EVERY);
            if !events.is_empty() || silent {
                return Ok(self.message(events, position));
            }
            self.position = Some(position);
            if !full || read == 0 {
                tokio::time::sleep(POLL_EVERY).await;
            }
        }
    }

    fn message(&mut self, events: Vec<Event>, position: Position) -> v1::WatchEventsResponse {
        (self.position, self.told) = (Some(position), Some(self.clock.monotonic()));
        let events = events.into_iter().map(Into::into).collect();
        v1::WatchEventsResponse { events, position: position.to_string() }
    }
}

/// Where a stream begins.
enum From {
    Now,
    Oldest,
    Position(Position),
}

fn asked(message: v1::WatchEventsRequest) -> Result<(EventFilter, From), AuthError> {
    let filter = filter(&message.filter.unwrap_or_default())?;
    if filter.since.is_some() || filter.until.is_some() {
        let what = "must be without since and until: the position says where to begin";
        return Err(AuthError::invalid_field("filter", what));
    }
    let from = match (message.position.as_str(), message.from_oldest) {
        ("", false) => From::Now,
        ("", true) => From::Oldest,
        (position, false) => {
            let position = position.parse();
            From::Position(position.map_err(|_| {
                AuthError::invalid_field("position", "must be one that this service has told")
            })?)
        }
        (_, true) => {
            return Err(AuthError::invalid_field("from_oldest", "must not come together with position"));
        }
    };
    Ok((filter, from))
}

fn filter(filter: &v1::EventFilter) -> Result<EventFilter, AuthError> {
    let bad = |field: &str, what: &str| AuthError::invalid_field(format!("filter.{field}"), what);
    if filter.types.len() > MOST_TYPES {
        return Err(bad("types", "must be at most 32"));
    }
    // As they came: what prost makes of them leaves out those that it does not know.
    let known = |number: &i32| v1::EventType::try_from(*number).ok().and_then(kind_of);
    let kinds =
        filter.types.iter().map(|kind| known(kind).ok_or_else(|| bad("types", "must be known types")));
    let kinds: Vec<EventKind> = kinds.collect::<Result<_, _>>()?;
    let time = |field, time: Option<prost_types::Timestamp>| {
        time.map(convert::unix_millis).transpose().map_err(|()| bad(field, "must be a time"))
    };
    if filter.actor.len() > ACTOR_MAX_BYTES {
        return Err(bad("actor", "must have at most 255 bytes"));
    }
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let user = some(&filter.user_id).map(|id| id.parse());
    let session = some(&filter.session_id).map(|id| id.parse());
    Ok(EventFilter {
        kinds,
        actor: some(&filter.actor),
        user: user.transpose().map_err(|_| bad("user_id", "must be a UUID in lower case"))?,
        session: session.transpose().map_err(|_| bad("session_id", "must be 22 characters of base64url"))?,
        since: time("since", filter.since)?,
        until: time("until", filter.until)?,
    })
}

/// Where the page before ended.
fn place(token: &str) -> Result<Option<u64>, AuthError> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| bytes.try_into().ok());
    let bad = || AuthError::invalid_field("page_token", "must be the next_page_token of a page before");
    bytes.map(|bytes| Some(u64::from_be_bytes(bytes))).ok_or_else(bad)
}

/// The kind that a type stands for.
pub(in crate::grpc) fn kind_of(kind: v1::EventType) -> Option<EventKind> {
    EventKind::from_name(kind.as_str_name().strip_prefix("EVENT_TYPE_")?)
}

/// The type that stands for a kind.
pub(in crate::grpc) fn type_of(kind: EventKind) -> v1::EventType {
    v1::EventType::from_str_name(&format!("EVENT_TYPE_{}", kind.as_str())).unwrap_or_default()
}

impl std::convert::From<Event> for v1::Event {
    fn from(Event { position, at, kind, actor, user, session, facts }: Event) -> Self {
        let time =
            |millis: Option<i64>| millis.map(|millis| convert::timestamp(crate::model::UnixMillis(millis)));
        Self {
            position: position.to_string(),
            r#type: kind.map_or(v1::EventType::Unspecified, type_of).into(),
            time: Some(convert::timestamp(at)),
            actor,
            user_id: user.map(|user| user.to_string()).unwrap_or_default(),
            session_id: session.map(|session| session.to_string()).unwrap_or_default(),
            peer: facts.peer,
            client_name: facts.client_name,
            client_user_agent: facts.client_user_agent,
            client_class: facts.client_class,
            cause: facts.cause,
            request_id: facts.request_id,
            name: facts.name,
            service_account_id: facts.service_account,
            key_id: facts.key,
            method: facts.method,
            count: facts.count,
            first_at: time(facts.first_at),
            last_at: time(facts.last_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_event_has_a_type_in_the_contract_and_each_type_a_kind() {
        for kind in EventKind::ALL {
            assert_eq!(kind_of(type_of(kind)), Some(kind), "{kind:?}");
        }
        let types = (1..).map_while(|number| v1::EventType::try_from(number).ok()).count();
        assert_eq!(types, EventKind::ALL.len());
        assert_eq!(kind_of(v1::EventType::Unspecified), None);
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        assert_eq!(place("").unwrap(), None);
        assert_eq!(place(&URL_SAFE_NO_PAD.encode(7_u64.to_be_bytes())).unwrap(), Some(7));
        for bad in ["7", "AAAA", "!"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
