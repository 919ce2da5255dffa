//! The dashboard in a real browser, on a running engine with real nodes.
//!
//! Pictures of what was seen are kept in `target/tests/screenshots`.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use broadside::wire::chain::{self, Chain, Network};
use serde_json::{Value, json};
use support::browser::{Browser, Said};
use support::daemon::{Daemon, Told};
use support::litecoind::Node;
use support::miner::Miner;
use support::named_peer::NamedPeer;
use support::rpc_node::{Manner, RpcNode};

/// Every panel that the page must have.
const PANELS: [&str; 12] = [
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

fn regtest() -> &'static Chain {
    chain::find("litecoin", Network::Regtest).expect("it is in the table")
}

/// The pool's own node and two more, a daemon between them, and who makes blocks.
struct World {
    miner: Miner,
    nodes: Vec<Node>,
    daemon: Daemon,
}

impl World {
    fn start(chain: &str, more: &[std::net::SocketAddr]) -> Self {
        let mut miner = Miner::start();
        miner.mine(1);
        let nodes: Vec<_> = (0..3).map(|_| Node::start()).collect();
        for node in &nodes {
            node.feed(miner.chain());
        }
        let fixed = [&[nodes[1].p2p, nodes[2].p2p], more].concat();
        let daemon =
            Daemon::start(&Told { node: Some(&nodes[0]), fixed: &fixed, chain, ..Told::default() });
        daemon.wait_for_peers(3 + more.len() as u64);
        Self { miner, nodes, daemon }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.daemon.http)
    }

    /// One more block through the daemon, until all offers have ended; its hash.
    fn broadcast(&mut self) -> String {
        let block = self.miner.mine(1)[0].clone();
        let (status, answer) = self.daemon.pool().submit(&block.hex);
        assert_eq!((status, &answer["result"]), (200, &Value::Null), "{answer}");
        self.daemon.wait_for_stats("ended offers", |_| {
            let (_, story) = self.daemon.get(&format!("/blocks/{}", block.hash));
            story["offers"].as_u64() > Some(0) && story["offers"] == story["settled"]
        });
        block.hash
    }
}

/// Whether the panel reads so, as it is seen.
fn reads(name: &str, part: &str) -> String {
    let part = json!(part);
    format!("document.querySelector('[data-panel={name}]').innerText.includes({part})")
}

fn shows_block(hash: &str) -> String {
    format!("document.querySelector('[data-panel=blocks] a[href=\"/block/{hash}\"]')")
}

const IS_LIVE: &str = "document.getElementById('connection').dataset.state === 'live'";

/// Nothing to the right of the edge of a screen so wide. A phone shows a page that is wider smaller,
/// so the page itself must not be asked how wide the screen is.
fn assert_fits(browser: &Browser, width: u32) {
    let needed = browser.eval("return document.documentElement.scrollWidth");
    assert!(needed.as_u64() <= Some(width.into()), "{needed} wide on a screen of {width}");
}

fn pictures(browser: &Browser, name: &str) {
    for (is_dark, light) in [(false, "light"), (true, "dark")] {
        for (width, height) in [(360, 800), (1440, 900)] {
            browser.look(width, height, is_dark);
            assert_fits(browser, width);
            browser.screenshot(&format!("{name}-{width}x{height}-{light}"));
        }
    }
}

