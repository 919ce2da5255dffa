//! How its parts are doing.

use std::sync::Arc;

use tokio::sync::watch;

use super::Engine;
use crate::cold::history::HistoryView;
use crate::cold::uplink::UplinkView;
use crate::edge::trace::TraceView;

impl Engine {
    /// What is known of the uplink, and how warm the connections are; changes wake the receiver.
    #[must_use]
    pub fn uplink_view(&self) -> watch::Receiver<Arc<UplinkView>> {
        self.uplink.view.clone()
    }

    /// How the history is doing; changes wake the receiver.
    #[must_use]
    pub fn history_view(&self) -> watch::Receiver<HistoryView> {
        let none = || watch::Sender::default().subscribe();
        self.history.as_ref().map_or_else(none, |history| history.view.clone())
    }

    /// What is seen of the kernel; changes wake the receiver.
    #[must_use]
    pub fn trace_view(&self) -> watch::Receiver<Arc<TraceView>> {
        let none = || watch::Sender::default().subscribe();
        self.trace.as_ref().map_or_else(none, |trace| trace.view.clone())
    }
}
