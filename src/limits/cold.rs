//! Peers, nodes, spool, memory of blocks.

use super::{CHAIN_ENDPOINTS_MAX, PEERS_PER_SHARD_MAX};

// Peers: dialling, roster, database.
/// Chains one engine serves.
pub const CHAINS_MAX: u32 = 8;
/// Connection attempts of one chain under way at once. Full: the next waits for one to end.
pub const DIALS_MAX: u32 = 16;
/// Those at peers that the operator named: a long list of dead ones must not use up the dials.
pub const FIXED_DIALS_MAX: u32 = DIALS_MAX / 2;
/// How long connecting and the handshake may take together.
pub const HANDSHAKE_DEADLINE_MS: u64 = 10_000;
/// The same through a proxy: a circuit to an onion service takes its time.
pub const PROXY_DEADLINE_MS: u64 = 60_000;
/// Longest user name and password of a proxy (RFC 1929), in bytes.
pub const PROXY_LOGIN_BYTES_MAX: usize = 255;
/// How soon peers are tried again after the proxy was not there: it is not their fault.
pub const PROXY_RETRY_MS: u64 = 5_000;
/// Bytes a peer may send us during its handshake.
pub const HANDSHAKE_BYTES_MAX: u32 = 256 * 1024;
/// Bytes of them that are read in one go.
pub const HANDSHAKE_READ_BYTES: usize = 4_096;
/// A connection that held for this long was a good one: its loss starts the waits anew.
pub const STABLE_MS: u64 = 5_000;
/// First wait between tries at the local node and at peers that the operator named.
pub const KEPT_RETRY_MIN_MS: u64 = 250;
/// It doubles up to this.
pub const KEPT_RETRY_MAX_MS: u64 = 10_000;
/// First wait between tries at any other address.
pub const PEER_RETRY_MIN_MS: u64 = 5_000;
/// It doubles up to this; nothing that a file says puts a try off for longer.
pub const PEER_RETRY_MAX_MS: u64 = 3_600_000;
/// First wait between questions to a node that does not tell of its peers.
pub const ASKING_RETRY_MIN_MS: u64 = 1_000;
/// It doubles up to this.
pub const ASKING_RETRY_MAX_MS: u64 = 60_000;
/// How long the node may take to tell of its peers. Later: it counts as not answered.
pub const PEERS_TOLD_DEADLINE_MS: u64 = 30_000;
/// Empty places are filled anew at most this often, whatever is configured.
pub const REFRESH_MIN_MS: u64 = 50;
/// How often at least while there are fewer peers than wanted.
pub const FEW_PEERS_REFRESH_MS: u64 = 5_000;
/// How soon an order is offered again to a shard whose queue was full.
pub const ORDER_RETRY_MS: u64 = 10;
/// How long that queue may stay full before a new connection is given up.
pub const ADOPTION_DEADLINE_MS: u64 = 5_000;
/// New ranks follow outcomes after this, so that one block's outcomes make one round of orders.
pub const RANK_PAUSE_MS: u64 = 250;
/// A roster's view is renewed at most this often.
pub const VIEW_PAUSE_MS: u64 = 50;
/// Events that a roster takes in one go before it looks at due work.
pub const ROSTER_EVENTS_AT_ONCE: usize = 1_024;
/// Ended connections that still have a name, for a block's last outcomes. Full: the oldest goes.
pub const PEERS_LEAVING_MAX: usize = 4 * PEERS_PER_SHARD_MAX as usize;
/// Entries of one chain's peer database. Full: the lowest scored, longest unseen one goes.
pub const PEER_ENTRIES_MAX: u32 = 10_000;
/// Entries that go at once then, so that not every newcomer costs a walk.
pub const PEERS_EVICTED_AT_ONCE: u32 = PEER_ENTRIES_MAX / 100;
/// Largest peer database file that is read, in bytes.
pub const PEER_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longest word of another program in that file that is kept, in bytes. Longer: cut.
pub const PEER_WORD_BYTES_MAX: usize = 32;
/// Damaged files put aside within one second that get a name of their own. More: an error.
pub const PUT_ASIDE_NAMES_MAX: u32 = 100;
/// Between saves of the database when nothing else asks for one.
pub const SAVE_INTERVAL_MS: u64 = 300_000;
/// Saves that are asked for come at most this often.
pub const SAVE_PAUSE_MS: u64 = 2_000;
/// How often a running roster looks for edits that a command has left for it.
pub const EDITS_INTERVAL_MS: u64 = 1_000;
/// The same after a save that failed: edits stay until they have been saved.
pub const EDITS_RETRY_MS: u64 = 10_000;
/// Edits that are taken in one go, the oldest first. More wait for the next.
pub const EDITS_AT_ONCE: usize = 64;
/// How long a start waits for a command that has the peer database in hand.
pub const CLAIM_DEADLINE_MS: u64 = 2_000;
/// Pause between two tries of that.
pub const CLAIM_PAUSE_MS: u64 = 10;
/// Addresses that the operator can ban, per chain. Full: further ones are refused.
pub const PEER_BANS_MAX: usize = 1_000;
/// An address that nobody has seen for this long is stale (Bitcoin Core: 30 days, `addrman`).
pub const PEER_STALE_S: u64 = 30 * 86_400;
/// Entries up to which even stale ones are kept: after a long rest they are all there is.
pub const PEER_STALE_KEPT: u32 = PEER_ENTRIES_MAX / 10;
/// Connected peers of one network group (/16 of IPv4, /32 of IPv6) that are wanted at most.
pub const PEERS_PER_NETGROUP_MAX: u32 = 2;
/// Addresses of its own that the local node may name. Further ones are not looked at.
pub const OWN_ADDRESSES_MAX: usize = 64;
/// Failures in a row from which an address counts as broken: its breaker is open.
pub const BREAKER_FAILURES: u32 = 3;
/// Faults of one peer file that are named. Further ones are counted.
pub const PEER_FAULTS_NAMED_MAX: usize = 1_000;
/// What a message repeats of a peer file at most, in characters.
pub const PEER_QUOTED_CHARS_MAX: usize = 64;

