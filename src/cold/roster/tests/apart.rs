//! The proxy, the local node under other addresses, and one host behind several ports.

use std::net::IpAddr;

use tokio::net::TcpSocket;

use super::*;
use crate::cold::onion::OnionKey;
use crate::cold::proxy::fake::{FakeProxy, Manner as ProxyManner};
use crate::wire::chain::{self, Network};

const KEY: OnionKey = OnionKey([3; 32]);

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What a node says of peers that it dialled, names among them.
fn told(addresses: &[String]) -> Result<Value, String> {
    let peer = |it: &String| serde_json::json!({"addr": it, "inbound": false});
    Ok(addresses.iter().map(peer).collect())
}

fn through(proxy: SocketAddr) -> Option<Proxy> {
    Some(Proxy::new(proxy, None))
}

#[tokio::test]
async fn all_but_loopback_and_the_node_go_through_the_proxy() {
    let (node, near, far) = (
        FakePeer::start(Manner::Polite).await,
        FakePeer::start(Manner::Polite).await,
        FakePeer::start(Manner::Polite).await,
    );
    let proxy = FakeProxy::start(ProxyManner::Serves(Some(far.address))).await;
    let mut bench = Bench::new(|settings| {
        settings.node_p2p = Some(node.address);
        settings.fixed = vec![at("198.51.100.7:19444")];
        settings.proxy = through(proxy.address);
    });
    let onion = format!("{KEY}:19444");
    bench.told(told(&[near.address.to_string(), "203.0.113.9:19444".into(), onion.clone()]));
    bench.start();
    let adopted = bench.adopt(5).await;
    assert_eq!(adopted.iter().filter(|it| it.is_limited).count(), 4, "all but the node");
    let mut targets: Vec<_> = proxy.asked().into_iter().map(|it| it.target).collect();
    targets.sort();
    assert_eq!(targets, ["198.51.100.7:19444".into(), "203.0.113.9:19444".into(), onion]);
    assert_eq!(bench.wait(|view| view.connected == 5).await.proxy_trouble, None);
    bench.stop().await;
    let saved = bench.saved();
    assert_eq!(saved.get(KEY.address(19444)).unwrap().onion, Some(KEY), "it is known by name");
}

#[tokio::test]
async fn without_a_proxy_onion_services_are_kept_and_left_alone() {
    let near = FakePeer::start(Manner::Polite).await;
    let mut bench = Bench::new(|_| {});
    bench.told(told(&[format!("{KEY}:19444"), near.address.to_string()]));
    bench.start();
    bench.adopt(1).await;
    let view = bench.wait(|view| view.connected == 1 && view.bootstrapped).await;
    assert_eq!((view.known, view.dials.attempts, view.dials.failed), (2, 1, 0));
}

#[tokio::test]
async fn a_proxy_that_is_away_is_said_once_and_blamed_on_nobody() {
    let logs = Logs::capture();
    let (node, far) =
        (FakePeer::start(Manner::Polite).await, FakePeer::start(Manner::Polite).await);
    let reserved = Reserved::new();
    let mut bench = Bench::new(|settings| {
        settings.node_p2p = Some(node.address);
        settings.proxy = through(reserved.address());
    });
    let peers = [at("198.51.100.7:19444"), at("203.0.113.9:19444")];
    bench.told(peer_info(peers));
    bench.start();
    bench.adopt(1).await;
    let view = bench.wait(|view| view.drops.get("proxy").is_some_and(|count| *count >= 2)).await;
    assert_eq!((view.node_connected, view.proxy_trouble.is_some()), (Some(true), true));
    assert_eq!(logs.count("the proxy at"), 1);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(reserved.address()).unwrap();
    let manner = ProxyManner::Serves(Some(far.address));
    let _proxy = FakeProxy::serve(socket.listen(16).unwrap(), manner);
    bench.adopt(2).await;
    let view = bench.wait(|view| view.connected == 3).await;
    assert_eq!((view.proxy_trouble.clone(), logs.count("the proxy can be used again")), (None, 1));
    bench.stop().await;
    for address in peers {
        let entry = bench.saved().get(address).cloned().unwrap();
        assert_eq!((entry.score, entry.failures_in_row), (100.0, 0), "nobody's fault");
    }
}

#[tokio::test]
async fn the_node_is_not_dialled_under_its_other_addresses() {
    let (node, other, peer) = (
        FakePeer::start(Manner::Polite).await,
        FakePeer::start(Manner::Polite).await,
        FakePeer::start(Manner::Polite).await,
    );
    let mut bench = Bench::new(|settings| settings.node_p2p = Some(node.address));
    bench.reachable_at(&[node.address, other.address]);
    bench.told(peer_info([other.address, peer.address]));
    bench.start();
    bench.adopt(2).await;
    let view = bench.wait(|view| view.connected == 2 && view.bootstrapped).await;
    assert_eq!((view.known, view.dials.attempts), (3, 2));
    assert!(view.peers.iter().all(|row| row.label.address != other.address));
}

/// Dialled before the node said so: it is let go of.
#[tokio::test]
async fn a_second_connection_to_the_node_ends_when_it_is_known() {
    let (node, other) =
        (FakePeer::start(Manner::Polite).await, FakePeer::start(Manner::Polite).await);
    let mut bench = Bench::new(|settings| {
        settings.node_p2p = Some(node.address);
        settings.max = 5;
    });
    bench.told(peer_info([other.address]));
    bench.start();
    let adopted = bench.adopt(2).await;
    bench.reachable_at(&[other.address]);
    // With an empty place it asks again.
    let peer = loop {
        match bench.order().await {
            Order::Retire { peer, .. } => break peer,
            Order::Sight { .. } => {}
            order => panic!("not now: {order:?}"),
        }
    };
    let of = |peer| bench.directory.get(peer).map(|label| label.address);
    assert_eq!(of(peer), Some(other.address));
    assert!(adopted.iter().any(|it| it.peer == peer));
}

#[tokio::test]
async fn on_a_public_network_an_ip_is_one_host() {
    let silent = FakePeer::start(Manner::Silent).await;
    let proxy = FakeProxy::start(ProxyManner::Serves(Some(silent.address))).await;
    let main = chain::all().find(|it| it.network == Network::Main && it.has_mweb).unwrap();
    let mut bench = Bench::new(|settings| {
        settings.chain = main;
        settings.proxy = through(proxy.address);
    });
    let addresses =
        ["198.51.100.7:9333", "198.51.100.7:9334", "198.51.100.7:1", "203.0.113.9:9333"].map(at);
    bench.told(peer_info(addresses));
    bench.start();
    bench.wait(|view| view.known == 4 && view.dials.attempts == 2).await;
    for _ in 0..5 {
        let mut view = bench.handle().view.clone();
        view.mark_unchanged();
        view.changed().await.unwrap();
    }
    let asked = proxy.asked();
    let ips: Vec<IpAddr> = asked.iter().map(|it| at(&it.target).ip()).collect();
    assert_eq!(bench.handle().view.borrow().dials.attempts, 2, "{asked:?}");
    assert!(ips.len() < 2 || ips[0] != ips[1], "{asked:?}");
}
