-- Keys that make tokens, each encrypted under a key that is not in the database. Binaries of every version go on, for they
-- use none of these tables.

INSERT INTO schema_compatibility (version, oldest) VALUES (6, 1);

CREATE TABLE token_keys (
    id           text    NOT NULL COLLATE "C" PRIMARY KEY,
    kind         text    NOT NULL CHECK (kind IN ('signing', 'refresh')),
    algorithm    text    NOT NULL,
    verify_only  boolean NOT NULL,
    -- Names the key-encryption key.
    sealed_under bytea   NOT NULL,
    -- The key, encrypted; empty when it has ended.
    sealed       bytea   NOT NULL,
    life         bigint  NOT NULL,
    revision     bigint  NOT NULL,
    created_at   bigint  NOT NULL,
    activate_at  bigint,
    settled_at   bigint,
    ended_at     bigint,
    ended        text CHECK (ended IN ('retired', 'withdrawn')),
    -- A digest of the id of the request that made it; empty where none did.
    request      text    NOT NULL,
    CHECK ((ended_at IS NULL) = (ended IS NULL))
);

-- The one row that every change of the keys raises the revision of, and who rotates them until when.
CREATE TABLE key_head (
    only_row    smallint NOT NULL PRIMARY KEY CHECK (only_row = 1),
    revision    bigint   NOT NULL CHECK (revision >= 0),
    holder      bytea    NOT NULL CHECK (length(holder) = 16),
    lease_until bigint   NOT NULL
);

INSERT INTO key_head (only_row, revision, holder, lease_until)
VALUES (1, 0, decode('00000000000000000000000000000000', 'hex'), 0);

-- The replicas that run, and up to which revision each has every key.
CREATE TABLE key_replicas (
    id         bytea  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name       text   NOT NULL,
    revision   bigint NOT NULL,
    live_until bigint NOT NULL
);
