-- Providers: what is known of an event's sender, secrets of sources, deliveries signed afresh. Nothing is rewritten.

-- events.outcome: 6 a challenge the relay answered.
ALTER TABLE events ADD COLUMN name TEXT; -- the provider's name for it
ALTER TABLE events ADD COLUMN sender_id TEXT; -- the provider's id of the delivery
ALTER TABLE events ADD COLUMN signature TEXT; -- null: not checked; verified, sender_verified, or why it was refused
ALTER TABLE events ADD COLUMN signature_text TEXT; -- a sentence about that

ALTER TABLE attempts ADD COLUMN is_resigned INTEGER NOT NULL DEFAULT 0;

-- By what signatures are checked. Encrypted with a key that is not in the database.
CREATE TABLE secrets (
  id         INTEGER PRIMARY KEY,
  source_id  INTEGER NOT NULL REFERENCES sources(id),
  sealed     BLOB NOT NULL,
  label      TEXT NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX secrets_by_source ON secrets(source_id);
