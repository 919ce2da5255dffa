//! What is served has the shape of the sample documents in `tests/compat`: every field, of its type.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::cold::roster::DialCounts;
use crate::cold::score::Standing;
use crate::cold::store::Source;
use crate::edge::http::router;
use crate::edge::http::stats::tests::{get_page, roster, state};
use crate::edge::intake::desk::testing::Bench;
use crate::limits::TOP_PEERS_MAX;
use crate::wire::chain::{self, Chain};

const PLAIN: &str = include_str!("../../../../tests/compat/broadcaster_status.json");
const OFF: &str = include_str!("../../../../tests/compat/broadcaster_status_off.json");
const SPLIT: &str = include_str!("../../../../tests/compat/broadcaster_status_dash.json");
const MERGED: &str = include_str!("../../../../tests/compat/merged_broadcaster_status.json");
const NONE: &str = include_str!("../../../../tests/compat/merged_broadcaster_status_none.json");
const STATS: &str = include_str!("../../../../tests/compat/broadcaster_stats.json");

fn sample(text: &str) -> Value {
    serde_json::from_str(text).expect("a sample document is JSON")
}

/// Every place at which `told` has not the shape of `sample`. Names of `open` objects may differ;
/// one of a list must look like one of the sample's.
fn faults(sample: &Value, told: &Value, path: &str, is_closed: bool) -> Vec<String> {
    match (sample, told) {
        (Value::Object(wanted), Value::Object(given)) if is_open(path) => {
            let first = wanted.values().next();
            given
                .iter()
                .flat_map(|(name, value)| {
                    first.map_or_else(Vec::new, |first| {
                        faults(first, value, &format!("{path}.{name}"), is_closed)
                    })
                })
                .collect()
        }
        (Value::Object(wanted), Value::Object(given)) => {
            let missing = wanted.keys().filter(|name| !given.contains_key(*name));
            let mut found: Vec<String> =
                missing.map(|name| format!("{path}.{name} is missing")).collect();
            let strange = given.keys().filter(|name| is_closed && !wanted.contains_key(*name));
            found.extend(strange.map(|name| format!("{path}.{name} is not in the sample")));
            for (name, value) in wanted {
                if let Some(one) = given.get(name) {
                    found.extend(faults(value, one, &format!("{path}.{name}"), is_closed));
                }
            }
            found
        }
        (Value::Array(wanted), Value::Array(given)) => {
            let of = |(at, one): (usize, &Value)| {
                let path = format!("{path}[{at}]");
                let tries = wanted.iter().map(|it| faults(it, one, &path, is_closed));
                tries.min_by_key(Vec::len).unwrap_or_default()
            };
            given.iter().enumerate().flat_map(of).collect()
        }
        _ if std::mem::discriminant(sample) == std::mem::discriminant(told) => Vec::new(),
        _ => vec![format!("{path} is {told}, not like {sample}")],
    }
}

/// Objects whose names are data.
fn is_open(path: &str) -> bool {
    path.ends_with(".sources") || path.ends_with(".chains")
}

/// A roster with a node, 24 others, and 25 that are waited for.
fn full() -> RosterView {
    let mut view = roster(25);
    view.peers.truncate(25);
    for (at, row) in view.peers.iter_mut().enumerate() {
        row.score = at as f64;
    }
    let node = &mut view.peers[7];
    (node.standing, node.label.protected, node.score) = (Standing::Protected, true, 999_999.0);
    let absent = |at: u16| AbsentPeer {
        address: ([203, 0, 113, 9], 9_000 + at).into(),
        standing: Standing::Ordinary,
        source: Source::Node,
        score: 2_000.0 + f64::from(at),
        is_dialled: false,
        failures: 3,
        next_try_in: Duration::from_secs(9),
        wait: Duration::from_secs(30),
        last_failure: Some("refused"),
        successful_broadcasts: 1,
        failed_broadcasts: 2,
        seen_s: (5.0, 6.0),
    };
    RosterView {
        absent: (0..25).map(absent).collect(),
        sources: BTreeMap::from([("node", 30), ("discovered", 10)]),
        dials: DialCounts { attempts: 9, succeeded: 4, failed: 5, timeouts: 2, refused: 1 },
        node_asked: (3, Some(1_767_229_140.5)),
        refresh: Duration::from_secs(60),
        is_loaded: true,
        as_of_s: 1.0,
        ..view
    }
}

fn state_of(bench: &Bench, chain: &'static Chain, view: RosterView) -> HttpState {
    let mut state = state(bench, 3, None);
    state.chains[0].chain = chain;
    state.chains[0].roster = watch::Sender::new(Arc::new(view)).subscribe();
    state
}

fn row(is_wanted: impl Fn(&Chain) -> bool) -> &'static Chain {
    chain::all().find(|row| is_wanted(row)).expect("the table has one")
}

async fn page(state: HttpState, path: &str) -> (u16, Value) {
    let (status, body) = get_page(router(state), path).await;
    (status, serde_json::from_str(&body).expect("JSON"))
}

