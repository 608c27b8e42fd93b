-- Stored deliveries. The step from 0001 builds one index anew: 2 to 3 s where a million events are stored.

ALTER TABLE destinations ADD COLUMN rules TEXT NOT NULL DEFAULT '{}'; -- JSON
ALTER TABLE destinations ADD COLUMN is_primary INTEGER NOT NULL DEFAULT 0;
ALTER TABLE destinations ADD COLUMN deleted_ms INTEGER;
UPDATE destinations SET is_primary = 1 WHERE id IN (SELECT min(id) FROM destinations GROUP BY source_id);

-- events.flags: 8 the request was chunked, 16 its body is a file under bodies/.
-- events.outcome: 4 accepted, 5 duplicate.
ALTER TABLE events ADD COLUMN seq INTEGER; -- number among the source's accepted events, from 1; null: never promised
ALTER TABLE events ADD COLUMN mount INTEGER NOT NULL DEFAULT 0; -- bytes of the target that found the source
ALTER TABLE events ADD COLUMN trailers BLOB; -- a header block
ALTER TABLE events ADD COLUMN related BLOB; -- 16 bytes: the event this one is an edited copy or a duplicate of

-- The duty to bring one event to one destination.
CREATE TABLE deliveries (
  event_id       INTEGER NOT NULL, -- events.id
  no             INTEGER NOT NULL, -- from 1 within the event
  source_id      INTEGER NOT NULL,
  destination_id INTEGER NOT NULL,
  is_replay      INTEGER NOT NULL, -- a person asked for it
  state          INTEGER NOT NULL, -- 0 ready, 1 leased, 2 waits for due_ms, 3 delivered, 4 dead, 5 cancelled
  attempts       INTEGER NOT NULL, -- made, the one under way included
  start_ms       INTEGER NOT NULL, -- where its schedule begins
  due_ms         INTEGER NOT NULL, -- state 1: end of the lease; 2: next attempt; else: when that state began
  outcome        INTEGER, -- of the last attempt: 0 answered, 1 not sent, 2 sent but no answer
  reason         TEXT, -- why it is dead or cancelled, or why the last attempt failed
  PRIMARY KEY (event_id, no)
) STRICT, WITHOUT ROWID;
-- The primary key stands in every index entry: ready ones come in the order of their events.
CREATE INDEX deliveries_ready ON deliveries(destination_id) WHERE state = 0;
CREATE INDEX deliveries_timed ON deliveries(destination_id, due_ms) WHERE state IN (1, 2);
CREATE INDEX deliveries_dead ON deliveries(source_id) WHERE state = 4;
CREATE INDEX deliveries_cancelled ON deliveries(source_id) WHERE state = 5;

CREATE TABLE attempts (
  event_id       INTEGER NOT NULL,
  no             INTEGER NOT NULL,
  attempt        INTEGER NOT NULL, -- from 1 within the delivery
  started_ms     INTEGER NOT NULL,
  outcome        INTEGER NOT NULL,
  reason         TEXT,
  text           TEXT, -- a sentence about a failure
  agent          BLOB,
  status         INTEGER,
  connect_us     INTEGER NOT NULL,
  app_us         INTEGER NOT NULL,
  total_us       INTEGER NOT NULL,
  answer_bytes   INTEGER NOT NULL,
  answer_is_cut  INTEGER NOT NULL,
  answer_headers BLOB NOT NULL,
  answer         BLOB NOT NULL,
  PRIMARY KEY (event_id, no, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE dedupe (
  source_id  INTEGER NOT NULL,
  key        BLOB NOT NULL, -- 16 bytes of a hash
  event_id   INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  PRIMARY KEY (source_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX dedupe_by_expiry ON dedupe(expires_ms);

-- What a source was entrusted with, so that nothing can go missing unseen.
CREATE TABLE ledgers (
  source_id INTEGER PRIMARY KEY,
  accepted  INTEGER NOT NULL, -- events: the newest seq
  made      INTEGER NOT NULL, -- deliveries, ever
  delivered INTEGER NOT NULL, -- of those that retention deleted, by their last state
  dead      INTEGER NOT NULL,
  cancelled INTEGER NOT NULL
) STRICT;

-- Sequence numbers whose events retention deleted, as ranges.
CREATE TABLE forgotten (
  source_id INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq  INTEGER NOT NULL,
  PRIMARY KEY (source_id, first_seq)
) STRICT, WITHOUT ROWID;

-- Covers what lists are filtered by and what an audit counts, so that neither has to read the rows.
DROP INDEX events_by_source;
CREATE INDEX events_by_source ON events(source_id, id, outcome, status, method, seq);
CREATE INDEX events_in_files ON events(id) WHERE flags & 16;
