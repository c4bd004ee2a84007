//! What the server tells, and how it reads in proto3's JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// The private keys of the corpus' tokens.
const KEYS: [&str; 2] = [
    include_str!("../../../../tests/it/keys/trusted-eddsa.pem"),
    include_str!("../../../../tests/it/keys/stranger-eddsa.pem"),
];

pub(super) fn pair(number: usize) -> aws_lc_rs::signature::Ed25519KeyPair {
    let body: String = KEYS[number].lines().filter(|line| !line.starts_with("-----")).collect();
    aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap()
}

/// The key `number` under this name.
pub(super) fn key(id: &str, number: usize) -> v1::WatchKey {
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::signature::KeyPair as _;

    let pair = pair(number);
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    v1::WatchKey { id: id.to_owned(), algorithm: "EdDSA".to_owned(), spki: spki.as_ref().to_vec() }
}

pub(super) fn keys(keys: &[v1::WatchKey]) -> Told {
    Told::KeySet(v1::WatchKeySet { keys: keys.to_vec() })
}

pub(super) fn begin(incarnation: u64, resumed: bool) -> Told {
    Told::Begin(v1::WatchBegin { incarnation, resumed })
}

fn timestamp(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 0 }
}

pub(super) fn session(id: [u8; 16], forget_at: i64) -> v1::RevokedSession {
    v1::RevokedSession { session_id: id.to_vec(), forget_at: Some(timestamp(forget_at)) }
}

pub(super) fn user(id: [u8; 16], epoch: u64, forget_at: i64) -> v1::RevokedUser {
    v1::RevokedUser { subject: id.to_vec(), epoch, forget_at: Some(timestamp(forget_at)) }
}

pub(super) fn revoked(
    sessions: &[v1::RevokedSession],
    users: &[v1::RevokedUser],
    sequence: impl Into<Option<u64>>,
) -> Told {
    let (sessions, users) = (sessions.to_vec(), users.to_vec());
    Told::Revoked(v1::WatchRevoked { sessions, users, sequence: sequence.into() })
}

/// A heartbeat of a server whose own knowledge is this many milliseconds old.
pub(super) fn beat(nonce: u64, sequence: u64, staleness_ms: i64) -> Told {
    let nanos = i32::try_from(staleness_ms % 1000).unwrap() * 1_000_000;
    let staleness = prost_types::Duration { seconds: staleness_ms / 1000, nanos };
    Told::Heartbeat(v1::WatchHeartbeat { nonce, sequence, staleness: Some(staleness), reached: None })
}

pub(super) fn beat_of_one_who_knows_nothing(nonce: u64, sequence: u64) -> Told {
    Told::Heartbeat(v1::WatchHeartbeat { nonce, sequence, staleness: None, reached: None })
}

/// The answer to a ping that asked for a position.
pub(super) fn reached(nonce: u64, sequence: u64, reached: impl Into<Option<bool>>) -> Told {
    let staleness = Some(prost_types::Duration::default());
    Told::Heartbeat(v1::WatchHeartbeat { nonce, sequence, staleness, reached: reached.into() })
}

/// As proto3's JSON mapping writes a `WatchRevocationsResponse`.
pub(super) fn written(message: Option<&Told>) -> Value {
    let text = |number: u64| json!(number.to_string());
    let forget_at = |at: &Option<prost_types::Timestamp>| match at {
        Some(at) => json!(at.to_string()),
        None => Value::Null,
    };
    match message {
        None => json!({}),
        Some(Told::Begin(begin)) => {
            json!({"begin": {"incarnation": text(begin.incarnation), "resumed": begin.resumed}})
        }
        Some(Told::KeySet(set)) => {
            let key = |key: &v1::WatchKey| json!({"id": key.id, "algorithm": key.algorithm, "spki": STANDARD.encode(&key.spki)});
            json!({"keySet": {"keys": set.keys.iter().map(key).collect::<Vec<_>>()}})
        }
        Some(Told::Revoked(revoked)) => {
            let session = |it: &v1::RevokedSession| json!({"sessionId": STANDARD.encode(&it.session_id), "forgetAt": forget_at(&it.forget_at)});
            let user = |it: &v1::RevokedUser| {
                let subject = STANDARD.encode(&it.subject);
                json!({"subject": subject, "epoch": text(it.epoch), "forgetAt": forget_at(&it.forget_at)})
            };
            json!({"revoked": {
                "sessions": revoked.sessions.iter().map(session).collect::<Vec<_>>(),
                "users": revoked.users.iter().map(user).collect::<Vec<_>>(),
                "sequence": revoked.sequence.map(text),
            }})
        }
        Some(Told::Heartbeat(beat)) => {
            let staleness = beat.staleness.map(|it| {
                let sign = if it.seconds < 0 || it.nanos < 0 { "-" } else { "" };
                format!("{sign}{}.{:09}s", it.seconds.abs(), it.nanos.abs())
            });
            json!({"heartbeat": {
                "nonce": text(beat.nonce), "sequence": text(beat.sequence), "staleness": staleness,
                "reached": beat.reached,
            }})
        }
        Some(Told::Resynchronise(_)) => json!({"resynchronise": {}}),
    }
}
