//! What every store must do, written against the traits alone. A store takes part by a [`Backend`] and one line,
//! `every_case!(TheBackend);`, or a line for each topic that it has: `topic!(TheBackend, sessions);`.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use countersign::model::{
    Actor, ClientFacts, CustomClaims, Epoch, MacKeyId, ManualClock, NewSession, NewUser, PasswordHash,
    Position, Presented, Revocation, RevocationReason, Role, RotationPolicy, Session, SessionId,
    SessionLimit, UnixMillis, User, UserId, Username, new_user_id,
};
use countersign::secret;
use countersign::store::{
    AuditStore, Cause, Created, KeyStore, Ledger, LedgerPoll, Presentation, Rotation, ServiceAccountStore,
    SessionPolicy, SessionStore, Until, UserStore,
};

pub(crate) mod audit;
pub(crate) mod cancellation;
pub(crate) mod concurrency;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod rotation;
pub(crate) mod service_accounts;
pub(crate) mod sessions;
pub(crate) mod users;

/// The stores that a case is run on.
pub(crate) struct Stores {
    pub(crate) users: Arc<dyn UserStore>,
    pub(crate) accounts: Arc<dyn ServiceAccountStore>,
    pub(crate) keys: Arc<dyn KeyStore>,
    pub(crate) audit: Arc<dyn AuditStore>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    /// What goes away with them: a directory, a server.
    pub(crate) keep: Box<dyn Any + Send + Sync>,
}

/// A kind of store.
pub(crate) trait Backend {
    /// Empty stores that take the time from `clock`; none when what they need is not installed.
    async fn fresh(clock: Arc<ManualClock>) -> Option<Stores>;
}

