//! What no operator can change: every bound of the program, its unit, and what it costs.
//!
//! The sums at the end are checked by the compiler, so two bounds can't drift apart unseen.

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
/// Locked memory of one arena, in bytes: what the operator is asked to allow.
pub const ARENA_BYTES: u32 = IMAGE_SLOT_BYTES * IMAGE_SLOTS;

// Hot: the shards.
/// Shards at most: one per pinned core.
pub const SHARDS_MAX: u32 = 64;
/// Connections one shard serves at most. Each takes one registered file.
pub const PEERS_PER_SHARD_MAX: u32 = 1_024;
/// Blocks whose receipts and echoes a shard still listens for, those being sent among them. A
/// further one ends the waiting for the oldest.
pub const BLOCKS_WATCHED_MAX: u32 = 16;
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
/// Submission entries of a shard's ring. A full queue is submitted and filled again.
pub const SUBMISSIONS_MAX: u32 = 2_048;
/// Completion entries of a shard's ring.
pub const COMPLETIONS_MAX: u32 = 4 * SUBMISSIONS_MAX;
/// Provided receive buffers of a shard's ring (a power of two). Out of buffers, the kernel keeps
/// the bytes in the sockets and the shard receives again when it has given buffers back.
pub const RECEIVE_BUFFERS: u32 = 1_024;
/// Size of one provided receive buffer, in bytes.
pub const RECEIVE_BUFFER_BYTES: u32 = 2_048;
/// Payload bytes of a peer's message that a shard keeps. A longer message is counted and skipped
/// behind these: its front (hashes, headers) is all that the hot side reads.
pub const MESSAGE_HEAD_BYTES: u32 = 2_048;
/// Bytes of small messages (pongs, pings) waiting for one connection. Full: dropped and counted.
pub const CONTROL_BYTES_MAX: u32 = 512;
/// Longest message that the cold side can have a shard send for it, in bytes.
pub const CONTROL_FRAME_BYTES_MAX: u32 = 128;
/// Orders from cold to one shard that can wait. Full: the cold side keeps the order and tries again.
pub const ORDERS_MAX: u32 = 2_048;
/// Reports from one shard to cold that can wait. Full: counted and dropped, but never a socket.
pub const REPORTS_MAX: u32 = 16_384;
/// Reports held back for sockets going home, so that these can't be lost: one per connection.
pub const REPORTS_RESERVED: u32 = PEERS_PER_SHARD_MAX;
/// How long a connection may take to accept a block's bytes before it is dropped as stalled.
pub const SEND_DEADLINE_MS: u64 = 10_000;
/// How long a block's receipt is waited for before its outcome is `unanswered`.
pub const RECEIPT_DEADLINE_MS: u64 = 60_000;
/// How often a quiet connection is pinged.
pub const PING_INTERVAL_MS: u64 = 120_000;
/// A connection that has not answered a ping for this long is dropped.
pub const PING_DEADLINE_MS: u64 = 300_000;
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

// Wire: what others may send us.
/// Longest user agent that nodes accept, in bytes.
pub const USER_AGENT_BYTES_MAX: u32 = 256;
/// Largest weight of a block where blocks may hold witnesses (`consensus.h`). Heavier: refused.
pub const BLOCK_WEIGHT_MAX: u32 = 4_000_000;
/// Hashes in a branch to the parent's merkle root: nodes set no limit, a block's size does.
pub const PROOF_BRANCH_MAX: u64 = 32;
/// Hashes in a branch to the chain merkle root (`auxpow.cpp`). More, in either: refused.
pub const PROOF_CHAIN_BRANCH_MAX: u64 = 30;
/// Entries of an inv, getdata or notfound that nodes take (MAX_INV_SZ). More: none is read.
pub const INVENTORY_MAX: u64 = 50_000;
/// Headers in one message that nodes take (MAX_HEADERS_RESULTS). More: none is read.
pub const MESSAGE_HEADERS_MAX: u64 = 2_000;
/// Hashes of a locator that nodes take (MAX_LOCATOR_SZ). More: the message is refused.
pub const LOCATOR_MAX: u64 = 101;
/// Records in one addr or addrv2 that nodes take (MAX_ADDR_TO_SEND). More: none is read.
pub const ADDRESSES_MAX: u64 = 1_000;
/// Versions of compact blocks that are noted of a peer. Further ones are ignored.
pub const COMPACT_VERSIONS_MAX: usize = 8;

