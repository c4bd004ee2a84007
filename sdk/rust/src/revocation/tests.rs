use super::*;

const USER: UserId = UserId::from_bytes([1; 16]);
const OTHER_USER: UserId = UserId::from_bytes([65; 16]);
const SESSION: SessionId = SessionId::from_bytes([2; 16]);
const OTHER_SESSION: SessionId = SessionId::from_bytes([66; 16]);

#[test]
fn a_revoked_session_takes_no_other_with_it() {
    let index = RevocationIndex::new();
    index.revoke_session(SESSION, UnixMillis(10));
    assert!(index.is_revoked(USER, SESSION, Epoch(9)), "whatever its epoch");
    assert!(!index.is_revoked(USER, OTHER_SESSION, Epoch(0)));
}

#[test]
fn a_raised_epoch_refuses_smaller_ones_of_that_user_and_never_falls() {
    let index = RevocationIndex::new();
    index.raise_epoch(USER, Epoch(3), UnixMillis(10));
    index.raise_epoch(USER, Epoch(2), UnixMillis(20));
    assert!(index.is_revoked(USER, SESSION, Epoch(2)));
    assert!(!index.is_revoked(USER, SESSION, Epoch(3)));
    assert!(!index.is_revoked(OTHER_USER, SESSION, Epoch(0)));
    index.purge(UnixMillis(15));
    assert!(index.is_revoked(USER, SESSION, Epoch(2)), "the later time to forget counts");
}

#[test]
fn what_need_not_be_remembered_is_forgotten() {
    let index = RevocationIndex::new();
    index.revoke_session(SESSION, UnixMillis(10));
    index.revoke_session(SESSION, UnixMillis(5));
    index.raise_epoch(USER, Epoch(1), UnixMillis(20));
    index.purge(UnixMillis(9));
    assert_eq!(index.len(), 2);
    index.purge(UnixMillis(10));
    assert_eq!(index.len(), 1);
    index.purge(UnixMillis(20));
    assert!(index.is_empty());
}

#[test]
fn a_reload_replaces_all_and_loses_nothing_that_comes_meanwhile() {
    let index = RevocationIndex::new();
    index.raise_epoch(USER, Epoch(5), UnixMillis(10));
    let reload = index.reload();
    reload.raise_epoch(USER, Epoch(4), UnixMillis(10));
    index.revoke_session(SESSION, UnixMillis(10));
    assert!(index.is_revoked(USER, OTHER_SESSION, Epoch(4)), "the old one answers until the commit");
    reload.commit();
    assert!(!index.is_revoked(USER, OTHER_SESSION, Epoch(4)), "a restored ledger may know less");
    assert!(index.is_revoked(USER, OTHER_SESSION, Epoch(3)));
    assert!(index.is_revoked(OTHER_USER, SESSION, Epoch(9)));
}

#[test]
fn a_reload_that_is_dropped_changes_nothing() {
    let index = RevocationIndex::new();
    index.revoke_session(SESSION, UnixMillis(10));
    drop(index.reload());
    assert!(index.is_revoked(USER, SESSION, Epoch(0)));
    index.reload().commit();
    assert!(index.is_empty());
}

#[test]
fn only_what_was_not_known_is_news() {
    let index = RevocationIndex::new();
    let session = |forget_at| Revoked::Session { session: SESSION, forget_at: UnixMillis(forget_at) };
    let user = |epoch, forget_at| Revoked::User {
        user: USER,
        epoch: Epoch(epoch),
        forget_at: UnixMillis(forget_at),
    };
    for (revoked, news) in [
        (session(10), true),
        (session(10), false),
        (session(9), false),
        (session(11), true),
        (user(1, 10), true),
        (user(1, 10), false),
        (user(0, 5), false),
        (user(2, 5), true),
        (user(1, 11), true),
    ] {
        assert_eq!(index.apply(&revoked), news, "{revoked:?}");
    }
    let mut entries = index.entries();
    entries.sort_by_key(|entry| matches!(entry, Revoked::User { .. }));
    assert_eq!(entries, [session(11), user(2, 11)]);
}