/// Makes a test of each case of one topic, or of the cases named.
macro_rules! topic {
    ($backend:ty, users) => {
        $crate::conformance::topic!($backend, users: a_new_user_is_enabled_and_in_epoch_zero,
            a_username_is_taken_once, an_external_id_is_one_users, whoever_is_not_there_is_none,
            users_are_listed_by_username_page_by_page, every_end_of_all_sessions_raises_the_epoch,
            a_changed_password_is_the_one_that_counts, a_rehash_replaces_only_the_hash_that_it_was_made_for,
            a_disabled_user_can_be_let_in_again, a_deleted_user_leaves_the_name_and_the_epoch_behind,
            attributes_are_set_apart_and_end_nothing, an_external_id_is_set_moved_and_taken_away,
            of_two_changes_to_what_both_have_read_one_is_made,
            a_password_is_set_in_the_epoch_in_which_the_old_one_was_shown,
            many_users_are_created_at_once_and_each_is_answered,
            of_many_users_those_who_are_in_the_way_of_others_are_told,
            whoever_has_the_id_of_a_deleted_user_begins_where_that_one_ended,
            users_are_listed_with_their_hashes);
    };
    ($backend:ty, service_accounts) => {
        $crate::conformance::topic!($backend, service_accounts:
            a_new_service_account_is_enabled_and_has_no_keys, the_name_of_a_service_account_is_taken_once,
            a_service_account_that_is_not_there_is_none, service_accounts_are_listed_by_name_page_by_page,
            a_service_account_is_changed_if_nothing_else_has_changed_it,
            when_the_tokens_of_a_service_key_end_the_next_ones_have_another_session,
            a_service_key_is_found_with_its_account_until_it_expires,
            a_service_account_has_so_many_keys_and_no_more,
            a_service_key_takes_the_place_of_one_with_its_id,
            no_service_key_is_stored_for_an_account_that_has_changed,
            a_service_key_is_revoked_by_its_account_alone,
            a_deleted_service_account_takes_its_keys_with_it,
            a_limit_of_service_keys_holds_when_many_are_made_at_once,
            no_service_key_outlives_an_account_that_is_deleted_meanwhile,
            of_two_changes_of_a_service_account_to_what_both_have_read_one_is_made);
    };
    ($backend:ty, keys) => {
        $crate::conformance::topic!($backend, keys: there_are_no_keys_at_first,
            a_key_is_stored_as_it_is_and_goes_through_its_life, a_change_is_made_to_the_table_that_was_read_or_not_at_all,
            of_many_changes_to_one_table_one_is_made, every_change_that_replicas_must_hear_of_is_in_the_ledger,
            a_change_of_a_key_that_is_not_there_changes_nothing, an_id_is_one_keys,
            a_replica_is_alive_for_as_long_as_it_says, the_lease_is_one_replicas_until_it_is_over_or_given_up,
            a_life_is_raised_and_never_lowered, a_key_is_encrypted_anew);
    };
    ($backend:ty, audit) => {
        $crate::conformance::topic!($backend, audit: each_change_of_a_user_is_one_event,
            what_is_not_changed_is_no_event, each_end_of_a_session_is_one_event,
            each_change_of_a_key_or_a_service_account_is_one_event,
            a_batch_is_written_once_however_often_it_is_sent, events_are_found_by_what_they_say_page_by_page,
            a_page_reads_a_bounded_number_of_events, old_events_are_purged_oldest_first_and_their_readers_are_told,
            no_event_is_written_before_an_earlier_one, no_event_is_committed_behind_a_reader,
            a_user_whom_many_create_at_once_is_one_event);
    };
    ($backend:ty, ledger) => {
        $crate::conformance::topic!($backend, ledger: an_empty_ledger_has_a_cursor,
            a_batch_is_numbered_in_the_order_asked_for, a_session_may_be_revoked_twice,
            a_poll_goes_on_page_by_page, a_snapshot_begins_at_its_time_and_is_continued_by_a_poll,
            a_long_ledger_is_loaded_in_pieces,
            a_cursor_of_another_incarnation_is_found_out, standing_is_the_user_now_and_this_session_alone,
            rows_are_purged_after_they_matter_but_never_the_last,
            a_reader_behind_a_purge_is_told_or_misses_nothing_that_is_left,
            a_session_ended_with_the_first_row_about_it,
            a_session_ended_with_the_first_row_about_its_user_that_came_after_its_epoch,
            of_a_row_about_a_session_and_one_about_its_user_the_earlier_ended_it,
            an_ending_is_forgotten_with_its_row);
    };
    ($backend:ty, sessions) => {
        $crate::conformance::topic!($backend, sessions: a_new_session_stands_at_the_first_generation,
            the_same_login_again_finds_its_session, a_session_is_found_by_its_user_alone,
            sessions_are_listed_by_last_refresh, a_session_dies_of_idleness_unless_it_is_refreshed,
            the_idle_life_counts_from_the_last_refresh_of_any_kind,
            a_refresh_by_a_clock_that_is_far_behind_costs_nobody_the_session,
            no_refresh_outlives_the_absolute_end, a_class_has_a_limit_of_its_own,
            a_class_makes_room_for_its_own_before_others_do, a_full_house_denies_one_more,
            a_full_house_ends_the_session_refreshed_longest_ago,
            a_login_that_nobody_heard_of_ends_no_session, the_dead_and_the_revoked_take_no_room,
            deleting_forgets_those_named_and_no_others, purging_forgets_the_dead_alone);
    };
    ($backend:ty, rotation) => {
        $crate::conformance::topic!($backend, rotation: every_row_of_the_table_holds_at_its_boundaries,
            without_grace_there_is_none, strictness_takes_a_late_predecessor_for_theft,
            a_line_that_moves_takes_the_new_key_and_lives_on, an_answer_without_a_move_changes_nothing,
            an_old_generation_is_reuse_at_any_time, a_withdrawn_token_is_reuse,
            tokens_of_lost_writes_are_adopted, the_largest_generation_is_held,
            a_clock_that_went_back_makes_no_time_negative, what_is_wrong_with_the_session_is_told_in_order,
            epochs_are_compared_exactly);
    };
    ($backend:ty, concurrency) => {
        $crate::conformance::topic!($backend, concurrency: one_of_many_gets_the_username,
            one_of_many_gets_the_external_id, imports_at_once_create_each_user_once,
            no_raise_of_an_epoch_is_lost, the_order_of_numbers_is_the_order_of_commits,
            one_of_many_presentations_rotates, a_limit_holds_when_many_log_in_at_once,
            the_limit_of_a_class_holds_when_many_log_in_at_once);
    };
    ($backend:ty, cancellation) => {
        $crate::conformance::topic!($backend, cancellation: a_cut_off_login_is_there_or_not,
            a_cut_off_rotation_moved_the_line_once_or_not_at_all,
            a_cut_off_revocation_is_whole_or_not_at_all, cut_off_reads_leave_the_store_working);
    };
    ($backend:ty, $topic:ident: $($case:ident),+) => {
        mod $topic {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    if let Some(world) = $crate::conformance::World::new::<$backend>().await {
                        $crate::conformance::$topic::$case(world).await;
                    }
                }
            )+
        }
    };
}

