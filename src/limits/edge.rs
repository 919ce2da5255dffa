//! Intakes, HTTP, commands, configuration.

use super::{BLOCK_BYTES_MAX, BLOCKS_KEPT, IMAGE_SLOTS};

// Intake: the desk.
/// Hand-overs being worked on at once, all intakes together. Full: 503, try again.
pub const SUBMISSIONS_LIVE_MAX: u32 = 64;
/// Blocks held in memory for a node that has not spoken. Further ones wait in the spool alone.
pub const LEGS_LIVE_MAX: u32 = 128;
/// Blocks being handed to one further endpoint at once. Further ones are not handed to it.
pub const ENDPOINT_LEGS_MAX: u32 = 32;
/// How long a further endpoint is tried with one block, and the longest that can be configured. Then
/// it is given up for this block.
pub const ENDPOINT_DEADLINE_MS: u64 = 600_000;
/// How long one try at a further endpoint may take, unless it is configured.
pub const ENDPOINT_TRY_MS: u64 = 30_000;
/// Failed tries in a row after which a further endpoint is left alone for a while.
pub const ENDPOINT_FAILURES_MAX: u32 = 3;
/// For so long; each failed try after that doubles it.
pub const ENDPOINT_PAUSE_MIN_MS: u64 = 5_000;
/// Longest time that it is left alone.
pub const ENDPOINT_PAUSE_MAX_MS: u64 = 60_000;
/// How long a caller is kept waiting for the node's verdict. Then: the node is away.
pub const ANSWER_DEADLINE_MS: u64 = 30_000;
/// How long a free image slot is waited for. Then the block goes to the nodes alone.
pub const PLACE_DEADLINE_MS: u64 = 2_000;
/// How often one is looked for.
pub const PLACE_PAUSE_MS: u64 = 1;
/// Image slots that blocks may hold while they are still coming in. The others: at their end.
pub const RECEPTION_SLOTS_MAX: u32 = IMAGE_SLOTS - BLOCKS_KEPT - 1;
/// How long a block whose rest is known may still come in by itself before it is completed from its
/// template, in ms. On the host itself it is there by then.
pub const RECEPTION_EARLY_MS: u64 = 3;
/// How long a block on its way in keeps its place and its image slot
pub const RECEPTION_STALL_MS: u64 = 2_000;
/// without so many bytes more. Then it goes on without them.
pub const RECEPTION_STALL_BYTES: u64 = 64 * 1024;
/// Blocks up to this size, in bytes, are checked where they come in: to wake a thread costs more.
pub const RECEPTION_INLINE_BYTES: usize = 64 * 1024;
/// What is read of a connection to the JSON-RPC intake at once, in bytes.
pub const RPC_READ_BYTES_MAX: usize = 256 * 1024;
/// What a first block makes the process touch beside the block itself, in bytes: buffers to read
/// with, stacks, its record with an outcome for each of 1,000 peers.
pub const BLOCK_WORKING_BYTES: i64 = 1024 * 1024;
/// With no more than this still to be checked, the peers come before the ways to the nodes.
pub const LEGS_WAIT_BYTES_MAX: usize = RECEPTION_INLINE_BYTES;
/// Bytes of a longer block that are collected before the thread that walks it gets them.
pub const RECEPTION_PIECE_BYTES: usize = 4 * 1024;
/// Bytes that are walked before that thread looks for news, so that a block's end is seen soon.
pub const RECEPTION_WALK_BYTES: usize = 32 * 1024;
/// How long that thread looks for the next piece before it sleeps: the last one need not wake it.
pub const RECEPTION_SPIN_US: u64 = 500;
/// Threads for walking blocks that are kept when there is none. Further ones end.
pub const WALKERS_IDLE_MAX: usize = 4;
/// Forefathers that are handed, in one go, to a node which has lost them.
pub const FOREFATHERS_MAX: usize = 1_000;
/// Times that a block goes back to the node because its parent was still on its way.
pub const ORPHAN_TRIES_MAX: u32 = 5;
/// Pause before an endpoint that lacks the parent is asked again.
pub const ORPHAN_PAUSE_MS: u64 = 1_000;
/// How long a block waits for the verdict on its parent. Then it waits no longer.
pub const PARENT_VERDICT_DEADLINE_MS: u64 = 30_000;

