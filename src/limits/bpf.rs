//! What the kernel tells through the programs in `bpf/`.

/// Room for moments of sends until they are fetched, in bytes: each takes 32, and a send has four. A power
/// of two, locked memory. Full: further ones are counted as lost.
pub const DELIVERY_RING_BYTES: u32 = 4 * 1024 * 1024;
