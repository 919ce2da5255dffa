//! What the kernel tells through the programs in `bpf/`.

/// Room for moments of sends until they are fetched, in bytes: each takes 32, and a send has four. A power
/// of two, locked memory. Full: further ones are counted as lost.
pub const DELIVERY_RING_BYTES: u32 = 4 * 1024 * 1024;
/// Room for what ran on watched cores until it is fetched, in bytes: each takes 56. A power of two, locked
/// memory. A busy core has up to 100,000 of them in a second. Full: further ones are counted as lost.
pub const CORES_RING_BYTES: u32 = 4 * 1024 * 1024;
/// Cores are numbered below this: `CORES_MAX` of `bpf/events.h`.
pub const WATCHED_CORE_MAX: usize = 1024;
/// Threads of ours that are told apart from others.
pub const OWN_THREADS_MAX: usize = 1024;
