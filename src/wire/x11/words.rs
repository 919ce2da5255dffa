//! Bytes to words and back.

/// The first `N` 32-bit words of `bytes`, little-endian.
pub(super) fn u32_le<const N: usize>(bytes: &[u8]) -> [u32; N] {
    std::array::from_fn(|i| u32::from_le_bytes(std::array::from_fn(|k| bytes[4 * i + k])))
}

/// The first `N` 32-bit words of `bytes`, big-endian.
pub(super) fn u32_be<const N: usize>(bytes: &[u8]) -> [u32; N] {
    u32_le(bytes).map(u32::swap_bytes)
}

/// The first `N` 64-bit words of `bytes`, little-endian.
pub(super) fn u64_le<const N: usize>(bytes: &[u8]) -> [u64; N] {
    std::array::from_fn(|i| u64::from_le_bytes(std::array::from_fn(|k| bytes[8 * i + k])))
}

/// The first 16 of `words`, little-endian.
pub(super) fn bytes_of_u32(words: &[u32]) -> [u8; 64] {
    std::array::from_fn(|i| words[i / 4].to_le_bytes()[i % 4])
}

/// The first 8 of `words`, little-endian.
pub(super) fn bytes_of_u64(words: &[u64]) -> [u8; 64] {
    std::array::from_fn(|i| words[i / 8].to_le_bytes()[i % 8])
}
