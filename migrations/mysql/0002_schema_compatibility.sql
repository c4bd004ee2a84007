-- Which older binaries go on with a schema that is newer than they know: each migration from this one on writes a row
-- of its own. `oldest` is the lowest version whose binaries work while the migration runs and after it.

CREATE TABLE IF NOT EXISTS schema_compatibility (
    version BIGINT NOT NULL PRIMARY KEY,
    oldest  BIGINT NOT NULL,
    CHECK (oldest BETWEEN 1 AND version)
) ENGINE = InnoDB;

INSERT IGNORE INTO schema_compatibility (version, oldest) VALUES (2, 1);