// Peers: dialling, roster, database.
/// Chains one engine serves.
pub const CHAINS_MAX: u32 = 8;
/// Connection attempts of one chain under way at once. Full: the next waits for one to end.
pub const DIALS_MAX: u32 = 16;
/// Those at peers that the operator named: a long list of dead ones must not use up the dials.
pub const FIXED_DIALS_MAX: u32 = DIALS_MAX / 2;
/// How long connecting and the handshake may take together.
pub const HANDSHAKE_DEADLINE_MS: u64 = 10_000;
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
/// How often the node is asked for its tip.
pub const TIP_INTERVAL_MS: u64 = 1_000;
/// How long one look may take before the node counts as away.
pub const TIP_DEADLINE_MS: u64 = 10_000;
/// The tip and the blocks before it that are remembered. Full: the oldest goes.
pub const TIP_BLOCKS_MAX: usize = 100;
/// How long the question after one parent may hold up a block. Later: it goes out unasked.
pub const PARENT_DEADLINE_MS: u64 = 500;

// Spool and memory of blocks.
/// How long publishing may keep a block from being written to the spool, in ms.
pub const SPOOL_PAUSE_MS: u64 = 10;
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

// Intake: the desk.
/// Hand-overs being worked on at once, all intakes together. Full: 503, try again.
pub const SUBMISSIONS_LIVE_MAX: u32 = 64;
/// Blocks held in memory for a node that has not spoken. Further ones wait in the spool alone.
pub const LEGS_LIVE_MAX: u32 = 128;
/// Blocks being handed to one further endpoint at once. Further ones are not handed to it.
pub const ENDPOINT_LEGS_MAX: u32 = 32;
/// How long a further endpoint is tried. Then it is given up for this block.
pub const ENDPOINT_DEADLINE_MS: u64 = 600_000;
/// How long a caller is kept waiting for the node's verdict. Then: the node is away.
pub const ANSWER_DEADLINE_MS: u64 = 30_000;
/// How long a free image slot is waited for. Then the block goes to the nodes alone.
pub const PLACE_DEADLINE_MS: u64 = 2_000;
/// How often one is looked for.
pub const PLACE_PAUSE_MS: u64 = 1;
/// Forefathers that are handed, in one go, to a node which has lost them.
pub const FOREFATHERS_MAX: usize = 1_000;
/// Times that a block goes back to the node because its parent was still on its way.
pub const ORPHAN_TRIES_MAX: u32 = 5;
/// Pause before an endpoint that lacks the parent is asked again.
pub const ORPHAN_PAUSE_MS: u64 = 1_000;
/// How long a block waits for the verdict on its parent. Then it waits no longer.
pub const PARENT_VERDICT_DEADLINE_MS: u64 = 30_000;

// Intake: JSON-RPC and the Unix socket.
/// Largest request body at the JSON-RPC intake: a block in hex and some room. Larger: not decoded.
pub const RPC_BODY_BYTES_MAX: u32 = 2 * BLOCK_BYTES_MAX + 64 * 1024;
/// Bytes of an oversized body that are read and thrown away, so that the answer can be heard.
pub const RPC_DISCARD_BYTES_MAX: u32 = 4 * RPC_BODY_BYTES_MAX;
/// Longest `Authorization` header that is looked at, in bytes. Longer: a wrong password.
pub const RPC_LOGIN_BYTES_MAX: usize = 1_024;
/// Requests of one batch. More: refused whole.
pub const RPC_BATCH_MAX: usize = 1_000;
/// Connections served at once. Further ones wait to be accepted.
pub const RPC_CONNECTIONS_MAX: u32 = 256;
/// How long a connection may be idle, or take over the head of a request.
pub const RPC_HEAD_DEADLINE_MS: u64 = 120_000;
/// How long a body may make no progress.
pub const RPC_BODY_DEADLINE_MS: u64 = 30_000;
/// How long a wrong password is made to wait, as nodes do.
pub const WRONG_PASSWORD_PAUSE_MS: u64 = 250;
/// Connections served at once at the Unix socket. Further ones wait to be accepted.
pub const UNIX_CONNECTIONS_MAX: u32 = 64;
/// How long one may be idle between two requests.
pub const UNIX_IDLE_DEADLINE_MS: u64 = 300_000;
/// How long a request may take to come in once it has begun, and an answer to be taken.
pub const UNIX_TRANSFER_DEADLINE_MS: u64 = 30_000;
/// How long the peers' outcomes are waited for after the verdict. The answer tells what is in.
pub const UNIX_OUTCOMES_DEADLINE_MS: u64 = 2_000;
/// Longest answer that a client of the Unix socket reads, in bytes.
pub const UNIX_ANSWER_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// Pause of an intake after a failed accept (no free file descriptor).
pub const ACCEPT_PAUSE_MS: u64 = 50;
/// How long open connections of an intake have to finish when the engine stops.
pub const INTAKE_STOP_MS: u64 = 5_000;
/// How long a stopping engine waits for all of them. Their blocks are kept.
pub const ENGINE_STOP_MS: u64 = INTAKE_STOP_MS + 1_000;

