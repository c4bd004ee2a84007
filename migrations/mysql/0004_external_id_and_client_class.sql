-- What a user is called in another system, unique where it is set, and the class of a session's client, which limits of
-- sessions go by. Binaries from version 1 on do not see them: both may be left out.

INSERT IGNORE INTO schema_compatibility (version, oldest) VALUES (4, 1);

-- MySQL has no ADD COLUMN IF NOT EXISTS. A unique index takes any number of nulls.
SET @add_external_id = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name = 'external_id'),
    'DO 0',
    'ALTER TABLE users ADD COLUMN external_id VARCHAR(128) NULL, ADD UNIQUE INDEX users_by_external_id (external_id)');
PREPARE add_external_id FROM @add_external_id;
EXECUTE add_external_id;
DEALLOCATE PREPARE add_external_id;

SET @add_client_class = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'sessions' AND column_name = 'client_class'),
    'DO 0',
    'ALTER TABLE sessions ADD COLUMN client_class VARCHAR(64) NOT NULL DEFAULT ''''');
PREPARE add_client_class FROM @add_client_class;
EXECUTE add_client_class;
DEALLOCATE PREPARE add_client_class;
