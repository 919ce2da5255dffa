//! Nodes, spool, memory of blocks, the uplink.

use super::CHAIN_ENDPOINTS_MAX;

// Nodes.
/// Largest answer of a node that is read: a block in hex, or a long list.
pub const RPC_ANSWER_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Largest cookie file that is read, in bytes; a node's is 75. The rest is not looked at.
pub const COOKIE_BYTES_MAX: u64 = 4_096;
/// How long connecting to a node may take.
pub const NODE_CONNECT_DEADLINE_MS: u64 = 5_000;
/// How long an ordinary call may take, connecting included.
pub const NODE_CALL_DEADLINE_MS: u64 = 30_000;
/// How long a node may take over one block before it is asked again.
pub const NODE_SUBMIT_DEADLINE_MS: u64 = 120_000;
/// How long a forwarded call may take: long polls rightly take long, and end with their caller.
pub const NODE_FORWARD_DEADLINE_MS: u64 = 3_600_000;
/// Idle connections kept for ordinary calls. Further ones are closed after their call.
pub const IDLE_CALLS_MAX: usize = 8;
/// The same for blocks.
pub const IDLE_SUBMITS_MAX: usize = 2;
/// A connection idle for longer is not used again: nodes close it after 30 s (`-rpcservertimeout`).
pub const NODE_IDLE_MS: u64 = 20_000;
/// How often the connections for blocks are used, so that the node does not close them.
pub const NODE_WARM_INTERVAL_MS: u64 = 10_000;
/// Tries of one call while the node's work queue is full. Then: an error.
pub const NODE_QUEUE_TRIES_MAX: u32 = 10;
/// Pause between them.
pub const NODE_QUEUE_PAUSE_MS: u64 = 20;
/// Pause after a block's first failed try; doubled after each further one.
pub const LEG_RETRY_MIN_MS: u64 = 50;
/// Longest pause between two tries.
pub const LEG_RETRY_MAX_MS: u64 = 2_000;
/// Pieces of a request that are smaller are copied together where they are kept, in bytes: each may
/// hold a read buffer of 8 KB.
pub const KEPT_PIECE_BYTES_MIN: usize = 4_096;
/// How often the node is asked for its tip.
pub const TIP_INTERVAL_MS: u64 = 1_000;
/// How long one look may take before the node counts as away.
pub const TIP_DEADLINE_MS: u64 = 10_000;
/// The tip and the blocks before it that are remembered. Full: the oldest goes.
pub const TIP_BLOCKS_MAX: usize = 100;
/// How long the question after one parent may hold up a block. Later: it goes out unasked.
pub const PARENT_DEADLINE_MS: u64 = 500;

// Spool and memory of blocks.
/// How long checks and fan-out may keep a block from being written to the spool, in ms.
pub const SPOOL_PAUSE_MS: u64 = 50;
/// Blocks that can wait in the spool. Full: the oldest whose verdict is in goes first; else an alert.
pub const SPOOL_BLOCKS_MAX: u32 = 10_000;
/// Longest first line of a block's file, in bytes. Longer: the file is damaged.
pub const SPOOL_HEAD_BYTES_MAX: u64 = 1_024;
/// How long an accepted block is kept: longer than a node's [`NODE_FLUSH_MS`].
pub const ACCEPTED_KEPT_MS: u64 = 2 * NODE_FLUSH_MS;
/// How long a node may hold accepted blocks in memory alone, and lose them when it is killed.
pub const NODE_FLUSH_MS: u64 = 3_600_000;
/// Accepted blocks of one chain that are kept. Full: the oldest goes.
pub const ACCEPTED_KEPT_MAX: u32 = 256;
/// Refused blocks of one chain that are kept. Full: the oldest goes.
pub const REFUSED_KEPT_MAX: u32 = 16;
/// How often the spool is looked through for blocks that no leg carries.
pub const SWEEP_INTERVAL_MS: u64 = 15_000;
/// Blocks whose outcome is remembered in memory. Full: the oldest goes.
pub const BLOCKS_REMEMBERED_MAX: u32 = 1_024;
/// Those of them that keep their rows, one per peer; of older ones only the counts are kept.
pub const BLOCKS_WITH_ROWS_MAX: u32 = 128;
/// Refused blocks that had not gone to peers and are remembered. Full: the oldest goes.
pub const UNSENT_REMEMBERED_MAX: usize = 64;
/// Rows of one block. Further peers are counted only.
pub const PEER_ROWS_MAX: u32 = 4_096;
/// Nodes' verdicts kept with one block. Further ones are counted only.
pub const VERDICTS_PER_BLOCK_MAX: usize = CHAIN_ENDPOINTS_MAX + 1;
/// Fates of blocks of an earlier process that wait to be written to the history. Full: the oldest goes.
pub const FATES_UNKEPT_MAX: usize = 1_024;
/// Longest time that a histogram tells apart. Longer ones count as this long.
pub const HISTOGRAM_US_MAX: u64 = 120_000_000;
/// Largest range that a kept histogram may name: what its decoder takes memory for.
pub const HISTOGRAM_KEPT_US_MAX: u64 = 1 << 40;
/// Largest kept histogram that is read, in bytes.
pub const HISTOGRAM_BYTES_MAX: usize = 1024 * 1024;

