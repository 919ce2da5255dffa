//! The line in the log on each block, once it has gone out.

use tracing::info;

use crate::cold::alert::situation::Pace;
use crate::cold::stats::{BlockStory, Stage};
use crate::hot::link::{Outcome, Way};

/// Receipts that make a pace: fewer say more of the peers than of us.
const PACE_RECEIPTS_MIN: usize = 2;

/// Says in one line how the block fared; returns how fast it went out, where there were receipts.
pub(super) fn report(story: &BlockStory) -> Option<Pace> {
    let receipts = receipts_us(story);
    let at = |share: f64| receipts.get(place(receipts.len(), share)).copied();
    let (first, half, most, last) = (at(0.0), at(0.5), at(0.9), at(1.0));
    let verdict = story.verdicts.iter().find(|said| said.own);
    let publish_us = story.stage_after_publishing_us(Stage::LastByte).map(|us| -us);
    info!(
        chain = story.chain,
        height = story.height,
        block = %story.hash,
        bytes = story.size_bytes,
        handled = story.counts.of(Outcome::Handled) + story.counts.of(Outcome::AlreadyHad),
        offered = story.counts.offers,
        not_handled = not_handled(story),
        ways = ways(story),
        publish_us,
        receipt_first_ms = ms(first),
        receipt_half_ms = ms(half),
        receipt_90_ms = ms(most),
        receipt_last_ms = ms(last),
        verdict = verdict.map(|said| said.word.as_str()),
        verdict_ms = ms(verdict.and_then(|said| said.after_us)),
        back_first_ms = ms(story.first_back.and_then(|first| first.after_us)),
        back_half_ms = ms(story.half_back_us),
        "block report"
    );
    (receipts.len() >= PACE_RECEIPTS_MIN).then(|| Pace {
        size_bytes: story.size_bytes,
        half_us: half.unwrap_or(0),
        last_us: last.unwrap_or(0),
    })
}

/// When each receipt came, in us after publishing, first come first.
fn receipts_us(story: &BlockStory) -> Vec<i64> {
    let mut receipts: Vec<i64> = story.peers.iter().filter_map(|peer| peer.handled_us).collect();
    receipts.sort_unstable();
    receipts
}

/// Where in a sorted list of `count` the one lies up to which there are `share` of all.
fn place(count: usize, share: f64) -> usize {
    ((count as f64 * share).ceil() as usize).saturating_sub(1)
}

fn ms(us: Option<i64>) -> Option<f64> {
    us.map(|us| us as f64 / 1e3)
}

/// `stalled 2, reset 1`; nothing where all is well.
fn not_handled(story: &BlockStory) -> Option<String> {
    let bad =
        Outcome::ALL.iter().filter(|it| !matches!(it, Outcome::Handled | Outcome::AlreadyHad));
    let some = bad.filter(|outcome| story.counts.of(**outcome) > 0);
    let mut words: Vec<_> =
        some.map(|outcome| format!("{} {}", outcome.word(), story.counts.of(*outcome))).collect();
    let open = story.counts.offers.saturating_sub(story.counts.settled);
    words.extend((open > 0).then(|| format!("open {open}")));
    (!words.is_empty()).then(|| words.join(", "))
}

/// `compact 12, full 8`: in which form how many peers got it.
fn ways(story: &BlockStory) -> Option<String> {
    let count = |way: Way| story.peers.iter().filter(|peer| peer.way == Some(way)).count();
    let used = Way::ALL.iter().map(|way| (way.word(), count(*way))).filter(|(_, count)| *count > 0);
    let words: Vec<_> = used.map(|(word, count)| format!("{word} {count}")).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn shares_are_places_in_the_list() {
        assert_eq!([0.0, 0.5, 0.9, 1.0].map(|share| place(10, share)), [0, 4, 8, 9]);
        assert_eq!([0.0, 0.5, 0.9, 1.0].map(|share| place(1, share)), [0, 0, 0, 0]);
        assert_eq!(place(0, 1.0), 0);
    }
}
