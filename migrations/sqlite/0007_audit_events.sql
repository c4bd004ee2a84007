-- The audit log. Binaries of every version go on, for they use none of these tables; what they change has no events.

INSERT INTO schema_compatibility (version, oldest) VALUES (7, 1);

-- The one row that gives each event its number: locked from then until the commit, so that the order of the numbers is the
-- order of the commits. No event is written before one with a smaller number.
CREATE TABLE audit_head (
    only_row   INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    seq        INTEGER NOT NULL CHECK (seq >= 0),
    -- That of the last event.
    mark       INTEGER NOT NULL,
    written_at INTEGER NOT NULL
) STRICT;

INSERT INTO audit_head (only_row, seq, mark, written_at) VALUES (1, 0, 0, 0);

CREATE TABLE audit_events (
    seq        INTEGER NOT NULL PRIMARY KEY,
    -- Made at random: tells the event from another one with its number, after a backup was restored.
    mark       INTEGER NOT NULL,
    written_at INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    user_id    BLOB,
    session_id BLOB,
    -- What else is known, as JSON.
    facts      TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_events_written ON audit_events (written_at, seq);
CREATE INDEX audit_events_of_kind ON audit_events (kind, seq);
CREATE INDEX audit_events_by_actor ON audit_events (actor, seq);
CREATE INDEX audit_events_about_user ON audit_events (user_id, seq) WHERE user_id IS NOT NULL;
CREATE INDEX audit_events_of_session ON audit_events (session_id, seq) WHERE session_id IS NOT NULL;