/// Blocks that are fetched at once from the nodes that took a proof for them. Further ones wait.
pub const AUX_FETCHES_LIVE_MAX: u32 = 8;
/// How long such a block is asked for. Then the node alone spreads it.
pub const AUX_FETCH_DEADLINE_MS: u64 = 60_000;

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
/// How long a body may take from its head to its end, whatever progress it makes: the largest block
/// in hex at 0.6 Mbit/s.
pub const RPC_BODY_WHOLE_DEADLINE_MS: u64 = 120_000;
/// Shortest announced body that is read as a submission while it comes in, in bytes.
pub const RPC_STREAM_BYTES_MIN: u64 = 4_096;
/// Longest text in front of a block that is so read, in bytes. Longer: it is read when it is whole.
pub const RPC_STREAM_HEAD_BYTES_MAX: usize = 1_024;
/// Longest text behind it, in bytes.
pub const RPC_STREAM_TAIL_BYTES_MAX: usize = 1_024;
/// Submissions that are read while they come in. Further ones are read when they are whole, so that
/// bodies which trickle leave places for others.
pub const RPC_STREAMS_LIVE_MAX: u32 = SUBMISSIONS_LIVE_MAX / 2;
/// How long a wrong password is made to wait, as nodes do.
pub const WRONG_PASSWORD_PAUSE_MS: u64 = 250;
/// Connections served at once at the Unix socket. Further ones wait to be accepted.
pub const UNIX_CONNECTIONS_MAX: u32 = 64;
/// How long one may be idle between two requests.
pub const UNIX_IDLE_DEADLINE_MS: u64 = 300_000;
/// How long a request may take to come in once it has begun, and an answer to be taken.
pub const UNIX_TRANSFER_DEADLINE_MS: u64 = 30_000;
/// Bytes that are read from it at once: few, as a block's last piece is hashed when all are there.
pub const UNIX_PIECE_BYTES: usize = 64 * 1024;
/// How long the peers' outcomes are waited for after the verdict. The answer tells what is in.
pub const UNIX_OUTCOMES_DEADLINE_MS: u64 = 2_000;
/// Longest answer that a client of the Unix socket reads, in bytes.
pub const UNIX_ANSWER_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// Shared-memory sessions at once, each with memory of its own. Further ones are refused.
pub const SHARED_SESSIONS_MAX: u32 = 16;
/// The header in front of a session's block area, in bytes: a page.
pub const SHARED_HEADER_BYTES: u32 = 4_096;
/// Memory of one session, in bytes: header and largest block, in whole pages. Pages that nobody
/// has touched cost nothing.
pub const SHARED_SESSION_BYTES: u32 = SHARED_HEADER_BYTES + BLOCK_BYTES_MAX.next_multiple_of(4_096);
/// Memory of all sessions together, in bytes, every page touched.
pub const SHARED_MEMORY_BYTES_MAX: u32 = SHARED_SESSIONS_MAX * SHARED_SESSION_BYTES;
/// What is copied out of a session's memory in one go, in bytes: stays in a core's own cache.
pub const SHARED_PIECE_BYTES: usize = 64 * 1024;
/// How long a block being written is watched without a pause after each piece, in us. Then the
/// pool's ring is waited for.
pub const SHARED_SPIN_US: u64 = 100;
/// The same with `idle = "spin"`.
pub const SHARED_LONG_SPIN_US: u64 = 1_000_000;
/// How long a block that is being written into shared memory may make no progress.
pub const SHARED_PROGRESS_DEADLINE_MS: u64 = 10_000;
/// Pause of an intake after a failed accept (no free file descriptor).
pub const ACCEPT_PAUSE_MS: u64 = 50;
/// How long open connections of an intake have to finish when the engine stops.
pub const INTAKE_STOP_MS: u64 = 5_000;
/// How long a stopping engine waits for all of them. Their blocks are kept.
pub const ENGINE_STOP_MS: u64 = INTAKE_STOP_MS + 1_000;

