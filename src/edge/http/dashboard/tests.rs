mod made;

use super::*;
use crate::limits::{BLOCKS_REMEMBERED_MAX, DASHBOARD_BARS_MAX, DASHBOARD_PEERS_MAX};
use crate::wire::chain::{self, Network};
use made::{broadcast, roster, state};

/// What the page may weigh with 20 peers, style and script included, in bytes.
const PAGE_BYTES_MAX: usize = 200_000;
const HOSTILE: &str = "</td><img src=x onerror=alert(1)><script>\u{202e}\u{1b}[2J\"'&";

async fn page(dashboard: &Dashboard) -> String {
    page::live(&maud::PreEscaped(dashboard.panels().await)).into_string()
}

/// Nothing in it that the policy would forbid.
fn assert_strict(page: &str) {
    for wrong in [" style=", " onerror=\"", " onload", "javascript:", "http://", "https://", "<img"]
    {
        let shown = page.replace("http://127.0.0.1", "");
        let found = shown
            .find(wrong)
            .map(|at| shown[at.saturating_sub(80)..].chars().take(200).collect::<String>());
        assert_eq!(found, None, "{wrong}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("<script src=\"/live.js\" defer></script>"));
}

#[tokio::test]
async fn the_page_is_small_whole_and_harmless() {
    let (state, _rosters) = state(20, 120, HOSTILE);
    let dashboard = Dashboard::new(Arc::new(state));
    let page = page(&dashboard).await;
    let files = include_str!("style.css").len() + include_str!("live.js").len();
    eprintln!("20 peers: page {} bytes, style and script {files} bytes", page.len());
    assert!(page.len() + files < PAGE_BYTES_MAX);
    assert_strict(&page);
    let panels = [
        "summary",
        "indicators",
        "last-block",
        "latency",
        "peers",
        "regions",
        "changes",
        "uplink",
        "spool",
        "alerts",
        "blocks",
        "node",
    ];
    for panel in panels {
        assert!(page.contains(&format!("data-panel=\"{panel}\"")), "{panel}");
    }
    let indicators = dashboard.state.indicators(0);
    let rate = format!(
        "data-indicator=\"success_rate\" data-value=\"{}\"",
        indicators.success_rate.unwrap()
    );
    assert!(page.contains(&rate), "{rate}");
    let parts = [
        "20<span class=\"of\">/1000</span>",
        "reconnecting",
        "in 42 s",
        "97.8%",
        "8 → 3",
        "94.1 Mbit/s",
        "newest 100 blocks",
        "120",
        "&lt;img src=x",
        "being dialled now",
        ">own node<",
        "on the wire 0.41 ms",
        "held up for at least 31 µs",
        "task &lt;b&gt;?thief? on core 3",
    ];
    for part in parts {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains(['\u{202e}', '\u{1b}']), "steers nothing");
    let own = page.find("<strong>own node").expect("the protected node is listed");
    assert!(own < page.find("203.0.1.7:9333</span> <span class=\"tag\"").unwrap(), "and is first");
}

/// Goal: what is drawn is bounded, whatever there is; what is left out is said.
#[tokio::test]
async fn a_thousand_peers_fit_a_page() {
    let blocks = u64::from(BLOCKS_REMEMBERED_MAX) + 100;
    let (state, _rosters) = state(1_000, blocks, "/LitecoinCore:0.21.4/");
    let dashboard = Dashboard::new(Arc::new(state));
    let mut took = Vec::new();
    let mut bytes = 0;
    for _ in 0..5 {
        dashboard.drawn.lock().await.panels = None;
        let begun = Instant::now();
        bytes = page(&dashboard).await.len();
        took.push(begun.elapsed());
    }
    eprintln!("1,000 peers, {blocks} blocks: page {bytes} bytes, drawn in {took:?}");
    assert!(bytes < PAGE_BYTES_MAX);
    let page = page(&dashboard).await;
    assert_eq!(page.matches("<tr class=\"here\">").count(), DASHBOARD_PEERS_MAX);
    assert_eq!(page.matches("class=\"row peer\"").count(), DASHBOARD_BARS_MAX);
    assert!(page.contains("940 more connected") && page.contains("968 more peers"));
    let hash = dashboard.state.log.recent(1)[0].meta.expect("published").hash;
    let story = dashboard.state.block(&hash).await.expect("it is there");
    let whole = block::page(&dashboard.state, &story).into_string();
    eprintln!("its block's page: {} bytes", whole.len());
    assert!(whole.matches("<tr>").count() > 1_000 && whole.len() < 1_000_000);
}

