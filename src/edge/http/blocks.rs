//! `/blocks` and `/blocks/HASH`: the newest blocks, and one block's whole story.
//!
//! What memory has in full is taken from there, the rest from the history, which is read by threads
//! and connections of its own. A history that can't be read leaves what is in memory.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::state::HttpState;
use crate::cold::history::{Fault, Found, Place};
use crate::cold::stats::BlockStory;
use crate::hot::link::ImageId;
use crate::limits::{BLOCKS_LISTED_MAX, HASH_DIGITS_MIN, HASH_MATCHES_MAX};
use crate::wire::hash::BlockHash;

/// Which blocks are asked for.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Wanted {
    /// Of this chain alone.
    pub(super) chain: Option<String>,
    /// At most so many, newest first.
    pub(super) limit: Option<usize>,
    /// Older than the place of this name, which an answer's `next` tells.
    pub(super) before: Option<String>,
}

/// One page of blocks.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Newest first, without their rows.
    pub(super) stories: Vec<BlockStory>,
    /// Where the next page begins; `None`: there is none.
    pub(super) next: Option<Place>,
}

/// What an HTTP request is refused with.
type Refusal = (StatusCode, String);

/// `{"blocks": [...], "next": "..."}`, newest first, without their rows; `next` for `before`, null at
/// the end.
pub(super) async fn list(
    State(state): State<Arc<HttpState>>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refusal> {
    let told =
        || (StatusCode::BAD_REQUEST, "before: give what the last page had as next\n".to_owned());
    let Page { stories, next } = state.page(&wanted).await.ok_or_else(told)?;
    let blocks: Vec<_> = stories.iter().map(BlockStory::summary_json).collect();
    Ok(Json(json!({"blocks": blocks, "next": next.map(|place| place.to_string())})))
}

/// One block's whole story, by its hash or the first or last digits of that; 404 for one that was never
/// ours, 409 where several fit.
pub(super) async fn show(
    State(state): State<Arc<HttpState>>,
    Path(digits): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || !(HASH_DIGITS_MIN..=64).contains(&digits.len()) {
        let told = format!(
            "a block's hash is 64 hexadecimal digits; its first or last {HASH_DIGITS_MIN} or more do \
             where they fit one block alone\n"
        );
        return Err((StatusCode::BAD_REQUEST, told));
    }
    let found = match BlockHash::from_hex(&digits) {
        Some(hash) => state.block(&hash).await.map_or(Found::None, Found::One),
        None => state.block_like(&digits).await,
    };
    match found {
        Found::One(story) => Ok(Json(story.to_json())),
        Found::None => {
            Err((StatusCode::NOT_FOUND, format!("there is no block {digits} in the history\n")))
        }
        Found::Several(hashes) => {
            let told: Vec<_> = hashes.iter().map(|hash| format!("{hash}\n")).collect();
            let told = format!("{digits} fits several blocks:\n{}", told.concat());
            Err((StatusCode::CONFLICT, told))
        }
    }
}

impl HttpState {
    /// The newest blocks, newest first, without their rows.
    pub(super) async fn newest_blocks(&self, wanted: &Wanted) -> Vec<BlockStory> {
        self.page(wanted).await.unwrap_or_default().stories
    }

    /// One page of blocks; `None` where `before` is not a place.
    pub(super) async fn page(&self, wanted: &Wanted) -> Option<Page> {
        let limit = wanted.limit.unwrap_or(BLOCKS_LISTED_MAX).min(BLOCKS_LISTED_MAX);
        let newest = self.place(u64::MAX);
        let before = match &wanted.before {
            Some(text) => Place::parse(text)?,
            None => newest,
        };
        let chain = wanted.chain.as_deref();
        let mut page = if before.run >= newest.run {
            // What can't be written now is nowhere else.
            let is_kept = self.history_now().trouble.is_none();
            self.remembered(chain, before.image, limit, is_kept)
        } else {
            Vec::new()
        };
        if page.len() < limit {
            let below = page.last().map_or(before, |(place, _)| *place);
            let oldest = page.len();
            match self.kept(chain, below, limit - oldest).await {
                Ok(older) => page.extend(older),
                // All that is known is in memory.
                Err(_) if below.run >= newest.run => {
                    page.extend(self.remembered(chain, below.image, limit - oldest, false));
                }
                Err(_) => {}
            }
        }
        let next = page.last().filter(|_| page.len() >= limit).map(|(place, _)| *place);
        Some(Page { stories: page.into_iter().map(|(_, story)| story).collect(), next })
    }

    /// Where the block `image` of this process stands.
    fn place(&self, image: u64) -> Place {
        self.history.as_ref().map_or(Place { run: 0, image }, |history| history.place(image))
    }

    /// Blocks in memory below `image`; `in_full`: those alone that memory has in full.
    fn remembered(
        &self,
        chain: Option<&str>,
        image: u64,
        limit: usize,
        in_full: bool,
    ) -> Vec<(Place, BlockStory)> {
        // One after the other, so that the log is nobody's for long.
        let images = self.log.images(Some(ImageId(image)), in_full).into_iter();
        let stories = images.filter_map(|image| self.log.summary(image));
        let wanted = stories.filter(|story| chain.is_none_or(|chain| story.chain == *chain));
        wanted.take(limit).map(|story| (self.place(story.image), story)).collect()
    }

    /// Blocks in the history.
    async fn kept(
        &self,
        chain: Option<&str>,
        before: Place,
        limit: usize,
    ) -> Result<Vec<(Place, BlockStory)>, Fault> {
        let none = || Fault::Other("no history is kept".to_owned());
        let history = self.history.as_ref().ok_or_else(none)?;
        history.page(chain.map(str::to_owned), before, limit).await
    }

    /// The whole story of the newest block of this hash.
    pub(super) async fn block(&self, hash: &BlockHash) -> Option<BlockStory> {
        let known =
            (0..self.chains.len() as u8).find_map(|chain| self.log.find(chain, hash)?.story());
        let Some(history) = &self.history else {
            return known;
        };
        let Some(mut known) = known else {
            return history.find(*hash).await.ok().flatten();
        };
        // Of an old block memory has the counts alone.
        let is_faded = known.peers.len() < known.counts.settled as usize;
        if is_faded && let Ok(Some(kept)) = history.at(self.place(known.image)).await {
            if kept.peers.len() > known.peers.len() {
                known.peers = kept.peers;
                known.half_back_us = kept.half_back_us;
            }
            if kept.scouts.len() > known.scouts.len() {
                known.scouts = kept.scouts;
            }
        }
        Some(known)
    }

    /// The block whose hash begins or ends with these digits.
    pub(super) async fn block_like(&self, digits: &str) -> Found<BlockStory> {
        let digits = digits.to_ascii_lowercase();
        let fits = |hash: &BlockHash| {
            let hash = hash.to_string();
            hash.starts_with(&digits) || hash.ends_with(&digits)
        };
        let all = self.log.images(None, false).into_iter();
        let hashes = all.filter_map(|image| self.log.summary(image)).map(|story| story.hash);
        let mut hashes: Vec<BlockHash> = hashes.filter(fits).collect();
        if let Some(history) = &self.history {
            hashes.extend(history.hashes_like(digits).await.unwrap_or_default());
        }
        hashes.sort_unstable_by_key(|hash| hash.0);
        hashes.dedup();
        match &*hashes {
            [] => Found::None,
            [hash] => self.block(hash).await.map_or(Found::None, Found::One),
            several => Found::Several(several.iter().copied().take(HASH_MATCHES_MAX).collect()),
        }
    }
}