// HTTP and commands.
/// Peers named under `top_peers`, the best ones.
pub const TOP_PEERS_MAX: usize = 20;
/// Longest answer head that the commands read, in bytes.
pub const CLIENT_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header lines of such an answer.
pub const CLIENT_HEADERS_MAX: usize = 64;
/// How long `submit` waits for the engine.
pub const SUBMIT_COMMAND_DEADLINE_MS: u64 = 90_000;
/// How long `status` waits for the engine.
pub const STATUS_COMMAND_DEADLINE_MS: u64 = 5_000;
/// Threads of the cold side.
pub const COLD_THREADS: usize = 2;

// Configuration. What is beyond is a fault that names its line.
/// Largest file that is read, in bytes.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// Faults that are shown at once: more of them help nobody.
pub const CONFIG_FAULTS_MAX: usize = 50;
/// Characters of a wrong value that are repeated in its message. The rest is cut.
pub const CONFIG_QUOTED_CHARS_MAX: usize = 60;
/// Connections of one chain: they fit one shard.
pub const CHAIN_PEERS_MAX: u32 = 1_000;
/// Listening connections of one chain.
pub const CHAIN_SCOUTS_MAX: u32 = 10_000;
/// Further RPC endpoints of one chain.
pub const CHAIN_ENDPOINTS_MAX: usize = 32;
/// Longest time between two looks at the roster, in s.
pub const REFRESH_S_MAX: u32 = 86_400;
/// Highest core number that is believed.
pub const CORE_NUMBER_MAX: u32 = 4_095;

// Simulation and demo.
/// Blocks whose arrivals the simulated peers remember. Full: the oldest goes.
pub const SIM_BLOCKS_MAX: usize = 4_096;
/// Bytes that are kept of all their connections together. What comes after is not kept.
pub const SIM_KEPT_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Tries before a header is given up: a chain whose lowest difficulty is not a toy.
pub const SIM_TRIES_MAX: u32 = 1 << 16;
/// Blocks of one demo.
pub const DEMO_BLOCKS_MAX: u32 = 100_000;
/// How long a demo's peers may take to be connected, and one block to be everywhere.
pub const DEMO_DEADLINE_MS: u64 = 30_000;

