//! Follows a server's revocations and keys, through every loss of the connection.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;

use super::backoff::Backoff;
use super::options::ConnectOptions;
use super::positions::{Asked, WAITING};
use super::proto::v1;
use super::proto::v1::revocation_service_client::RevocationServiceClient;
use super::proto::v1::watch_revocations_request::Message as Say;
use super::proto::v1::watch_revocations_response::Message as Told;
use crate::{
    Algorithm, CLOCK_STEP, Epoch, KeyId, KeySet, Monotonic, Revoked, SessionId, UnixMillis, UserId, Verifier,
    VerifyingKey,
};

/// How often what need not be remembered any more is forgotten.
const PURGE_EVERY: Duration = Duration::from_secs(30);
/// More than this is only waiting to be sent when the connection hangs.
const UNSENT: usize = 8;

/// Why a stream came to its end.
#[derive(Debug, thiserror::Error)]
enum Ended {
    /// The server ended it, as it does now and then.
    #[error("the server ended the stream")]
    Closed,
    /// The call failed.
    #[error("{}: {}", .0.code(), .0.message())]
    Failed(#[from] Status),
    /// A ping went unanswered for too long.
    #[error("the server does not answer pings")]
    Silent,
    /// We were left behind.
    #[error("the server asks to begin anew")]
    Resynchronise,
    /// The wall clock is not where it should be.
    #[error("the wall clock was set: it differs by {} s", .0.as_secs())]
    ClockSet(Duration),
    /// What was told makes no sense; to go on would be to skip something.
    #[error("the server told {0}")]
    Nonsense(&'static str),
}

/// See the module.
pub(super) struct Follower {
    server: RevocationServiceClient<Channel>,
    verifier: Arc<Verifier>,
    options: ConnectOptions,
    loading: watch::Sender<bool>,
    /// What has been taken in completely; none when a stream must begin anew.
    position: Option<v1::WatchPosition>,
    /// Positions of the ledger that somebody waits for.
    asked: mpsc::Receiver<Asked>,
    backoff: Backoff,
}

impl Follower {
    pub(super) fn new(
        channel: Channel,
        verifier: Arc<Verifier>,
        options: ConnectOptions,
        loading: watch::Sender<bool>,
        asked: mpsc::Receiver<Asked>,
    ) -> Self {
        let server = RevocationServiceClient::new(channel).max_decoding_message_size(16 * 1024 * 1024);
        let backoff = Backoff::new(options.max_backoff);
        Self { server, verifier, options, loading, position: None, asked, backoff }
    }

    /// Follows for ever.
    pub(super) async fn run(mut self) {
        loop {
            let ended = self.follow().await;
            self.end(&ended);
            let pause = self.backoff.pause();
            if matches!(ended, Ended::Closed) {
                tracing::debug!("the stream of revocations ended; connecting again");
            } else {
                tracing::warn!(%ended, ?pause, "the stream of revocations was lost; connecting again");
            }
            sleep(pause).await;
        }
    }

    /// What a new stream begins with.
    fn start(&self) -> (v1::WatchStart, Session) {
        let begun = (self.options.clock.now(), self.options.clock.monotonic());
        (v1::WatchStart { resume: self.position }, Session::new(begun))
    }

    /// Forgets the position where the next stream must begin anew.
    fn end(&mut self, ended: &Ended) {
        if matches!(ended, Ended::Resynchronise | Ended::Nonsense(_) | Ended::ClockSet(_)) {
            self.position = None;
        }
    }

    /// One stream, from its beginning to its end.
    async fn follow(&mut self) -> Ended {
        let (start, mut session) = self.start();
        let (say, said) = mpsc::channel(UNSENT);
        let start = v1::WatchRevocationsRequest { message: Some(Say::Start(start)) };
        if say.try_send(start).is_err() {
            return Ended::Closed;
        }
        let mut server = self.server.clone();
        let call = server.watch_revocations(ReceiverStream::new(said));
        let mut stream = match timeout(self.options.patience, call).await {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => return status.into(),
            Err(_elapsed) => return Ended::Silent,
        };
        let mut tick = interval(self.options.ping_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut purge = interval(PURGE_EVERY);
        purge.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let step = tokio::select! {
                told = stream.message() => match told {
                    Ok(Some(v1::WatchRevocationsResponse { message })) => self.take_in(message, &mut session),
                    Ok(None) => Err(Ended::Closed),
                    Err(status) => Err(status.into()),
                },
                _ = tick.tick() => self.ping(&say, &mut session),
                Some(asked) = self.asked.recv() => {
                    session.ask(&say, asked);
                    Ok(())
                }
                _ = purge.tick() => {
                    self.verifier.revocations().index.purge(self.options.clock.now());
                    Ok(())
                }
            };
            if let Err(ended) = step {
                return ended;
            }
        }
    }

    /// Asks the server to prove that the view is fresh, unless it owes an answer for too long.
    fn ping(
        &self,
        say: &mpsc::Sender<v1::WatchRevocationsRequest>,
        session: &mut Session,
    ) -> Result<(), Ended> {
        let sent = self.options.clock.monotonic();
        // Before it has begun, the stream is measured by what an earlier one began with.
        if session.incarnation.is_some() {
            self.look_at_the_clock(sent)?;
        }
        // For as long as a snapshot comes the server owes no answer: it stands behind it, and a large one takes longer.
        let owed_since =
            session.pings.front().map(|&(_, first)| session.latest_part.map_or(first, |it| it.max(first)));
        if owed_since.is_some_and(|since| sent.since(since) > self.options.patience) {
            return Err(Ended::Silent);
        }
        session.nonce += 1;
        let ping = v1::WatchPing { nonce: session.nonce, at_least: String::new() };
        // With no room to send it in, the earlier ones stand for it.
        if say.try_send(v1::WatchRevocationsRequest { message: Some(Say::Ping(ping)) }).is_ok() {
            session.pings.push_back((session.nonce, sent));
        }
        Ok(())
    }

    /// What is forgotten is forgotten by the wall clock. When it is set, everything is loaded again; after a step nothing
    /// is known until then, and after a slow correction what is known holds meanwhile.
    fn look_at_the_clock(&self, monotonic: Monotonic) -> Result<(), Ended> {
        let freshness = &self.verifier.revocations().freshness;
        let drift = freshness.clock_drift(self.options.clock.now(), monotonic);
        if drift <= CLOCK_STEP / 2 {
            return Ok(());
        }
        if drift > CLOCK_STEP {
            freshness.invalidate();
        }
        Err(Ended::ClockSet(drift))
    }

    fn take_in(&mut self, message: Option<Told>, session: &mut Session) -> Result<(), Ended> {
        match message {
            Some(Told::Begin(begin)) => {
                if !begin.resumed {
                    self.position = None;
                    let (wall, monotonic) = session.begun;
                    self.verifier.revocations().freshness.anchor(wall, monotonic);
                }
                session.incarnation = Some(begin.incarnation);
            }
            Some(Told::KeySet(set)) => {
                let withdrawn = self.verifier.keys().replace(key_set(&set)?);
                tracing::info!(keys = set.keys.len(), withdrawn, "the server's keys");
            }
            Some(Told::Revoked(revoked)) => self.revoke(&revoked, session)?,
            Some(Told::Heartbeat(heartbeat)) => self.prove(&heartbeat, session)?,
            Some(Told::Resynchronise(_)) => return Err(Ended::Resynchronise),
            // A newer server tells something that we do not know.
            None => {}
        }
        Ok(())
    }

    /// What is revoked is only ever added to: what was known from another server stays true, and is forgotten in
    /// its time.
    fn revoke(&mut self, told: &v1::WatchRevoked, session: &mut Session) -> Result<(), Ended> {
        if self.position.is_none() {
            session.latest_part = Some(self.options.clock.monotonic());
        }
        let index = &self.verifier.revocations().index;
        for revoked in &told.sessions {
            index.apply(&revoked_session(revoked).ok_or(Ended::Nonsense("of a session that has no name"))?);
        }
        for revoked in &told.users {
            index.apply(&revoked_user(revoked).ok_or(Ended::Nonsense("of a user that has no name"))?);
        }
        if let (Some(sequence), Some(incarnation)) = (told.sequence, session.incarnation) {
            self.position = Some(v1::WatchPosition { incarnation, sequence });
        }
        Ok(())
    }

    /// The answer to a ping proves that everything is known that the server knew when it came: as of when the
    /// ping was *sent*, less what the server's own knowledge lagged behind.
    fn prove(&mut self, heartbeat: &v1::WatchHeartbeat, session: &mut Session) -> Result<(), Ended> {
        let taken_in = self.position.map(|position| position.sequence);
        if taken_in.is_none_or(|taken_in| taken_in < heartbeat.sequence) {
            return Err(Ended::Nonsense("of more than it had sent"));
        }
        if let Some(asked) = session.asked(heartbeat.nonce) {
            // Nobody may wait for it any more.
            let _ = asked.answer.send(heartbeat.reached.unwrap_or(false));
            return Ok(());
        }
        if session.gave_up(heartbeat) {
            return Ok(());
        }
        let sent = session.answered(heartbeat.nonce).ok_or(Ended::Nonsense("an answer to no ping"))?;
        if let Some(age) = heartbeat.staleness.and_then(|age| Duration::try_from(age).ok()) {
            self.verifier.revocations().freshness.record_answer(sent, age);
            self.loading.send_if_modified(|loaded| !std::mem::replace(loaded, true));
            self.backoff.reset();
        }
        Ok(())
    }
}

/// What is known of one stream.
struct Session {
    incarnation: Option<u64>,
    /// The pings that were not answered yet, and when they were sent.
    pings: VecDeque<(u64, Monotonic)>,
    /// The pings that ask for a position and were not answered yet.
    positions: VecDeque<(u64, Asked)>,
    nonce: u64,
    /// When the last part of a snapshot came.
    latest_part: Option<Monotonic>,
    /// The time when the stream began, by both clocks.
    begun: (UnixMillis, Monotonic),
}

impl Session {
    const fn new(begun: (UnixMillis, Monotonic)) -> Self {
        Self {
            incarnation: None,
            pings: VecDeque::new(),
            positions: VecDeque::new(),
            nonce: 0,
            latest_part: None,
            begun,
        }
    }

    /// Asks the server for a position. One too many takes the place of the oldest, as it does at the server.
    fn ask(&mut self, say: &mpsc::Sender<v1::WatchRevocationsRequest>, asked: Asked) {
        self.nonce += 1;
        let ping = v1::WatchPing { nonce: self.nonce, at_least: asked.position.clone() };
        // With no room to send it in, the connection hangs: it is dropped, which is an answer.
        if say.try_send(v1::WatchRevocationsRequest { message: Some(Say::Ping(ping)) }).is_ok() {
            if self.positions.len() == WAITING {
                self.positions.pop_front();
            }
            self.positions.push_back((self.nonce, asked));
        }
    }

    /// Who asked for the position of this ping; `None` where it asked for none, or is not waited for any more.
    fn asked(&mut self, nonce: u64) -> Option<Asked> {
        let place = self.positions.iter().position(|(ping, _)| *ping == nonce)?;
        self.positions.remove(place).map(|(_, asked)| asked)
    }

    /// Whether it answers a position that is not waited for any more. The server may have begun to look for it before it heard
    /// of the one too many, so that the oldest there is not the oldest here.
    fn gave_up(&self, heartbeat: &v1::WatchHeartbeat) -> bool {
        let is_ping = self.pings.iter().any(|(ping, _)| *ping == heartbeat.nonce);
        heartbeat.reached.is_some() && heartbeat.nonce <= self.nonce && !is_ping
    }

    /// When the ping was sent. The earlier ones need no answer any more.
    fn answered(&mut self, nonce: u64) -> Option<Monotonic> {
        let place = self.pings.iter().position(|(ping, _)| *ping == nonce)?;
        self.pings.drain(..=place).next_back().map(|(_, sent)| sent)
    }
}

/// A key of a kind that we do not know is left out: its tokens are signed by a key that is not trusted.
fn key_set(message: &v1::WatchKeySet) -> Result<KeySet, Ended> {
    let read = |key: &v1::WatchKey| {
        let id = KeyId::parse(&key.id).ok()?;
        VerifyingKey::from_spki_der(id, Algorithm::from_name(&key.algorithm)?, &key.spki).ok()
    };
    let keys: Vec<_> = message.keys.iter().filter_map(read).collect();
    if keys.len() < message.keys.len() {
        tracing::warn!("the server has keys of a kind that this release does not know");
    }
    KeySet::new(keys).map_err(|_| Ended::Nonsense("two keys of one name"))
}

fn revoked_session(message: &v1::RevokedSession) -> Option<Revoked> {
    let session = SessionId::from_bytes(message.session_id.as_slice().try_into().ok()?);
    Some(Revoked::Session { session, forget_at: unix_millis(message.forget_at?) })
}

fn revoked_user(message: &v1::RevokedUser) -> Option<Revoked> {
    let user = UserId::from_bytes(message.subject.as_slice().try_into().ok()?);
    let (epoch, forget_at) = (Epoch(message.epoch), unix_millis(message.forget_at?));
    Some(Revoked::User { user, epoch, forget_at })
}

/// Rounded up: to forget later than told does no harm.
fn unix_millis(at: prost_types::Timestamp) -> UnixMillis {
    let millis = (i64::from(at.nanos) + 999_999) / 1_000_000;
    UnixMillis(UnixMillis::from_secs(at.seconds).0.saturating_add(millis))
}

#[cfg(test)]
mod corpus;

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn the_answer_to_a_position_that_was_given_up_is_no_nonsense() {
        let mut session = Session::new((UnixMillis(0), Monotonic(Duration::ZERO)));
        let (say, _heard) = mpsc::channel(2 * WAITING);
        for _ in 0..=WAITING {
            let (answer, _asked) = oneshot::channel();
            session.ask(&say, Asked { position: "1-00000000000000ab".to_owned(), answer });
        }
        let last = session.nonce;
        session.nonce += 1;
        session.pings.push_back((session.nonce, Monotonic(Duration::ZERO)));
        let beat = |nonce, reached| v1::WatchHeartbeat { nonce, reached, ..Default::default() };
        assert!(session.gave_up(&beat(1, Some(true))), "the server had begun to look for it");
        assert!(session.asked(last).is_some(), "the newest is waited for");
        assert!(!session.gave_up(&beat(1, None)), "no answer to a position");
        assert!(!session.gave_up(&beat(session.nonce, Some(true))), "a ping asked for none");
        assert!(!session.gave_up(&beat(session.nonce + 1, Some(true))), "never asked");
    }
}
