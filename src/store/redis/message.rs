//! Ledger rows on the wire between replicas.

use crate::model::{Epoch, Revocation, RevocationReason, RevocationScope, SessionId, UnixMillis, UserId};

/// The first byte of every message of this format.
const FORMAT: u8 = 1;
const SESSION: u8 = 0;
const USER: u8 = 1;
const USER_CHANGED: u8 = 2;
/// Whose attributes have changed where keys have: a release that knows nothing of that passes it over.
const NO_USER: UserId = UserId::from_bytes([0; 16]);

/// One message that tells of these rows.
pub(super) fn encode(rows: &[Revocation]) -> Vec<u8> {
    let mut message = vec![FORMAT];
    for row in rows {
        message.extend_from_slice(&row.seq.to_be_bytes());
        message.extend_from_slice(&row.mark.to_be_bytes());
        message.extend_from_slice(&row.at.0.to_be_bytes());
        message.extend_from_slice(&row.until.0.to_be_bytes());
        let (kind, user, rest) = match row.scope {
            RevocationScope::Session { session, user } => (SESSION, user, session.as_bytes().to_vec()),
            RevocationScope::User { user, epoch } => (USER, user, epoch.0.to_be_bytes().to_vec()),
            RevocationScope::UserChanged { user } => (USER_CHANGED, user, Vec::new()),
            RevocationScope::KeysChanged => (USER_CHANGED, NO_USER, Vec::new()),
        };
        message.push(kind);
        message.extend_from_slice(user.as_bytes());
        message.extend_from_slice(&rest);
        // Every name is short.
        let reason = row.reason.as_str().as_bytes();
        message.push(u8::try_from(reason.len()).unwrap_or(u8::MAX));
        message.extend_from_slice(reason);
    }
    message
}

/// The rows that a message tells of; nothing when it cannot be read as a whole.
pub(super) fn decode(message: &[u8]) -> Option<Vec<Revocation>> {
    let (&FORMAT, mut rest) = message.split_first()? else { return None };
    let mut rows = Vec::new();
    while !rest.is_empty() {
        let reader = &mut rest;
        let (seq, mark) = (u64::from_be_bytes(take(reader)?), u64::from_be_bytes(take(reader)?));
        let (at, until) = (i64::from_be_bytes(take(reader)?), i64::from_be_bytes(take(reader)?));
        let ([kind], user) = (take(reader)?, UserId::from_bytes(take(reader)?));
        let scope = match kind {
            SESSION => RevocationScope::Session { session: SessionId::from_bytes(take(reader)?), user },
            USER => RevocationScope::User { user, epoch: Epoch(u64::from_be_bytes(take(reader)?)) },
            USER_CHANGED if user == NO_USER => RevocationScope::KeysChanged,
            USER_CHANGED => RevocationScope::UserChanged { user },
            _ => return None,
        };
        let [length] = take(reader)?;
        let (reason, after) = reader.split_at_checked(usize::from(length))?;
        rest = after;
        let reason = RevocationReason::from_name(std::str::from_utf8(reason).ok()?)?;
        rows.push(Revocation { seq, mark, scope, reason, at: UnixMillis(at), until: UnixMillis(until) });
    }
    Some(rows)
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row() -> impl Strategy<Value = Revocation> {
        let user = any::<[u8; 16]>().prop_map(UserId::from_bytes);
        let scope = prop_oneof![
            (any::<[u8; 16]>(), user.clone()).prop_map(|(session, user)| RevocationScope::Session {
                session: SessionId::from_bytes(session),
                user
            }),
            (user.clone(), any::<u64>())
                .prop_map(|(user, epoch)| RevocationScope::User { user, epoch: Epoch(epoch) }),
            user.prop_map(|user| RevocationScope::UserChanged { user }),
            Just(RevocationScope::KeysChanged),
        ];
        let reason = proptest::sample::select(RevocationReason::ALL.to_vec());
        (any::<(u64, u64, i64, i64)>(), scope, reason).prop_map(|((seq, mark, at, until), scope, reason)| {
            Revocation { seq, mark, scope, reason, at: UnixMillis(at), until: UnixMillis(until) }
        })
    }

    proptest! {
        #[test]
        fn what_is_told_is_heard(rows in proptest::collection::vec(row(), 0..5)) {
            let message = encode(&rows);
            prop_assert_eq!(decode(&message), Some(rows));
        }

        #[test]
        fn what_is_cut_short_is_not_half_heard(row in row(), cut in any::<proptest::sample::Index>()) {
            let message = encode(&[row]);
            let cut = cut.index(message.len());
            prop_assert!(cut == 1 || decode(&message[..cut]).is_none());
        }

        #[test]
        fn nonsense_is_no_panic(bytes: Vec<u8>) {
            decode(&bytes);
        }
    }
}
