-- Times are milliseconds since 1970-01-01T00:00:00Z; ids are their 16 bytes.

CREATE TABLE users (
    id            bytea   NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    -- Compared and ordered byte by byte: its normal form is made before it comes here.
    username      text    NOT NULL COLLATE "C" UNIQUE,
    password_hash text    NOT NULL,
    -- A JSON array of strings.
    roles         text    NOT NULL,
    -- A JSON object. As text, because jsonb takes no U+0000.
    claims        text    NOT NULL,
    disabled      boolean NOT NULL,
    epoch         bigint  NOT NULL CHECK (epoch >= 0),
    created_at    bigint  NOT NULL,
    updated_at    bigint  NOT NULL
);

-- The one row that numbers the ledger. Whoever inserts a row holds this one until the commit, so that the order
-- of the numbers is the order of the commits.
CREATE TABLE ledger_head (
    only_row   integer NOT NULL PRIMARY KEY CHECK (only_row = 1),
    seq        bigint  NOT NULL CHECK (seq >= 0),
    -- The mark of the row with that number; that of the birth before the first one.
    mark       bigint  NOT NULL,
    birth_mark bigint  NOT NULL
) WITH (fillfactor = 10);

CREATE TABLE ledger (
    seq           bigint NOT NULL PRIMARY KEY,
    -- 64 random bits, which tell this row from another with the same number in a restored copy that went on.
    mark          bigint NOT NULL,
    scope         text   NOT NULL CHECK (scope IN ('session', 'user', 'user_changed')),
    user_id       bytea  NOT NULL CHECK (length(user_id) = 16),
    session_id    bytea  CHECK (length(session_id) = 16),
    epoch         bigint CHECK (epoch >= 0),
    reason        text   NOT NULL,
    actor         text   NOT NULL,
    written_at    bigint NOT NULL,
    matters_until bigint NOT NULL,
    CHECK ((scope = 'session') = (session_id IS NOT NULL)),
    CHECK ((scope = 'user') = (epoch IS NOT NULL))
);

CREATE INDEX ledger_by_session ON ledger (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX ledger_by_written_at ON ledger (written_at);
CREATE INDEX ledger_by_matters_until ON ledger (matters_until);

-- Keyed by user first, because a list, a limit and a revocation of all concern one user.
CREATE TABLE sessions (
    user_id         bytea  NOT NULL CHECK (length(user_id) = 16),
    id              bytea  NOT NULL CHECK (length(id) = 16),
    epoch           bigint NOT NULL CHECK (epoch >= 0),
    generation      bigint NOT NULL CHECK (generation >= 0),
    predecessor     bigint CHECK (predecessor >= 0),
    rotated_at      bigint NOT NULL,
    -- A JSON array of strings.
    audiences       text   NOT NULL,
    mac_key         bytea  NOT NULL CHECK (length(mac_key) = 4),
    created_at      bigint NOT NULL,
    idle_expires_at bigint NOT NULL,
    expires_at      bigint NOT NULL,
    -- A JSON object: what the client said of itself.
    client          text   NOT NULL,
    PRIMARY KEY (user_id, id),
    CHECK (idle_expires_at <= expires_at)
) WITH (fillfactor = 80);

CREATE INDEX sessions_by_idle_expiry ON sessions (idle_expires_at);
