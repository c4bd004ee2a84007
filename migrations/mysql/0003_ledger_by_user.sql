-- What ended a session: the first row about its user with a greater epoch is found without reading the others. Binaries
-- of every version go on, for they do not see an index.

INSERT IGNORE INTO schema_compatibility (version, oldest) VALUES (3, 1);

-- MySQL has no CREATE INDEX IF NOT EXISTS.
SET @create_index = IF(
    EXISTS (SELECT 1 FROM information_schema.statistics
            WHERE table_schema = DATABASE() AND table_name = 'ledger' AND index_name = 'ledger_by_user_epoch'),
    'DO 0',
    'CREATE INDEX ledger_by_user_epoch ON ledger (user_id, epoch)');
PREPARE create_index FROM @create_index;
EXECUTE create_index;
DEALLOCATE PREPARE create_index;