// Discovery: addresses by gossip and from DNS.
/// Addresses of one connection that are taken at its start (Bitcoin Core: `m_addr_token_bucket`).
pub const ADDRESS_TOKENS_START: f64 = 1.0;
/// What is added to that per s (Core: `MAX_ADDR_RATE_PER_SECOND`). Beyond: refused.
pub const ADDRESS_TOKENS_PER_S: f64 = 0.1;
/// Up to this; and so many at once for the answer to our `getaddr` (Core: `MAX_ADDR_TO_SEND`).
pub const ADDRESS_TOKENS_MAX: f64 = 1_000.0;
/// What is taken off the time at which an address was seen, as a peer says (Core: 2 h).
pub const GOSSIP_PENALTY_S: u64 = 2 * 3_600;
/// A time so far ahead of our clock is made up: the address counts as seen
pub const GOSSIP_AHEAD_S: u64 = 600;
/// so long ago (Core: 5 days).
pub const GOSSIP_UNDATED_S: u64 = 5 * 86_400;
/// The same for an address from a DNS seed (Core: 3 to 7 days).
pub const SEED_ADDRESS_AGE_S: u64 = 3 * 86_400;
/// Addresses in the database that never answered, from one source: a /16 of IPv4, a /32 of IPv6, a
/// DNS seed. Full: the source's further ones are refused until some have answered or gone.
pub const HEARSAY_PER_SOURCE_MAX: u32 = PEER_ENTRIES_MAX / 10;
/// What a source may have of a full database, however little the others have.
pub const HEARSAY_PER_SOURCE_MIN: u32 = PEERS_EVICTED_AT_ONCE;
/// [`HEARSAY_PER_SOURCE_MAX`] for all addresses, whoever tells of them, that are in one /16 or /32.
pub const HEARSAY_PER_NETGROUP_MAX: u32 = PEER_ENTRIES_MAX / 50;
/// With fewer entries than this, peers that are connected already are visited for addresses too.
pub const BOOK_POOR: u32 = PEER_ENTRIES_MAX / 10;
/// With fewer than this the DNS seeds are asked.
pub const SEEDS_BOOK_ENOUGH: u32 = 100;
/// How long others are given to find peers before the seeds are asked, unless nobody is known.
pub const SEEDS_WAIT_MS: u64 = 11_000;
/// Seeds that are asked at once; the next ones after [`SEEDS_WAIT_MS`], if peers still are few.
pub const SEEDS_AT_ONCE: usize = 3;
/// How long one may take. Later: it counts as not answered.
pub const SEED_DEADLINE_MS: u64 = 10_000;
/// Addresses of one seed's answer that are looked at (Core: 256). The rest is left.
pub const SEED_ADDRESSES_MAX: usize = 256;
/// First wait before all seeds are asked anew.
pub const SEEDS_RETRY_MIN_MS: u64 = 600_000;
/// It doubles up to this.
pub const SEEDS_RETRY_MAX_MS: u64 = 21_600_000;

