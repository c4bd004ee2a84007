-- Times are milliseconds since 1970-01-01T00:00:00Z; ids are their 16 bytes.

CREATE TABLE users (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    username      TEXT    NOT NULL UNIQUE,
    password_hash TEXT    NOT NULL,
    -- A JSON array of strings.
    roles         TEXT    NOT NULL,
    -- A JSON object.
    claims        TEXT    NOT NULL,
    disabled      INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    epoch         INTEGER NOT NULL CHECK (epoch >= 0),
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;

-- The one row that numbers the ledger. Whoever inserts a row holds this one until the commit, so that the order
-- of the numbers is the order of the commits.
CREATE TABLE ledger_head (
    only_row   INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    seq        INTEGER NOT NULL CHECK (seq >= 0),
    -- The mark of the row with that number; that of the birth before the first one.
    mark       INTEGER NOT NULL,
    birth_mark INTEGER NOT NULL
) STRICT;

CREATE TABLE ledger (
    seq           INTEGER NOT NULL PRIMARY KEY,
    -- 64 random bits, which tell this row from another with the same number in a restored copy that went on.
    mark          INTEGER NOT NULL,
    scope         TEXT    NOT NULL CHECK (scope IN ('session', 'user', 'user_changed')),
    user_id       BLOB    NOT NULL CHECK (length(user_id) = 16),
    session_id    BLOB    CHECK (length(session_id) = 16),
    epoch         INTEGER CHECK (epoch >= 0),
    reason        TEXT    NOT NULL,
    actor         TEXT    NOT NULL,
    written_at    INTEGER NOT NULL,
    matters_until INTEGER NOT NULL,
    CHECK ((scope = 'session') = (session_id IS NOT NULL)),
    CHECK ((scope = 'user') = (epoch IS NOT NULL))
) STRICT;

CREATE INDEX ledger_by_session ON ledger (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX ledger_by_written_at ON ledger (written_at);
CREATE INDEX ledger_by_matters_until ON ledger (matters_until);

-- Clustered by user, because a list, a limit and a revocation of all concern one user.
CREATE TABLE sessions (
    user_id         BLOB    NOT NULL CHECK (length(user_id) = 16),
    id              BLOB    NOT NULL CHECK (length(id) = 16),
    epoch           INTEGER NOT NULL CHECK (epoch >= 0),
    generation      INTEGER NOT NULL CHECK (generation >= 0),
    predecessor     INTEGER CHECK (predecessor >= 0),
    rotated_at      INTEGER NOT NULL,
    -- A JSON array of strings.
    audiences       TEXT    NOT NULL,
    mac_key         BLOB    NOT NULL CHECK (length(mac_key) = 4),
    created_at      INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    -- A JSON object: what the client said of itself.
    client          TEXT    NOT NULL,
    PRIMARY KEY (user_id, id),
    CHECK (idle_expires_at <= expires_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_idle_expiry ON sessions (idle_expires_at);
