//! The SQL of PostgreSQL, from version 13 on.

use crate::store::sql::Statements;
use crate::store::sql::dialect::{
    event_columns, ledger_columns, service_account_columns, service_key_columns, session_columns,
    token_key_columns, user_columns,
};

/// The parameter *time?*, or what the database's clock says at this moment.
macro_rules! time {
    ($parameter:literal) => {
        concat!("coalesce(", $parameter, ", floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)")
    };
}

/// Events with one value in a column, along its index: compared as rows, so that no other index has the order. The planner would
/// look for a rare value among all events. The index of a column that may be null is partial, and needs to hear that it is not.
macro_rules! events_along {
    ($column:literal $(, $present:literal)?) => {
        concat!(
            "SELECT ",
            event_columns!(),
            " FROM audit_events AS e WHERE (e.",
            $column,
            ", e.seq) < ($1, $2) AND (e.",
            $column,
            ", e.seq) >= ($1, $3)",
            $($present,)?
            " ORDER BY e.",
            $column,
            " DESC, e.seq DESC LIMIT $4"
        )
    };
}

pub(super) const STATEMENTS: Statements = Statements {
    begin: "BEGIN",
    is_migrated: "SELECT count(to_regclass('_sqlx_migrations')) AS version",
    settings: Some(
        "SELECT name, setting FROM pg_settings
         WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'server_version_num')",
    ),

    create_user: concat!(
        "INSERT INTO users
             (id, username, password_hash, roles, claims, external_id, disabled, epoch, created_at, updated_at)
         SELECT t.id, t.username, t.password_hash, t.roles, t.claims, t.external_id, FALSE,
                coalesce((SELECT max(l.epoch) FROM ledger AS l WHERE l.user_id = t.id), 0), t.now, t.now
         FROM (SELECT $1::bytea AS id, $2::text AS username, $3::text AS password_hash, $4::text AS roles,
                      $5::text AS claims, $6::text AS external_id, ",
        time!("$7"),
        " AS now) AS t
         ON CONFLICT DO NOTHING"
    ),
    import_users: concat!(
        "INSERT INTO users
             (id, username, password_hash, roles, claims, external_id, disabled, epoch, created_at, updated_at)
         SELECT decode(r.id, 'hex'), r.username, r.password_hash, r.roles, r.claims, r.external_id, r.disabled <> 0,
                coalesce((SELECT max(l.epoch) FROM ledger AS l WHERE l.user_id = decode(r.id, 'hex')), 0),
                coalesce(r.created_at, t.now), t.now
         FROM json_to_recordset($1::json) AS r
                  (id text, username text, password_hash text, roles text, claims text, external_id text,
                   disabled integer, created_at bigint),
              (SELECT ",
        time!("$2"),
        " AS now) AS t"
    ),
    // As arrays, so that the index is used however small the table was when the statement was planned.
    users_with_ids: concat!(
        "SELECT ",
        user_columns!(),
        " FROM users AS u WHERE u.id = ANY (ARRAY (
             SELECT decode(value, 'hex') FROM json_array_elements_text($1::json)))"
    ),
    users_with_names: concat!(
        "SELECT ",
        user_columns!(),
        " FROM users AS u WHERE u.username = ANY (ARRAY (SELECT value FROM json_array_elements_text($1::json)))"
    ),
    users_with_external_ids: concat!(
        "SELECT ",
        user_columns!(),
        " FROM users AS u
          WHERE u.external_id = ANY (ARRAY (SELECT value FROM json_array_elements_text($1::json)))"
    ),
    credential: concat!(
        "SELECT u.password_hash, ",
        user_columns!(),
        " FROM users AS u WHERE u.username = $1"
    ),
    user: concat!("SELECT ", user_columns!(), " FROM users AS u WHERE u.id = $1"),
    user_external: concat!("SELECT ", user_columns!(), " FROM users AS u WHERE u.external_id = $1"),
    users_after: concat!(
        "SELECT ",
        user_columns!(),
        " FROM users AS u WHERE u.username > $1 ORDER BY u.username LIMIT $2"
    ),
    credentials_after: concat!(
        "SELECT u.password_hash, ",
        user_columns!(),
        " FROM users AS u WHERE u.username > $1 ORDER BY u.username LIMIT $2"
    ),
    lock_epoch: None,
    set_password: concat!(
        "UPDATE users SET password_hash = $1, epoch = epoch + 1, updated_at = greatest(updated_at + 1, ",
        time!("$2"),
        ") WHERE id = $3 AND epoch = coalesce($4, epoch) RETURNING epoch"
    ),
    disable: concat!(
        "UPDATE users SET disabled = TRUE, epoch = epoch + 1, updated_at = greatest(updated_at + 1, ",
        time!("$1"),
        ") WHERE id = $2 RETURNING epoch"
    ),
    revoke_all: concat!(
        "UPDATE users SET epoch = epoch + 1, updated_at = greatest(updated_at + 1, ",
        time!("$1"),
        ") WHERE id = $2 RETURNING epoch"
    ),
    delete_user: "DELETE FROM users WHERE id = $1 RETURNING epoch + 1 AS epoch",
    rehash: "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3",
    enable: concat!(
        "UPDATE users SET disabled = FALSE, updated_at = greatest(updated_at + 1, ",
        time!("$1"),
        ") WHERE id = $2"
    ),
    set_attributes: concat!(
        "UPDATE users SET roles = coalesce($1, roles), claims = coalesce($2, claims),
                          external_id = CASE $3 WHEN 0 THEN external_id ELSE $4 END,
                          updated_at = greatest(updated_at + 1, ",
        time!("$5"),
        ") WHERE id = $6 AND updated_at = coalesce($7, updated_at)"
    ),

    create_service_account: concat!(
        "INSERT INTO service_accounts (id, name, description, roles, disabled, epoch, created_at, updated_at)
         SELECT t.id, $2, $3, $4, FALSE,
                coalesce((SELECT max(l.epoch) FROM ledger AS l WHERE l.user_id = t.id), 0), t.now, t.now
         FROM (SELECT $1::bytea AS id, ",
        time!("$5"),
        " AS now) AS t
         ON CONFLICT DO NOTHING"
    ),
    service_account: concat!(
        "SELECT ",
        service_account_columns!(),
        " FROM service_accounts AS a WHERE a.id = $1"
    ),
    service_account_named: concat!(
        "SELECT ",
        service_account_columns!(),
        " FROM service_accounts AS a WHERE a.name = $1"
    ),
    service_accounts_after: concat!(
        "SELECT ",
        service_account_columns!(),
        " FROM service_accounts AS a WHERE a.name > $1 ORDER BY a.name LIMIT $2"
    ),
    change_service_account: concat!(
        "UPDATE service_accounts
         SET description = coalesce($1, description), roles = coalesce($2, roles),
             disabled = coalesce($3::bigint <> 0, disabled), updated_at = greatest(updated_at + 1, ",
        time!("$4"),
        ") WHERE id = $5 AND updated_at = coalesce($6, updated_at)"
    ),
    lock_service_account: concat!(
        "SELECT a.epoch, a.updated_at, ",
        time!("$1"),
        " AS now FROM service_accounts AS a WHERE a.id = $2 FOR UPDATE"
    ),
    raise_service_account_epoch: "UPDATE service_accounts SET epoch = epoch + 1 WHERE id = $1",
    delete_service_account: "DELETE FROM service_accounts WHERE id = $1",
    create_service_key: "
        INSERT INTO service_keys (id, account_id, digest, session_id, label, created_by, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    service_keys: concat!(
        "SELECT ",
        service_key_columns!(),
        " FROM service_keys AS k WHERE k.account_id = $1 ORDER BY k.created_at, k.id"
    ),
    service_key_session: "
        SELECT coalesce(session_id, id) AS session_id FROM service_keys WHERE id = $1 AND account_id = $2 FOR UPDATE",
    renew_service_key_session: "
        UPDATE service_keys SET session_id = $1 WHERE account_id = $2 AND coalesce(session_id, id) = $3",
    delete_service_key: "DELETE FROM service_keys WHERE id = $1 AND account_id = $2",
    delete_service_keys: "DELETE FROM service_keys WHERE account_id = $1",
    service_key_to_check: concat!(
        "SELECT k.digest, coalesce(k.session_id, k.id) AS session_id, k.expires_at, ",
        service_account_columns!(),
        " FROM service_keys AS k JOIN service_accounts AS a ON a.id = k.account_id
          WHERE k.id = $1 AND k.expires_at > ",
        time!("$2")
    ),

    give_birth: "
        INSERT INTO ledger_head (only_row, seq, mark, birth_mark) VALUES (1, 0, $1, $2)
        ON CONFLICT DO NOTHING",
    advance_head: "UPDATE ledger_head SET seq = seq + $1, mark = $2 WHERE only_row = 1",
    head: concat!("SELECT seq, mark, ", time!("$1"), " AS now FROM ledger_head WHERE only_row = 1"),
    append: "
        INSERT INTO ledger
            (seq, mark, scope, user_id, session_id, epoch, reason, actor, written_at, matters_until)
        SELECT r.seq, r.mark, r.scope, decode(r.user_id, 'hex'), decode(r.session_id, 'hex'), r.epoch, r.reason,
               r.actor, r.written_at, r.matters_until
        FROM json_to_recordset($1::json) AS r
            (seq bigint, mark bigint, scope text, user_id text, session_id text, epoch bigint, reason text,
             actor text, written_at bigint, matters_until bigint)",
    standing: concat!(
        "SELECT EXISTS (SELECT 1 FROM ledger WHERE session_id = $1) AS session_revoked, ",
        user_columns!(),
        " FROM (SELECT 1) AS one LEFT JOIN users AS u ON u.id = $2"
    ),
    // Each part reads one row by its index; epochs of a user rise with the rows' numbers.
    ending: concat!(
        "SELECT * FROM (SELECT l.actor, ",
        ledger_columns!(),
        " FROM ledger AS l WHERE l.session_id = $1 AND l.user_id = $2 ORDER BY l.seq LIMIT 1) AS of_session
          UNION ALL
          SELECT * FROM (SELECT l.actor, ",
        ledger_columns!(),
        " FROM ledger AS l WHERE l.user_id = $3 AND l.epoch > $4 AND l.written_at >= $5
                         ORDER BY l.epoch LIMIT 1) AS of_user
          ORDER BY seq LIMIT 1"
    ),
    snapshot: concat!(
        "SELECT h.seq AS head_seq, h.mark AS head_mark, ",
        ledger_columns!(),
        " FROM ledger_head AS h LEFT JOIN ledger AS l ON l.written_at >= $1
          WHERE h.only_row = 1 ORDER BY l.written_at, l.seq LIMIT $2"
    ),
    poll: concat!(
        "SELECT CASE $1 WHEN 0 THEN h.birth_mark WHEN h.seq THEN h.mark
                ELSE (SELECT mark FROM ledger WHERE seq = $2) END AS cursor_mark, ",
        ledger_columns!(),
        " FROM ledger_head AS h LEFT JOIN ledger AS l ON l.seq > $3
          WHERE h.only_row = 1 ORDER BY l.seq LIMIT $4"
    ),
    purge_ledger: "
        DELETE FROM ledger WHERE seq IN (
            SELECT seq FROM ledger WHERE matters_until < $1 AND seq < (SELECT seq FROM ledger_head) LIMIT $2)",

    advance_audit_head: None,
    append_events: concat!(
        "WITH head AS (
             UPDATE audit_head SET seq = seq + $1, mark = $2, written_at = greatest(written_at, ",
        time!("$3"),
        ") WHERE only_row = 1 RETURNING seq, written_at)
         INSERT INTO audit_events (seq, mark, written_at, kind, actor, user_id, session_id, facts)
         SELECT head.seq - $4 + r.n, r.mark, head.written_at, r.kind, r.actor, decode(r.user_id, 'hex'),
                decode(r.session_id, 'hex'), r.facts
         FROM head, json_to_recordset($5::json) AS r
             (n bigint, mark bigint, kind text, actor text, user_id text, session_id text, facts text)"
    ),
    audit_head: "SELECT seq, mark FROM audit_head WHERE only_row = 1",
    lock_audit_head: "UPDATE audit_head SET seq = seq WHERE only_row = 1",
    event_marked: "SELECT seq FROM audit_events WHERE seq > $1 AND mark = $2 LIMIT 1",
    event_since: "SELECT seq FROM audit_events WHERE written_at >= $1 ORDER BY written_at, seq LIMIT 1",
    events_before: concat!(
        "SELECT ",
        event_columns!(),
        " FROM audit_events AS e WHERE e.seq < $1 AND e.seq >= $2 ORDER BY e.seq DESC LIMIT $3"
    ),
    events_of_kind: events_along!("kind"),
    events_by_actor: events_along!("actor"),
    events_about_user: events_along!("user_id", " AND e.user_id IS NOT NULL"),
    events_of_session: events_along!("session_id", " AND e.session_id IS NOT NULL"),
    events_after: concat!(
        "SELECT h.seq AS head_seq, h.mark AS head_mark,
                CASE $1 WHEN h.seq THEN h.mark ELSE (SELECT a.mark FROM audit_events AS a WHERE a.seq = $2) END
                    AS cursor_mark, ",
        event_columns!(),
        " FROM audit_head AS h
          LEFT JOIN (SELECT * FROM audit_events WHERE seq > $3 ORDER BY seq LIMIT $4) AS e ON TRUE
          WHERE h.only_row = 1 ORDER BY e.seq"
    ),
    // The rows are locked as they are found: replicas that purge at once do not wait for each other. As an array, so that the
    // index is used whatever the planner takes the limit for.
    purge_events: "
        DELETE FROM audit_events WHERE seq = ANY (ARRAY (
            SELECT seq FROM audit_events WHERE seq < (
                SELECT seq FROM audit_events WHERE written_at < $1 ORDER BY written_at DESC, seq DESC LIMIT 1)
            ORDER BY seq LIMIT $2 FOR UPDATE SKIP LOCKED))",

    key_head: concat!(
        "SELECT revision, holder, lease_until, ",
        time!("$1"),
        " AS now FROM key_head WHERE only_row = 1"
    ),
    token_keys: concat!("SELECT ", token_key_columns!(), " FROM token_keys ORDER BY created_at, id"),
    key_replicas: "SELECT id, name, revision FROM key_replicas WHERE live_until > $1 ORDER BY name, id",
    raise_key_revision: "UPDATE key_head SET revision = revision + 1 WHERE only_row = 1 AND revision = $1",
    put_key_replica: "
        INSERT INTO key_replicas (id, name, revision, live_until) VALUES ($1, $2, $3, $4)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, revision = excluded.revision,
                                       live_until = excluded.live_until",
    take_key_lease: "
        UPDATE key_head SET holder = $1, lease_until = $2
        WHERE only_row = 1 AND (holder = $3 OR lease_until <= $4)",
    give_up_key_lease: "UPDATE key_head SET lease_until = 0 WHERE only_row = 1 AND holder = $1",
    delete_key_replica: "DELETE FROM key_replicas WHERE id = $1",
    forget_key_replicas: "DELETE FROM key_replicas WHERE live_until < $1",
    raise_key_life: "UPDATE token_keys SET life = $1 WHERE kind = $2 AND life < $3 AND ended_at IS NULL",
    add_token_key: "
        INSERT INTO token_keys
            (id, kind, algorithm, verify_only, sealed_under, sealed, life, revision, created_at, activate_at,
             settled_at, request)
        VALUES ($1, $2, $3, $4::bigint <> 0, $5, $6, $7, $8, $9, $10, $11, $12)",
    activate_token_key: "
        UPDATE token_keys SET settled_at = NULL, activate_at = $1, revision = $2
        WHERE id = $3 AND activate_at IS NULL AND ended_at IS NULL",
    settle_token_key: "UPDATE token_keys SET settled_at = $1 WHERE id = $2 AND settled_at IS NULL AND ended_at IS NULL",
    end_token_key: "
        UPDATE token_keys SET ended_at = $1, ended = $2, sealed_under = $3, sealed = $4
        WHERE id = $5 AND ended_at IS NULL",
    forget_token_key: "DELETE FROM token_keys WHERE id = $1 AND ended_at IS NOT NULL",
    reseal_token_key: "UPDATE token_keys SET sealed_under = $1, sealed = $2 WHERE id = $3 AND ended_at IS NULL",

    lock_sessions: Some("SELECT pg_advisory_xact_lock($1)"),
    session: concat!(
        "SELECT t.now, ",
        session_columns!(),
        " FROM (SELECT ",
        time!("$1"),
        " AS now) AS t LEFT JOIN sessions AS s ON s.user_id = $2 AND s.id = $3"
    ),
    sessions: concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions AS s WHERE s.user_id = $1 AND s.idle_expires_at > ",
        time!("$2"),
        " ORDER BY s.rotated_at DESC, s.created_at DESC, s.id"
    ),
    sessions_beyond: concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions AS s WHERE s.user_id = $1 AND s.idle_expires_at > $2 AND s.epoch >= $3
          ORDER BY s.rotated_at DESC, s.created_at DESC, s.id OFFSET $4"
    ),
    sessions_beyond_in_class: concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions AS s
          WHERE s.user_id = $1 AND s.idle_expires_at > $2 AND s.epoch >= $3 AND s.client_class = $4
          ORDER BY s.rotated_at DESC, s.created_at DESC, s.id OFFSET $5"
    ),
    insert_session: "
        INSERT INTO sessions
            (user_id, id, epoch, generation, predecessor, rotated_at, audiences, mac_key, created_at,
             idle_expires_at, expires_at, client, client_class)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    advance_session: "
        UPDATE sessions
        SET generation = $1, predecessor = $2, rotated_at = $3, mac_key = $4, idle_expires_at = $5
        WHERE user_id = $6 AND id = $7 AND generation = $8 AND rotated_at = $9 AND epoch = $10",
    delete_sessions: "
        DELETE FROM sessions WHERE user_id = $1 AND id IN (
            SELECT decode(value, 'hex') FROM json_array_elements_text($2::json))",
    // The rows are locked as they are found: one that is refreshed at this moment is looked at again.
    purge_sessions: concat!(
        "DELETE FROM sessions WHERE (user_id, id) IN (
             SELECT user_id, id FROM sessions WHERE idle_expires_at <= ",
        time!("$1"),
        " LIMIT $2 FOR UPDATE SKIP LOCKED)"
    ),
};