// Scouts: connections that listen.
/// Scouts of one chain that are dialled at once, beside the roster's own dials.
pub const SCOUT_DIALS_MAX: usize = DIALS_MAX as usize / 2;
/// First bytes of a message's payload that a scout keeps: 1,000 addresses as `addr`, and about as
/// many as `addrv2`. What is behind is not read.
pub const SCOUT_MESSAGE_BYTES: usize = 32 * 1024;
/// Bytes of a scout's connection that are read in one go.
pub const SCOUT_READ_BYTES: usize = 4_096;
/// What the kernel may hold of what a scout has not read, in bytes.
pub const SCOUT_RECEIVE_BUFFER_BYTES: usize = 64 * 1024;
/// What one scout may take, in bytes, the kernel's socket aside: the two above and its task.
pub const SCOUT_MEMORY_BYTES_MAX: usize = 48 * 1024;
/// What scouts of one chain have said and nobody has taken up. Full: they wait.
pub const SCOUT_TIDINGS_MAX: usize = 64;
/// Announcements that wait for the roster. Full: further ones are dropped.
pub const SCOUT_NEWS_MAX: usize = 4_096;
/// Lists of addresses, at most 1,000 each, that do. Full: further ones are dropped, and counted.
pub const HEARD_LISTS_MAX: usize = 32;
/// Messages that a scout's peer may send at once,
pub const SCOUT_MESSAGES_BURST: f64 = 2_000.0;
/// and per s in the long run. More: it is dropped.
pub const SCOUT_MESSAGES_PER_S: f64 = 20.0;
/// Bytes that it may send at once: a block that nobody asked for, and then some,
pub const SCOUT_BYTES_BURST: f64 = 8_000_000.0;
/// and per s in the long run. More: it is dropped.
pub const SCOUT_BYTES_PER_S: f64 = 64_000.0;
/// Blocks that it may announce at once,
pub const SCOUT_BLOCKS_BURST: f64 = 64.0;
/// and per s in the long run. More: they are not looked at.
pub const SCOUT_BLOCKS_PER_S: f64 = 0.5;
/// Blocks of one announcement that are looked at (Core: `MAX_BLOCKS_TO_ANNOUNCE`).
pub const SCOUT_ANNOUNCED_MAX: usize = 8;
/// Blocks that a scout remembers as announced by its peer. Full: the oldest goes.
pub const SCOUT_BLOCKS_REMEMBERED: usize = 32;
/// Messages with a wrong checksum after which a scout's peer is dropped.
pub const SCOUT_BAD_CHECKSUMS_MAX: u32 = 3;
/// How often a scout pings, for the connection's sake.
pub const SCOUT_PING_INTERVAL_MS: u64 = 120_000;
/// A peer of which nothing was heard for this long is dropped. Some ping every 120 s only.
pub const SCOUT_SILENCE_MS: u64 = 300_000;
/// How long a peer may take to take in a few bytes of ours. Longer: it is dropped.
pub const SCOUT_WRITE_DEADLINE_MS: u64 = 5_000;
/// At each refresh one scout in so many gives its place to another address,
pub const SCOUT_ROTATED_ONE_IN: usize = 50;
/// but none that has not listened for so many blocks' time.
pub const SCOUT_STAY_BLOCKS: u32 = 10;
/// Who announces a block this soon after the first scout's peer is an early announcer.
pub const SCOUT_EARLY_MS: u64 = 150;
/// Blocks for which the first announcement is remembered. Full: the oldest goes.
pub const SCOUT_FIRSTS_MAX: usize = 64;
/// Least pause between two draws of addresses to listen at.
pub const SCOUT_DRAW_PAUSE_MS: u64 = 1_000;
/// Scouts at addresses of one network group.
pub const SCOUTS_PER_NETGROUP_MAX: usize = 4;
/// Visits for addresses at peers that are connected already, under way at once,
pub const VISITS_MAX: usize = 2;
/// how long one may take: nodes answer at their next tick, after 30 s on average,
pub const VISIT_MS_MAX: u64 = 180_000;
/// and the pause before the same peer is visited again. Nodes repeat their answer for a day.
pub const VISIT_PAUSE_S: u64 = 1_800;
/// Peers whose last visit is remembered. Full: the oldest goes.
pub const VISITS_REMEMBERED_MAX: usize = 4_096;
/// Open files that scouts leave to all others.
pub const SCOUT_FILES_LEFT: u64 = 512;

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
/// Rows of one block. Further peers are counted only.
pub const PEER_ROWS_MAX: u32 = 4_096;
/// Nodes' verdicts kept with one block. Further ones are counted only.
pub const VERDICTS_PER_BLOCK_MAX: usize = CHAIN_ENDPOINTS_MAX + 1;
/// Longest time that a histogram tells apart. Longer ones count as this long.
pub const HISTOGRAM_US_MAX: u64 = 120_000_000;

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

