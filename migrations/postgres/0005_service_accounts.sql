-- Service accounts, and the keys that programs call administrative methods with. Binaries of every version go on, for
-- they use neither table.

INSERT INTO schema_compatibility (version, oldest) VALUES (5, 1);

CREATE TABLE service_accounts (
    id          bytea   NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name        text    NOT NULL COLLATE "C" UNIQUE,
    description text    NOT NULL,
    -- A JSON array of strings.
    roles       text    NOT NULL,
    disabled    boolean NOT NULL,
    created_at  bigint  NOT NULL,
    updated_at  bigint  NOT NULL
);

CREATE TABLE service_keys (
    id         bytea  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_id bytea  NOT NULL CHECK (length(account_id) = 16),
    -- SHA-256 of the key. The key itself is nowhere.
    digest     bytea  NOT NULL CHECK (length(digest) = 32),
    label      text   NOT NULL,
    created_by text   NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);

CREATE INDEX service_keys_by_account ON service_keys (account_id);
