//! Whom we know, listen to and choose.

use super::PEERS_PER_SHARD_MAX;

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
/// Peers shown that are waited for. More: those with the lowest standing and score are left out.
pub const ABSENT_SHOWN_MAX: usize = 32;
/// Ordinary addresses remembered as lost or not reached lately. Full: the oldest goes.
pub const MISSED_REMEMBERED_MAX: usize = 256;
/// Changes of a roster that are shown. Full: the oldest goes; moves take half of them at most.
pub const CHANGES_SHOWN_MAX: usize = 64;
/// A peer that moves by so many places among the others is told of,
pub const MOVE_PLACES_MIN: usize = 3;
/// but only so many at once, those that moved farthest.
pub const MOVES_NOTED_AT_ONCE_MAX: usize = 4;
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
/// How long the fan-out of a block of ours is waited for until scouts offer it as well,
pub const SCOUT_OFFER_WAIT_MS: u64 = 1_000;
/// and how many bytes of it per s they send then, one after the other: little beside what peers get.
pub const SCOUT_OFFER_BYTES_PER_S: u64 = 1_000_000;
/// Peers of scouts that are sent what they lack of a block at the same time,
pub const SCOUT_ANSWERS_AT_ONCE_MAX: usize = 4;
/// how often one of them is for the same block: its transactions, and should these not do, all of it,
pub const SCOUT_ANSWERS_MAX: u32 = 2;
/// and in which pieces, in bytes.
pub const SCOUT_ANSWER_PIECE_BYTES: usize = 8 * 1024;
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

// Choice and rotation of the connected peers.
/// Connected peers of one AS that are wanted at most, where a file tells who belongs to which.
pub const PEERS_PER_AS_MAX: u32 = 2;
/// Candidates looked at for every seat, and so many more.
pub const CANDIDATES_PER_SEAT: usize = 4;
/// See [`CANDIDATES_PER_SEAT`].
pub const CANDIDATES_MORE: usize = 16;
/// Peers that one round of rotation replaces at most.
pub const ROTATED_AT_ONCE_MAX: usize = 2;
/// Rounds that a connection lasts before rotation may end it.
pub const ROTATION_ROUNDS_MIN: u32 = 10;
/// Points by which a newcomer chosen by score must be better: one failed delivery.
pub const ROTATION_POINTS_MIN: f64 = 20.0;
/// A peer chosen by the covering rule stays while it is among the seats and one in so many more.
pub const ROTATION_SLACK_ONE_IN: usize = 4;
/// Offers of one block that can be noted as under way, one a shard. Full: the oldest goes.
pub const BLOCKS_UNDER_WAY_MAX: usize = 256;
/// A block counts as under way no longer than this after its last offer, whatever is not reported.
pub const BLOCK_UNDER_WAY_MS_MAX: u64 = 90_000;
/// How long the lots that the covering rule gives places by stay the same.
pub const LOTS_KEPT_MS: u64 = 86_400_000;
/// Best peers that are noted for the next start, and dialled first then.
pub const ANCHORS_MAX: usize = 4;
/// A block that leaves later than this after its first peer's comes too late to be of use, unless
/// round trips are long: by then it is everywhere.
pub const SERVED_WITHIN_MS: u64 = 250;
/// The same in median round trips of the peers behind the uplink; the longer of both counts.
pub const SERVED_WITHIN_ROUND_TRIPS: u64 = 4;
/// Seats that the limit by the uplink gives or takes in one round.
pub const SEATS_STEP_MAX: u32 = 2;
/// Blocks that peers have announced and nobody has vouched for yet. Full: the oldest goes.
pub const ANNOUNCED_PENDING_MAX: usize = 64;
/// Those of them that one peer may have been the first to name. More are not noted.
pub const ANNOUNCED_PENDING_PER_PEER_MAX: usize = 4;
/// How long they wait for somebody to vouch for them.
pub const ANNOUNCED_PENDING_MS: u64 = 600_000;
/// Hashes of blocks that are vouched for, and of our own ones, that are remembered each. Full: the
/// oldest goes.
pub const HASHES_REMEMBERED_MAX: usize = 256;
/// Largest file of networks and countries that is read, in bytes.
pub const ATLAS_FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Labels in `regions`.
pub const REGIONS_MAX: usize = 64;