/// Each panel has real numbers; a block comes without a reload; a restart of the engine is got over.
#[test]
fn the_page_shows_what_happens_while_it_happens() {
    let Some(browser) = Browser::start() else { return };
    let mut world = World::start("", &[]);
    browser.look(1440, 900, false);
    browser.goto(&world.url());
    browser.wait_until(IS_LIVE);
    // What to do where there is nothing to see.
    browser.wait_until(&reads("last-block", "broadside submit"));
    browser.eval("window.__marker = 1");

    for _ in 0..5 {
        let hash = world.broadcast();
        browser.wait_until(&shows_block(&hash));
    }
    let hash = world.broadcast();
    browser.wait_until(&format!("{} && window.__marker === 1", shows_block(&hash)));
    every_panel_has_its_numbers(&browser, &world, &hash);
    browser.assert_quiet(|_| false);
    pictures(&browser, "dashboard");
    browser.look(1440, 900, false);

    world.daemon.terminate();
    browser.wait_until("document.getElementById('connection').dataset.state === 'reconnecting'");
    world.daemon.restart();
    world.daemon.wait_for_peers(3);
    browser.wait_until(IS_LIVE);
    let hash = world.broadcast();
    browser.wait_until(&format!("{} && window.__marker === 1", shows_block(&hash)));
    // A browser notes that a server did not answer; nothing else may be wrong.
    browser.assert_quiet(|said: &Said| said.message.contains("net::ERR_"));

    browser.goto(&format!("{}block/{hash}", world.url()));
    let story = browser.text("return document.body.innerText");
    for part in [hash.as_str(), "own node", "Waterfall", "first byte", "Peers"] {
        assert!(story.contains(part), "{part}: {story}");
    }
    browser.assert_quiet(|_| false);
    pictures(&browser, "block");
    assert_eq!(world.nodes[1].tip(), hash);
}

/// Whether the panel says this, folded parts of it too.
fn says(name: &str, part: &str) -> String {
    let panel = format!("document.querySelector('[data-panel={name}]')");
    format!("{panel}.textContent.includes('{part}')")
}

/// Who is lost, what is wrong because of it, and that it is over, while the page is open.
#[test]
fn the_page_shows_who_is_lost_and_when_they_are_back() {
    let Some(browser) = Browser::start() else { return };
    let mut world = World::start("", &[]);
    browser.goto(&world.url());
    browser.wait_until(IS_LIVE);
    browser.wait_until(&says("alerts", "Nothing is wrong"));
    let (own, other) = (world.nodes[0].p2p.to_string(), world.nodes[2].p2p.to_string());

    world.nodes[0].kill();
    world.nodes[2].kill();
    for (name, part) in [
        ("peers", "✗"),
        ("peers", "reconnecting"),
        ("peers", other.as_str()),
        ("changes", "left"),
        ("changes", own.as_str()),
        ("summary", "1/50"),
        ("summary", "goes to 1 peer."),
        ("alerts", "node-lost"),
        ("alerts", "Start the node"),
    ] {
        browser.wait_until(&says(name, part));
    }

    world.nodes[0].restart();
    world.nodes[2].restart();
    for (name, part) in [
        ("summary", "3/50"),
        ("summary", "goes to 3 peers and the node"),
        ("alerts", "Nothing is wrong"),
        ("alerts", "over after"),
    ] {
        browser.wait_until(&says(name, part));
    }
    browser.assert_quiet(|_| false);
}

fn every_panel_has_its_numbers(browser: &Browser, world: &World, hash: &str) {
    let names = browser.eval(
        "return [...document.querySelectorAll('[data-panel]')].map((it) => it.dataset.panel)",
    );
    for name in PANELS {
        assert!(names.as_array().unwrap().contains(&json!(name)), "{name}: {names}");
    }
    let tail = &hash[52..];
    let height = world.miner.last().height.to_string();
    let own = world.nodes[0].p2p.to_string();
    let other = world.nodes[1].p2p.to_string();
    // "duplicate" where a peer was faster than the node's own copy.
    let (_, story) = world.daemon.get(&format!("/blocks/{hash}"));
    let word = story["verdicts"][0]["verdict"].as_str().expect("a verdict").to_owned();
    let parts: [(&str, &[&str]); 10] = [
        ("summary", &["3/50", "Ready", "6", "100%", tail, " ms"]),
        ("indicators", &["100%", "p50", "p99", "3 of "]),
        ("last-block", &[tail, &height, &word, &own, &other, "announced back"]),
        ("latency", &["newest 6 blocks", "of 3 peers"]),
        ("peers", &["✓", "own node", &own, &other, "/LitecoinCore:", "100% (6/6)"]),
        ("node", &["answers", "connected", &height, "Verdicts"]),
        ("spool", &["0 blocks wait"]),
        ("uplink", &["not shared"]),
        ("alerts", &[]),
        ("blocks", &[tail, &height, &word, "3/3"]),
    ];
    for (name, parts) in parts {
        for part in parts {
            browser.wait_until(&reads(name, part));
        }
    }
    wait_for_indicators(browser, world);
    let bars = browser.eval(
        "return document.querySelectorAll('[data-panel=last-block] li.peer rect.sent').length",
    );
    assert_eq!(bars, 3, "each peer has its bar");
}

