//! Blocks one at a time, so that nobody who lists them keeps the log's lock for long.

use super::{BlockLog, BlockRecord, BlockStory};
use crate::hot::link::ImageId;
use crate::limits::BLOCKS_WITH_ROWS_MAX;

impl BlockLog {
    /// The numbers of all blocks that are remembered below `before`, newest first; `with_rows`: only of
    /// those whose rows are there.
    #[must_use]
    pub fn images(&self, before: Option<ImageId>, with_rows: bool) -> Vec<ImageId> {
        let state = self.state();
        let count = if with_rows { BLOCKS_WITH_ROWS_MAX as usize } else { usize::MAX };
        let newest = state.order.iter().rev().take(count);
        newest.filter(|image| before.is_none_or(|before| **image < before)).copied().collect()
    }

    /// What is known of one block, without its rows.
    #[must_use]
    pub fn summary(&self, image: ImageId) -> Option<BlockStory> {
        self.state().records.get(&image)?.summary()
    }
}

impl BlockRecord {
    /// Its story without its rows.
    #[must_use]
    pub fn summary(&self) -> Option<BlockStory> {
        self.tell(false)
    }
}
