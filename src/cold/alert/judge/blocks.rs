//! What went wrong with blocks: refused, stale, slow.

use std::collections::BTreeMap;

use super::Finding;
use crate::cold::alert::pace::{Paces, Slow};
use crate::cold::alert::situation::{BlockNow, ChainNow, UnsentNow};
use crate::cold::alert::{Kind, Moment, Severity};
use crate::cold::stats::Fate;
use crate::limits::ALERT_BLOCK_STANDS_MS;

/// What is remembered of one chain's blocks. Bounded by the blocks that are shown: what those no
/// longer name is forgotten.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    paces: Paces,
    /// Blocks whose pace was judged, by number; those that were slow with what was found.
    judged: BTreeMap<u64, Option<(Slow, u64)>>,
    /// When each was first seen to be lost for good, CLOCK_MONOTONIC in ms.
    pub(super) stale: BTreeMap<u64, u64>,
}

impl Blocks {
    /// What is wrong with a chain's blocks.
    pub(super) fn look(&mut self, chain: &ChainNow, slow_factor: f64, now: Moment) -> Vec<Finding> {
        let blocks = &chain.blocks;
        let oldest = blocks.iter().map(|block| block.image).min().unwrap_or(u64::MAX);
        self.judged.retain(|image, _| *image >= oldest);
        self.stale.retain(|image, _| *image >= oldest);
        for block in blocks {
            if let (Some(pace), false) = (block.pace, self.judged.contains_key(&block.image)) {
                let slow = self.paces.judge(pace, slow_factor);
                self.judged.insert(block.image, slow.map(|slow| (slow, now.clock_ms)));
            }
        }
        let accepted = blocks.iter().filter(|block| block.is_accepted);
        let accepted = accepted.map(|block| block.image).max().unwrap_or(0);
        let good = self.judged.iter().rev().find(|(_, slow)| slow.is_none());
        let good = good.map_or(0, |(image, _)| *image);
        let accepted_ms = blocks.iter().filter(|block| block.is_accepted);
        let accepted_ms = accepted_ms.map(|block| block.published_ms).max().unwrap_or(0);
        let unsent = chain.unsent.iter().filter(|it| it.at_ms >= accepted_ms);
        let mut found: Vec<Finding> = unsent.filter_map(|it| unsent_refused(it, now)).collect();
        for block in blocks {
            let finding = match block.fate {
                Fate::Refused if block.image > accepted => refused(block, now),
                Fate::Stale(_) => self.stale(block, now),
                _ => None,
            };
            found.extend(finding);
            if block.image > good
                && let Some(Some((slow, since_ms))) = self.judged.get(&block.image)
                && now.clock_ms.saturating_sub(*since_ms) < ALERT_BLOCK_STANDS_MS
            {
                found.push(slowly(block, *slow));
            }
        }
        found
    }

    fn stale(&mut self, block: &BlockNow, now: Moment) -> Option<Finding> {
        let rival = block.fate.rival()?;
        let since_ms = *self.stale.entry(block.image).or_insert(now.clock_ms);
        if now.clock_ms.saturating_sub(since_ms) >= ALERT_BLOCK_STANDS_MS {
            return None;
        }
        let name = named(block);
        let text = format!(
            "{name} is stale: {rival} is in its place for good. See how fast it went out \
             (/blocks/{}), and whether the pool's template was fresh",
            block.hash
        );
        let finding = Finding::new(Kind::BlockStale, Severity::Warning, text, lapsed(&name));
        Some(finding.about(block.hash.to_string()))
    }
}

fn named(block: &BlockNow) -> String {
    match block.height {
        Some(height) => format!("block {} (height {height})", block.hash),
        None => format!("block {}", block.hash),
    }
}

fn lapsed(name: &str) -> String {
    format!("nothing new on {name}: what was said of it stands, and no longer as an alert")
}

fn refused(block: &BlockNow, now: Moment) -> Option<Finding> {
    if now.clock_ms.saturating_sub(block.published_ms) >= ALERT_BLOCK_STANDS_MS {
        return None;
    }
    let word = block.verdict.as_deref().unwrap_or("no reason given");
    let name = named(block);
    let text = format!(
        "your node refused {name}: {word}. It was offered to {} peers, who will refuse it too. Compare \
         the pool's coinbase and template with what the node wants, and see the node's log",
        block.offers
    );
    let over = format!("a later block was accepted, or {} is no longer news", name);
    let finding = Finding::new(Kind::BlockRefused, Severity::Critical, text, over);
    Some(finding.about(block.hash.to_string()))
}

/// The desk had held it back, or there was no place for it: peers don't have it.
fn unsent_refused(block: &UnsentNow, now: Moment) -> Option<Finding> {
    if now.clock_ms.saturating_sub(block.at_ms) >= ALERT_BLOCK_STANDS_MS {
        return None;
    }
    let UnsentNow { hash, word, .. } = block;
    let text = format!(
        "your node refused block {hash}: {word}. It had not gone to peers, as broadside had found the \
         same or could not check it: what the pool hands in is no good block. See the log on it, then \
         the pool's coinbase and template"
    );
    let over = format!("a later block was accepted, or block {hash} is no longer news");
    let finding = Finding::new(Kind::BlockRefused, Severity::Critical, text, over);
    Some(finding.about(hash.to_string()))
}

fn slowly(block: &BlockNow, slow: Slow) -> Finding {
    let Slow { is_half, took_us, usual_us, blocks } = slow;
    let which = if is_half { "half of the receipts" } else { "the last receipt" };
    let name = named(block);
    let text = format!(
        "{name} went out slowly: {which} took {} ms, usual are {} ms (of {blocks} blocks of its size). \
         See /blocks/{} for where the time went; look at the uplink and at what else the host does",
        took_us / 1_000,
        usual_us / 1_000,
        block.hash
    );
    let over = format!("a later block went out as usual, or {name} is no longer news");
    let finding = Finding::new(Kind::SlowFanOut, Severity::Warning, text, over);
    finding.about(block.hash.to_string())
}
