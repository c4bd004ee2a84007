-- What a user is called in another system, unique where it is set, and the class of a session's client, which limits of
-- sessions go by. Binaries from version 1 on do not see them: both may be left out.

INSERT INTO schema_compatibility (version, oldest) VALUES (4, 1);

ALTER TABLE users ADD COLUMN external_id text COLLATE "C";
CREATE UNIQUE INDEX users_by_external_id ON users (external_id) WHERE external_id IS NOT NULL;

ALTER TABLE sessions ADD COLUMN client_class text NOT NULL DEFAULT '' COLLATE "C";
