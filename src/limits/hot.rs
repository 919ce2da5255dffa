//! Images, shards and their sockets.

// Blocks and their images.
/// Largest block of any chain in [`crate::wire::chain`], in bytes.
pub const BLOCK_BYTES_MAX: u32 = 4_000_000;
/// A message header: magic 4, command 12, length 4, checksum 4.
pub const FRAME_HEADER_BYTES: u32 = 24;
/// The receipt ping behind each block: a message header and its 8-byte nonce.
pub const PING_FRAME_BYTES: u32 = FRAME_HEADER_BYTES + 8;
/// One image in the arena: the `block` frame, its ping, and room for a compact image.
/// A multiple of the 2 MiB huge page.
pub const IMAGE_SLOT_BYTES: u32 = 4 * 1024 * 1024;
/// Images held at once: those being written, being sent, and awaiting their last release.
/// When all are taken an intake waits for one, and the shards drop whoever holds up the oldest.
pub const IMAGE_SLOTS: u32 = 8;
/// A warm-up image is begun only while so many slots are free: it never takes the last ones.
pub const WARM_UP_FREE_SLOTS_MIN: u32 = 3;
/// Locked memory of one arena, in bytes: what the operator is asked to allow.
pub const ARENA_BYTES: u32 = IMAGE_SLOT_BYTES * IMAGE_SLOTS;

// Hot: the shards.
/// Shards at most: one per pinned core.
pub const SHARDS_MAX: u32 = 64;
/// Ways out of this host that are told apart for zero-copy; the last stands for all others.
pub const ROUTES_MAX: u32 = 32;
/// Parts of an image below this are copied: pinning pages and reading a second completion costs
/// more than copying so few bytes.
pub const ZERO_COPY_BYTES_MIN: u32 = 64 * 1024;
/// Connections one shard serves at most. Each takes one registered file.
pub const PEERS_PER_SHARD_MAX: u32 = 1_024;
/// Blocks whose receipts and echoes a shard still listens for, those being sent among them. A
/// further one ends the waiting for the oldest.
pub const BLOCKS_WATCHED_MAX: u32 = 32;
/// Newest blocks that a shard keeps at hand for connections that come (back) just now.
pub const BLOCKS_KEPT: u32 = 2;
/// How long it keeps them.
pub const BLOCK_KEPT_MS: u64 = 60_000;
/// When an intake finds no free image slot, connections that have not taken a block of this age are
/// dropped as stalled, oldest block first.
pub const PRESSURE_AGE_MS: u64 = 1_000;
/// Bytes of image pushed into one kernel entry; completions are read in between, so that a shard
/// is never deaf for longer than some hundred microseconds.
pub const ENTRY_BYTES_MAX: u32 = 4 * 1024 * 1024;
/// Images up to this size (compact ones) all go into one entry, however many connections there are.
pub const SMALL_IMAGE_BYTES: u32 = 48 * 1024;
/// A nearly full socket uses up at least so much of an entry: should all of them have drained
/// meanwhile, the entry still ends in some milliseconds.
pub const LIKELY_BYTES_MIN: u32 = ENTRY_BYTES_MAX / 16;
/// Longest compact image with its receipt ping, in bytes. A block that makes a longer one (some 8,000
/// transactions) goes out whole only.
pub const COMPACT_IMAGE_BYTES_MAX: u32 = SMALL_IMAGE_BYTES;
/// Submission entries of a shard's ring. A full queue is submitted and filled again.
pub const SUBMISSIONS_MAX: u32 = 2_048;
/// Completion entries of a shard's ring.
pub const COMPLETIONS_MAX: u32 = 4 * SUBMISSIONS_MAX;
/// Pieces of its own work that the kernel does in one entry that waits for a single event.
pub const WORK_PIECES: u32 = 20;
/// Pieces asked for at once where more than those have piled up: each entry stays well under a
/// millisecond (some 1.8 us per receive), so that a shard is not deaf meanwhile.
pub const WORK_PIECES_MANY: u32 = 256;
/// How long a new ring waits for the answer to a question of what it can do.
pub const PROBE_DEADLINE_MS: u64 = 100;
/// How long a ring that the kernel no longer serves waits before it asks again.
pub const RING_FAULT_PAUSE_MS: u64 = 10;
/// Provided receive buffers of a shard's ring (a power of two). Out of buffers, the kernel keeps
/// the bytes in the sockets and the shard receives again when it has given buffers back.
pub const RECEIVE_BUFFERS: u32 = 1_024;
/// Size of one provided receive buffer, in bytes.
pub const RECEIVE_BUFFER_BYTES: u32 = 2_048;
/// Payload bytes of a peer's message that a shard keeps. A longer message is counted and skipped
/// behind these: its front (hashes, headers) is all that the hot side reads.
pub const MESSAGE_HEAD_BYTES: u32 = 2_048;
/// Bytes of small messages (pongs, pings, locks) waiting for one connection. Full: dropped and
/// counted.
pub const CONTROL_BYTES_MAX: u32 = 1_024;
/// Longest message that the cold side can have a shard send for it, in bytes.
pub const CONTROL_FRAME_BYTES_MAX: u32 = 128;
/// Connections that a message to all others is not sent to: those who have it already.
pub const PUSH_SPARED_MAX: usize = 4;
/// Locks and announcements of locks from one shard to cold that can wait. Full: counted, dropped.
pub const LOCK_NEWS_MAX: u32 = 64;
/// Announced locks of one message that are looked at. Further ones come again from others.
pub const LOCK_ITEMS_MAX: usize = 16;
/// Orders from cold to one shard that can wait. Full: the cold side keeps the order and tries again.
pub const ORDERS_MAX: u32 = 2_048;
/// Reports from one shard to cold that can wait. Full: counted and dropped, but never a socket.
pub const REPORTS_MAX: u32 = 16_384;
/// How long reports wait for further ones before the cold side is rung.
pub const REPORTS_PAUSE_US: u64 = 1_000;
/// Reports held back for sockets going home, so that these can't be lost: one per connection.
pub const REPORTS_RESERVED: u32 = PEERS_PER_SHARD_MAX;
/// How long a connection may take to accept a block's bytes before it is dropped as stalled.
pub const SEND_DEADLINE_MS: u64 = 10_000;
/// How long a block's receipt is waited for before its outcome is `unanswered`.
pub const RECEIPT_DEADLINE_MS: u64 = 60_000;
/// First pause before the kernel is asked whether a block's bytes are acknowledged.
pub const ACKNOWLEDGED_PAUSE_MIN_MS: u64 = 1;
/// Longest pause before it is asked again,
pub const ACKNOWLEDGED_PAUSE_MAX_MS: u64 = 50;
/// and which part of the time since sending the pause is: the time found is off by no more.
pub const ACKNOWLEDGED_PAUSE_SHARE: u64 = 8;
/// How often a connection is pinged. How long it may take to answer is in the chain's row.
pub const PING_INTERVAL_MS: u64 = 120_000;