// History.
/// Least pause between two writes: what changes meanwhile is written together.
pub const HISTORY_PAUSE_MS: u64 = 1_000;
/// Pause before what could not be written is tried again.
pub const HISTORY_RETRY_MS: u64 = 5_000;
/// How long a write waits for another program that has the file locked.
pub const HISTORY_LOCK_MS: u64 = 1_000;
/// How long a read does.
pub const HISTORY_READ_LOCK_MS: u64 = 250;
/// How long the engine's start waits for the kept sums. Later they are added when they come.
pub const HISTORY_START_MS: u64 = 2_000;
/// How long the engine's stop waits for the last write.
pub const HISTORY_STOP_MS: u64 = 8_000;
/// Blocks that one transaction writes, with a row for each of their peers.
pub const HISTORY_BATCH_BLOCKS: usize = 8;
/// Blocks that one transaction deletes.
pub const HISTORY_DELETE_BLOCKS: u32 = 32;
/// Pages that one transaction gives back to the system.
pub const HISTORY_VACUUM_PAGES: u32 = 1_024;
/// Such deletions in a row before blocks that are new are looked at.
pub const HISTORY_DELETE_STEPS_MAX: u32 = 64;
/// How often old blocks are looked for.
pub const HISTORY_AGE_INTERVAL_MS: u64 = 3_600_000;
/// Least pause between two looks through the whole file because a reader met damage.
pub const HISTORY_CHECK_INTERVAL_MS: u64 = 60_000;
/// Pages of the write-ahead log after which it is written back.
pub const HISTORY_LOG_PAGES: u32 = 500;
/// Largest write-ahead log that is written on, in bytes. Over it nothing is written: somebody reads on
/// and on, and it can't be written back.
pub const HISTORY_LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Damaged files that are kept for a look. Further ones: the oldest goes.
pub const HISTORY_DAMAGED_KEPT_MAX: usize = 2;
/// Least of `history.keep_bytes`, and the most.
pub const HISTORY_BYTES_MIN: u64 = 16_000_000;
/// See [`HISTORY_BYTES_MIN`].
pub const HISTORY_BYTES_MAX: u64 = 1_000_000_000_000;
/// `history.keep_bytes` where the operator says nothing.
pub const HISTORY_BYTES: u64 = 1_000_000_000;
/// `history.keep_days` where the operator says nothing, and the most.
pub const HISTORY_DAYS: u32 = 365;
/// See [`HISTORY_DAYS`].
pub const HISTORY_DAYS_MAX: u32 = 36_500;
/// Reads of the history at once. Further ones wait their turn.
pub const HISTORY_READS_MAX: usize = 2;
/// Fewest digits that stand for a block's hash.
pub const HASH_DIGITS_MIN: usize = 8;
/// Blocks that are named where such digits fit several.
pub const HASH_MATCHES_MAX: usize = 5;
/// Words for held-back blocks that are taken from a kept file. Further ones are left out.
pub const KEPT_WORDS_MAX: usize = 64;

// What becomes of a block.
/// Blocks from a block to its chain's tip, both counted, from which on it counts as confirmed, and a
/// block that lost to it as stale.
pub const CONFIRM_DEPTH: u32 = 6;
/// How often undecided blocks are looked at where no new tip tells.
pub const CONFIRM_INTERVAL_MS: u64 = 10_000;
/// Least pause between two looks: tips that follow one another are looked at together.
pub const CONFIRM_PAUSE_MS: u64 = 500;
/// How long one look may take before the node counts as not answering.
pub const CONFIRM_DEADLINE_MS: u64 = 20_000;
/// Blocks that one look asks the node about; three calls each at most. More: the next look goes on.
pub const CONFIRM_LOOK_MAX: usize = 64;
/// Scouts' peers whose announcement of one block is kept. Further ones are counted only.
pub const SCOUT_ROWS_MAX: usize = 256;
/// Newest blocks of a chain whose fate the statistics show.
pub const CONFIRMATIONS_SHOWN_MAX: usize = 10;

