-- For tests: rows of every table as a server of schema 0001 wrote them, after 0001.sql. Never changes either.

PRAGMA application_id = 0x52454c59;
PRAGMA user_version = 1;

INSERT INTO projects (id, name, created_ms) VALUES (2, 'other', 1700000000000);

INSERT INTO sources (id, project_id, slug, rules, created_ms, deleted_ms) VALUES
  (1, 1, 'github', '{"paused":false,"methods":["POST"],"networks":["192.0.2.0/24"],"upgrade":false,"patience_ms":7000,"body_bytes_max":1000,"in_flight_max":256,"reply":"live","if_away":"refuse","if_slow":"fail","if_sender_leaves":"cancel"}', 1700000000001, NULL),
  (2, 1, 'stripe', '{"paused":true,"methods":[],"networks":[],"upgrade":true,"patience_ms":30000,"body_bytes_max":null,"in_flight_max":256,"reply":"live","if_away":"accept","if_slow":"fail","if_sender_leaves":"finish"}', 1700000000002, NULL),
  (3, 2, 'theirs', '{"paused":false,"methods":[],"networks":[],"upgrade":false,"patience_ms":30000,"body_bytes_max":null,"in_flight_max":256,"reply":"live","if_away":"accept","if_slow":"fail","if_sender_leaves":"finish"}', 1700000000003, NULL),
  (4, 1, 'gone', '{"paused":false,"methods":[],"networks":[],"upgrade":false,"patience_ms":30000,"body_bytes_max":null,"in_flight_max":256,"reply":"live","if_away":"accept","if_slow":"fail","if_sender_leaves":"finish"}', 1700000000004, 1700000000005);

-- The primary of `stripe` is not called default.
INSERT INTO destinations (id, source_id, name, sharing) VALUES
  (1, 1, 'default', 0), (2, 2, 'main', 1), (3, 3, 'default', 0), (4, 4, 'default', 0),
  (5, 1, 'copy', 2), (6, 2, 'default', 0), (7, 1, 'archive', 0);

-- Texts: rt_ and 43 times the letter of the label; the last two are no longer good.
INSERT INTO tokens (id, project_id, hash, scope, label, created_ms, expires_ms, revoked_ms) VALUES
  (1, 1, x'619682011001d94f7385b7c459e6e3b08711d130160b5e9cf037095c78f7016f', '{"scope":"admin"}', 'A', 1700000000000, NULL, NULL),
  (2, 1, x'1b652ad0a211d92708534085d5cd2ac0587e26f7f516322c07c5dd406a37906d', '{"scope":"agent","sources":["github"],"create":false}', 'B', 1700000000001, 1800000000000, NULL),
  (3, 1, x'1422850d2af0846123185a36f9966583250a37f1f700f1f42d69a10561933618', '{"scope":"read"}', 'C', 1700000000002, NULL, 1700000000009),
  (4, 2, x'e9b52ef3077ae610c147932afd06bb14c555f9f347a3a65d2452a9936c14489e', '{"scope":"agent","sources":[],"create":true}', 'D', 1700000000003, 1700000000004, NULL);

-- id, source, chance, flags, remote, method, target, outcome, reason, agent, status, sizes, times, header blocks:
-- answered; sent without an answer, its body not UTF-8; not sent, its body cut; refused, without bodies; another
-- project's; a deleted source's.
INSERT INTO events VALUES
  ((1700000000000 << 20) + 1, 1, 5, 3, x'c0000201', 'POST', CAST('/h/github/a%2Fb?x' AS BLOB), 0, NULL, NULL, 200, 5, 2, 10, 20, 30, 40,
   x'030001000000582d4131030004000000782d61636166e9', x'06000100000053657276657278'),
  ((1700000000000 << 20) + 2, 1, -1, 5, x'20010db8000000000000000000000007', 'POST', x'2f682f676974687562ff', 2, 'app_broke', x'fffffffffffffffffffffffffffffffa', 502, 3, 0, 1, 2, 3, 4, x'', x''),
  ((1700000000000 << 20) + 3, 2, 7, 0, x'c0000202', 'PUT', CAST('/h/stripe' AS BLOB), 1, 'agent_away', NULL, 503, 70000, 0, 1, 2, 0, 0, x'', x''),
  ((1700000000001 << 20) + 1, 2, 8, 1, x'c0000203', 'GET', CAST('/h/stripe' AS BLOB), 3, 'method_refused', NULL, 405, 0, 0, 1, 2, 0, 0, x'', x''),
  ((1700000000001 << 20) + 2, 3, 9, 3, x'c0000204', 'POST', CAST('/h/theirs' AS BLOB), 0, NULL, NULL, 200, 6, 0, 1, 2, 3, 4, x'', x''),
  ((1700000000001 << 20) + 3, 4, 10, 3, x'c0000205', 'POST', CAST('/h/gone' AS BLOB), 0, NULL, NULL, 200, 4, 0, 1, 2, 3, 4, x'', x'');

INSERT INTO bodies VALUES
  ((1700000000000 << 20) + 1, CAST('hello' AS BLOB), CAST('ok' AS BLOB)),
  ((1700000000000 << 20) + 2, x'00ff41', x''),
  ((1700000000000 << 20) + 3, CAST('the start' AS BLOB), x''),
  ((1700000000001 << 20) + 2, CAST('secret' AS BLOB), x''),
  ((1700000000001 << 20) + 3, CAST('gone' AS BLOB), x'');