// What one peer may make a shard do. More: it is dropped.
/// Messages of one peer that are read in a second, all in all,
pub const RECEIVED_MESSAGES_PER_S: u64 = 500;
/// and what it can save up of them.
pub const RECEIVED_MESSAGES_SAVED: u64 = 10_000;
/// Bytes of one peer that are received in a second, all in all,
pub const RECEIVED_BYTES_PER_S: u64 = 1_000_000;
/// and what it can save up of them: several of the longest messages there are.
pub const RECEIVED_BYTES_SAVED: u64 = 32 * 1024 * 1024;
/// Items that one peer asks for by `getdata` in a second, all in all,
pub const REQUESTED_ITEMS_PER_S: u64 = 50;
/// and what it can save up of them.
pub const REQUESTED_ITEMS_SAVED: u64 = 1_100;
/// What an honest peer says of one block of ours at most, in messages and in items asked for:
/// receipt, echo, choice of its senders, a request each for headers, the block, the compact block,
/// its transactions, and again for each of these.
pub const BLOCK_REPLIES_MAX: u64 = 16;
/// Requests for one block, or parts of it, that are granted on one connection. Further ones: ignored.
pub const ANSWERS_PER_BLOCK_MAX: u8 = 6;
/// Bytes of transactions that are sent as such, for the one pass over them that their checksum
/// takes (some 70 us). Who lacks more gets the whole block.
pub const ANSWER_BYTES_MAX: u32 = 128 * 1024;
/// Pieces of a block in one answer, what stands together being one. More: the whole block.
pub const ANSWER_SPANS_MAX: usize = 128;
/// Answers of one shard that are under way at a time. More: the whole block.
pub const ANSWERS_LIVE_MAX: u32 = 64;
/// Headers of our blocks, or names of them, in one small message.
pub const HEADERS_ANSWERED_MAX: usize = 4;
/// Items of one request that are answered as not found. Further ones: not at all.
pub const NOT_FOUND_MAX: usize = 8;
/// How long the receipt of a compact block, or a request for a block offered by its header, is waited
/// for before the whole block is sent.
pub const COMPACT_RECEIPT_MS: u64 = 1_000;
/// Newest blocks that are kept for whoever still may ask for their transactions.
pub const BLOCKS_ASKED_MAX: u32 = IMAGE_SLOTS / 2;
/// How often a shard looks at its deadlines.
pub const DEADLINE_TICK_MS: u64 = 50;
/// How long a stopping shard waits for blocks in flight.
pub const DRAIN_MS: u64 = 5_000;