// The covering rule: when each watched peer announced the network's blocks.
/// Peers whose announcements are kept, watched ones and earlier ones. Full: the longest silent one
/// that is not watched goes; with none such, the newcomer stays out.
pub const COVER_PEERS_MAX: usize = 4_096;
/// Blocks that are kept, so a peer's record takes 640 bytes. Full: one of the older
/// half goes if too few vouch for it, else the oldest.
pub const COVER_BLOCKS_MAX: usize = 160;
/// Blocks that must be of use before the rule rules. Fewer: the order stays that of the scores.
pub const COVER_BLOCKS_MIN: usize = 5;
/// Peers that must have announced a block before it is of use: one alone may have made it up.
pub const COVER_WITNESSES_MIN: u32 = 3;
/// How far ahead of the third announcer a peer can count as, however early it was.
pub const COVER_HEAD_START_US: u32 = 30_000;
/// An announcement that comes later than this after the first one is not noted.
pub const COVER_LAG_US_MAX: u32 = 30_000_000;
/// Lag beyond which a peer is of no use for a block: by then it is everywhere.
pub const COVER_COST_US_MAX: u32 = 500_000;
/// A block's weight is halved every so often,
pub const COVER_HALF_LIFE_US: u64 = 24 * 3_600_000_000;
/// and it is left out when it is older than this.
pub const COVER_AGE_US_MAX: u64 = 7 * COVER_HALF_LIFE_US;
/// One place in so many is given by lot, not by the rule.
pub const COVER_LOT_ONE_IN: usize = 5;
