-- Version 1: every published block, and what became of it.
-- Times are INTEGER microseconds. Those of a stage count from the block's first byte, all others from
-- publishing; NULL: not reached. Instants count from 1970.

CREATE TABLE runs (
    id          INTEGER PRIMARY KEY,    -- rises from process to process
    started_us  INTEGER NOT NULL,
    version     TEXT NOT NULL
) STRICT;

CREATE TABLE blocks (
    id                  INTEGER PRIMARY KEY,
    run                 INTEGER NOT NULL REFERENCES runs (id),
    image               INTEGER NOT NULL,       -- rises within a run
    chain               TEXT NOT NULL,
    network             TEXT NOT NULL,
    hash                TEXT NOT NULL,
    height              INTEGER,
    size_bytes          INTEGER NOT NULL,
    transactions        INTEGER NOT NULL,
    received_us         INTEGER NOT NULL,
    first_byte_us       INTEGER,                -- stages
    header_us           INTEGER,
    work_checked_us     INTEGER,
    last_byte_us        INTEGER,
    walked_us           INTEGER,
    checked_us          INTEGER,
    compact_us          INTEGER,
    published_us        INTEGER,
    node_first_byte_us  INTEGER,
    node_last_byte_us   INTEGER,
    verdict_us          INTEGER,
    shards              INTEGER NOT NULL,
    offers              INTEGER NOT NULL,
    settled             INTEGER NOT NULL,
    handled             INTEGER NOT NULL,       -- outcomes
    already_had         INTEGER NOT NULL,
    refused             INTEGER NOT NULL,
    stalled             INTEGER NOT NULL,
    reset               INTEGER NOT NULL,
    unanswered          INTEGER NOT NULL,
    abandoned           INTEGER NOT NULL,
    echoes              INTEGER NOT NULL,
    witnesses           INTEGER NOT NULL,
    announced           INTEGER NOT NULL,
    have                INTEGER NOT NULL,
    fate                TEXT NOT NULL,
    depth               INTEGER,
    rival               TEXT,
    first_back_address  TEXT,
    first_back_voice    TEXT,
    first_back_us       INTEGER,
    half_back_us        INTEGER,
    UNIQUE (run, image)
) STRICT;
CREATE INDEX blocks_by_chain ON blocks (chain, run, image);
CREATE INDEX blocks_by_hash ON blocks (hash);
CREATE INDEX blocks_by_time ON blocks (received_us);

CREATE TABLE peers (
    block         INTEGER NOT NULL REFERENCES blocks (id) ON DELETE CASCADE,
    place         INTEGER NOT NULL,     -- 0 had the block first
    connection    INTEGER NOT NULL,
    address       TEXT,
    way           TEXT,
    outcome       TEXT,
    sent_bytes    INTEGER NOT NULL,
    submitted_us  INTEGER,
    sent_us       INTEGER,
    acked_us      INTEGER,
    handled_us    INTEGER,
    echo_us       INTEGER,
    PRIMARY KEY (block, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE verdicts (
    block     INTEGER NOT NULL REFERENCES blocks (id) ON DELETE CASCADE,
    place     INTEGER NOT NULL,         -- in the order in which they came
    node      TEXT NOT NULL,
    own       INTEGER NOT NULL,
    word      TEXT NOT NULL,
    after_us  INTEGER,
    PRIMARY KEY (block, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE witnesses (
    block     INTEGER NOT NULL REFERENCES blocks (id) ON DELETE CASCADE,
    place     INTEGER NOT NULL,
    address   TEXT NOT NULL,
    after_us  INTEGER,
    PRIMARY KEY (block, place)
) STRICT, WITHOUT ROWID;
