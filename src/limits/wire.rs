//! What others may send us.

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
/// Longest payload of a compact block that is made, in bytes: what a compact image has room for. While
/// its block arrives, it takes this and 16 bytes for each of at most 8,192 transactions.
pub const COMPACT_PAYLOAD_BYTES_MAX: u32 =
    super::COMPACT_IMAGE_BYTES_MAX - super::FRAME_HEADER_BYTES - super::PING_FRAME_BYTES;
/// Versions of compact blocks that are noted of a peer. Further ones are ignored.
pub const COMPACT_VERSIONS_MAX: usize = 8;
/// Longest lock that is passed on, in bytes: one of a transaction with 23 inputs. Longer: left to the
/// nodes.
pub const LOCK_BYTES_MAX: u32 = 1_000;
/// Transactions that wait to be hashed together, at most: enough that two lanes seldom idle, few
/// enough that their bytes are still in the cache.
pub const HASH_BATCH_MAX: usize = 16;
/// A transaction under way is hashed as it arrives once this much of it is there, in bytes: what
/// is left to hash after a block's last byte stays short. Shorter ones are hashed when whole.
pub const HASH_WHOLE_BYTES_MAX: usize = 64 * 1024;
/// Transactions of a block that no template had and that are sent whole for it, at most: a pool puts in
/// a few of its own. More: the templates were old, and peers may well have them.
pub const COMPACT_UNKNOWN_MAX: usize = 32;
