-- What ends the access tokens of service accounts: an epoch for each account, and the session that the tokens of a key belong to
-- (its id where there is none). Binaries from version 5 on do not see them, and end no tokens; both may be left out.

INSERT INTO schema_compatibility (version, oldest) VALUES (8, 1);

ALTER TABLE service_accounts ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE service_keys ADD COLUMN session_id BLOB CHECK (length(session_id) = 16);
