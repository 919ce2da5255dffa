//! The dashboard: how much is drawn of what may be a thousand. What is left out is said in words.

use super::{BLOCKS_LISTED_MAX, CHAIN_ENDPOINTS_MAX};

/// Connected peers that are listed, those that are served first.
pub const DASHBOARD_PEERS_MAX: usize = 60;
/// Peers that are waited for and listed.
pub const DASHBOARD_ABSENT_MAX: usize = 20;
/// Peers drawn in the last block's waterfall.
pub const DASHBOARD_BARS_MAX: usize = 32;
/// Peers drawn on a block's own page.
pub const DASHBOARD_PAGE_BARS_MAX: usize = 200;
/// Peers in the table on a block's own page.
pub const DASHBOARD_PAGE_ROWS_MAX: usize = 1_000;
/// Endpoints that are listed: all that can be configured.
pub const DASHBOARD_ENDPOINTS_MAX: usize = CHAIN_ENDPOINTS_MAX;
/// Witnesses drawn for one block.
pub const DASHBOARD_WITNESSES_MAX: usize = 64;
/// Blocks in the latency history.
pub const DASHBOARD_LATENCY_BLOCKS: usize = 100;
/// Blocks whose receipts are read anew for one page. Others that have changed follow with the next.
pub const DASHBOARD_READS_MAX: usize = 16;
/// Blocks in the table.
pub const DASHBOARD_BLOCKS_MAX: usize = 20;
/// Bars of regions, and of networks.
pub const DASHBOARD_REGIONS_MAX: usize = 8;
/// Changes of the roster.
pub const DASHBOARD_CHANGES_MAX: usize = 12;
/// Alerts of a kind: active ones, and past ones.
pub const DASHBOARD_ALERTS_MAX: usize = 20;
/// Sentences about what is not as it should be.
pub const DASHBOARD_ISSUES_MAX: usize = 12;
/// Characters of a word that others chose.
pub const DASHBOARD_TEXT_CHARS_MAX: usize = 80;
/// Characters of a sentence that may quote others.
pub const DASHBOARD_SENTENCE_CHARS_MAX: usize = 300;
/// How long drawn panels are good for when nobody told of a change, in ms. All open pages share them.
pub const DASHBOARD_KEPT_MS: u64 = 1_000;
/// How often a page without JavaScript is loaded again, in s.
pub const DASHBOARD_REFRESH_S: u32 = 5;

const _: () = {
    assert!(DASHBOARD_BLOCKS_MAX <= DASHBOARD_LATENCY_BLOCKS);
    assert!(DASHBOARD_LATENCY_BLOCKS <= BLOCKS_LISTED_MAX);
    assert!(DASHBOARD_BARS_MAX <= DASHBOARD_PAGE_BARS_MAX);
    assert!(DASHBOARD_PAGE_BARS_MAX <= DASHBOARD_PAGE_ROWS_MAX);
};
