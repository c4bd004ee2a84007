-- Keys that make tokens, each encrypted under a key that is not in the database. Binaries of every version go on, for they
-- use none of these tables.

INSERT INTO schema_compatibility (version, oldest) VALUES (6, 1);

CREATE TABLE token_keys (
    id           TEXT    NOT NULL PRIMARY KEY,
    kind         TEXT    NOT NULL CHECK (kind IN ('signing', 'refresh')),
    algorithm    TEXT    NOT NULL,
    verify_only  INTEGER NOT NULL CHECK (verify_only IN (0, 1)),
    -- Names the key-encryption key.
    sealed_under BLOB    NOT NULL,
    -- The key, encrypted; empty when it has ended.
    sealed       BLOB    NOT NULL,
    life         INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    activate_at  INTEGER,
    settled_at   INTEGER,
    ended_at     INTEGER,
    ended        TEXT CHECK (ended IN ('retired', 'withdrawn')),
    -- A digest of the id of the request that made it; empty where none did.
    request      TEXT    NOT NULL,
    CHECK ((ended_at IS NULL) = (ended IS NULL))
) STRICT;

-- The one row that every change of the keys raises the revision of, and who rotates them until when.
CREATE TABLE key_head (
    only_row    INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    revision    INTEGER NOT NULL CHECK (revision >= 0),
    holder      BLOB    NOT NULL CHECK (length(holder) = 16),
    lease_until INTEGER NOT NULL
) STRICT;

INSERT INTO key_head (only_row, revision, holder, lease_until)
VALUES (1, 0, x'00000000000000000000000000000000', 0);

-- The replicas that run, and up to which revision each has every key.
CREATE TABLE key_replicas (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name       TEXT    NOT NULL,
    revision   INTEGER NOT NULL,
    live_until INTEGER NOT NULL
) STRICT;
