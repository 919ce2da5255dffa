-- Version 2: the sums of each chain, so that statistics survive a restart; views for people.

CREATE TABLE counts (
    chain    TEXT NOT NULL,
    network  TEXT NOT NULL,
    name     TEXT NOT NULL,
    value    INTEGER NOT NULL,
    PRIMARY KEY (chain, network, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE times (
    chain      TEXT NOT NULL,
    network    TEXT NOT NULL,
    name       TEXT NOT NULL,
    count      INTEGER NOT NULL,
    sum_us     INTEGER NOT NULL,
    histogram  BLOB NOT NULL,           -- HdrHistogram V2, in us
    PRIMARY KEY (chain, network, name)
) STRICT;

CREATE TABLE last_blocks (
    chain        TEXT NOT NULL,
    network      TEXT NOT NULL,
    hash         TEXT NOT NULL,
    received_us  INTEGER NOT NULL,
    PRIMARY KEY (chain, network)
) STRICT, WITHOUT ROWID;

-- One line for each block, in ms.
CREATE VIEW block_lines AS
SELECT datetime(received_us / 1000000, 'unixepoch') AS received,
       chain, network, height, hash, size_bytes, transactions,
       published_us / 1000.0 AS published_ms,
       offers, handled + already_had AS delivered, have, witnesses,
       (SELECT word FROM verdicts WHERE block = blocks.id AND own ORDER BY place LIMIT 1) AS verdict,
       fate, depth, rival, first_back_us / 1000.0 AS first_back_ms
FROM blocks ORDER BY run DESC, image DESC;

-- One line for each peer and block, in ms after publishing.
CREATE VIEW peer_lines AS
SELECT blocks.hash, blocks.height, blocks.chain, blocks.received_us, peers.place, peers.address,
       peers.way, peers.outcome, peers.sent_bytes, peers.sent_us / 1000.0 AS sent_ms,
       peers.acked_us / 1000.0 AS acked_ms, peers.handled_us / 1000.0 AS handled_ms,
       peers.echo_us / 1000.0 AS echo_ms
FROM peers JOIN blocks ON blocks.id = peers.block;
