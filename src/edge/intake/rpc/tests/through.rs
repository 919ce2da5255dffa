//! The node gets a block while it comes in.

use super::*;
use crate::limits::RPC_STREAMS_LIVE_MAX;

/// A pool's connection, for requests in pieces.
pub(super) struct Slow(TcpStream);

impl Slow {
    /// Connects and sends the head of a request of `length` bytes, and `begun` of its body.
    pub(super) async fn post(port: &Port, length: usize, begun: &[u8]) -> Self {
        use base64::Engine as _;
        let login = base64::engine::general_purpose::STANDARD.encode("pool:secret");
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic {login}\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(port.address).await.expect("connects");
        stream.write_all(head.as_bytes()).await.expect("writes");
        stream.write_all(begun).await.expect("writes");
        Self(stream)
    }

    /// Sends the rest; returns the answer's body.
    pub(super) async fn end(mut self, rest: &[u8]) -> String {
        self.0.write_all(rest).await.expect("writes");
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).await.expect("reads");
        answer.rsplit("\r\n").next().unwrap_or_default().to_owned()
    }
}

pub(super) const NULL: &str = "{\"result\":null,\"error\":null,\"id\":\"x\"}\n";
const DECODE: &str =
    "{\"result\":null,\"error\":{\"code\":-22,\"message\":\"Block decode failed\"},\"id\":\"x\"}\n";

/// Sends the first half and waits until the node has it.
async fn half(port: &Port, node: &FakeNode, body: &[u8]) -> Slow {
    node.memory().arrivals.send_modify(|arrivals| arrivals.longest = 0);
    let slow = Slow::post(port, body.len(), &body[..body.len() / 2]).await;
    node.arrived(|arrivals| arrivals.longest >= body.len() / 2).await;
    slow
}

#[tokio::test]
async fn the_node_has_the_first_half_before_the_pool_sends_the_second() {
    let node = FakeNode::start().await;
    let port = Port::open(Some(&node)).await;
    let raw = large_block(GENESIS, 1, 1, 100_000);
    let body = submitblock(&raw);
    let slow = half(&port, &node, body.as_bytes()).await;
    assert!(node.memory().submitted.is_empty() && port.bench.notes.hashes().is_empty());
    assert_eq!(slow.end(&body.as_bytes()[body.len() / 2..]).await, NULL);
    assert_eq!(node.memory().submitted, [hash_of(&raw)], "once, by the pool's own request");
    let sent = node.memory().bodies.clone();
    assert_eq!(
        sent.last().map(|(path, sent)| (&path[..], &sent[..])),
        Some(("/", body.as_bytes()))
    );
    assert_eq!(port.bench.notes.hashes(), [hash_of(&raw)]);

    // The same once more: its own way to the node, one block, the same answer.
    let slow = half(&port, &node, body.as_bytes()).await;
    assert_eq!(slow.end(&body.as_bytes()[body.len() / 2..]).await, NULL);
    assert_eq!(port.bench.notes.hashes(), [hash_of(&raw)]);
}

#[tokio::test]
async fn a_pool_that_breaks_off_leaves_no_trace() {
    let node = FakeNode::start().await;
    let port = Port::open(Some(&node)).await;
    let raw = large_block(GENESIS, 1, 1, 100_000);
    let body = submitblock(&raw);
    let slow = half(&port, &node, body.as_bytes()).await;
    drop(slow);
    node.arrived(|arrivals| arrivals.broken == 1).await;
    assert!(node.memory().submitted.is_empty() && port.bench.notes.hashes().is_empty());
    assert_eq!(port.post("/", body).await, (200, NULL.to_owned()));
    assert_eq!(node.memory().submitted, [hash_of(&raw)]);
}

#[tokio::test]
async fn what_turns_out_bad_on_the_way_is_broken_off_at_the_node() {
    let node = FakeNode::start().await;
    let port = Port::open(Some(&node)).await;
    let raw = large_block(GENESIS, 1, 1, 100_000);
    let good = submitblock(&raw);
    let invalid = "{\"result\":null,\"error\":{\"code\":-32600,\"message\":\"Invalid Request object\"},\"id\":null}\n";
    let parse =
        "{\"result\":null,\"error\":{\"code\":-32700,\"message\":\"Parse error\"},\"id\":null}\n";
    for (broken, (end, answer)) in (1..).zip([
        ("x\"]}", DECODE),
        ("zz\"]}", DECODE),
        ("\"],\"method\":\"stop\"}", invalid),
        ("\"]}}", parse),
        ("\"", parse),
    ]) {
        let body = good.replace("\"]}", end);
        let slow = half(&port, &node, body.as_bytes()).await;
        assert_eq!(slow.end(&body.as_bytes()[body.len() / 2..]).await, answer, "{end}");
        node.arrived(|arrivals| arrivals.broken == broken).await;
    }
    // Longer than it said: what is too much is another request.
    let slow = half(&port, &node, good.as_bytes()).await;
    let longer = format!("{}\"]}}", &good[good.len() / 2..]);
    assert_eq!(slow.end(longer.as_bytes()).await, NULL);
    assert_eq!(node.memory().submitted, [hash_of(&raw)]);
    assert_eq!(port.bench.notes.hashes(), [hash_of(&raw)]);
}

#[tokio::test]
async fn a_node_that_dies_on_the_way_gets_the_block_when_it_is_back() {
    let node = FakeNode::start().await;
    let port = Port::open(Some(&node)).await;
    let raw = large_block(GENESIS, 1, 1, 100_000);
    let body = submitblock(&raw);
    let slow = half(&port, &node, body.as_bytes()).await;
    let down = node.kill().await;
    let node = FakeNode::restart(down).await;
    assert_eq!(slow.end(&body.as_bytes()[body.len() / 2..]).await, NULL);
    assert_eq!(node.memory().submitted, [hash_of(&raw)]);
    assert_eq!(port.bench.notes.hashes(), [hash_of(&raw)]);
}

#[tokio::test]
async fn bodies_that_stand_still_hold_up_nobody() {
    let node = FakeNode::start().await;
    let port = Port::open(Some(&node)).await;
    let raw = large_block(GENESIS, 1, 1, 100_000);
    let body = submitblock(&raw);
    let mut standing = Vec::new();
    for _ in 0..RPC_STREAMS_LIVE_MAX + 8 {
        standing.push(Slow::post(&port, body.len(), &body.as_bytes()[..body.len() / 2]).await);
    }
    let connections = RPC_STREAMS_LIVE_MAX;
    while node.memory().connections < connections {
        tokio::task::yield_now().await;
    }
    assert_eq!(port.post("/", body).await, (200, NULL.to_owned()));
    assert_eq!(node.memory().submitted, [hash_of(&raw)]);
}
