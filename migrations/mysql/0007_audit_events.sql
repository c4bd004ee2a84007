-- The audit log. Binaries of every version go on, for they use none of these tables; what they change has no events.

INSERT IGNORE INTO schema_compatibility (version, oldest) VALUES (7, 1);

-- The one row that gives each event its number: locked from then until the commit, so that the order of the numbers is the
-- order of the commits. No event is written before one with a smaller number.
CREATE TABLE IF NOT EXISTS audit_head (
    only_row   TINYINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    seq        BIGINT  NOT NULL CHECK (seq >= 0),
    -- That of the last event.
    mark       BIGINT  NOT NULL,
    written_at BIGINT  NOT NULL
) ENGINE = InnoDB;

INSERT IGNORE INTO audit_head (only_row, seq, mark, written_at) VALUES (1, 0, 0, 0);

CREATE TABLE IF NOT EXISTS audit_events (
    seq        BIGINT       NOT NULL PRIMARY KEY,
    -- Made at random: tells the event from another one with its number, after a backup was restored.
    mark       BIGINT       NOT NULL,
    written_at BIGINT       NOT NULL,
    kind       VARCHAR(32)  NOT NULL,
    actor      VARCHAR(255) NOT NULL,
    user_id    BINARY(16),
    session_id BINARY(16),
    -- What else is known, as JSON.
    facts      TEXT         NOT NULL,
    INDEX audit_events_written (written_at, seq),
    INDEX audit_events_of_kind (kind, seq),
    INDEX audit_events_by_actor (actor, seq),
    INDEX audit_events_about_user (user_id, seq),
    INDEX audit_events_of_session (session_id, seq)
) ENGINE = InnoDB, CHARACTER SET = utf8mb4, COLLATE = utf8mb4_bin;
