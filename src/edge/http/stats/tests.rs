use super::*;
use crate::cold::node::NodeAuth;
use crate::cold::node::fake::FakeNode;
use crate::cold::node::tip::Presence;
use crate::cold::roster::{PeerRow, RosterView, ScoutCounts};
use crate::edge::http::{router, testing};
use crate::edge::intake::desk::testing::{Bench, GENESIS, block, hash_of, plain_chain};
use crate::hot::link::traffic::Bytes;
use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(in crate::edge::http) async fn get_page(router: Router, path: &str) -> (u16, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("reads");
    server.abort();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    (head[9..12].parse().expect("a status"), body.to_owned())
}

/// A roster of so many peers.
pub(in crate::edge::http) fn roster(connected: u32) -> RosterView {
    let row = |place| PeerRow {
        high_bandwidth: Some(1).filter(|_| place < 2),
        ..testing::peer_row(place, "/x:1/")
    };
    RosterView {
        connected,
        max: 20,
        min: 2,
        aimed: 18,
        known: 40,
        node_connected: Some(true),
        peers: (0..30).map(row).collect(),
        scouts: ScoutCounts { connected: 7, wanted: 100 },
        addresses: BTreeMap::from([("taken", 5), ("known", 2), ("port", 1)]),
        drops: BTreeMap::from([("reset", 3)]),
        traffic: Bytes { received_bytes: 11, sent_bytes: 13 },
        ..RosterView::default()
    }
}

pub(in crate::edge::http) fn state(
    bench: &Bench,
    connected: u32,
    fault: Option<&'static str>,
) -> HttpState {
    let mut state = testing::state(plain_chain(), bench.desk.log(), roster(connected));
    state.fault = Arc::new(move || fault.map(str::to_owned));
    for chain in &mut state.chains {
        chain.tip = bench.desk.tip(0).cloned();
        chain.endpoints = bench.desk.endpoints(0);
        chain.templates = bench.desk.templates(0).cloned();
    }
    state
}

#[tokio::test]
async fn what_was_sent_and_who_is_connected_can_be_read_by_scripts() {
    let node = FakeNode::start().await;
    let bench = Bench::new(Some(node.client(NodeAuth::None)), None);
    let tip = bench.desk.tip(0).expect("there is a node").clone();
    tip.presence().wait_for(|now| *now == Presence::Here).await.expect("it lives");
    let raw = block(GENESIS, 1, 1);
    bench.submit(&raw).await;

    let (status, body) = get_page(router(state(&bench, 3, None)), "/broadcaster_stats").await;
    assert_eq!(status, 200);
    let all: Value = serde_json::from_str(&body).expect("JSON");
    let one = &all[plain_chain().name];
    let peers = json!({"connected": 3, "max": 20, "min": 2, "known": 40, "aimed": 18});
    assert_eq!(one["selection"]["rule"], "measured");
    assert_eq!(one["relay"]["chose_us"], 2);
    assert_eq!(one["peers"], peers);
    assert_eq!(one["blocks"]["broadcast"], 1);
    assert_eq!(one["blocks"]["last_hash"], hash_of(&raw).to_string());
    assert_eq!(
        (&one["node"]["rpc"], &one["node"]["verdicts"]["accepted"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(one["top_peers"].as_array().map(Vec::len), Some(TOP_PEERS_MAX));
    assert_eq!(one["health"]["healthy"], true);
    assert_eq!(one["scouts"], json!({"connected": 7, "wanted": 100}));
    let expected = json!({"heard": 8, "taken": 5, "known": 2, "refused": {"port": 1}});
    assert_eq!(one["addresses"], expected);
    assert_eq!(one["uplink"]["state"], "not-shared");
    assert_eq!(one["confirmation"]["blocks"][0]["state"], "pending");
    assert_eq!(one["traffic"], json!({"received_bytes": 11, "sent_bytes": 13}));
    assert_eq!(
        (&one["active_connections"], &one["blocks_sent"], &one["rpc_successes"]),
        (&json!(3), &json!(1), &json!(1))
    );
}

#[tokio::test]
async fn health_and_readiness_say_what_is_missing() {
    let bench = Bench::new(None, None);
    assert_eq!(get_page(router(state(&bench, 3, None)), "/healthz").await, (200, "ok\n".into()));
    assert_eq!(get_page(router(state(&bench, 3, None)), "/readyz").await.0, 200);
    let (status, why) = get_page(router(state(&bench, 0, None)), "/readyz").await;
    assert!(status == 503 && why.contains("no peer"), "{why}");
    let broken = router(state(&bench, 3, Some("shard 0 has ended")));
    assert_eq!(get_page(broken, "/healthz").await, (503, "shard 0 has ended\n".into()));

    let node = FakeNode::start().await;
    let client = node.client(NodeAuth::None);
    node.kill().await;
    let bench = Bench::new(Some(client), None);
    let tip = bench.desk.tip(0).expect("there is a node").clone();
    let away = |now: &Presence| matches!(now, Presence::Away(_));
    tip.presence().wait_for(away).await.expect("it lives");
    let (status, why) = get_page(router(state(&bench, 3, None)), "/readyz").await;
    assert!(status == 503 && why.contains("node is away"), "{why}");
    let stats = state(&bench, 1, None).stats();
    let health = &stats[plain_chain().name]["health"];
    assert_eq!(health["issues"].as_array().map(Vec::len), Some(2), "{health}");
}
