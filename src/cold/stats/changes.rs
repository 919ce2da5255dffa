//! What has changed since somebody last looked: for those who show it live, and who keep it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashSet};

use tokio::sync::watch;

use super::{BlockLog, BlockStory, ChainTotals, Fate};
use crate::hot::link::ImageId;
use crate::limits::{BLOCKS_REMEMBERED_MAX, FATES_UNKEPT_MAX};
use crate::wire::hash::BlockHash;

/// What has become of a block of an earlier process, of which there is no record here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FateNews {
    /// Index of its chain in the engine's configuration.
    pub chain_index: u8,
    /// Its hash.
    pub hash: BlockHash,
    /// What has become of it.
    pub fate: Fate,
}

/// What is to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Blocks that are new or have changed, oldest first.
    pub stories: Vec<BlockStory>,
    /// News of older ones.
    pub fates: Vec<FateNews>,
    /// Changes that were lost because nobody took them in time.
    pub lost: u64,
}

/// Changes that nobody has taken yet. Bounded: full, the oldest goes and is counted.
#[derive(Debug, Default)]
pub(super) struct Unkept {
    images: BTreeSet<ImageId>,
    fates: Vec<FateNews>,
    lost: u64,
}

impl Unkept {
    pub(super) fn note(&mut self, image: ImageId) {
        if self.images.insert(image) && self.images.len() > BLOCKS_REMEMBERED_MAX as usize {
            self.images.pop_first();
            self.lost += 1;
        }
    }

    pub(super) fn note_fate(&mut self, news: FateNews) {
        self.fates.retain(|known| (known.chain_index, known.hash) != (news.chain_index, news.hash));
        if self.fates.len() >= FATES_UNKEPT_MAX {
            self.fates.remove(0);
            self.lost += 1;
        }
        self.fates.push(news);
    }
}

impl BlockLog {
    /// A number that rises with every change.
    #[must_use]
    pub fn revision(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    pub(super) fn note_change(&self) {
        self.changed.notify_waiters();
        self.revision.send_modify(|revision| *revision = revision.wrapping_add(1));
    }

    /// Takes at most `count` changed blocks, oldest first, and all news of older ones. What is taken is
    /// the taker's to keep: it is not given out again before it changes again.
    pub fn take_changes(&self, count: usize) -> Changes {
        self.take_with_totals(count).0
    }

    /// The same, and the sums of the same moment, by chain.
    pub fn take_with_totals(&self, count: usize) -> (Changes, Vec<ChainTotals>) {
        let mut state = self.state();
        let fates = std::mem::take(&mut state.unkept.fates);
        let lost = std::mem::take(&mut state.unkept.lost);
        let mut records = Vec::new();
        while records.len() < count
            && let Some(image) = state.unkept.images.pop_first()
        {
            records.extend(state.records.get(&image).cloned());
        }
        let totals = state.totals.to_vec();
        drop(state);
        let stories = records.iter().filter_map(super::BlockRecord::story).collect();
        (Changes { stories, fates, lost }, totals)
    }

    /// Gives back what could not be kept: it is given out again. How many blocks are forgotten by now.
    pub fn put_back(&self, changes: &Changes) -> u64 {
        let mut state = self.state();
        let mut lost = 0;
        for story in &changes.stories {
            let image = ImageId(story.image);
            match state.records.contains_key(&image) {
                true => state.unkept.note(image),
                false => lost += 1,
            }
        }
        let newer = std::mem::take(&mut state.unkept.fates);
        changes.fates.iter().copied().chain(newer).for_each(|news| state.unkept.note_fate(news));
        lost
    }

    /// Has all blocks given out again that are still known: where they were kept is no more.
    pub fn put_back_all(&self) {
        let mut state = self.state();
        let all: Vec<ImageId> = state.order.iter().copied().collect();
        all.into_iter().for_each(|image| state.unkept.note(image));
    }

    /// How many changed blocks nobody has taken.
    #[must_use]
    pub fn unkept(&self) -> usize {
        let state = self.state();
        state.unkept.images.len() + state.unkept.fates.len()
    }

    /// Adds the sums of earlier processes, and what is known of their blocks' fates, so that a fate is
    /// counted once however often it is heard of.
    pub fn restore(
        &self,
        chain_index: u8,
        earlier: &ChainTotals,
        fates: impl IntoIterator<Item = (BlockHash, Fate)>,
    ) {
        let mut state = self.state();
        let decided = state.records.values().filter(|record| record.fate != Fate::Pending);
        let metas = decided.filter_map(|record| record.meta.as_ref());
        let ours = metas.filter(|meta| meta.chain_index == chain_index);
        let counted: HashSet<BlockHash> = ours.map(|meta| meta.hash).collect();
        let mut twice = Vec::new();
        for (hash, fate) in fates.into_iter().take(BLOCKS_REMEMBERED_MAX as usize) {
            // Sums that come late find what this process has counted in the meantime.
            match state.earlier.entry((chain_index, hash)) {
                Entry::Vacant(place) if !counted.contains(&hash) => drop(place.insert(fate)),
                _ => twice.push(fate),
            }
        }
        if let Some(totals) = state.totals.get_mut(usize::from(chain_index)) {
            totals.absorb(earlier);
            twice.into_iter().for_each(|fate| totals.fates.take_back(fate));
        }
        drop(state);
        self.note_change();
    }
}