// Templates.
/// Templates of one chain that are kept: a pool's jobs are made of older ones too. Full: the oldest
/// goes.
pub const TEMPLATES_KEPT_MAX: usize = 8;
/// Memory that the templates of one chain may take, in bytes. Over it: the oldest goes.
pub const TEMPLATES_BYTES_MAX: usize = 24 * 1024 * 1024;
/// Ids of transactions in templates on one parent that are remembered, 32 bytes each and some. More: only
/// the newest template's are.
pub const TEMPLATE_IDS_MAX: usize = 100_000;
/// Longest answer that is read as a template, in bytes: the largest block in hex, and as much again.
pub const TEMPLATE_ANSWER_BYTES_MAX: usize = 4 * super::BLOCK_BYTES_MAX as usize;
/// How often a node is asked for a template.
pub const TEMPLATE_INTERVAL_MS: u64 = 15_000;
/// Least pause between two questions: the pool itself asks at a new tip, and is not to wait for us.
pub const TEMPLATE_PAUSE_MS: u64 = 1_000;
/// How long a node may take over a template that it does not hold back.
pub const TEMPLATE_DEADLINE_MS: u64 = 30_000;
/// How long it may hold one back until there is something new. Then: it is asked again.
pub const TEMPLATE_LONG_DEADLINE_MS: u64 = 600_000;
/// Answers of nodes that wait to be read as templates. Full: the next one is not looked at.
pub const TEMPLATES_WAITING_MAX: usize = 2;
/// Longest longpollid that is given back to a node, in bytes. A longer one: ordinary polls.
pub const LONG_POLL_ID_BYTES_MAX: usize = 256;

// The uplink's rate: measured while connections are warmed.
/// Nearest peers whose delay is watched, at most.
pub const UPLINK_NEAR_PEERS_MAX: usize = 10;
/// Stretch of sending time over which a delay is judged.
pub const UPLINK_BIN_US: u64 = 5_000;
/// Stretches that are remembered: 4 s, more than a measurement takes.
pub const UPLINK_BINS_MAX: usize = 800;
/// Longest round trip that is believed.
pub const UPLINK_ROUND_TRIP_US_MAX: u32 = 5_000_000;
/// How long a measurement may take.
pub const UPLINK_LEARNING_US_MAX: u64 = 4_000_000;
/// A learnt rate is measured again after this.
pub const UPLINK_PROBE_INTERVAL_S: u64 = 3_600;
/// One that was lowered for losses, or whose route changed, after this.
pub const UPLINK_PROBE_SOON_S: u64 = 60;
/// Oldest kept value that is used until there is a new one.
pub const UPLINK_KEPT_S_MAX: u64 = 30 * 86_400;
/// Longest name of a route that is kept, in bytes.
pub const UPLINK_ROUTE_BYTES_MAX: usize = 128;
/// Lines of the kernel's table of routes that are looked at.
pub const UPLINK_ROUTES_READ_MAX: usize = 4_096;
/// Slowest card that is believed, in bits/s: tunnels say 10 Mbit/s whatever they carry.
pub const UPLINK_CARD_BITS_MIN: u64 = 100_000_000;
/// How often the way out is looked up.
pub const UPLINK_WAY_INTERVAL_MS: u64 = 60_000;
/// How often the connections are looked at.
pub const UPLINK_LOOK_INTERVAL_MS: u64 = 1_000;
/// Largest file of a kept rate that is read, in bytes.
pub const UPLINK_FILE_BYTES_MAX: u64 = 4_096;
/// How often near peers are looked at while the rate is measured,
pub const UPLINK_NEAR_SAMPLE_US: u64 = 250;
/// and how often all.
pub const UPLINK_ALL_SAMPLE_US: u64 = 1_000;
/// Sent segments of one near peer whose times are remembered. Full: the oldest goes, untold.
pub const UPLINK_SENT_TIMES_MAX: usize = 4_096;
/// Fewest peers with which a measurement is begun: two near ones must tell of a queue.
pub const UPLINK_LEARNING_PEERS_MIN: usize = 3;
/// A measurement waits until no connection has been made for this long,
pub const UPLINK_CALM_MS: u64 = 3_000;
/// but not longer than this after the first.
pub const UPLINK_CALM_MAX_MS: u64 = 20_000;
/// How long after its last offer a block's lost packets are counted.
pub const UPLINK_LOSSES_MS: u64 = 3_000;
/// How long after a measurement the queue is watched while the rest of the warm-up goes out.
pub const UPLINK_FILL_US_MAX: u64 = 2_000_000;
/// Reports that wait for the uplink's task. Full: announcements are dropped, they cost a little data.
pub const UPLINK_REPORTS_MAX: usize = 4_096;