/// Makes a test of every case.
macro_rules! every_case {
    ($backend:ty) => {
        $crate::conformance::topic!($backend, users);
        $crate::conformance::topic!($backend, service_accounts);
        $crate::conformance::topic!($backend, keys);
        $crate::conformance::topic!($backend, audit);
        $crate::conformance::topic!($backend, ledger);
        $crate::conformance::topic!($backend, sessions);
        $crate::conformance::topic!($backend, rotation);
        $crate::conformance::topic!($backend, concurrency);
        $crate::conformance::topic!($backend, cancellation);
    };
}

/// Makes a test of every case that concerns sessions.
macro_rules! every_session_case {
    ($backend:ty) => {
        $crate::conformance::topic!($backend, sessions);
        $crate::conformance::topic!($backend, rotation);
        $crate::conformance::topic!($backend, concurrency: one_of_many_presentations_rotates,
            a_limit_holds_when_many_log_in_at_once,
            the_limit_of_a_class_holds_when_many_log_in_at_once);
        $crate::conformance::topic!($backend, cancellation: a_cut_off_login_is_there_or_not,
            a_cut_off_rotation_moved_the_line_once_or_not_at_all, cut_off_reads_leave_the_store_working);
    };
}

pub(crate) use {every_case, every_session_case, topic};

/// When every case begins.
pub(crate) const START: UnixMillis = UnixMillis::from_secs(1_700_000_000);
/// W.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// D.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);
/// W + 2 D: so long after a rotation the line stands still.
pub(crate) const SETTLED: Duration = Duration::from_secs(14);
pub(crate) const IDLE: Duration = Duration::from_hours(24);
pub(crate) const ABSOLUTE: Duration = Duration::from_hours(72);
pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// A millisecond less.
pub(crate) const fn just_before(time: Duration) -> Duration {
    time.saturating_sub(MS)
}

pub(crate) const POLICY: SessionPolicy = SessionPolicy {
    idle: IDLE,
    absolute: ABSOLUTE,
    limit: SessionLimit::Unlimited,
    class_limit: SessionLimit::Unlimited,
    rotation: RotationPolicy { grace: GRACE, deadline: DEADLINE, strict: false },
};

pub(crate) const OPERATOR: Cause = Cause {
    actor: Actor::Operator,
    reason: RevocationReason::Operator,
    until: Until::At(UnixMillis::from_secs(1_800_000_000)),
};

pub(crate) const MAC_KEY: MacKeyId = MacKeyId::from_bytes([0, 0x80, 0xFF, 1]);

