//! The SQL of MySQL, from version 8.0 on, and MariaDB, from version 10.6 on. Neither returns what an `UPDATE` has
//! made of a row, so the row is locked and read first.

use crate::store::sql::Statements;
use crate::store::sql::dialect::{
    event_columns, ledger_columns, service_account_columns, service_key_columns, session_columns,
    token_key_columns, user_columns,
};

/// The parameter *time?*, or what the database's clock says as the statement begins.
macro_rules! time {
    () => {
        "CAST(COALESCE(?, FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000)) AS SIGNED)"
    };
}

/// What the driver is told as the id of the last insertion where a row is in the way of one; no table makes ids by itself.
pub(super) const IN_THE_WAY: u64 = 1;

/// The column of a row that is in the way, as it is; and tells that by [`IN_THE_WAY`].
macro_rules! stays {
    ($column:literal) => {
        concat!("IF(LAST_INSERT_ID(1), ", $column, ", ", $column, ")")
    };
}

/// A column of `JSON_TABLE` that is compared as the columns of the tables are, byte by byte.
macro_rules! text {
    ($length:literal, $path:literal) => {
        concat!("VARCHAR(", $length, ") CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '", $path, "'")
    };
}

/// Events with one value in a column, along its index: the planner would look for a rare value among all events.
macro_rules! events_along {
    ($column:literal, $index:literal) => {
        concat!(
            "SELECT ",
            event_columns!(),
            " FROM audit_events AS e FORCE INDEX (",
            $index,
            ") WHERE e.",
            $column,
            " = ? AND e.seq < ? AND e.seq >= ? ORDER BY e.seq DESC LIMIT ?"
        )
    };
}

