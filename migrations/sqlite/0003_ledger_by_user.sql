-- What ended a session: the first row about its user with a greater epoch is found without reading the others. Binaries
-- of every version go on, for they do not see an index.

INSERT INTO schema_compatibility (version, oldest) VALUES (3, 1);

CREATE INDEX ledger_by_user_epoch ON ledger (user_id, epoch) WHERE epoch IS NOT NULL;
