-- Version 3: what the kernel saw of each block. Of `peers`: when the last byte of the first form was
-- handed to the device's queue and to the device, and when the peer's TCP acknowledged it.

ALTER TABLE peers ADD COLUMN queued_us INTEGER;
ALTER TABLE peers ADD COLUMN wire_us INTEGER;
ALTER TABLE peers ADD COLUMN tcp_acked_us INTEGER;

-- Who ran on the shards' cores while they wanted them, from publishing until the last receipt. The last
-- row of a block, with a kind of `rest` or, where something was lost, `rest-at-least`, is all others.
CREATE TABLE stolen (
    block       INTEGER NOT NULL REFERENCES blocks (id) ON DELETE CASCADE,
    place       INTEGER NOT NULL,       -- 0 took most
    kind        TEXT NOT NULL,
    core        INTEGER,
    number      INTEGER,                -- thread id, interrupt number or softirq vector
    name        TEXT,
    count       INTEGER NOT NULL,
    total_ns    INTEGER NOT NULL,
    longest_ns  INTEGER,
    PRIMARY KEY (block, place)
) STRICT, WITHOUT ROWID;

DROP VIEW peer_lines;
CREATE VIEW peer_lines AS
SELECT blocks.hash, blocks.height, blocks.chain, blocks.received_us, peers.place, peers.address,
       peers.way, peers.outcome, peers.sent_bytes, peers.sent_us / 1000.0 AS sent_ms,
       peers.acked_us / 1000.0 AS acked_ms, peers.handled_us / 1000.0 AS handled_ms,
       peers.echo_us / 1000.0 AS echo_ms, peers.queued_us / 1000.0 AS queued_ms,
       peers.wire_us / 1000.0 AS wire_ms, peers.tcp_acked_us / 1000.0 AS tcp_acked_ms
FROM peers JOIN blocks ON blocks.id = peers.block;

CREATE VIEW stolen_lines AS
SELECT blocks.hash, blocks.height, blocks.chain, blocks.received_us, stolen.place, stolen.core,
       stolen.kind, stolen.number, stolen.name, stolen.count, stolen.total_ns / 1e6 AS total_ms,
       stolen.longest_ns / 1e6 AS longest_ms
FROM stolen JOIN blocks ON blocks.id = stolen.block;