pub(super) const STATEMENTS: Statements = Statements {
    begin: "START TRANSACTION",
    is_migrated: "
        SELECT COUNT(*) AS version FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name = '_sqlx_migrations'",
    settings: Some(
        "SELECT 'innodb_flush_log_at_trx_commit' AS name,
                CAST(@@innodb_flush_log_at_trx_commit AS CHAR) AS setting
         UNION ALL SELECT 'innodb_doublewrite', CAST(@@innodb_doublewrite AS CHAR)
         UNION ALL SELECT 'log_bin', CAST(@@log_bin AS CHAR)
         UNION ALL SELECT 'sync_binlog', CAST(@@sync_binlog AS CHAR)
         UNION ALL SELECT 'version', CAST(VERSION() AS CHAR)",
    ),

    create_user: concat!(
        "INSERT INTO users
             (id, username, password_hash, roles, claims, external_id, disabled, epoch, created_at, updated_at)
         SELECT t.id, t.username, t.password_hash, t.roles, t.claims, t.external_id, FALSE,
                COALESCE((SELECT MAX(l.epoch) FROM ledger AS l WHERE l.user_id = t.id), 0), t.now, t.now
         FROM (SELECT ? AS id, ? AS username, ? AS password_hash, ? AS roles, ? AS claims, ? AS external_id, ",
        time!(),
        " AS now) AS t
         ON DUPLICATE KEY UPDATE users.username = ",
        stays!("users.username")
    ),
    import_users: concat!(
        "INSERT INTO users
             (id, username, password_hash, roles, claims, external_id, disabled, epoch, created_at, updated_at)
         SELECT UNHEX(r.id), r.username, r.password_hash, r.roles, r.claims, r.external_id, r.disabled,
                COALESCE((SELECT MAX(l.epoch) FROM ledger AS l WHERE l.user_id = UNHEX(r.id)), 0),
                COALESCE(r.created_at, t.now), t.now
         FROM JSON_TABLE(?, '$[*]' COLUMNS (
                  id VARCHAR(32) PATH '$.id', username ",
        text!("128", "$.username"),
        ", password_hash ",
        text!("4096", "$.password_hash"),
        ", roles ",
        text!("4608", "$.roles"),
        ", claims ",
        text!("2048", "$.claims"),
        ", external_id ",
        text!("128", "$.external_id"),
        ", disabled TINYINT PATH '$.disabled', created_at BIGINT PATH '$.created_at')) AS r,
              (SELECT ",
        time!(),
        " AS now) AS t"
    ),
    users_with_ids: concat!(
        "SELECT STRAIGHT_JOIN ",
        user_columns!(),
        " FROM JSON_TABLE(?, '$[*]' COLUMNS (id VARCHAR(32) PATH '$')) AS named
          JOIN users AS u ON u.id = UNHEX(named.id)"
    ),
    users_with_names: concat!(
        "SELECT STRAIGHT_JOIN ",
        user_columns!(),
        " FROM JSON_TABLE(?, '$[*]' COLUMNS (name ",
        text!("128", "$"),
        ")) AS named JOIN users AS u ON u.username = named.name"
    ),
    users_with_external_ids: concat!(
        "SELECT STRAIGHT_JOIN ",
        user_columns!(),
        " FROM JSON_TABLE(?, '$[*]' COLUMNS (name ",
        text!("128", "$"),
        ")) AS named JOIN users AS u ON u.external_id = named.name"
    ),
    credential: concat!("SELECT u.password_hash, ", user_columns!(), " FROM users AS u WHERE u.username = ?"),
    user: concat!("SELECT ", user_columns!(), " FROM users AS u WHERE u.id = ?"),
    user_external: concat!("SELECT ", user_columns!(), " FROM users AS u WHERE u.external_id = ?"),
    users_after: concat!(
        "SELECT ",
        user_columns!(),
        " FROM users AS u WHERE u.username > ? ORDER BY u.username LIMIT ?"
    ),
    credentials_after: concat!(
        "SELECT u.password_hash, ",
        user_columns!(),
        " FROM users AS u WHERE u.username > ? ORDER BY u.username LIMIT ?"
    ),
    lock_epoch: Some("SELECT epoch + 1 AS epoch FROM users WHERE id = ? FOR UPDATE"),
    set_password: concat!(
        "UPDATE users SET password_hash = ?, epoch = epoch + 1, updated_at = GREATEST(updated_at + 1, ",
        time!(),
        ") WHERE id = ? AND epoch = COALESCE(?, epoch)"
    ),
    disable: concat!(
        "UPDATE users SET disabled = TRUE, epoch = epoch + 1, updated_at = GREATEST(updated_at + 1, ",
        time!(),
        ") WHERE id = ?"
    ),
    revoke_all: concat!(
        "UPDATE users SET epoch = epoch + 1, updated_at = GREATEST(updated_at + 1, ",
        time!(),
        ") WHERE id = ?"
    ),
    delete_user: "DELETE FROM users WHERE id = ?",
    rehash: "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?",
    enable: concat!(
        "UPDATE users SET disabled = FALSE, updated_at = GREATEST(updated_at + 1, ",
        time!(),
        ") WHERE id = ?"
    ),
    set_attributes: concat!(
        "UPDATE users SET roles = COALESCE(?, roles), claims = COALESCE(?, claims),
                          external_id = CASE ? WHEN 0 THEN external_id ELSE ? END,
                          updated_at = GREATEST(updated_at + 1, ",
        time!(),
        ") WHERE id = ? AND updated_at = COALESCE(?, updated_at)"
    ),

    create_service_account: concat!(
        "INSERT INTO service_accounts (id, name, description, roles, disabled, epoch, created_at, updated_at)
         SELECT t.id, t.name, t.description, t.roles, FALSE,
                COALESCE((SELECT MAX(l.epoch) FROM ledger AS l WHERE l.user_id = t.id), 0), t.now, t.now
         FROM (SELECT ? AS id, ? AS name, ? AS description, ? AS roles, ",
        time!(),
        " AS now) AS t
         ON DUPLICATE KEY UPDATE service_accounts.name = ",
        stays!("service_accounts.name")
    ),
    service_account: concat!(
        "SELECT ",
        service_account_columns!(),
        " FROM service_accounts AS a WHERE a.id = ?"
    ),
    service_account_named: concat!(
        "SELECT ",
        service_account_columns!(),
        " FROM service_accounts AS a WHERE a.name = ?"
    ),
    service_accounts_after: concat!(
        "SELECT ",
        service_account_columns!(),
        " FROM service_accounts AS a WHERE a.name > ? ORDER BY a.name LIMIT ?"
    ),
    change_service_account: concat!(
        "UPDATE service_accounts
         SET description = COALESCE(?, description), roles = COALESCE(?, roles),
             disabled = COALESCE(? <> 0, disabled), updated_at = GREATEST(updated_at + 1, ",
        time!(),
        ") WHERE id = ? AND updated_at = COALESCE(?, updated_at)"
    ),
    lock_service_account: concat!(
        "SELECT a.epoch, a.updated_at, ",
        time!(),
        " AS now FROM service_accounts AS a WHERE a.id = ? FOR UPDATE"
    ),
    raise_service_account_epoch: "UPDATE service_accounts SET epoch = epoch + 1 WHERE id = ?",
    delete_service_account: "DELETE FROM service_accounts WHERE id = ?",
    create_service_key: "
        INSERT INTO service_keys (id, account_id, digest, session_id, label, created_by, created_at, expires_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    service_keys: concat!(
        "SELECT ",
        service_key_columns!(),
        " FROM service_keys AS k WHERE k.account_id = ? ORDER BY k.created_at, k.id"
    ),
    service_key_session: "
        SELECT COALESCE(session_id, id) AS session_id FROM service_keys WHERE id = ? AND account_id = ? FOR UPDATE",
    renew_service_key_session: "
        UPDATE service_keys SET session_id = ? WHERE account_id = ? AND COALESCE(session_id, id) = ?",
    delete_service_key: "DELETE FROM service_keys WHERE id = ? AND account_id = ?",
    delete_service_keys: "DELETE FROM service_keys WHERE account_id = ?",
    service_key_to_check: concat!(
        "SELECT k.digest, COALESCE(k.session_id, k.id) AS session_id, k.expires_at, ",
        service_account_columns!(),
        " FROM service_keys AS k JOIN service_accounts AS a ON a.id = k.account_id
          WHERE k.id = ? AND k.expires_at > ",
        time!()
    ),

    give_birth: "
        INSERT INTO ledger_head (only_row, seq, mark, birth_mark) VALUES (1, 0, ?, ?)
        ON DUPLICATE KEY UPDATE seq = seq",
    advance_head: "UPDATE ledger_head SET seq = seq + ?, mark = ? WHERE only_row = 1",
    head: concat!("SELECT seq, mark, ", time!(), " AS now FROM ledger_head WHERE only_row = 1"),
    append: "
        INSERT INTO ledger
            (seq, mark, scope, user_id, session_id, epoch, reason, actor, written_at, matters_until)
        SELECT r.seq, r.mark, r.scope, UNHEX(r.user_id), UNHEX(r.session_id), r.epoch, r.reason, r.actor,
               r.written_at, r.matters_until
        FROM JSON_TABLE(?, '$[*]' COLUMNS (
                 seq BIGINT PATH '$.seq', mark BIGINT PATH '$.mark', scope VARCHAR(16) PATH '$.scope',
                 user_id VARCHAR(32) PATH '$.user_id', session_id VARCHAR(32) PATH '$.session_id',
                 epoch BIGINT PATH '$.epoch', reason VARCHAR(64) PATH '$.reason',
                 actor VARCHAR(64) PATH '$.actor', written_at BIGINT PATH '$.written_at',
                 matters_until BIGINT PATH '$.matters_until')) AS r",
    standing: concat!(
        "SELECT EXISTS (SELECT 1 FROM ledger WHERE session_id = ?) AS session_revoked, ",
        user_columns!(),
        " FROM (SELECT 1) AS one LEFT JOIN users AS u ON u.id = ?"
    ),
    // Each part reads one row by its index; epochs of a user rise with the rows' numbers.
    ending: concat!(
        "SELECT * FROM (SELECT l.actor, ",
        ledger_columns!(),
        " FROM ledger AS l WHERE l.session_id = ? AND l.user_id = ? ORDER BY l.seq LIMIT 1) AS of_session
          UNION ALL
          SELECT * FROM (SELECT l.actor, ",
        ledger_columns!(),
        " FROM ledger AS l WHERE l.user_id = ? AND l.epoch > ? AND l.written_at >= ?
                         ORDER BY l.epoch LIMIT 1) AS of_user
          ORDER BY seq LIMIT 1"
    ),
    snapshot: concat!(
        "SELECT h.seq AS head_seq, h.mark AS head_mark, ",
        ledger_columns!(),
        " FROM ledger_head AS h LEFT JOIN ledger AS l ON l.written_at >= ?
          WHERE h.only_row = 1 ORDER BY l.written_at, l.seq LIMIT ?"
    ),
    poll: concat!(
        "SELECT CASE ? WHEN 0 THEN h.birth_mark WHEN h.seq THEN h.mark
                ELSE (SELECT mark FROM ledger WHERE seq = ?) END AS cursor_mark, ",
        ledger_columns!(),
        " FROM ledger_head AS h LEFT JOIN ledger AS l ON l.seq > ?
          WHERE h.only_row = 1 ORDER BY l.seq LIMIT ?"
    ),
    purge_ledger: "
        DELETE FROM ledger WHERE matters_until < ? AND seq < (SELECT seq FROM ledger_head)
        ORDER BY matters_until LIMIT ?",

    advance_audit_head: Some(concat!(
        "UPDATE audit_head SET seq = seq + ?, mark = ?, written_at = GREATEST(written_at, ",
        time!(),
        ") WHERE only_row = 1"
    )),
    append_events: concat!(
        "INSERT INTO audit_events (seq, mark, written_at, kind, actor, user_id, session_id, facts)
         SELECT h.seq - ? + r.n, r.mark, h.written_at, r.kind, r.actor, UNHEX(r.user_id), UNHEX(r.session_id),
                r.facts
         FROM audit_head AS h, JSON_TABLE(?, '$[*]' COLUMNS (
                  n BIGINT PATH '$.n', mark BIGINT PATH '$.mark', kind VARCHAR(32) PATH '$.kind', actor ",
        text!("255", "$.actor"),
        ", user_id VARCHAR(32) PATH '$.user_id', session_id VARCHAR(32) PATH '$.session_id', facts ",
        text!("8192", "$.facts"),
        ")) AS r"
    ),
    audit_head: "SELECT seq, mark FROM audit_head WHERE only_row = 1",
    lock_audit_head: "UPDATE audit_head SET seq = seq WHERE only_row = 1",
    event_marked: "SELECT seq FROM audit_events WHERE seq > ? AND mark = ? LIMIT 1",
    event_since: "SELECT seq FROM audit_events WHERE written_at >= ? ORDER BY written_at, seq LIMIT 1",
    events_before: concat!(
        "SELECT ",
        event_columns!(),
        " FROM audit_events AS e WHERE e.seq < ? AND e.seq >= ? ORDER BY e.seq DESC LIMIT ?"
    ),
    events_of_kind: events_along!("kind", "audit_events_of_kind"),
    events_by_actor: events_along!("actor", "audit_events_by_actor"),
    events_about_user: events_along!("user_id", "audit_events_about_user"),
    events_of_session: events_along!("session_id", "audit_events_of_session"),
    events_after: concat!(
        "SELECT h.seq AS head_seq, h.mark AS head_mark,
                CASE ? WHEN h.seq THEN h.mark ELSE (SELECT a.mark FROM audit_events AS a WHERE a.seq = ?) END
                    AS cursor_mark, ",
        event_columns!(),
        " FROM audit_head AS h
          LEFT JOIN (SELECT * FROM audit_events WHERE seq > ? ORDER BY seq LIMIT ?) AS e ON TRUE
          WHERE h.only_row = 1 ORDER BY e.seq"
    ),
    purge_events: "
        DELETE FROM audit_events WHERE seq < (
            SELECT seq FROM (
                SELECT seq FROM audit_events WHERE written_at < ? ORDER BY written_at DESC, seq DESC LIMIT 1) AS newest)
        ORDER BY seq LIMIT ?",

    key_head: concat!(
        "SELECT revision, holder, lease_until, ",
        time!(),
        " AS now FROM key_head WHERE only_row = 1"
    ),
    token_keys: concat!("SELECT ", token_key_columns!(), " FROM token_keys ORDER BY created_at, id"),
    key_replicas: "SELECT id, name, revision FROM key_replicas WHERE live_until > ? ORDER BY name, id",
    raise_key_revision: "UPDATE key_head SET revision = revision + 1 WHERE only_row = 1 AND revision = ?",
    put_key_replica: "
        INSERT INTO key_replicas (id, name, revision, live_until) VALUES (?, ?, ?, ?)
        ON DUPLICATE KEY UPDATE name = VALUES(name), revision = VALUES(revision), live_until = VALUES(live_until)",
    take_key_lease: "
        UPDATE key_head SET holder = ?, lease_until = ?
        WHERE only_row = 1 AND (holder = ? OR lease_until <= ?)",
    give_up_key_lease: "UPDATE key_head SET lease_until = 0 WHERE only_row = 1 AND holder = ?",
    delete_key_replica: "DELETE FROM key_replicas WHERE id = ?",
    forget_key_replicas: "DELETE FROM key_replicas WHERE live_until < ?",
    raise_key_life: "UPDATE token_keys SET life = ? WHERE kind = ? AND life < ? AND ended_at IS NULL",
    add_token_key: "
        INSERT INTO token_keys
            (id, kind, algorithm, verify_only, sealed_under, sealed, life, revision, created_at, activate_at,
             settled_at, request)
        VALUES (?, ?, ?, ? <> 0, ?, ?, ?, ?, ?, ?, ?, ?)",
    activate_token_key: "
        UPDATE token_keys SET settled_at = NULL, activate_at = ?, revision = ?
        WHERE id = ? AND activate_at IS NULL AND ended_at IS NULL",
    settle_token_key: "UPDATE token_keys SET settled_at = ? WHERE id = ? AND settled_at IS NULL AND ended_at IS NULL",
    end_token_key: "
        UPDATE token_keys SET ended_at = ?, ended = ?, sealed_under = ?, sealed = ?
        WHERE id = ? AND ended_at IS NULL",
    forget_token_key: "DELETE FROM token_keys WHERE id = ? AND ended_at IS NOT NULL",
    reseal_token_key: "UPDATE token_keys SET sealed_under = ?, sealed = ? WHERE id = ? AND ended_at IS NULL",

    // InnoDB has no lock for rows that are not there yet, and gap locks do not exclude each other: users share a
    // few rows that are only there to be locked.
    lock_sessions: Some("SELECT stripe FROM session_locks WHERE stripe = (? & 255) FOR UPDATE"),
    session: concat!(
        "SELECT t.now, ",
        session_columns!(),
        " FROM (SELECT ",
        time!(),
        " AS now) AS t LEFT JOIN sessions AS s ON s.user_id = ? AND s.id = ?"
    ),
    sessions: concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions AS s WHERE s.user_id = ? AND s.idle_expires_at > ",
        time!(),
        " ORDER BY s.rotated_at DESC, s.created_at DESC, s.id"
    ),
    sessions_beyond: concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions AS s WHERE s.user_id = ? AND s.idle_expires_at > ? AND s.epoch >= ?
          ORDER BY s.rotated_at DESC, s.created_at DESC, s.id LIMIT 18446744073709551615 OFFSET ?"
    ),
    sessions_beyond_in_class: concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions AS s
          WHERE s.user_id = ? AND s.idle_expires_at > ? AND s.epoch >= ? AND s.client_class = ?
          ORDER BY s.rotated_at DESC, s.created_at DESC, s.id LIMIT 18446744073709551615 OFFSET ?"
    ),
    insert_session: "
        INSERT INTO sessions
            (user_id, id, epoch, generation, predecessor, rotated_at, audiences, mac_key, created_at,
             idle_expires_at, expires_at, client, client_class)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    advance_session: "
        UPDATE sessions
        SET generation = ?, predecessor = ?, rotated_at = ?, mac_key = ?, idle_expires_at = ?
        WHERE user_id = ? AND id = ? AND generation = ? AND rotated_at = ? AND epoch = ?",
    delete_sessions: "
        DELETE FROM sessions WHERE user_id = ? AND id IN (
            SELECT UNHEX(named.id) FROM JSON_TABLE(?, '$[*]' COLUMNS (id VARCHAR(32) PATH '$')) AS named)",
    purge_sessions: concat!(
        "DELETE FROM sessions WHERE idle_expires_at <= ",
        time!(),
        " ORDER BY idle_expires_at LIMIT ?"
    ),
};
