use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;

use super::*;
use crate::cold::node::fake::{Act, FakeNode};
use crate::cold::node::leg::{hex_of, until_verdict_after};
use crate::cold::node::{NodeAuth, NodeSettings};
use crate::limits::RPC_BODY_BYTES_MAX;
use crate::wire::hash::{BlockHash, sha256d};

/// A pool's request and the header that it hands in.
fn request(tag: u8) -> (Bytes, Bytes) {
    let raw = Bytes::from(vec![tag; 5_000]);
    let digits = String::from_utf8(hex_of(&raw).to_vec()).expect("digits");
    let text = format!(r#"{{"id":"pool","method":"submitblock","params":["{digits}"]}}"#);
    (Bytes::from(text), raw)
}

fn hash_of(raw: &[u8]) -> BlockHash {
    BlockHash(sha256d(&raw[..80]))
}

/// Streams `body` with a look at the node in the middle.
async fn stream(node: &FakeNode, client: &NodeClient, body: &Bytes) -> Streamed {
    let (sending, streamed) = client.stream(body.len() as u64);
    let half = body.len() / 2;
    sending.push(body.slice(..half));
    node.arrived(|arrivals| arrivals.longest >= half).await;
    assert!(streamed.first_byte_ns().is_some() && streamed.last_byte_ns().is_none());
    for at in half..body.len() {
        sending.push(body.slice(at..=at));
    }
    streamed
}

#[tokio::test]
async fn a_request_reaches_the_node_while_it_comes_in() {
    let node = FakeNode::start().await;
    let client = node.client(NodeAuth::None);
    let (body, raw) = request(1);
    let mut streamed = stream(&node, &client, &body).await;
    assert_eq!(streamed.verdict().await.expect("answers"), Verdict::Accepted);
    assert!(streamed.last_byte_ns() >= streamed.first_byte_ns());
    let sent = node.memory().bodies.clone();
    assert_eq!(sent, [("/".to_owned(), body.clone())], "byte for byte");

    // The connection serves the next one.
    let (sending, mut again) = client.stream(body.len() as u64);
    sending.push(body);
    assert_eq!(again.verdict().await.expect("answers"), Verdict::Duplicate);
    assert_eq!(node.memory().submitted, [hash_of(&raw), hash_of(&raw)]);
    assert_eq!(node.memory().connections, 1);
}

#[tokio::test]
async fn what_is_broken_off_or_too_long_is_seen_by_nobody() {
    let node = FakeNode::start().await;
    let client = node.client(NodeAuth::None);
    let (body, _) = request(2);
    for pushed in [body.len() / 2, body.len() - 1, body.len() + 1] {
        let before = node.memory().arrivals.borrow().broken;
        let (sending, mut streamed) = client.stream(body.len() as u64);
        sending.push(body.slice(..pushed.min(body.len() / 2)));
        node.arrived(|arrivals| arrivals.longest >= body.len() / 2).await;
        if pushed > body.len() {
            sending.push(body.clone());
        } else {
            sending.push(body.slice(body.len() / 2..pushed));
        }
        drop(sending);
        let broken = streamed.verdict().await;
        assert!(matches!(broken, Err(NodeError::Broken { .. })), "{broken:?}");
        assert_eq!(streamed.last_byte_ns(), None);
        node.arrived(|arrivals| arrivals.broken > before).await;
        node.memory().arrivals.send_modify(|arrivals| arrivals.longest = 0);
    }
    let (sending, mut streamed) = client.stream(7);
    drop(sending);
    assert!(streamed.verdict().await.is_err(), "broken off before it began");
    assert!(node.memory().submitted.is_empty());
}

/// Every way in which the first try can fail; the leg brings the block all the same.
#[tokio::test]
async fn what_fails_on_the_way_is_handed_in_again() {
    let folder = tempfile::tempdir().expect("tempdir");
    let cookie = folder.path().join(".cookie");
    std::fs::write(&cookie, "__cookie__:one").expect("writes");
    let node = FakeNode::start().await;
    node.memory().password = Some("__cookie__:one".to_owned());
    let client = node.client(NodeAuth::Cookie(cookie.clone()));
    let brought = async |node: &FakeNode, tag: u8| {
        let (body, raw) = request(tag);
        let streamed = stream(node, &client, &body).await;
        let shown = hash_of(&raw).to_string();
        let verdict = until_verdict_after(streamed, &client, &shown, &raw).await;
        assert_eq!(verdict, Verdict::Accepted);
        let seen = node.memory().submitted.iter().filter(|hash| **hash == hash_of(&raw)).count();
        node.memory().arrivals.send_modify(|arrivals| arrivals.longest = 0);
        seen
    };
    assert_eq!(brought(&node, 1).await, 1);
    for act in [
        Act::QueueFull500,
        Act::WarmUp,
        Act::Say(204, ""),
        Act::Say(500, "{\"error\":{\"code\":-8}}"),
    ] {
        let tag = 10 + u8::try_from(node.memory().submitted.len()).expect("few");
        node.memory().acts.push_back(act);
        assert_eq!(brought(&node, tag).await, 1);
    }
    // The answer is lost: `duplicate` is the answer to our own second try.
    node.memory().acts.push_back(Act::DropMidAnswer);
    assert_eq!(brought(&node, 3).await, 2);

    // A new cookie under a live connection.
    node.memory().password = Some("__cookie__:two".to_owned());
    std::fs::write(&cookie, "__cookie__:two").expect("writes");
    assert_eq!(brought(&node, 4).await, 1);

    // The idle connection leads to a process that is gone: nothing of the request is lost.
    let node = FakeNode::restart(node.kill().await).await;
    assert_eq!(brought(&node, 5).await, 1);

    // Nobody is there when the request begins.
    let down = node.kill().await;
    let (body, raw) = request(6);
    let (sending, streamed) = client.stream(body.len() as u64);
    sending.push(body);
    let node = FakeNode::restart(down).await;
    let verdict = until_verdict_after(streamed, &client, &hash_of(&raw).to_string(), &raw).await;
    assert_eq!(verdict, Verdict::Accepted);
    assert!(node.memory().submitted.contains(&hash_of(&raw)));
}

/// A node that accepts and reads nothing holds nobody up, and is hung up on.
#[tokio::test]
async fn a_node_that_takes_nothing_is_never_waited_for() {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("binds");
    let listener = socket.listen(1).expect("listens");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let client = NodeClient::new(NodeSettings { url, auth: NodeAuth::None }).expect("ok");
    let (sending, mut streamed) = client.stream(u64::from(RPC_BODY_BYTES_MAX) + 1);
    sending.push(Bytes::from(vec![b'0'; RPC_BODY_BYTES_MAX as usize]));
    let (mut taken, _) = listener.accept().await.expect("accepts");
    while streamed.first_byte_ns().is_none() {
        tokio::task::yield_now().await;
    }
    drop(sending);
    assert!(streamed.verdict().await.is_err());
    let mut read = Vec::new();
    let ended = taken.read_to_end(&mut read).await;
    assert!(ended.is_err() || read.len() < RPC_BODY_BYTES_MAX as usize, "it was hung up");
}
