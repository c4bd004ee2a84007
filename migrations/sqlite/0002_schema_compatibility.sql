-- Which older binaries go on with a schema that is newer than they know: each migration from this one on writes a row
-- of its own. `oldest` is the lowest version whose binaries work while the migration runs and after it.

CREATE TABLE schema_compatibility (
    version INTEGER NOT NULL PRIMARY KEY,
    oldest  INTEGER NOT NULL CHECK (oldest BETWEEN 1 AND version)
) STRICT;

INSERT INTO schema_compatibility (version, oldest) VALUES (2, 1);