const _: () = {
    assert!(SHARDS_MAX <= u64::BITS, "a shard is a bit of a word");
    assert!(
        BLOCK_BYTES_MAX + FRAME_HEADER_BYTES + PING_FRAME_BYTES <= IMAGE_SLOT_BYTES,
        "an image holds the largest block with its frame and ping"
    );
    assert!(IMAGE_SLOT_BYTES.is_multiple_of(2 * 1024 * 1024), "a slot is whole huge pages");
    assert!(BLOCKS_KEPT < IMAGE_SLOTS, "an intake can write while the newest are kept");
    assert!(IMAGE_SLOTS <= BLOCKS_WATCHED_MAX, "whatever holds an image slot is watched");
    assert!(BLOCKS_WATCHED_MAX <= u8::MAX as u32, "a watched block is named by a u8");
    assert!(IMAGE_SLOTS <= u8::MAX as u32, "an image slot is named by a u8");
    assert!(PEERS_PER_SHARD_MAX <= u16::MAX as u32, "a connection is named by a u16");
    assert!(
        PEERS_PER_SHARD_MAX * 4 <= COMPLETIONS_MAX,
        "one send, one release, one receive and one readiness per connection fit the ring"
    );
    assert!(RECEIVE_BUFFERS.is_power_of_two() && SUBMISSIONS_MAX.is_power_of_two());
    assert!(
        PING_FRAME_BYTES <= CONTROL_FRAME_BYTES_MAX && CONTROL_FRAME_BYTES_MAX <= CONTROL_BYTES_MAX
    );
    assert!(REPORTS_RESERVED < REPORTS_MAX, "ordinary reports have room beside the reserve");
    assert!(
        PEERS_PER_SHARD_MAX * IMAGE_SLOTS + REPORTS_RESERVED <= REPORTS_MAX,
        "every outcome of the live blocks fits the queue"
    );
    assert!(PING_INTERVAL_MS < PING_DEADLINE_MS && SEND_DEADLINE_MS < RECEIPT_DEADLINE_MS);
    assert!(SEND_DEADLINE_MS < USER_TIMEOUT_MS, "a stalled peer is dropped as stalled");
    let probing_ms = KEEPALIVE_INTERVAL_MS * KEEPALIVE_PROBES_MAX as u64;
    assert!(KEEPALIVE_IDLE_MS + probing_ms < PING_DEADLINE_MS);
    assert!(BLOCK_BYTES_MAX + FRAME_HEADER_BYTES + PING_FRAME_BYTES <= SEND_BUFFER_BYTES);
    assert!(0 < FIXED_DIALS_MAX && FIXED_DIALS_MAX < DIALS_MAX, "candidates are dialled too");
    assert!(HANDSHAKE_READ_BYTES <= HANDSHAKE_BYTES_MAX as usize);
    assert!(KEPT_RETRY_MIN_MS < KEPT_RETRY_MAX_MS && KEPT_RETRY_MAX_MS < PEER_RETRY_MAX_MS);
    assert!(PEER_RETRY_MIN_MS < PEER_RETRY_MAX_MS && ASKING_RETRY_MIN_MS < ASKING_RETRY_MAX_MS);
    assert!(REFRESH_MIN_MS < FEW_PEERS_REFRESH_MS && ORDER_RETRY_MS < ADOPTION_DEADLINE_MS);
    assert!(0 < PEERS_EVICTED_AT_ONCE && SAVE_PAUSE_MS < SAVE_INTERVAL_MS);
    assert!(CHAIN_PEERS_MAX <= PEERS_PER_SHARD_MAX, "the peers of a chain fit one shard");
    assert!(CHAIN_PEERS_MAX * CHAINS_MAX <= PEERS_PER_SHARD_MAX * SHARDS_MAX);
    assert!(CHAIN_PEERS_MAX <= PEER_ENTRIES_MAX && CHAIN_SCOUTS_MAX <= PEER_ENTRIES_MAX);
    assert!(CHAIN_PEERS_MAX <= PEER_ROWS_MAX, "every peer of a chain has its row");
    assert!(SHARDS_MAX <= CORE_NUMBER_MAX + 1, "every shard can have a core");
    assert!(NODE_CONNECT_DEADLINE_MS < TIP_DEADLINE_MS && TIP_DEADLINE_MS < NODE_CALL_DEADLINE_MS);
    assert!(NODE_CALL_DEADLINE_MS < NODE_SUBMIT_DEADLINE_MS);
    assert!(NODE_SUBMIT_DEADLINE_MS < ENDPOINT_DEADLINE_MS, "an endpoint is asked again");
    assert!(NODE_WARM_INTERVAL_MS + TIP_INTERVAL_MS < NODE_IDLE_MS, "warm connections are used");
    assert!(NODE_QUEUE_PAUSE_MS * (NODE_QUEUE_TRIES_MAX as u64) < NODE_CALL_DEADLINE_MS);
    assert!(LEG_RETRY_MIN_MS < LEG_RETRY_MAX_MS && LEG_RETRY_MAX_MS < ANSWER_DEADLINE_MS);
    assert!(NODE_FLUSH_MS < ACCEPTED_KEPT_MS, "whatever a killed node forgets is still here");
    let kept = CHAINS_MAX * (ACCEPTED_KEPT_MAX + REFUSED_KEPT_MAX);
    assert!(kept + LEGS_LIVE_MAX <= SPOOL_BLOCKS_MAX, "what is kept leaves room for what waits");
    assert!(BLOCKS_WATCHED_MAX <= BLOCKS_WITH_ROWS_MAX, "outcomes find their rows");
    assert!(BLOCKS_WITH_ROWS_MAX <= BLOCKS_REMEMBERED_MAX);
    assert!(RECEIPT_DEADLINE_MS * 1_000 <= HISTOGRAM_US_MAX, "the latest receipt has its place");
    assert!(SUBMISSIONS_LIVE_MAX <= LEGS_LIVE_MAX, "every hand-over can have its leg");
    assert!(ENDPOINT_LEGS_MAX <= LEGS_LIVE_MAX && SUBMISSIONS_LIVE_MAX <= BLOCKS_REMEMBERED_MAX);
    assert!(PRESSURE_AGE_MS + DEADLINE_TICK_MS < PLACE_DEADLINE_MS, "stalled peers go in time");
    assert!(PARENT_DEADLINE_MS + PLACE_DEADLINE_MS < ANSWER_DEADLINE_MS);
    assert!(ORPHAN_PAUSE_MS * (ORPHAN_TRIES_MAX as u64) < PARENT_VERDICT_DEADLINE_MS);
    assert!(2 * BLOCK_BYTES_MAX < RPC_BODY_BYTES_MAX, "a request holds the largest block in hex");
    assert!(RPC_BODY_BYTES_MAX < RPC_ANSWER_BYTES_MAX);
    assert!(SUBMISSIONS_LIVE_MAX <= RPC_CONNECTIONS_MAX && INTAKE_STOP_MS <= ENGINE_STOP_MS);
    assert!(UNIX_OUTCOMES_DEADLINE_MS < INTAKE_STOP_MS, "a judged block's answer goes out");
    let answered_ms = UNIX_TRANSFER_DEADLINE_MS + ANSWER_DEADLINE_MS + UNIX_OUTCOMES_DEADLINE_MS;
    assert!(answered_ms < SUBMIT_COMMAND_DEADLINE_MS, "`submit` hears the latest answer");
};