#[tokio::test]
async fn without_anything_it_says_what_to_do() {
    let (state, _rosters) = state(0, 0, "");
    let page = page(&Dashboard::new(Arc::new(state))).await;
    assert_strict(&page);
    for part in [
        "No block yet. Hand one in: broadside submit FILE",
        "No peer is connected: check",
        "Not ready",
        "No local node is configured",
        "Nothing is wrong.",
        "data-value=\"null\"",
        "Blocks can't be kept on disk",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

/// Goal: each chain has all its panels; the first is open, what all share is there once.
#[tokio::test]
async fn several_chains_are_on_one_page() {
    let (mut state, _rosters) = state(3, 1, "");
    let mut other = state.chains[0].clone();
    other.chain = chain::find(chain::names()[2], Network::Main).expect("a row");
    state.chains.push(other);
    let page = page(&Dashboard::new(Arc::new(state))).await;
    assert_strict(&page);
    assert_eq!(page.matches("data-panel=\"peers\"").count(), 2);
    assert_eq!(page.matches("data-panel=\"uplink\"").count(), 1);
    assert_eq!(page.matches("<details class=\"chain\"").count(), 2);
    let open = page.find(" open>").expect("one is open");
    assert!(!page[open + 1..].contains(" open>") && page[open..].contains("Ready, with doubts"));
    let ids: Vec<&str> =
        page.split(" id=\"").skip(1).filter_map(|it| it.split('"').next()).collect();
    let once: std::collections::HashSet<&&str> = ids.iter().collect();
    assert_eq!(once.len(), ids.len(), "{ids:?}");
}

/// Goal: all open pages share one drawing, and a change is in the next one.
#[tokio::test]
async fn a_drawing_lasts_until_something_changes() {
    let (state, rosters) = state(3, 1, "");
    let log = Arc::clone(&state.log);
    let dashboard = Dashboard::new(Arc::new(state));
    let first = dashboard.panels().await;
    let drawn = |drawn: &Drawn| drawn.panels.as_ref().map(|(at, _)| *at);
    let at = drawn(&*dashboard.drawn.lock().await);
    dashboard.drawn.lock().await.panels.as_mut().unwrap().0 += KEPT * 100;
    let kept = drawn(&*dashboard.drawn.lock().await);
    assert_eq!(dashboard.panels().await, first);
    assert_eq!(drawn(&*dashboard.drawn.lock().await), kept, "it was not drawn again");
    assert!(kept > at);
    rosters.send_replace(Arc::new(roster(2, "")));
    assert!(dashboard.panels().await.contains("2<span class=\"of\">/1000</span>"));
    let hash = broadcast(&log, 2, 3, "no").to_string();
    assert!(dashboard.panels().await.contains(&hash));
}

#[tokio::test]
async fn a_block_has_a_page_of_its_own() {
    let (state, _rosters) = state(3, 1, "");
    let dashboard = Arc::new(Dashboard::new(Arc::new(state)));
    let hash = dashboard.state.log.recent(1)[0].meta.expect("published").hash.to_string();
    let ask =
        async |hash: &str| one_block(State(Arc::clone(&dashboard)), Path(hash.to_owned())).await;
    let (status, Html(page)) = ask(&hash).await;
    assert_eq!(status, StatusCode::OK);
    for part in [
        "Block 2800001",
        "work checked",
        "accepted",
        "&lt;img src=x",
        "TCP acknowledged",
        "4242",
        "and 7 more times by others, 900 ns in all",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<img") && !page.contains(" style="));
    assert_eq!(ask(&"0".repeat(64)).await.0, StatusCode::NOT_FOUND);
    assert_eq!(ask("<script>").await.0, StatusCode::BAD_REQUEST);
}
