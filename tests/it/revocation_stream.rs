//! `RevocationService.WatchRevocations` on the wire: what is told, in which order, and to whom it is told that
//! they must begin anew.

use std::time::Duration;

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::revocation_service_client::RevocationServiceClient;
use countersign::grpc::proto::v1::watch_revocations_request::Message as Say;
use countersign::grpc::proto::v1::watch_revocations_response::Message as Told;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::support::grpc::assert_refused;
use crate::support::in_process::{Replica, session};

const PATIENCE: Duration = Duration::from_secs(30);

/// A client that adds nothing of its own.
struct Watcher {
    say: mpsc::Sender<v1::WatchRevocationsRequest>,
    told: Streaming<v1::WatchRevocationsResponse>,
}

impl Watcher {
    async fn open(replica: &Replica) -> Self {
        let (say, said) = mpsc::channel(16);
        let channel = replica.endpoint().connect_lazy();
        let mut client = RevocationServiceClient::new(channel);
        // The answer's head comes before the first message is said.
        let told = client.watch_revocations(ReceiverStream::new(said)).await.unwrap().into_inner();
        Self { say, told }
    }

    async fn start(replica: &Replica, resume: Option<v1::WatchPosition>) -> Self {
        let mut watcher = Self::open(replica).await;
        watcher.say(Say::Start(v1::WatchStart { resume })).await;
        watcher
    }

    async fn say(&mut self, message: Say) {
        self.say.send(v1::WatchRevocationsRequest { message: Some(message) }).await.unwrap();
    }

    async fn next(&mut self) -> Result<Option<Told>, Status> {
        let next =
            tokio::time::timeout(PATIENCE, self.told.message()).await.expect("the server says something");
        Ok(next?.map(|told| told.message.expect("one of the arms")))
    }

    async fn told(&mut self) -> Told {
        self.next().await.unwrap().expect("the stream goes on")
    }

    async fn begun(&mut self) -> v1::WatchBegin {
        match self.told().await {
            Told::Begin(begin) => begin,
            other => panic!("{other:?}"),
        }
    }

    /// Reads to the end of what was revoked before, and returns the numbers of the sessions, and the position.
    async fn caught_up(&mut self) -> (Vec<u32>, u64) {
        let mut numbers = Vec::new();
        loop {
            if let Told::Revoked(revoked) = self.told().await {
                numbers.extend(revoked.sessions.iter().map(number));
                if let Some(sequence) = revoked.sequence {
                    return (numbers, sequence);
                }
            }
        }
    }
}