/// The stores of one case, and its clock.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) users: Arc<dyn UserStore>,
    pub(crate) accounts: Arc<dyn ServiceAccountStore>,
    pub(crate) keys: Arc<dyn KeyStore>,
    pub(crate) audit: Arc<dyn AuditStore>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    _keep: Box<dyn Any + Send + Sync>,
}

impl World {
    pub(crate) async fn new<B: Backend>() -> Option<Self> {
        let clock = Arc::new(ManualClock::new(START));
        let stores = B::fresh(Arc::clone(&clock)).await?;
        let Stores { users, accounts, keys, audit, ledger, sessions, keep } = stores;
        Some(Self { clock, users, accounts, keys, audit, ledger, sessions, _keep: keep })
    }

    pub(crate) async fn add_user(&self, username: &str) -> User {
        self.users.create(new_user(username)).await.unwrap()
    }

    /// A login of a user in an epoch.
    pub(crate) async fn login(&self, user: UserId, epoch: Epoch) -> Session {
        began(self.sessions.create(new_session(user, epoch), &POLICY).await.unwrap()).0
    }

    /// A token presented by the rules of [`POLICY`].
    pub(crate) async fn present(&self, session: &Session, presented: Presented) -> Rotation {
        self.sessions.rotate(presentation(session, presented), &POLICY).await.unwrap()
    }

    /// The session after its current token was presented, which must rotate it.
    pub(crate) async fn refresh(&self, session: &Session) -> Session {
        match self.present(session, session.current()).await {
            Rotation::Honoured(countersign::store::Honoured::Rotated, session) => *session,
            other => panic!("not rotated: {other:?}"),
        }
    }

    /// The end of the ledger.
    pub(crate) async fn head(&self) -> Position {
        self.ledger.head().await.unwrap()
    }

    /// Every row after a cursor.
    pub(crate) async fn rows_after(&self, cursor: Position) -> Vec<Revocation> {
        match self.ledger.poll(cursor, 10_000).await.unwrap() {
            LedgerPoll::Rows(rows, _) => rows,
            LedgerPoll::AnotherIncarnation => panic!("the ledger is the same"),
        }
    }
}

pub(crate) fn username(text: &str) -> Username {
    Username::from_normalized(text.to_owned())
}

pub(crate) fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_phc(text.to_owned())
}

pub(crate) fn new_user(name: &str) -> NewUser {
    NewUser {
        id: new_user_id(),
        username: username(name),
        password_hash: hash("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"),
        roles: Role::parse_all(["reader", "admin"]).unwrap(),
        claims: CustomClaims::parse(r#"{"tenant":"acmé","seats":[1,2.5,null]}"#).unwrap(),
        external_id: None,
    }
}

pub(crate) fn session_id() -> SessionId {
    SessionId::from_bytes(secret::random())
}

pub(crate) fn new_session(user: UserId, epoch: Epoch) -> NewSession {
    NewSession {
        id: session_id(),
        user,
        epoch,
        audiences: vec!["billing".to_owned(), "käse \"x\"".to_owned()],
        mac_key: MAC_KEY,
        client: ClientFacts {
            address: "2001:db8::1".to_owned(),
            user_agent: "Mozilla/5.0 (\"quoted\"; \\)".to_owned(),
            name: "Ada’s ☎".to_owned(),
            class: "mobile".to_owned(),
        },
    }
}

/// What a Refresh asks with a token of this session.
pub(crate) fn presentation(session: &Session, presented: Presented) -> Presentation {
    Presentation {
        session: session.id,
        user: session.user,
        presented,
        expires_at: session.expires_at,
        user_epoch: session.epoch,
        mac_key: session.mac_key,
        // As long as a busy machine needs.
        within: Duration::from_secs(20),
    }
}

/// The session that a login began, and those that made room for it.
pub(crate) fn began(created: Created) -> (Session, Vec<Session>) {
    match created {
        Created::Session(session, evicted) => (*session, evicted),
        Created::LimitReached => panic!("the limit is not reached"),
    }
}
