//! `/blocks` and `/blocks/HASH`: the newest blocks, and one block's whole story.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::state::HttpState;
use crate::cold::stats::{BlockRecord, BlockStory};
use crate::limits::BLOCKS_LISTED_MAX;
use crate::wire::hash::BlockHash;

/// Which blocks are asked for.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Wanted {
    /// Of this chain alone.
    pub(super) chain: Option<String>,
    /// At most so many, newest first.
    pub(super) limit: Option<usize>,
}

/// `{"blocks": [...]}`, newest first, without their rows.
pub(super) async fn list(
    State(state): State<Arc<HttpState>>,
    Query(wanted): Query<Wanted>,
) -> Json<Value> {
    let stories = state.newest_blocks(&wanted).await;
    Json(json!({"blocks": stories.iter().map(BlockStory::summary_json).collect::<Vec<_>>()}))
}

/// One block's whole story; 404 for one that was never ours.
pub(super) async fn show(
    State(state): State<Arc<HttpState>>,
    Path(hash): Path<String>,
) -> Result<Json<Value>, (StatusCode, String)> {
    let told = || (StatusCode::BAD_REQUEST, "a block's hash is 64 hexadecimal digits\n".to_owned());
    let hash = BlockHash::from_hex(&hash).ok_or_else(told)?;
    let unknown = || (StatusCode::NOT_FOUND, format!("there is no block {hash} in the history\n"));
    Ok(Json(state.block(&hash).await.ok_or_else(unknown)?.to_json()))
}

impl HttpState {
    /// The newest blocks, newest first, without their rows.
    pub(super) async fn newest_blocks(&self, wanted: &Wanted) -> Vec<BlockStory> {
        let limit = wanted.limit.unwrap_or(BLOCKS_LISTED_MAX).min(BLOCKS_LISTED_MAX);
        let is_wanted =
            |story: &BlockStory| wanted.chain.as_ref().is_none_or(|chain| story.chain == *chain);
        let records = self.log.recent(usize::MAX);
        records.iter().filter_map(BlockRecord::story).filter(is_wanted).take(limit).collect()
    }

    /// The whole story of the newest block of this hash.
    pub(super) async fn block(&self, hash: &BlockHash) -> Option<BlockStory> {
        (0..self.chains.len() as u8).find_map(|chain| self.log.find(chain, hash)?.story())
    }
}