fn number(revoked: &v1::RevokedSession) -> u32 {
    let number = u32::from_be_bytes(revoked.session_id[12..].try_into().unwrap());
    assert_eq!(revoked.session_id, session(number).as_bytes());
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_begins_with_the_keys_and_all_that_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    (0..2_500).for_each(|number| replica.revoke(session(number)));
    let mut watcher = Watcher::start(&replica, None).await;
    assert!(!watcher.begun().await.resumed);
    let Told::KeySet(keys) = watcher.told().await else { panic!("keys first") };
    let trusted = replica.keys.trusted().current();
    let key = trusted.get(&keys.keys[0].id).unwrap();
    assert_eq!((keys.keys.len(), keys.keys[0].spki.as_slice()), (1, key.spki_der()));
    let (mut numbers, position) = watcher.caught_up().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (0..2_500).collect::<Vec<_>>());
    assert_eq!(position, 2_500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_echoes_its_ping_after_all_that_was_known_when_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let mut watcher = Watcher::start(&replica, None).await;
    watcher.begun().await;
    watcher.caught_up().await;
    for round in 0..50 {
        (0..30).for_each(|number| replica.revoke(session(round * 30 + number)));
        let nonce = u64::from(round) + 7;
        watcher.say(Say::Ping(v1::WatchPing { nonce, ..Default::default() })).await;
        let mut known = Vec::new();
        let heartbeat = loop {
            match watcher.told().await {
                Told::Revoked(revoked) => known.extend(revoked.sessions.iter().map(number)),
                Told::Heartbeat(heartbeat) => break heartbeat,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(known, (round * 30..round * 30 + 30).collect::<Vec<_>>());
        assert_eq!((heartbeat.nonce, heartbeat.sequence), (nonce, u64::from(round + 1) * 30));
        let staleness = Duration::try_from(heartbeat.staleness.unwrap()).unwrap();
        assert!(staleness < PATIENCE, "{staleness:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_where_another_ended() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    (0..10).for_each(|number| replica.revoke(session(number)));
    let mut first = Watcher::start(&replica, None).await;
    let incarnation = first.begun().await.incarnation;
    let (_, sequence) = first.caught_up().await;
    drop(first);
    (10..13).for_each(|number| replica.revoke(session(number)));

    let position = v1::WatchPosition { incarnation, sequence };
    let mut second = Watcher::start(&replica, Some(position)).await;
    assert!(second.begun().await.resumed);
    assert_eq!(second.caught_up().await, (vec![10, 11, 12], 13), "nothing twice, and nothing left out");

    for position in [
        v1::WatchPosition { incarnation: incarnation ^ 1, sequence },
        v1::WatchPosition { incarnation, sequence: 14 },
    ] {
        let mut stranger = Watcher::start(&replica, Some(position)).await;
        assert!(!stranger.begun().await.resumed, "{position:?} is not a place of this feed");
        let (numbers, position) = stranger.caught_up().await;
        assert_eq!((numbers.len(), position), (13, 13), "it is told everything");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_too_slowly_is_told_to_begin_anew_and_nothing_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let mut slow = Watcher::start(&replica, None).await;
    slow.begun().await;
    slow.caught_up().await;
    (0..200_000).for_each(|number| replica.revoke(session(number)));

    let mut read = 0;
    loop {
        match slow.told().await {
            Told::Revoked(revoked) => {
                for revoked in &revoked.sessions {
                    assert_eq!(number(revoked), read, "in order, and none left out");
                    read += 1;
                }
            }
            Told::Resynchronise(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(read < 200_000, "it was left behind");
    assert!(slow.next().await.unwrap().is_none(), "nothing comes after that");

    let mut again = Watcher::start(&replica, None).await;
    again.begun().await;
    assert_eq!(again.caught_up().await.0.len(), 200_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_message_is_the_start_and_no_later_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let mut watcher = Watcher::open(&replica).await;
    watcher.say(Say::Ping(v1::WatchPing { nonce: 1, ..Default::default() })).await;
    assert_refused(&watcher.next().await.unwrap_err(), Code::InvalidArgument, "INVALID_REQUEST");

    let mut watcher = Watcher::start(&replica, None).await;
    watcher.begun().await;
    watcher.say(Say::Start(v1::WatchStart::default())).await;
    let refusal = loop {
        match watcher.next().await {
            Ok(told) => assert!(told.is_some(), "the stream ended without a word"),
            Err(status) => break status,
        }
    };
    assert_refused(&refusal, Code::InvalidArgument, "INVALID_REQUEST");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_has_loaded_nothing_lets_nobody_watch() {
    let folder = tempfile::tempdir().unwrap();
    let mut replica = Replica::start(folder.path()).await;
    replica.unload().await;
    let mut client = RevocationServiceClient::new(replica.endpoint().connect_lazy());
    let (_say, said) = mpsc::channel(1);
    let refused = client.watch_revocations(ReceiverStream::new(said)).await.unwrap_err();
    assert_refused(&refused, Code::Unavailable, "REVOCATIONS_STALE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_the_streams_and_waits_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let mut watcher = Watcher::start(&replica, None).await;
    watcher.begun().await;
    watcher.caught_up().await;
    let stopped = tokio::spawn(replica.stop());
    assert!(watcher.next().await.unwrap().is_none(), "it ends with OK, so that the client connects again");
    drop(watcher);
    tokio::time::timeout(PATIENCE, stopped).await.expect("the server stops").unwrap();
}
