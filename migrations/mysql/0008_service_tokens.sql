-- What ends the access tokens of service accounts: an epoch for each account, and the session that the tokens of a key belong to
-- (its id where there is none). Binaries from version 5 on do not see them, and end no tokens; both may be left out.

INSERT IGNORE INTO schema_compatibility (version, oldest) VALUES (8, 1);

-- MySQL has no ADD COLUMN IF NOT EXISTS.
SET @add_epoch = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'service_accounts' AND column_name = 'epoch'),
    'DO 0',
    'ALTER TABLE service_accounts ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0');
PREPARE add_epoch FROM @add_epoch;
EXECUTE add_epoch;
DEALLOCATE PREPARE add_epoch;

SET @add_session_id = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'service_keys' AND column_name = 'session_id'),
    'DO 0',
    'ALTER TABLE service_keys ADD COLUMN session_id BINARY(16) NULL');
PREPARE add_session_id FROM @add_session_id;
EXECUTE add_session_id;
DEALLOCATE PREPARE add_session_id;
