//! Asks the node for templates, where the operator wants that.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{TemplateMode, Templates, read};
use crate::cold::node::NodeClient;
use crate::cold::node::leg::jittered;
use crate::cold::node::tip::{Presence, TipWatch};
use crate::limits::{
    LONG_POLL_ID_BYTES_MAX, TEMPLATE_DEADLINE_MS, TEMPLATE_INTERVAL_MS, TEMPLATE_LONG_DEADLINE_MS,
    TEMPLATE_PAUSE_MS,
};

const INTERVAL: Duration = Duration::from_millis(TEMPLATE_INTERVAL_MS);
const PAUSE: Duration = Duration::from_millis(TEMPLATE_PAUSE_MS);
const DEADLINE: Duration = Duration::from_millis(TEMPLATE_DEADLINE_MS);
const LONG_DEADLINE: Duration = Duration::from_millis(TEMPLATE_LONG_DEADLINE_MS);

impl Templates {
    /// Has the node asked where the mode is such, inside a tokio runtime. Ends with `tip`.
    pub fn start_asking(&self, node: NodeClient, tip: &TipWatch) {
        if !matches!(self.mode(), TemplateMode::Poll | TemplateMode::LongPoll) {
            return;
        }
        let (mut presence, mut tips) = (tip.presence(), tip.changes());
        let templates = self.clone();
        tokio::spawn(async move {
            let mut long_poll_id = None;
            loop {
                if presence.wait_for(|now| *now == Presence::Here).await.is_err() {
                    return;
                }
                tips.mark_unchanged();
                let is_long = long_poll_id.is_some();
                // A node that holds its answer back is let go of when the engine ends.
                let answer = tokio::select! {
                    answer = ask(&templates, &node, long_poll_id.take()) => answer,
                    () = ended(presence.clone()) => return,
                };
                if let Some(answer) = &answer {
                    templates.offer(answer);
                    long_poll_id = next_id(&templates, answer);
                }
                if !(is_long && answer.is_some()) && long_poll_id.is_none() {
                    let news = timeout(jittered(INTERVAL), tips.changed()).await;
                    if matches!(news, Ok(Err(_))) {
                        return;
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
}

/// Waits for the end of the watch.
async fn ended(mut presence: watch::Receiver<Presence>) {
    while presence.changed().await.is_ok() {}
}

/// What to name at the next question; `None`: an ordinary one.
fn next_id(templates: &Templates, answer: &[u8]) -> Option<String> {
    let id = read::long_poll_id(answer).filter(|_| templates.mode() == TemplateMode::LongPoll)?;
    (id.len() <= LONG_POLL_ID_BYTES_MAX).then_some(id)
}

/// One question; the whole answer, `None` where there was none.
async fn ask(
    templates: &Templates,
    node: &NodeClient,
    long_poll_id: Option<String>,
) -> Option<Bytes> {
    let deadline = if long_poll_id.is_some() { LONG_DEADLINE } else { DEADLINE };
    let mut request = json!({"rules": templates.chain().template_rules()});
    if let Some(id) = long_poll_id {
        request["longpollid"] = json!(id);
    }
    let call = json!({"jsonrpc": "1.0", "id": "broadside", "method": "getblocktemplate",
                      "params": [request]});
    let asked = node.forward("", Bytes::from(call.to_string()));
    let (status, answer) = timeout(deadline, asked).await.ok()?.ok()?;
    status.is_success().then_some(answer)
}
