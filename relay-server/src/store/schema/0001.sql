-- Times are unix milliseconds, durations microseconds. Rows of another project are never read by mistake because
-- every question starts from `sources.project_id`.

CREATE TABLE projects (
  id         INTEGER PRIMARY KEY,
  name       TEXT NOT NULL UNIQUE,
  created_ms INTEGER NOT NULL
) STRICT;

-- A deleted source keeps its row: its slug stays reserved, and its events keep their name.
CREATE TABLE sources (
  id         INTEGER PRIMARY KEY,
  project_id INTEGER NOT NULL REFERENCES projects(id),
  slug       TEXT NOT NULL,
  rules      TEXT NOT NULL, -- JSON
  created_ms INTEGER NOT NULL,
  deleted_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX sources_by_slug_live ON sources(slug) WHERE deleted_ms IS NULL;
CREATE INDEX sources_by_slug ON sources(slug);

CREATE TABLE destinations (
  id         INTEGER PRIMARY KEY, -- the lowest of a source is its primary
  source_id  INTEGER NOT NULL REFERENCES sources(id),
  name       TEXT NOT NULL,
  sharing    INTEGER NOT NULL, -- 0 pool, 1 replace, 2 broadcast
  UNIQUE (source_id, name)
) STRICT;

CREATE TABLE tokens (
  id         INTEGER PRIMARY KEY,
  project_id INTEGER NOT NULL REFERENCES projects(id),
  hash       BLOB NOT NULL UNIQUE, -- SHA-256 of the text; the text itself is never stored
  scope      TEXT NOT NULL, -- JSON
  label      TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER,
  revoked_ms INTEGER
) STRICT;
CREATE INDEX tokens_by_project ON tokens(project_id, id);
CREATE INDEX tokens_revoked ON tokens(revoked_ms) WHERE revoked_ms IS NOT NULL;

-- No foreign keys from here on: these rows come by the thousand, and go by the thousand.
CREATE TABLE events (
  id             INTEGER PRIMARY KEY, -- the event id's sort key, unix_ms << 20 | sequence
  source_id      INTEGER NOT NULL,
  chance         INTEGER NOT NULL, -- low 64 of the id's 65 bits of chance
  flags          INTEGER NOT NULL, -- 1 request complete, 2 answer complete, 4 the 65th bit of chance
  remote         BLOB NOT NULL, -- 4 or 16 bytes
  method         TEXT NOT NULL,
  target         BLOB NOT NULL,
  outcome        INTEGER NOT NULL, -- 0 answered, 1 not sent, 2 sent but no answer, 3 refused
  reason         TEXT,
  agent          BLOB, -- 16 bytes, big endian
  status         INTEGER NOT NULL,
  request_bytes  INTEGER NOT NULL,
  answer_bytes   INTEGER NOT NULL,
  head_us        INTEGER NOT NULL,
  total_us       INTEGER NOT NULL,
  connect_us     INTEGER NOT NULL,
  app_us         INTEGER NOT NULL,
  headers        BLOB NOT NULL, -- header blocks as the protocol crate lays them out
  answer_headers BLOB NOT NULL
) STRICT;
-- The rowid stands in every index entry, so this one orders by (source_id, id).
CREATE INDEX events_by_source ON events(source_id);

-- No row where both bodies are empty.
CREATE TABLE bodies (
  id      INTEGER PRIMARY KEY, -- events.id
  request BLOB NOT NULL,
  answer  BLOB NOT NULL
) STRICT;

INSERT INTO projects (id, name, created_ms) VALUES (1, 'default', 0);
