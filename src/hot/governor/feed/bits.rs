//! Sets of positions, a bit each.

use super::WORDS;

/// Puts a position in or takes it out.
pub(super) fn put(words: &mut [u64; WORDS], position: u16, is_set: bool) {
    if let Some(word) = words.get_mut(usize::from(position) / 64) {
        let bit = 1 << (position % 64);
        *word = if is_set { *word | bit } else { *word & !bit };
    }
}

/// The first position in the set.
pub(super) fn first_in(words: &[u64; WORDS]) -> Option<usize> {
    let at = words.iter().position(|word| *word != 0)?;
    words.get(at).map(|word| at * 64 + word.trailing_zeros() as usize)
}
