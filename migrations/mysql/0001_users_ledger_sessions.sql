-- Times are milliseconds since 1970-01-01T00:00:00Z; ids are their 16 bytes. Every text is compared byte by byte.
-- No statement fails when it is run again: these databases do not undo half a migration.

CREATE TABLE IF NOT EXISTS users (
    id            BINARY(16)   NOT NULL PRIMARY KEY,
    username      VARCHAR(128) NOT NULL UNIQUE,
    password_hash TEXT         NOT NULL,
    -- A JSON array of strings.
    roles         TEXT         NOT NULL,
    -- A JSON object. As text, because the JSON type would change it.
    claims        TEXT         NOT NULL,
    disabled      BOOLEAN      NOT NULL,
    epoch         BIGINT       NOT NULL CHECK (epoch >= 0),
    created_at    BIGINT       NOT NULL,
    updated_at    BIGINT       NOT NULL
) ENGINE = InnoDB, CHARACTER SET = utf8mb4, COLLATE = utf8mb4_bin;

-- The one row that numbers the ledger. Whoever inserts a row holds this one until the commit, so that the order
-- of the numbers is the order of the commits.
CREATE TABLE IF NOT EXISTS ledger_head (
    only_row   TINYINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    seq        BIGINT  NOT NULL CHECK (seq >= 0),
    -- The mark of the row with that number; that of the birth before the first one.
    mark       BIGINT  NOT NULL,
    birth_mark BIGINT  NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS ledger (
    seq           BIGINT      NOT NULL PRIMARY KEY,
    -- 64 random bits, which tell this row from another with the same number in a restored copy that went on.
    mark          BIGINT      NOT NULL,
    scope         VARCHAR(16) NOT NULL CHECK (scope IN ('session', 'user', 'user_changed')),
    user_id       BINARY(16)  NOT NULL,
    session_id    BINARY(16),
    epoch         BIGINT      CHECK (epoch >= 0),
    reason        VARCHAR(64) NOT NULL,
    actor         VARCHAR(64) NOT NULL,
    written_at    BIGINT      NOT NULL,
    matters_until BIGINT      NOT NULL,
    CHECK ((scope = 'session') = (session_id IS NOT NULL)),
    CHECK ((scope = 'user') = (epoch IS NOT NULL)),
    INDEX ledger_by_session (session_id),
    INDEX ledger_by_written_at (written_at),
    INDEX ledger_by_matters_until (matters_until)
) ENGINE = InnoDB, CHARACTER SET = utf8mb4, COLLATE = utf8mb4_bin;

-- Clustered by user, because a list, a limit and a revocation of all concern one user.
CREATE TABLE IF NOT EXISTS sessions (
    user_id         BINARY(16) NOT NULL,
    id              BINARY(16) NOT NULL,
    epoch           BIGINT     NOT NULL CHECK (epoch >= 0),
    generation      BIGINT     NOT NULL CHECK (generation >= 0),
    predecessor     BIGINT     CHECK (predecessor >= 0),
    rotated_at      BIGINT     NOT NULL,
    -- A JSON array of strings.
    audiences       TEXT       NOT NULL,
    mac_key         BINARY(4)  NOT NULL,
    created_at      BIGINT     NOT NULL,
    idle_expires_at BIGINT     NOT NULL,
    expires_at      BIGINT     NOT NULL,
    -- A JSON object: what the client said of itself.
    client          TEXT       NOT NULL,
    PRIMARY KEY (user_id, id),
    CHECK (idle_expires_at <= expires_at),
    INDEX sessions_by_idle_expiry (idle_expires_at)
) ENGINE = InnoDB, CHARACTER SET = utf8mb4, COLLATE = utf8mb4_bin;

-- Rows that are only there to be locked, by logins that must count a user's sessions one after the other.
CREATE TABLE IF NOT EXISTS session_locks (
    stripe SMALLINT NOT NULL PRIMARY KEY
) ENGINE = InnoDB;

INSERT IGNORE INTO session_locks (stripe)
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 255)
SELECT n FROM numbers;