// HTTP and commands.
/// Peers named under `top_peers`, the best ones.
pub const TOP_PEERS_MAX: usize = 20;
/// Blocks that one list shows at most.
pub const BLOCKS_LISTED_MAX: usize = 1_000;
/// Least pause between two events that tell a page of changes: what happens meanwhile is one change.
pub const EVENT_PAUSE_MS: u64 = 250;
/// How often a silent stream of events says that it lives.
pub const EVENT_KEEP_ALIVE_MS: u64 = 15_000;
/// Bounds of the histograms that Prometheus gets, in us. Each costs a line per histogram and scrape.
pub const HISTOGRAM_BOUNDS_US: [u64; 20] = [
    50,
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
];
/// Connections of the HTTP port. Full: one that asks nothing makes room for the next, so whoever
/// watches us gets through however many hang there.
pub const HTTP_CONNECTIONS_MAX: usize = 256;
/// Longest head of a request, in bytes.
pub const HTTP_HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long it may take, from the connection's start or the last answer. Idle ones end by it too.
pub const HTTP_HEAD_DEADLINE_MS: u64 = 30_000;
/// A reader that makes an answer wait for so long,
pub const HTTP_WRITE_DEADLINE_MS: u64 = 10_000;
/// and takes fewer bytes of it meanwhile, is given up.
pub const HTTP_TAKEN_BYTES_MIN: usize = 64 * 1024;
/// Threads on which pages wait for a disk.
pub const HTTP_WAITING_THREADS_MAX: usize = 4;
/// How long a page may take, its turn included.
pub const HTTP_PAGE_DEADLINE_MS: u64 = 10_000;
/// Longest page, in bytes.
pub const HTTP_PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of all answers that wait for their readers. More: further ones are refused meanwhile.
pub const HTTP_ANSWERS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Streams of events. Further ones are refused.
pub const EVENT_STREAMS_MAX: usize = 64;
/// How soon a page asks for events again after they have ended.
pub const EVENT_RETRY_MS: u64 = 2_000;
/// How long answers that are under way have when the engine stops.
pub const HTTP_STOP_MS: u64 = 2_000;
/// Longest answer head that the commands read, in bytes.
pub const CLIENT_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header lines of such an answer.
pub const CLIENT_HEADERS_MAX: usize = 64;
/// How long `submit` waits for the engine.
pub const SUBMIT_COMMAND_DEADLINE_MS: u64 = 90_000;
/// How long `status` waits for the engine.
pub const STATUS_COMMAND_DEADLINE_MS: u64 = 5_000;
/// Longest pause between two frames of `status --watch`, in s.
pub const STATUS_WATCH_S_MAX: u32 = 3_600;
/// Newest blocks that a frame shows.
pub const STATUS_BLOCKS_SHOWN_MAX: usize = 8;
/// How long `peers` waits for the running engine to take an edit in and save it. It looks once a
/// second.
pub const PEERS_COMMAND_DEADLINE_MS: u64 = 15_000;
/// How often `peers` looks whether it has.
pub const PEERS_COMMAND_PAUSE_MS: u64 = 20;
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
pub const CHAIN_SCOUTS_MAX: u32 = 1_000;
/// Further RPC endpoints of one chain.
pub const CHAIN_ENDPOINTS_MAX: usize = 32;
/// Longest time between two looks at the roster, in s.
pub const REFRESH_S_MAX: u32 = 86_400;
/// Highest core number that is believed.
pub const CORE_NUMBER_MAX: u32 = 4_095;

// What the kernel saw of blocks.
/// Sends of one connection that are remembered: those of a block in pieces, and what came behind it.
/// Full: the oldest goes.
pub const TRACE_SENDS_MAX: usize = 128;
/// Interruptions of the shards that are remembered. Full: the oldest goes.
pub const TRACE_STOLEN_MAX: usize = 65_536;
/// Stretches in which some were lost.
pub const TRACE_LOSSES_MAX: usize = 64;
/// How often the kernel is asked. Nobody is woken by what it has to tell.
pub const TRACE_LOOK_MS: u64 = 100;
/// How long an engine's start waits for the programs to be loaded.
pub const TRACE_START_MS: u64 = 5_000;
/// How long after its publishing it is looked at who holds a block up.
pub const TRACE_WINDOW_MS: u64 = 30_000;
/// How long moments of an offer that has ended are waited for.
pub const TRACE_PATIENCE_MS: u64 = 60_000;
/// Largest first window that can be asked for, in packets: some 1.4 MB.
pub const INITIAL_WINDOW_PACKETS_MAX: u32 = 1_000;

// Tuning.
/// Network devices that tuning looks at, those below bonds and VLANs included.
pub const TUNE_DEVICES_MAX: usize = 32;
/// What is read of the answer of a program like `ethtool`, in bytes.
pub const TUNE_PROGRAM_TEXT_BYTES: usize = 1024 * 1024;
/// Longest file of the kernel's that is read as a setting, in bytes. The rest is not looked at.
pub const TUNE_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Values that one setting can have on one host: one for each core and state, queue or interrupt.
pub const TUNE_PLACES_MAX: usize = 65_536;
/// Longest value that is set, in bytes.
pub const TUNE_VALUE_BYTES_MAX: usize = 4_096;
/// Largest record of what was set that is read, in bytes.
pub const TUNE_RECORD_BYTES_MAX: u64 = 64 * 1024 * 1024;