#[tokio::test]
async fn the_plain_status_has_every_field_and_the_right_order() {
    let bench = Bench::new(None, None);
    let (status, told) = page(state_of(&bench, row(|_| true), full()), "/broadcaster_status").await;
    assert_eq!((status, faults(&sample(PLAIN), &told, "", true)), (200, vec![]));
    let peers = told["peers"].as_array().expect("a list");
    assert_eq!(peers.len(), TOP_PEERS_MAX);
    assert_eq!((&peers[0]["protected"], &peers[0]["connected"]), (&json!(true), &json!(true)));
    let scores: Vec<_> = peers[1..].iter().map(|it| it["score"].as_f64().expect("one")).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b) && peers.iter().all(|it| it["connected"] == true));
    assert_eq!(told["connections"], json!({"total": 25, "protected": 1, "regular": 24}));
    let dials = &told["connection_stats"];
    assert_eq!(
        (&dials["timeouts"], &dials["refused"], &dials["coind_refreshes"]),
        (&json!(2), &json!(1), &json!(3))
    );

    let mut few = full();
    few.peers.truncate(8);
    let (_, told) = page(state_of(&bench, row(|_| true), few), "/broadcaster_status").await;
    assert_eq!(faults(&sample(PLAIN), &told, "", true), Vec::<String>::new());
    let connected: Vec<_> = told["peers"].as_array().into_iter().flatten().collect();
    let connected: Vec<_> = connected.iter().map(|it| it["connected"] == true).collect();
    assert_eq!(connected, [[true; 8].as_slice(), &[false; 12]].concat());
    assert_eq!(told["peers"][8]["score"], 2_024.0);
}

#[tokio::test]
async fn a_chain_is_asked_for_by_its_name() {
    let bench = Bench::new(None, None);
    let split = row(|row| row.status_daemon.is_some());
    let mut state = state_of(&bench, row(|_| true), full());
    let mut second = state.chains[0].clone();
    second.chain = split;
    state.chains.push(second);
    let by_name = format!("/broadcaster_status?chain={}", split.name);
    let (status, told) = page(state.clone(), &by_name).await;
    assert_eq!((status, &told["chain"]), (200, &json!(split.name)));
    let (status, told) = page(state.clone(), "/broadcaster_status?chain=x%00%3Cb%3E").await;
    assert!(status == 404 && told["error"].is_string(), "{told}");
    assert_eq!(page(state, "/broadcaster_status").await.1["chain"], json!(row(|_| true).name));
}

#[tokio::test]
async fn the_split_status_is_that_of_the_chain_whose_pools_know_it() {
    let bench = Bench::new(None, None);
    let chain = row(|row| row.status_daemon.is_some());
    let (_, told) = page(state_of(&bench, chain, full()), "/broadcaster_status").await;
    assert_eq!(faults(&sample(SPLIT), &told, "", true), Vec::<String>::new());
    let count = |name: &str| told["peers"][name].as_array().map(Vec::len);
    assert_eq!((count("protected"), count("active")), (Some(1), Some(TOP_PEERS_MAX)));
    assert_eq!(count("in_backoff"), Some(TOP_PEERS_MAX));
    let waiting = &told["peers"]["in_backoff"][0];
    assert_eq!(
        (&waiting["backoff_remaining_seconds"], &waiting["backoff_total_seconds"]),
        (&json!(0.0), &json!(30.0)),
        "the view is old"
    );
    assert_eq!(told["database"]["sources"], json!({"node": 30, "discovered": 10}));
    // Nothing known yet: the fields are there all the same.
    let fresh = RosterView { max: 20, ..RosterView::default() };
    let (_, told) = page(state_of(&bench, chain, fresh), "/broadcaster_status").await;
    assert_eq!(faults(&sample(SPLIT), &told, "", true), Vec::<String>::new());
}

#[tokio::test]
async fn switched_off_is_said_in_its_own_shape() {
    let bench = Bench::new(None, None);
    for chain in [row(|_| true), row(|row| row.status_daemon.is_some())] {
        let state = state_of(&bench, chain, RosterView::default());
        let (status, told) = page(state, "/broadcaster_status").await;
        assert_eq!((status, faults(&sample(OFF), &told, "", true)), (200, vec![]));
        assert_eq!(told["enabled"], false);
    }
}

#[tokio::test]
async fn merged_chains_are_named_by_their_numbers() {
    let bench = Bench::new(None, None);
    let chain = row(|row| row.auxpow_chain_id.is_some());
    let path = "/merged_broadcaster_status";
    let (status, told) = page(state_of(&bench, chain, full()), path).await;
    assert_eq!((status, faults(&sample(MERGED), &told, "", true)), (200, vec![]));
    let one = &told["chains"]["98"];
    assert_eq!(
        (&one["chain_name"], &one["health"]["daemon_healthy"]),
        (&json!(chain.title), &json!(false))
    );
    assert_eq!(one["connection_stats"]["peers_discovered"], 5);
    let starting = RosterView { is_loaded: false, ..full() };
    let (_, told) = page(state_of(&bench, chain, starting), path).await;
    assert!(told["chains"]["98"]["error"].is_string(), "{told}");
    for (chain, view) in [(row(|_| true), full()), (chain, RosterView::default())] {
        let (_, told) = page(state_of(&bench, chain, view), path).await;
        assert_eq!(faults(&sample(NONE), &told, "", true), Vec::<String>::new());
        assert_eq!(told["chains"], json!({}));
    }
}

#[tokio::test]
async fn the_statistics_have_the_flat_names_of_the_forks_and_our_own() {
    let bench = Bench::new(None, None);
    let raw = crate::edge::intake::desk::testing::block(
        crate::edge::intake::desk::testing::GENESIS,
        1,
        1,
    );
    bench.submit(&raw).await;
    let chain = row(|_| true);
    let (_, told) = page(state_of(&bench, chain, full()), "/broadcaster_stats").await;
    let mut wanted = sample(STATS);
    // Before the first offer has ended, and without a node, these are null.
    let told = &told[chain.name];
    for name in ["success_rate", "broadcast_ms"] {
        assert!(told.get(name).is_some(), "{name}");
        wanted.as_object_mut().expect("an object").remove(name);
    }
    assert_eq!(faults(&wanted, told, "", false), Vec::<String>::new());
}
