-- Marks of events, and sources on hold. Nothing is rewritten; one small index is made.

-- What an event's owner noted: pinned ones are kept by retention.
CREATE TABLE marks (
  event_id  INTEGER PRIMARY KEY, -- events.id
  is_pinned INTEGER NOT NULL,
  note      TEXT
) STRICT;

-- deliveries.is_replay: 1 a person asked for it; 2 a person let it go while its source was on hold.
-- Those are delivered while the source is on hold, and few.
CREATE INDEX deliveries_asked ON deliveries(destination_id) WHERE state = 0 AND is_replay <> 0;