// Sockets of peers.
/// Bytes that a peer's socket holds: a block and some room. Full: the rest goes when there is room.
pub const SEND_BUFFER_BYTES: u32 = BLOCK_BYTES_MAX + 200 * 1024;
/// A connection without traffic for this long is probed,
pub const KEEPALIVE_IDLE_MS: u64 = 60_000;
/// again after each of these,
pub const KEEPALIVE_INTERVAL_MS: u64 = 10_000;
/// and broken after so many probes that nobody answered.
pub const KEEPALIVE_PROBES_MAX: u32 = 3;
/// Sent bytes that stay unacknowledged for longer break the connection.
pub const USER_TIMEOUT_MS: u64 = 30_000;

// The governor: what goes on the uplink, and when.
/// Share of the uplink that is used, in percent: above 97 the queue behind it fills (`wan` study).
pub const UPLINK_USED_PERCENT: u64 = 95;
/// Payload bytes of a full segment on an Ethernet of 1,500 bytes with TCP timestamps,
pub const SEGMENT_PAYLOAD_BYTES: u32 = 1_448;
/// and what it takes of the line: with IP and TCP headers, frame, preamble and gap.
pub const SEGMENT_LINE_BYTES: u32 = SEGMENT_PAYLOAD_BYTES + 90;
/// Slowest uplink that is believed, in bits/s.
pub const UPLINK_BITS_MIN: u64 = 100_000;
/// Fastest uplink that is believed, in bits/s.
pub const UPLINK_BITS_MAX: u64 = 800_000_000_000;
/// A clock that is so far behind what is paid for went back. Less than this can be a thread that was
/// held up between reading the clock and asking for tokens.
pub const CLOCK_BACK_NS: u64 = 1_000_000_000;
/// How often tokens are dealt out for a block.
pub const BLOCK_TICK_NS: u64 = 500_000;
/// How much of the rate is saved up meanwhile, at most: a shard held up for longer loses the rest.
pub const BLOCK_SAVED_NS: u64 = 2_000_000;
/// The same for a warm-up: in larger pieces windows stayed small.
pub const WARM_UP_TICK_NS: u64 = 100_000;
/// What a warm-up saves up: 100 KB at 1 Gbit/s.
pub const WARM_UP_SAVED_NS: u64 = 850_000;
/// Largest piece of a warm-up, in bytes.
pub const WARM_UP_PIECE_BYTES: u32 = 32 * 1024;
/// How long a socket that is warmed rests after such a piece, where a block keeps the line busy for
/// more than half a round trip: longer than two acknowledgements may be apart to count as one train
/// (2 ms, `tcp_cubic.c`), at whose sight CUBIC leaves slow start.
pub const WARM_UP_REST_NS: u64 = 2_500_000;
/// Largest piece while the uplink is probed: even groups of eight segments.
pub const PROBE_PIECE_BYTES: u32 = 8 * SEGMENT_PAYLOAD_BYTES;
/// What a near connection is sent now and then while the uplink is probed, so that its round trip
/// tells of the queue: two segments,
pub const BEACON_BYTES: u32 = 2 * SEGMENT_PAYLOAD_BYTES;
/// after so much time without,
pub const BEACON_PAUSE_NS: u64 = 3_000_000;
/// or longer, so that all together take no more than this share of the rate, in percent.
pub const BEACON_SHARE_PERCENT: u64 = 30;
/// Near connections are one in so many,
pub const BEACON_PEERS_SHARE: usize = 5;
/// but at least these
pub const BEACON_PEERS_MIN: usize = 5;
/// and at most these.
pub const BEACON_PEERS_MAX: usize = 10;
/// Smallest piece that is worth a send, in bytes, unless it is the rest.
pub const PIECE_BYTES_MIN: u32 = SEGMENT_PAYLOAD_BYTES;
/// A bucket holds at least this, in bytes, however slow the uplink: two segments.
pub const BUCKET_BYTES_MIN: u32 = 2 * SEGMENT_PAYLOAD_BYTES;
/// Piece of a connection whose window is not open, in bytes: the usual first flight and a little.
pub const COLD_PIECE_BYTES: u32 = 16 * 1024;
/// Images up to this size are given to it in its turn, whole.
pub const COLD_IMAGE_BYTES_MIN: u32 = 4 * COLD_PIECE_BYTES;
/// Ticks whose tokens a bucket holds at least: what a shard does not fetch is not lost before the others
/// come for it. Where it is shared, a warm-up's piece need be no larger than this part of a bucket.
pub const BUCKET_SHARES_MAX: u32 = 4;
/// TCP_NOTSENT_LOWAT of a governed socket, in bytes. The kernel looks when it begins a buffer, so
/// up to one buffer more, twice as much in all, may lie unsent.
pub const UNSENT_BYTES: u32 = 32 * 1024;
/// What a rank's unit is worth in the choice of the near half, in ns: 1,000 units are one point of
/// score and count like 50 us of way.
pub const RANK_UNIT_NS: u64 = 50;
/// Ranks of one tier; a tier is served before the next.
pub const RANKS_PER_TIER: u32 = 1 << 24;
/// Cold connections go first while they are at most one in so many: what more of them take would hold up
/// the half.
pub const COLD_FIRST_SHARE: usize = 4;
