-- Keys that make tokens, each encrypted under a key that is not in the database. Binaries of every version go on, for they
-- use none of these tables.

INSERT IGNORE INTO schema_compatibility (version, oldest) VALUES (6, 1);

CREATE TABLE IF NOT EXISTS token_keys (
    id           VARCHAR(128)   NOT NULL PRIMARY KEY,
    kind         VARCHAR(16)    NOT NULL CHECK (kind IN ('signing', 'refresh')),
    algorithm    VARCHAR(16)    NOT NULL,
    verify_only  BOOLEAN        NOT NULL,
    -- Names the key-encryption key.
    sealed_under VARBINARY(16)  NOT NULL,
    -- The key, encrypted; empty when it has ended.
    sealed       BLOB           NOT NULL,
    life         BIGINT         NOT NULL,
    revision     BIGINT         NOT NULL,
    created_at   BIGINT         NOT NULL,
    activate_at  BIGINT,
    settled_at   BIGINT,
    ended_at     BIGINT,
    ended        VARCHAR(16) CHECK (ended IN ('retired', 'withdrawn')),
    -- A digest of the id of the request that made it; empty where none did.
    request      VARCHAR(64)    NOT NULL,
    CHECK ((ended_at IS NULL) = (ended IS NULL))
) ENGINE = InnoDB, CHARACTER SET = utf8mb4, COLLATE = utf8mb4_bin;

-- The one row that every change of the keys raises the revision of, and who rotates them until when.
CREATE TABLE IF NOT EXISTS key_head (
    only_row    TINYINT    NOT NULL PRIMARY KEY CHECK (only_row = 1),
    revision    BIGINT     NOT NULL CHECK (revision >= 0),
    holder      BINARY(16) NOT NULL,
    lease_until BIGINT     NOT NULL
) ENGINE = InnoDB;

INSERT IGNORE INTO key_head (only_row, revision, holder, lease_until)
VALUES (1, 0, x'00000000000000000000000000000000', 0);

-- The replicas that run, and up to which revision each has every key.
CREATE TABLE IF NOT EXISTS key_replicas (
    id         BINARY(16)   NOT NULL PRIMARY KEY,
    name       VARCHAR(255) NOT NULL,
    revision   BIGINT       NOT NULL,
    live_until BIGINT       NOT NULL
) ENGINE = InnoDB, CHARACTER SET = utf8mb4, COLLATE = utf8mb4_bin;