// Warm connections.
/// Bytes of warm-up that are sent in an hour, all chains together, where the operator says nothing.
pub const WARM_UP_BYTES_PER_HOUR: u64 = 1_000_000_000;
/// The most that can be configured.
pub const WARM_UP_BYTES_PER_HOUR_MAX: u64 = 1_000_000_000_000;
/// Warm-ups by one block on one connection: twice the block opens its window.
pub const WARM_UP_TRIES_MAX: u32 = 2;
/// The same while the rate is measured: 20 peers and 1 MB fill 1 Gbit/s for long enough with four.
pub const WARM_UP_LEARNING_TRIES_MAX: u32 = 4;
/// How long after a warm-up its effect is judged: round trips of far peers, and some.
pub const WARM_UP_JUDGED_MS: u64 = 2_000;
/// A block is news to those that have not announced it for so long after our node had it.
pub const WARM_UP_NEWS_MS: u64 = 30_000;
/// How long one block may be out as a warm-up before its place is taken back.
pub const WARM_UP_MS_MAX: u64 = 60_000;
/// Size of a block that connections are warmed for as long as none is known, in bytes.
pub const WARM_BLOCK_BYTES: u64 = 1_000_000;
/// A window of this size, in bytes, lets a compact block through, or most of it.
pub const SMALL_IMAGE_WINDOW_BYTES: u64 = 20_000;
/// One in so many bytes of the window that a peer needs is enough to serve it among the warm ones.
pub const OPEN_WINDOW_SHARE: u64 = 3;
/// Recent tips whose largest is the block that is expected.
pub const WARM_TIPS_MAX: usize = 12;
/// Least pause between two questions to a node because a peer announced something.
pub const WARM_HINT_PAUSE_MS: u64 = 500;
/// Pause before a node that did not give its tip's bytes is asked again.
pub const WARM_ASK_PAUSE_MS: u64 = 5_000;
/// Line bytes/s of a warm-up while nothing is known of the uplink: 20 Mbit/s.
pub const WARM_UP_BLIND_BYTES_PER_S: u64 = 2_500_000;

// Locks of blocks and transactions.
/// Peers in different hands that must have a lock before it is passed on, where our node has not.
pub const LOCK_WITNESSES_MIN: usize = 3;
/// Locks that are remembered, so that each goes out once. Full: the oldest goes.
pub const LOCKS_REMEMBERED_MAX: usize = 2_048;
/// Blocks that are remembered: only their locks are passed on. Full: the oldest goes.
pub const LOCK_BLOCKS_MAX: usize = 512;
/// Locks that one peer may announce without their having come.
pub const LOCKS_UNHEARD_PER_PEER_MAX: u32 = 64;
/// How often one lock is asked for, each time of whoever announces it then,
pub const LOCK_ASKS_MAX: u32 = 3;
/// and how long after the last time.
pub const LOCK_ASK_AGAIN_MS: u64 = 2_000;
/// Locks and own transactions of one chain that are pushed in a second,
pub const LOCKS_PER_S: u64 = 20;
/// and what can be saved up of them.
pub const LOCKS_SAVED: u64 = 200;
/// Pushed messages that shards may still hold. More: none is pushed until they are done.
pub const PUSHES_KEPT_MAX: usize = 64;

// What the kernel saw of blocks.
/// Sent offers that wait for whoever looks for what the kernel saw of them. Full: the oldest goes.
pub const TRACE_OFFERS_MAX: usize = 8_192;
/// Newest blocks that are looked at for who held them up.
pub const TRACE_BLOCKS_MAX: usize = 16;
/// Threads and interrupts that are named of each block; the rest is summed up.
pub const THIEVES_SHOWN_MAX: usize = 16;
/// Characters of a thread's or interrupt's name that are kept: all that the kernel has.
pub const THIEF_NAME_CHARS_MAX: usize = 16;
/// Connections whose cookies are remembered after their end. Full: the oldest goes.
pub const COOKIES_LEFT_MAX: usize = 4_096;
