-- Service accounts, and the keys that programs call administrative methods with. Binaries of every version go on, for
-- they use neither table.

INSERT IGNORE INTO schema_compatibility (version, oldest) VALUES (5, 1);

CREATE TABLE IF NOT EXISTS service_accounts (
    id          BINARY(16)  NOT NULL PRIMARY KEY,
    name        VARCHAR(64) NOT NULL UNIQUE,
    description TEXT        NOT NULL,
    -- A JSON array of strings.
    roles       TEXT        NOT NULL,
    disabled    BOOLEAN     NOT NULL,
    created_at  BIGINT      NOT NULL,
    updated_at  BIGINT      NOT NULL
) ENGINE = InnoDB, CHARACTER SET = utf8mb4, COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS service_keys (
    id         BINARY(16)  NOT NULL PRIMARY KEY,
    account_id BINARY(16)  NOT NULL,
    -- SHA-256 of the key. The key itself is nowhere.
    digest     BINARY(32)  NOT NULL,
    label      TEXT        NOT NULL,
    created_by VARCHAR(64) NOT NULL,
    created_at BIGINT      NOT NULL,
    expires_at BIGINT      NOT NULL,
    INDEX service_keys_by_account (account_id)
) ENGINE = InnoDB, CHARACTER SET = utf8mb4, COLLATE = utf8mb4_bin;