/// The numbers in the page come to be those of the JSON: a block that is confirmed meanwhile is in the
/// one before it is in the other.
fn wait_for_indicators(browser: &Browser, world: &World) {
    for name in [
        "success_rate",
        "peer_availability",
        "orphan_rate",
        "broadcast_ms.mean",
        "broadcast_ms.p50",
        "broadcast_ms.p99",
        "propagation_ms.p50",
        "propagation_ms.count",
    ] {
        let shown = format!("document.querySelector('[data-indicator=\"{name}\"]').dataset.value");
        browser.wait_until_told(&shown, || {
            let stats = world.daemon.stats();
            name.split('.').fold(&stats["indicators"], |it, part| &it[part]).clone()
        });
    }
}

const AGENTS: [&str; 3] = [
    "<script>window.__hacked=1</script>",
    "\"><img src=x onerror=window.__hacked=2>",
    "/\u{202e}evil\u{1b}[31m\u{7}'\"&lt;b&gt;:1/",
];
const WORD: &str = "</span><img src=x onerror=window.__hacked=3>\u{202e}\u{2066}bad-<b>word";

/// Whatever peers and nodes call themselves or say is shown as text, and does nothing.
#[test]
fn hostile_strings_are_text() {
    let Some(browser) = Browser::start() else { return };
    let peers = AGENTS.map(|agent| NamedPeer::start(regtest(), agent));
    let endpoint = RpcNode::start(regtest(), Manner::Refuses(WORD));
    let url = endpoint.url();
    let chain = format!("[[chain.submit]]\nurl = \"{url}\"\nuser = \"a\"\npassword = \"b\"\n");
    let mut world = World::start(&chain, &peers.each_ref().map(|peer| peer.address));
    let hash = world.broadcast();
    endpoint.wait("the block", |it| (!it.submitted.is_empty()).then_some(()));
    world.daemon.wait_for_stats("its word", |stats| {
        stats["endpoints"]["verdicts"]["refused"].as_u64() == Some(1)
    });
    for path in ["", "block/"] {
        let page = if path.is_empty() { String::new() } else { hash.clone() };
        browser.look(360, 800, false);
        browser.goto(&format!("{}{path}{page}", world.url()));
        let text = browser.text("return document.body.innerText");
        assert!(text.contains("<img src=x onerror=window.__hacked=3>"), "{text}");
        assert!(!text.chars().any(|c| ('\u{202a}'..='\u{2069}').contains(&c)), "turned around");
        if path.is_empty() {
            assert!(text.contains(AGENTS[0]) && text.contains(AGENTS[1]), "{text}");
        }
        let ran = browser.eval(
            "return [window.__hacked === undefined, \
             document.querySelectorAll('main img, main script').length]",
        );
        assert_eq!(ran, json!([true, 0]));
        assert_fits(&browser, 360);
        browser.assert_quiet(|_| false);
    }
    browser.goto(&world.url());
    pictures(&browser, "hostile");
    // Fetched and laid over the page by the script, they are text just as well.
    browser.wait_until(IS_LIVE);
    let hash = world.broadcast();
    browser.wait_until(&shows_block(&hash));
    assert_eq!(browser.eval("return window.__hacked === undefined"), true);
    browser.assert_quiet(|_| false);
}
