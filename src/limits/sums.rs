//! Sums over the bounds, checked by the compiler.

use super::*;

const _: () = {
    assert!(SHARDS_MAX <= u64::BITS, "a shard is a bit of a word");
    assert!(HISTOGRAM_US_MAX <= HISTOGRAM_KEPT_US_MAX, "what is kept can be read");
    assert!(HISTORY_DELETE_BLOCKS as usize > HISTORY_BATCH_BLOCKS, "more goes than comes");
    assert!(
        HISTORY_BATCH_BLOCKS as u64 * PEER_ROWS_MAX as u64 * 128 <= HISTORY_BYTES_MIN / 2,
        "one write fits the smallest history"
    );
    assert!(
        BLOCK_BYTES_MAX + FRAME_HEADER_BYTES + PING_FRAME_BYTES <= IMAGE_SLOT_BYTES,
        "an image holds the largest block with its frame and ping"
    );
    assert!(IMAGE_SLOT_BYTES.is_multiple_of(2 * 1024 * 1024), "a slot is whole huge pages");
    assert!(BLOCKS_KEPT < IMAGE_SLOTS, "an intake can write while the newest are kept");
    assert!(BLOCKS_KEPT + WARM_UP_FREE_SLOTS_MIN <= IMAGE_SLOTS, "a warm-up finds its slot");
    assert!(IMAGE_SLOTS <= BLOCKS_WATCHED_MAX, "whatever holds an image slot is watched");
    assert!(BLOCKS_WATCHED_MAX <= u8::MAX as u32, "a watched block is named by a u8");
    assert!(IMAGE_SLOTS <= u8::MAX as u32, "an image slot is named by a u8");
    assert!(1 < ROUTES_MAX && ROUTES_MAX <= u8::MAX as u32, "a route is named by a u8");
    assert!(PEERS_PER_SHARD_MAX <= u16::MAX as u32, "a connection is named by a u16");
    assert!(
        PEERS_PER_SHARD_MAX * 5 <= COMPLETIONS_MAX,
        "a send, a release, a receive, a readiness and a question per connection fit the ring"
    );
    assert!(RECEIVE_BUFFERS.is_power_of_two() && SUBMISSIONS_MAX.is_power_of_two());
    assert!(
        PING_FRAME_BYTES <= CONTROL_FRAME_BYTES_MAX && CONTROL_FRAME_BYTES_MAX <= CONTROL_BYTES_MAX
    );
    assert!(FRAME_HEADER_BYTES + LOCK_BYTES_MAX <= CONTROL_BYTES_MAX, "a lock can wait its turn");
    assert!(LOCK_BYTES_MAX <= MESSAGE_HEAD_BYTES, "and is kept whole where it comes in");
    assert!(CHAINS_MAX <= u64::BITS, "a chain is a bit of a word");
    assert!(LOCK_NEWS_MAX * LOCK_BYTES_MAX <= 128 * 1024, "locks on their way take little memory");
    assert!(ANSWERS_PER_BLOCK_MAX as u64 <= BLOCK_REPLIES_MAX, "more is no honest peer's");
    assert!(BLOCKS_KEPT <= BLOCKS_ASKED_MAX && BLOCKS_ASKED_MAX < IMAGE_SLOTS);
    assert!(COMPACT_RECEIPT_MS < SEND_DEADLINE_MS, "the whole block has its own time to go out");
    let headers_bytes = FRAME_HEADER_BYTES as usize + 1 + HEADERS_ANSWERED_MAX * 81;
    assert!(headers_bytes <= CONTROL_BYTES_MAX as usize, "they fit a small message,");
    let items_bytes = FRAME_HEADER_BYTES as usize + 1 + NOT_FOUND_MAX * 36;
    assert!(items_bytes <= CONTROL_BYTES_MAX as usize, "as do names of blocks");
    assert!(REPORTS_RESERVED < REPORTS_MAX, "ordinary reports have room beside the reserve");
    assert!(
        PEERS_PER_SHARD_MAX * IMAGE_SLOTS + REPORTS_RESERVED <= REPORTS_MAX,
        "every outcome of the live blocks fits the queue"
    );
    assert!(ACKNOWLEDGED_PAUSE_MIN_MS < ACKNOWLEDGED_PAUSE_MAX_MS && ACKNOWLEDGED_PAUSE_SHARE > 0);
    assert!(SEND_DEADLINE_MS < RECEIPT_DEADLINE_MS);
    let replies = BLOCK_REPLIES_MAX * BLOCKS_WATCHED_MAX as u64;
    assert!(replies * 10 <= RECEIVED_MESSAGES_SAVED, "no block of ours makes a peer a flood,");
    assert!(replies * 2 <= REQUESTED_ITEMS_SAVED, "whatever it asks for,");
    assert!(
        BLOCK_REPLIES_MAX <= REQUESTED_ITEMS_PER_S && BLOCK_REPLIES_MAX <= RECEIVED_MESSAGES_PER_S,
        "not even with a block each second"
    );
    assert!(
        replies * MESSAGE_HEAD_BYTES as u64 + 4 * BLOCK_BYTES_MAX as u64 <= RECEIVED_BYTES_SAVED,
        "nor does a message of the greatest length"
    );
    assert!(RECEIVED_BYTES_PER_S <= 1_000_000_000, "a byte costs a nanosecond at least");
    assert!(SEND_DEADLINE_MS < USER_TIMEOUT_MS, "a stalled peer is dropped as stalled");
    let probing_ms = KEEPALIVE_INTERVAL_MS * KEEPALIVE_PROBES_MAX as u64;
    assert!(KEEPALIVE_IDLE_MS + probing_ms < PING_INTERVAL_MS);
    assert!(BLOCK_BYTES_MAX + FRAME_HEADER_BYTES + PING_FRAME_BYTES <= SEND_BUFFER_BYTES);
    assert!(CONFIRM_PAUSE_MS < CONFIRM_INTERVAL_MS && TEMPLATE_PAUSE_MS < TEMPLATE_INTERVAL_MS);
    assert!(3 * BLOCK_BYTES_MAX as usize <= TEMPLATES_BYTES_MAX, "several templates fit");
    assert!(0 < FIXED_DIALS_MAX && FIXED_DIALS_MAX < DIALS_MAX, "candidates are dialled too");
    assert!(HANDSHAKE_DEADLINE_MS <= PROXY_DEADLINE_MS);
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
    assert!(ENDPOINT_TRY_MS <= NODE_SUBMIT_DEADLINE_MS && 1 < ENDPOINT_FAILURES_MAX);
    assert!(ENDPOINT_PAUSE_MIN_MS < ENDPOINT_PAUSE_MAX_MS);
    assert!(ENDPOINT_PAUSE_MAX_MS < ENDPOINT_DEADLINE_MS, "a block outlives a pause");
    assert!(NODE_WARM_INTERVAL_MS + TIP_INTERVAL_MS < NODE_IDLE_MS, "warm connections are used");
    assert!(NODE_QUEUE_PAUSE_MS * (NODE_QUEUE_TRIES_MAX as u64) < NODE_CALL_DEADLINE_MS);
    assert!(LEG_RETRY_MIN_MS < LEG_RETRY_MAX_MS && LEG_RETRY_MAX_MS < ANSWER_DEADLINE_MS);
    assert!(NODE_FLUSH_MS < ACCEPTED_KEPT_MS, "whatever a killed node forgets is still here");
    let kept = CHAINS_MAX * (ACCEPTED_KEPT_MAX + REFUSED_KEPT_MAX);
    assert!(kept + LEGS_LIVE_MAX <= SPOOL_BLOCKS_MAX, "what is kept leaves room for what waits");
    assert!(BLOCKS_WATCHED_MAX <= BLOCKS_WITH_ROWS_MAX, "outcomes find their rows");
    assert!(BLOCKS_WITH_ROWS_MAX <= BLOCKS_REMEMBERED_MAX);
    let bounds = HISTOGRAM_BOUNDS_US;
    assert!(bounds[bounds.len() - 1] == HISTOGRAM_US_MAX, "nothing lies beyond the last bound");
    assert!(RECEIPT_DEADLINE_MS * 1_000 <= HISTOGRAM_US_MAX, "the latest receipt has its place");
    assert!(SUBMISSIONS_LIVE_MAX <= LEGS_LIVE_MAX, "every hand-over can have its leg");
    assert!(ENDPOINT_LEGS_MAX <= LEGS_LIVE_MAX && SUBMISSIONS_LIVE_MAX <= BLOCKS_REMEMBERED_MAX);
    assert!(PRESSURE_AGE_MS + DEADLINE_TICK_MS < PLACE_DEADLINE_MS, "stalled peers go in time");
    assert!(0 < RECEPTION_SLOTS_MAX && RECEPTION_SLOTS_MAX + BLOCKS_KEPT < IMAGE_SLOTS);
    assert!(RECEPTION_STALL_MS < UNIX_TRANSFER_DEADLINE_MS, "a slot goes before the connection");
    assert!(RECEPTION_STALL_MS < RPC_BODY_DEADLINE_MS);
    assert!(RECEPTION_PIECE_BYTES <= RECEPTION_WALK_BYTES);
    assert!(PARENT_DEADLINE_MS + PLACE_DEADLINE_MS < ANSWER_DEADLINE_MS);
    assert!(ORPHAN_PAUSE_MS * (ORPHAN_TRIES_MAX as u64) < PARENT_VERDICT_DEADLINE_MS);
    assert!(2 * BLOCK_BYTES_MAX < RPC_BODY_BYTES_MAX, "a request holds the largest block in hex");
    assert!(RPC_BODY_DEADLINE_MS < RPC_BODY_WHOLE_DEADLINE_MS, "a body that trickles ends too");
    assert!(RPC_STREAMS_LIVE_MAX < SUBMISSIONS_LIVE_MAX, "bodies that trickle leave places");
    let around = RPC_STREAM_HEAD_BYTES_MAX + RPC_STREAM_TAIL_BYTES_MAX;
    assert!((around as u64) < RPC_STREAM_BYTES_MIN, "a body that is streamed is mostly a block");
    assert!(RPC_BODY_BYTES_MAX < RPC_ANSWER_BYTES_MAX);
    assert!(SUBMISSIONS_LIVE_MAX <= RPC_CONNECTIONS_MAX && INTAKE_STOP_MS <= ENGINE_STOP_MS);
    assert!(2 * HTTP_STOP_MS < ENGINE_STOP_MS, "no reader of pages holds up a stop");
    assert!(2 * EVENT_STREAMS_MAX < HTTP_CONNECTIONS_MAX, "streams leave room for pages");
    assert!(HTTP_PAGE_BYTES_MAX <= HTTP_ANSWERS_BYTES_MAX, "the longest page can be sent");
    assert!(HTTP_CONNECTIONS_MAX * HTTP_HEAD_BYTES_MAX <= 4 * 1024 * 1024, "heads take little");
    assert!(UNIX_OUTCOMES_DEADLINE_MS < INTAKE_STOP_MS, "a judged block's answer goes out");
    assert!(SHARED_SESSIONS_MAX < UNIX_CONNECTIONS_MAX, "sessions leave room for requests");
    assert!(SHARED_SESSION_BYTES - SHARED_HEADER_BYTES >= BLOCK_BYTES_MAX);
    assert!(SHARED_MEMORY_BYTES_MAX <= 64 * 1024 * 1024, "what all sessions cost is said in docs/");
    assert!(SHARED_SPIN_US < SHARED_LONG_SPIN_US);
    assert!(
        SHARED_LONG_SPIN_US < SHARED_PROGRESS_DEADLINE_MS * 1_000,
        "a dead writer is not spun on"
    );
    let answered_ms = UNIX_TRANSFER_DEADLINE_MS + ANSWER_DEADLINE_MS + UNIX_OUTCOMES_DEADLINE_MS;
    assert!(answered_ms < SUBMIT_COMMAND_DEADLINE_MS, "`submit` hears the latest answer");
    assert!(BUCKET_BYTES_MIN >= PIECE_BYTES_MIN && PIECE_BYTES_MIN <= COLD_PIECE_BYTES);
    assert!(BLOCK_TICK_NS < BLOCK_SAVED_NS && WARM_UP_TICK_NS < WARM_UP_SAVED_NS);
    assert!(BUCKET_SHARES_MAX as u64 * BLOCK_TICK_NS <= BLOCK_SAVED_NS, "no share is lost");
    assert!(BUCKET_SHARES_MAX as u64 * WARM_UP_TICK_NS <= WARM_UP_SAVED_NS);
    assert!(UPLINK_USED_PERCENT <= 97 && UPLINK_BITS_MIN < UPLINK_BITS_MAX);
    assert!(WARM_UP_BYTES_PER_HOUR <= WARM_UP_BYTES_PER_HOUR_MAX);
    assert!(WARM_UP_BYTES_PER_HOUR_MAX < u64::MAX / 2 / 3_600_000, "times the ms of an hour");
    assert!(WAN_PEERS_MAX <= 255 * 200, "every emulated peer has its address");
    assert!(0 < COVER_BLOCKS_MIN && COVER_BLOCKS_MIN < COVER_BLOCKS_MAX && COVER_LOT_ONE_IN > 1);
    assert!(CHAIN_PEERS_MAX as usize + 1_000 < COVER_PEERS_MAX, "peers and scouts are watched");
    assert!(1 < COVER_WITNESSES_MIN && COVER_WITNESSES_MIN <= 3, "three times are looked at");
    assert!(COVER_HEAD_START_US < COVER_COST_US_MAX && COVER_COST_US_MAX < COVER_LAG_US_MAX);
    assert!(COVER_LAG_US_MAX < u32::MAX / 4, "a time and two marks fit a cell");
    let gain_max = COVER_BLOCKS_MAX as u128 * COVER_COST_US_MAX as u128 * (1 << 16);
    assert!(gain_max * (1 << 10) * 20 <= u64::MAX as u128, "a scaled gain fits");
    assert!(ADDRESSES_MAX as f64 <= ADDRESS_TOKENS_MAX, "the answer to getaddr is taken whole");
    assert!(SCOUT_MESSAGE_BYTES as u64 > 3 + 30 * ADDRESSES_MAX, "and kept whole");
    let while_answering = SCOUT_READ_BYTES + SCOUT_ANSWER_PIECE_BYTES;
    assert!(SCOUT_MESSAGE_BYTES + while_answering < SCOUT_MEMORY_BYTES_MAX);
    assert!(CHAIN_SCOUTS_MAX as usize * SCOUT_MEMORY_BYTES_MAX <= 48 * 1024 * 1024);
    assert!(0 < SCOUT_DIALS_MAX && SCOUT_DIALS_MAX < DIALS_MAX as usize, "the roster dials more");
    assert!(
        SCOUT_BYTES_BURST > BLOCK_BYTES_MAX as f64,
        "a block that nobody asked for is no flood"
    );
    assert!(2 * SCOUT_PING_INTERVAL_MS < SCOUT_SILENCE_MS && SCOUT_NEWS_MAX > HEARD_LISTS_MAX);
    assert!(HEARSAY_PER_NETGROUP_MAX <= HEARSAY_PER_SOURCE_MAX && SEEDS_BOOK_ENOUGH < BOOK_POOR);
    assert!(4 * HEARSAY_PER_SOURCE_MAX < PEER_ENTRIES_MAX, "no three sources fill the database");
    assert!(GOSSIP_UNDATED_S < PEER_STALE_S && SEED_ADDRESS_AGE_S < PEER_STALE_S);
    assert!(SEEDS_RETRY_MIN_MS < SEEDS_RETRY_MAX_MS && SEED_DEADLINE_MS < SEEDS_WAIT_MS);
    assert!(0 < ROTATED_AT_ONCE_MAX && ROTATED_AT_ONCE_MAX < DIALS_MAX as usize);
    assert!(
        SEND_DEADLINE_MS + RECEIPT_DEADLINE_MS < BLOCK_UNDER_WAY_MS_MAX,
        "no offer outlives it"
    );
    assert!(ANNOUNCED_PENDING_PER_PEER_MAX * 8 <= ANNOUNCED_PENDING_MAX, "few liars fill it not");
    assert!(ANCHORS_MAX <= DIALS_MAX as usize && 1 < ROTATION_SLACK_ONE_IN);
    assert!(ALERT_STOP_MS < ENGINE_STOP_MS, "notices leave before the engine stops waiting");
    assert!(ALERT_LOOK_PAUSE_MS < ALERT_LOOK_MS && ALERT_LOOK_MS < ALERT_NODE_RAISE_MS);
    assert!(WEBHOOK_RETRY_MIN_MS < WEBHOOK_RETRY_MAX_MS && ALERT_HOLD_MIN_MS < ALERT_HOLD_MAX_MS);
    assert!(ALERT_PACES_MIN <= ALERT_PACES_MAX && ALERTS_PAST_MAX < ALERTS_TRACKED_MAX);
    // A command's input is written before it reads: it must fit the pipe.
    assert!(4 * (ALERT_TEXT_CHARS_MAX + ALERT_SUBJECT_CHARS_MAX) * 6 < 64 * 1024);
    assert!(BLOCK_REPORT_PAUSE_MS < BLOCK_REPORT_MS && ALERT_CPU_WAIT_PERCENT < 100);
};
