//! What the operator changes from outside while the roster runs: bans, and peers that are imported.

use tokio::time::Instant;

use super::keeper::Keeper;
use crate::cold::score::Standing;
use crate::cold::store::{Edited, Edits};

impl Keeper {
    /// Takes in the edits that commands have left. Who is banned goes at once, even where too few
    /// stay; the kept peers never do.
    pub(super) fn on_edited(&mut self, edits: Edits, now: Instant) {
        for warning in edits.warnings {
            tracing::warn!("{warning}");
        }
        let is_edited = !edits.files.is_empty();
        for edit in edits.list {
            let edited = edit.apply(&mut self.book);
            // An empty one asks for a save, no more.
            if edited == Edited::default() {
                continue;
            }
            tracing::info!(
                fresh = edited.merged.fresh,
                known = edited.merged.known,
                refused = edited.merged.refused,
                banned = edited.banned,
                lifted = edited.lifted,
                "took in an edit of the peer database"
            );
        }
        self.saver.on_edited(edits.files, now);
        if is_edited {
            self.end_banned();
            self.schedule.refresh = now;
            self.schedule.show_soon();
        }
    }

    fn end_banned(&mut self) {
        let Self { book, connections, candidates, .. } = self;
        candidates.retain(|address| !book.is_banned(*address));
        let ordinary = connections.iter_mut().filter(|it| it.standing == Standing::Ordinary);
        for connection in ordinary.filter(|it| book.is_banned(it.address)) {
            connection.end("banned");
        }
    }
}
