//! The SQL of SQLite.

use crate::store::sql::Statements;
use crate::store::sql::dialect::{
    event_columns, ledger_columns, service_account_columns, service_key_columns, session_columns,
    token_key_columns, user_columns,
};

/// Events with one value in a column, along its index: the planner would look for a rare value among all events.
macro_rules! events_along {
    ($column:literal, $index:literal) => {
        concat!(
            "SELECT ",
            event_columns!(),
            " FROM audit_events AS e INDEXED BY ",
            $index,
            " WHERE e.",
            $column,
            " = ?1 AND e.seq < ?2 AND e.seq >= ?3 ORDER BY e.seq DESC LIMIT ?4"
        )
    };
}

pub(super) const STATEMENTS: Statements = Statements {
    // The lock is held from the beginning, so that no transaction fails for what it has read.
    begin: "BEGIN IMMEDIATE",
    is_migrated: "SELECT count(*) AS version FROM sqlite_schema WHERE name = '_sqlx_migrations'",
    settings: None,

    create_user: "
        INSERT INTO users
            (id, username, password_hash, roles, claims, external_id, disabled, epoch, created_at, updated_at)
        SELECT t.id, ?2, ?3, ?4, ?5, ?6, 0,
               coalesce((SELECT max(l.epoch) FROM ledger AS l WHERE l.user_id = t.id), 0), t.now, t.now
        FROM (SELECT ?1 AS id, ?7 AS now) AS t WHERE TRUE
        ON CONFLICT DO NOTHING",
    import_users: "
        INSERT INTO users
            (id, username, password_hash, roles, claims, external_id, disabled, epoch, created_at, updated_at)
        SELECT unhex(r.value ->> 'id'), r.value ->> 'username', r.value ->> 'password_hash', r.value ->> 'roles',
               r.value ->> 'claims', r.value ->> 'external_id', r.value ->> 'disabled',
               coalesce((SELECT max(l.epoch) FROM ledger AS l WHERE l.user_id = unhex(r.value ->> 'id')), 0),
               coalesce(r.value ->> 'created_at', t.now), t.now
        FROM json_each(?1) AS r, (SELECT ?2 AS now) AS t",
    users_with_ids: concat!(
        "SELECT ",
        user_columns!(),
        " FROM users AS u WHERE u.id IN (SELECT unhex(value) FROM json_each(?1))"
    ),
    users_with_names: concat!(
        "SELECT ",
        user_columns!(),
        " FROM users AS u WHERE u.username IN (SELECT value FROM json_each(?1))"
    ),
    users_with_external_ids: concat!(
        "SELECT ",
        user_columns!(),
        " FROM users AS u WHERE u.external_id IN (SELECT value FROM json_each(?1))"
    ),
    credential: concat!(
        "SELECT u.password_hash, ",
        user_columns!(),
        " FROM users AS u WHERE u.username = ?1"
    ),
    user: concat!("SELECT ", user_columns!(), " FROM users AS u WHERE u.id = ?1"),
    user_external: concat!("SELECT ", user_columns!(), " FROM users AS u WHERE u.external_id = ?1"),
    users_after: concat!(
        "SELECT ",
        user_columns!(),
        " FROM users AS u WHERE u.username > ?1 ORDER BY u.username LIMIT ?2"
    ),
    credentials_after: concat!(
        "SELECT u.password_hash, ",
        user_columns!(),
        " FROM users AS u WHERE u.username > ?1 ORDER BY u.username LIMIT ?2"
    ),
    lock_epoch: None,
    set_password: "
        UPDATE users SET password_hash = ?1, epoch = epoch + 1, updated_at = max(?2, updated_at + 1)
        WHERE id = ?3 AND epoch = coalesce(?4, epoch)
        RETURNING epoch",
    disable: "
        UPDATE users SET disabled = 1, epoch = epoch + 1, updated_at = max(?1, updated_at + 1) WHERE id = ?2
        RETURNING epoch",
    revoke_all: "
        UPDATE users SET epoch = epoch + 1, updated_at = max(?1, updated_at + 1) WHERE id = ?2
        RETURNING epoch",
    delete_user: "DELETE FROM users WHERE id = ?1 RETURNING epoch + 1 AS epoch",
    rehash: "UPDATE users SET password_hash = ?1 WHERE id = ?2 AND password_hash = ?3",
    enable: "UPDATE users SET disabled = 0, updated_at = max(?1, updated_at + 1) WHERE id = ?2",
    set_attributes: "
        UPDATE users SET roles = coalesce(?1, roles), claims = coalesce(?2, claims),
                         external_id = CASE ?3 WHEN 0 THEN external_id ELSE ?4 END,
                         updated_at = max(?5, updated_at + 1)
        WHERE id = ?6 AND updated_at = coalesce(?7, updated_at)",

    create_service_account: "
        INSERT INTO service_accounts (id, name, description, roles, disabled, epoch, created_at, updated_at)
        SELECT t.id, ?2, ?3, ?4, 0, coalesce((SELECT max(l.epoch) FROM ledger AS l WHERE l.user_id = t.id), 0),
               t.now, t.now
        FROM (SELECT ?1 AS id, ?5 AS now) AS t WHERE TRUE
        ON CONFLICT DO NOTHING",
    service_account: concat!(
        "SELECT ",
        service_account_columns!(),
        " FROM service_accounts AS a WHERE a.id = ?1"
    ),
    service_account_named: concat!(
        "SELECT ",
        service_account_columns!(),
        " FROM service_accounts AS a WHERE a.name = ?1"
    ),
    service_accounts_after: concat!(
        "SELECT ",
        service_account_columns!(),
        " FROM service_accounts AS a WHERE a.name > ?1 ORDER BY a.name LIMIT ?2"
    ),
    change_service_account: "
        UPDATE service_accounts
        SET description = coalesce(?1, description), roles = coalesce(?2, roles), disabled = coalesce(?3, disabled),
            updated_at = max(?4, updated_at + 1)
        WHERE id = ?5 AND updated_at = coalesce(?6, updated_at)",
    lock_service_account: "SELECT a.epoch, a.updated_at, ?1 AS now FROM service_accounts AS a WHERE a.id = ?2",
    raise_service_account_epoch: "UPDATE service_accounts SET epoch = epoch + 1 WHERE id = ?1",
    delete_service_account: "DELETE FROM service_accounts WHERE id = ?1",
    create_service_key: "
        INSERT INTO service_keys (id, account_id, digest, session_id, label, created_by, created_at, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    service_keys: concat!(
        "SELECT ",
        service_key_columns!(),
        " FROM service_keys AS k WHERE k.account_id = ?1 ORDER BY k.created_at, k.id"
    ),
    service_key_session:
        "SELECT coalesce(session_id, id) AS session_id FROM service_keys WHERE id = ?1 AND account_id = ?2",
    renew_service_key_session: "
        UPDATE service_keys SET session_id = ?1 WHERE account_id = ?2 AND coalesce(session_id, id) = ?3",
    delete_service_key: "DELETE FROM service_keys WHERE id = ?1 AND account_id = ?2",
    delete_service_keys: "DELETE FROM service_keys WHERE account_id = ?1",
    service_key_to_check: concat!(
        "SELECT k.digest, coalesce(k.session_id, k.id) AS session_id, k.expires_at, ",
        service_account_columns!(),
        " FROM service_keys AS k JOIN service_accounts AS a ON a.id = k.account_id
          WHERE k.id = ?1 AND k.expires_at > ?2"
    ),

    give_birth: "
        INSERT INTO ledger_head (only_row, seq, mark, birth_mark) VALUES (1, 0, ?1, ?2)
        ON CONFLICT DO NOTHING",
    advance_head: "UPDATE ledger_head SET seq = seq + ?1, mark = ?2 WHERE only_row = 1",
    head: "SELECT seq, mark, ?1 AS now FROM ledger_head WHERE only_row = 1",
    append: "
        INSERT INTO ledger
            (seq, mark, scope, user_id, session_id, epoch, reason, actor, written_at, matters_until)
        SELECT r.value ->> 'seq', r.value ->> 'mark', r.value ->> 'scope', unhex(r.value ->> 'user_id'),
               unhex(r.value ->> 'session_id'), r.value ->> 'epoch', r.value ->> 'reason',
               r.value ->> 'actor', r.value ->> 'written_at', r.value ->> 'matters_until'
        FROM json_each(?1) AS r",
    standing: concat!(
        "SELECT EXISTS (SELECT 1 FROM ledger WHERE session_id = ?1) AS session_revoked, ",
        user_columns!(),
        " FROM (SELECT 1) LEFT JOIN users AS u ON u.id = ?2"
    ),
    // Each part reads one row by its index; epochs of a user rise with the rows' numbers.
    ending: concat!(
        "SELECT * FROM (SELECT l.actor, ",
        ledger_columns!(),
        " FROM ledger AS l WHERE l.session_id = ?1 AND l.user_id = ?2 ORDER BY l.seq LIMIT 1) AS of_session
          UNION ALL
          SELECT * FROM (SELECT l.actor, ",
        ledger_columns!(),
        " FROM ledger AS l WHERE l.user_id = ?3 AND l.epoch > ?4 AND l.written_at >= ?5
                         ORDER BY l.epoch LIMIT 1) AS of_user
          ORDER BY seq LIMIT 1"
    ),
    // The `+` keeps SQLite from reading the whole ledger in order, of which the rows that are wanted are the
    // small last part.
    snapshot: concat!(
        "SELECT h.seq AS head_seq, h.mark AS head_mark, ",
        ledger_columns!(),
        " FROM ledger_head AS h LEFT JOIN ledger AS l ON l.written_at >= ?1
          WHERE h.only_row = 1 ORDER BY l.written_at, l.seq LIMIT ?2"
    ),
    poll: concat!(
        "SELECT CASE ?1 WHEN 0 THEN h.birth_mark WHEN h.seq THEN h.mark
                ELSE (SELECT mark FROM ledger WHERE seq = ?2) END AS cursor_mark, ",
        ledger_columns!(),
        " FROM ledger_head AS h LEFT JOIN ledger AS l ON l.seq > ?3
          WHERE h.only_row = 1 ORDER BY l.seq LIMIT ?4"
    ),
    purge_ledger:
        "
        DELETE FROM ledger WHERE seq IN (
            SELECT seq FROM ledger WHERE matters_until < ?1 AND seq < (SELECT seq FROM ledger_head) LIMIT ?2)",

    advance_audit_head: Some(
        "UPDATE audit_head SET seq = seq + ?1, mark = ?2, written_at = max(written_at, ?3) WHERE only_row = 1",
    ),
    append_events: "
        INSERT INTO audit_events (seq, mark, written_at, kind, actor, user_id, session_id, facts)
        SELECT h.seq - ?1 + (r.value ->> 'n'), r.value ->> 'mark', h.written_at, r.value ->> 'kind',
               r.value ->> 'actor', unhex(r.value ->> 'user_id'), unhex(r.value ->> 'session_id'),
               r.value ->> 'facts'
        FROM audit_head AS h, json_each(?2) AS r",
    audit_head: "SELECT seq, mark FROM audit_head WHERE only_row = 1",
    lock_audit_head: "UPDATE audit_head SET seq = seq WHERE only_row = 1",
    event_marked: "SELECT seq FROM audit_events WHERE seq > ?1 AND mark = ?2 LIMIT 1",
    event_since: "SELECT seq FROM audit_events WHERE written_at >= ?1 ORDER BY written_at, seq LIMIT 1",
    events_before: concat!(
        "SELECT ",
        event_columns!(),
        " FROM audit_events AS e WHERE e.seq < ?1 AND e.seq >= ?2 ORDER BY e.seq DESC LIMIT ?3"
    ),
    events_of_kind: events_along!("kind", "audit_events_of_kind"),
    events_by_actor: events_along!("actor", "audit_events_by_actor"),
    events_about_user: events_along!("user_id", "audit_events_about_user"),
    events_of_session: events_along!("session_id", "audit_events_of_session"),
    events_after: concat!(
        "SELECT h.seq AS head_seq, h.mark AS head_mark,
                CASE ?1 WHEN h.seq THEN h.mark ELSE (SELECT a.mark FROM audit_events AS a WHERE a.seq = ?2) END
                    AS cursor_mark, ",
        event_columns!(),
        " FROM audit_head AS h
          LEFT JOIN (SELECT * FROM audit_events WHERE seq > ?3 ORDER BY seq LIMIT ?4) AS e ON TRUE
          WHERE h.only_row = 1 ORDER BY e.seq"
    ),
    purge_events: "
        DELETE FROM audit_events WHERE seq IN (
            SELECT seq FROM audit_events WHERE seq < (
                SELECT seq FROM audit_events WHERE written_at < ?1 ORDER BY written_at DESC, seq DESC LIMIT 1)
            ORDER BY seq LIMIT ?2)",

    key_head: concat!(
        "SELECT revision, holder, lease_until, ",
        "?1",
        " AS now FROM key_head WHERE only_row = 1"
    ),
    token_keys: concat!("SELECT ", token_key_columns!(), " FROM token_keys ORDER BY created_at, id"),
    key_replicas: "SELECT id, name, revision FROM key_replicas WHERE live_until > ?1 ORDER BY name, id",
    raise_key_revision: "UPDATE key_head SET revision = revision + 1 WHERE only_row = 1 AND revision = ?1",
    put_key_replica: "
        INSERT INTO key_replicas (id, name, revision, live_until) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, revision = excluded.revision,
                                       live_until = excluded.live_until",
    take_key_lease: "
        UPDATE key_head SET holder = ?1, lease_until = ?2
        WHERE only_row = 1 AND (holder = ?3 OR lease_until <= ?4)",
    give_up_key_lease: "UPDATE key_head SET lease_until = 0 WHERE only_row = 1 AND holder = ?1",
    delete_key_replica: "DELETE FROM key_replicas WHERE id = ?1",
    forget_key_replicas: "DELETE FROM key_replicas WHERE live_until < ?1",
    raise_key_life: "UPDATE token_keys SET life = ?1 WHERE kind = ?2 AND life < ?3 AND ended_at IS NULL",
    add_token_key: "
        INSERT INTO token_keys
            (id, kind, algorithm, verify_only, sealed_under, sealed, life, revision, created_at, activate_at,
             settled_at, request)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    activate_token_key: "
        UPDATE token_keys SET settled_at = NULL, activate_at = ?1, revision = ?2
        WHERE id = ?3 AND activate_at IS NULL AND ended_at IS NULL",
    settle_token_key: "UPDATE token_keys SET settled_at = ?1 WHERE id = ?2 AND settled_at IS NULL AND ended_at IS NULL",
    end_token_key: "
        UPDATE token_keys SET ended_at = ?1, ended = ?2, sealed_under = ?3, sealed = ?4
        WHERE id = ?5 AND ended_at IS NULL",
    forget_token_key: "DELETE FROM token_keys WHERE id = ?1 AND ended_at IS NOT NULL",
    reseal_token_key: "UPDATE token_keys SET sealed_under = ?1, sealed = ?2 WHERE id = ?3 AND ended_at IS NULL",

    lock_sessions: None,
    session: concat!(
        "SELECT t.now, ",
        session_columns!(),
        " FROM (SELECT ?1 AS now) AS t LEFT JOIN sessions AS s ON s.user_id = ?2 AND s.id = ?3"
    ),
    sessions: concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions AS s WHERE s.user_id = ?1 AND s.idle_expires_at > ?2
          ORDER BY s.rotated_at DESC, s.created_at DESC, s.id"
    ),
    sessions_beyond: concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions AS s WHERE s.user_id = ?1 AND s.idle_expires_at > ?2 AND s.epoch >= ?3
          ORDER BY s.rotated_at DESC, s.created_at DESC, s.id LIMIT -1 OFFSET ?4"
    ),
    sessions_beyond_in_class: concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions AS s
          WHERE s.user_id = ?1 AND s.idle_expires_at > ?2 AND s.epoch >= ?3 AND s.client_class = ?4
          ORDER BY s.rotated_at DESC, s.created_at DESC, s.id LIMIT -1 OFFSET ?5"
    ),
    insert_session: "
        INSERT INTO sessions
            (user_id, id, epoch, generation, predecessor, rotated_at, audiences, mac_key, created_at,
             idle_expires_at, expires_at, client, client_class)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    advance_session: "
        UPDATE sessions
        SET generation = ?1, predecessor = ?2, rotated_at = ?3, mac_key = ?4, idle_expires_at = ?5
        WHERE user_id = ?6 AND id = ?7 AND generation = ?8 AND rotated_at = ?9 AND epoch = ?10",
    delete_sessions: "
        DELETE FROM sessions WHERE user_id = ?1 AND id IN (SELECT unhex(value) FROM json_each(?2))",
    purge_sessions: "
        DELETE FROM sessions WHERE (user_id, id) IN (
            SELECT user_id, id FROM sessions WHERE idle_expires_at <= ?1 LIMIT ?2)",
};
