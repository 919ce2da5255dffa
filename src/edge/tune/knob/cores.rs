//! Sets of cores as the kernel writes them: lists (`0-3,8`) and masks (`ff,00000000`).

use crate::limits::CORE_NUMBER_MAX;

/// Cores that a set can name.
const CORES_MAX: usize = CORE_NUMBER_MAX as usize + 1;

/// The cores of a list, ascending. `None`: it is no list, or names a core that no kernel has. Of a command
/// line's list the words before the numbers (`managed_irq,domain,2-3`) are passed over.
pub(super) fn of_list(text: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    let parts = text.trim().split(',').filter(|part| !part.is_empty());
    for part in parts.filter(|part| !part.starts_with(|first: char| first.is_ascii_alphabetic())) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().ok()?;
        let last: usize = last.trim().parse().ok()?;
        if first > last || last >= CORES_MAX {
            return None;
        }
        cores.extend(first..=last);
    }
    cores.sort_unstable();
    cores.dedup();
    Some(cores)
}

/// Writes a list as the kernel does. `cores` ascend.
pub(super) fn list(cores: &[usize]) -> String {
    let runs = cores.chunk_by(|before, next| before + 1 == *next);
    let text = runs.map(|run| match run {
        [only] => only.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    text.collect::<Vec<_>>().join(",")
}

/// The cores of a mask, ascending. `None`: it is no mask.
pub(super) fn of_mask(text: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    let words: Vec<_> = text.trim().split(',').collect();
    if words.len() > CORES_MAX / 32 {
        return None;
    }
    for (word, first) in words.iter().rev().zip((0..).step_by(32)) {
        let bits = u32::from_str_radix(word, 16).ok()?;
        cores.extend((0..32).filter(|bit| bits >> bit & 1 == 1).map(|bit| first + bit));
    }
    Some(cores)
}

/// Writes a mask as the kernel does: words of 32 cores, highest first, with as many digits as the mask that
/// is there has, so that it reads again as it was written.
pub(super) fn mask(cores: &[usize], like: &str) -> String {
    let mut words = vec![0_u32; cores.iter().max().map_or(0, |core| core / 32) + 1];
    cores.iter().for_each(|core| words[core / 32] |= 1 << (core % 32));
    let like: Vec<_> = like.trim().split(',').rev().take(CORES_MAX / 32).map(str::len).collect();
    words.resize(words.len().max(like.len()), 0);
    let last = words.len() - 1;
    let text = words.iter().enumerate().rev().map(|(at, word)| {
        let digits = if at == last { like.get(at).map_or(1, |digits| *digits.min(&8)) } else { 8 };
        format!("{word:0digits$x}")
    });
    text.collect::<Vec<_>>().join(",")
}

/// `cores` without those of `others`.
pub(super) fn without(cores: &[usize], others: &[usize]) -> Vec<usize> {
    cores.iter().copied().filter(|core| !others.contains(core)).collect()
}

/// "core 3" or "cores 2-3", for a sentence.
pub(super) fn spoken(cores: &[usize]) -> String {
    match cores {
        [one] => format!("core {one}"),
        _ => format!("cores {}", list(cores)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_are_read_and_written_as_the_kernel_does() {
        for (text, cores) in
            [("", &[][..]), ("0", &[0]), ("0-3,8", &[0, 1, 2, 3, 8]), ("5,7-8", &[5, 7, 8])]
        {
            assert_eq!(of_list(text).unwrap(), cores);
            assert_eq!(list(cores), text);
        }
        assert_eq!(of_list("managed_irq,domain,2-3\n").unwrap(), [2, 3]);
        assert_eq!(of_list("3,1-3").unwrap(), [1, 2, 3]);
        for wrong in ["3-1", "1-", "0x3", "0-99999999999", "1-4096", "2-8:1/2"] {
            assert_eq!(of_list(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn masks_are_read_and_written_as_the_kernel_does() {
        assert_eq!(of_mask("3\n").unwrap(), [0, 1]);
        assert_eq!(of_mask("00000001,00000000").unwrap(), [32]);
        for (cores, like, text) in [
            (&[][..], "0", "0"),
            (&[0, 33], "0", "2,00000001"),
            (&[2], "ff", "04"),
            (&[2], "", "4"),
            (&[2], "fff,ffffffff", "000,00000004"),
            (&[2, 64], "ffffffff,ffffffff", "1,00000000,00000004"),
        ] {
            assert_eq!(mask(cores, like), text);
            assert_eq!(of_mask(text).unwrap(), cores);
        }
        assert_eq!(of_mask("xyz"), None);
        assert_eq!(of_mask(&"0,".repeat(CORES_MAX)), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(mut cores in prop::collection::vec(0_usize..300, 0..40)) {
            cores.sort_unstable();
            cores.dedup();
            prop_assert_eq!(&of_mask(&mask(&cores, "00,00000000")).unwrap(), &cores);
            prop_assert_eq!(&of_list(&list(&cores)).unwrap(), &cores);
        }

        #[test]
        fn any_text_is_dealt_with(text in ".{0,40}") {
            let _ = (of_list(&text), of_mask(&text), mask(&[1], &text));
        }
    }
}
