-- Service accounts, and the keys that programs call administrative methods with. Binaries of every version go on, for
-- they use neither table.

INSERT INTO schema_compatibility (version, oldest) VALUES (5, 1);

CREATE TABLE service_accounts (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name        TEXT    NOT NULL UNIQUE,
    description TEXT    NOT NULL,
    -- A JSON array of strings.
    roles       TEXT    NOT NULL,
    disabled    INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE service_keys (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_id BLOB    NOT NULL CHECK (length(account_id) = 16),
    -- SHA-256 of the key. The key itself is nowhere.
    digest     BLOB    NOT NULL CHECK (length(digest) = 32),
    label      TEXT    NOT NULL,
    created_by TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX service_keys_by_account ON service_keys (account_id);
