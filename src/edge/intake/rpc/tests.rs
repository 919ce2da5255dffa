use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::cold::node::fake::FakeNode;
use crate::cold::node::leg::hex_of;
use crate::cold::node::{NodeAuth, NodeClient, NodeSettings};
use crate::edge::intake::desk::testing::*;
use crate::wire::hash::BlockHash;

struct Port {
    address: SocketAddr,
    bench: Bench,
    _stop: watch::Sender<bool>,
}

impl Port {
    async fn open(node: Option<&FakeNode>) -> Self {
        Self::over(Bench::new(node.map(|node| node.client(NodeAuth::None)), None)).await
    }

    async fn over(bench: Bench) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = watch::channel(false);
        let auth = RpcAuth::password("pool", "secret");
        tokio::spawn(serve(listener, Arc::clone(&bench.desk), auth, stopped));
        Self { address, bench, _stop: stop }
    }

    /// The pool's side: our own client serves as well as any.
    fn pool(&self) -> NodeClient {
        let auth = NodeAuth::Password { user: "pool".into(), password: "secret".into() };
        NodeClient::new(NodeSettings { url: format!("http://{}", self.address), auth }).expect("ok")
    }

    async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> (u16, String) {
        let answer = self.pool().forward(path, Bytes::from(body.into())).await;
        let (status, body) = answer.expect("the port is up");
        (status.as_u16(), String::from_utf8(body.to_vec()).expect("text"))
    }
}

fn submitblock(raw: &[u8]) -> String {
    let digits = String::from_utf8(hex_of(raw).to_vec()).expect("digits");
    format!(r#"{{"id":"x","method":"submitblock","params":["{digits}"]}}"#)
}

#[tokio::test]
async fn a_pool_that_changes_only_its_port_sees_its_node() {
    let node = FakeNode::start().await;
    let port = Port::open(Some(&node)).await;
    let raw = block(GENESIS, 1, 1);
    let null = "{\"result\":null,\"error\":null,\"id\":\"x\"}\n".to_owned();
    assert_eq!(port.post("/", submitblock(&raw)).await, (200, null));
    assert_eq!(port.bench.notes.hashes(), [hash_of(&raw)]);
    assert_eq!(node.memory().submitted, [hash_of(&raw)]);

    let bad = block_without_work(GENESIS);
    node.memory().words.insert(hash_of(&bad), "high-hash");
    let refused = "{\"result\":\"high-hash\",\"error\":null,\"id\":\"x\"}\n".to_owned();
    assert_eq!(port.post("/", submitblock(&bad)).await, (200, refused));

    // Everything else is the node's, byte for byte, errors and odd spacing included.
    for body in [
        " {\"method\" : \"echo\", \"params\":[1],\"id\": 3}",
        "{\"method\":\"nonsense\"}",
        "{\"method\":\"submitblock\",\"params\":[]}",
        "[{\"method\":\"echo\",\"id\":1},{\"method\":\"submitauxblock\",\"params\":[\"00\"],\"id\":2}]",
    ] {
        let direct = node.client(NodeAuth::None).forward("/", Bytes::from(body)).await;
        let (status, answer) = direct.expect("answers");
        let ours = port.post("/", body).await;
        assert_eq!(ours, (status.as_u16(), String::from_utf8_lossy(&answer).into_owned()));
        let bodies = node.memory().bodies.clone();
        assert_eq!(bodies.last().map(|(_, sent)| &sent[..]), Some(body.as_bytes()));
    }
    let chain = format!("/chain/{}/wallet/w", plain_chain().name);
    port.post(&chain, "{\"method\":\"echo\"}").await;
    assert_eq!(node.memory().bodies.last().map(|(path, _)| path.clone()), Some("/wallet/w".into()));
}

#[tokio::test]
async fn bad_input_gets_the_nodes_own_shapes_and_the_port_stays_up() {
    let node = FakeNode::start().await;
    let port = Port::open(Some(&node)).await;
    let decode =
        "{\"result\":null,\"error\":{\"code\":-22,\"message\":\"Block decode failed\"},\"id\":7}\n";
    for digits in ["\"zz\"", "\"000\"", "\"00\"", "\"\""] {
        let body = format!("{{\"method\":\"submitblock\",\"params\":[{digits}],\"id\":7}}");
        assert_eq!(port.post("/", body).await, (500, decode.to_owned()), "{digits}");
    }
    let digits = "00".repeat(plain_chain().block_bytes_max as usize + 1);
    let body = format!("{{\"method\":\"submitblock\",\"params\":[\"{digits}\"],\"id\":7}}");
    assert_eq!(port.post("/", body).await, (500, decode.to_owned()));
    let (status, answer) = port.post("/", vec![b' '; RPC_BODY_BYTES_MAX as usize + 1]).await;
    assert!(status == 500 && answer.contains("-22"), "{answer}");
    for (body, status, code) in [("{", 500, "-32700"), ("", 500, "-32700"), ("7", 500, "-32700")] {
        let (got, answer) = port.post("/", body).await;
        assert!(got == status && answer.contains(code), "{body}: {got} {answer}");
    }
    for path in ["/x", "/chain/nothing", "/chain/", "/wallet"] {
        assert_eq!(port.post(path, "{}").await, (404, String::new()), "{path}");
    }
    assert!(node.memory().submitted.is_empty() && port.bench.notes.hashes().is_empty());
    assert_eq!(port.post("/", submitblock(&block(GENESIS, 1, 1))).await.0, 200);
}

/// One request as text; returns the whole answer.
async fn raw_request(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(head.as_bytes()).await.expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("reads");
    answer
}

#[tokio::test]
async fn without_the_password_nobody_gets_in() {
    use base64::Engine as _;
    let port = Port::open(None).await;
    let head = |auth: &str, method: &str| {
        format!(
            "{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{auth}Content-Length: 2\r\n\r\n{{}}"
        )
    };
    let wrong = base64::engine::general_purpose::STANDARD.encode("pool:guess");
    for auth in [
        String::new(),
        "Authorization: Bearer x\r\n".into(),
        format!("Authorization: Basic {wrong}\r\n"),
    ] {
        let answer = raw_request(port.address, &head(&auth, "POST")).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(answer.to_lowercase().contains("www-authenticate: basic"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "the body is empty: {answer}");
    }
    let answer = raw_request(port.address, &head("", "GET")).await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
}

#[tokio::test]
async fn a_mixed_batch_is_answered_in_order() {
    let node = FakeNode::start().await;
    let port = Port::open(Some(&node)).await;
    let raw = block(GENESIS, 1, 1);
    let body = format!(
        "[{{\"method\":\"echo\",\"params\":[1],\"id\":1}},{},{{\"method\":\"submitblock\",\"params\":[\"z\"],\"id\":3}},{{\"method\":\"no\",\"id\":4}}, 7]",
        submitblock(&raw)
    );
    let (status, answer) = port.post("/", body).await;
    let answers: Vec<Value> = serde_json::from_str(&answer).expect("a list");
    assert_eq!((status, answers.len()), (200, 5));
    assert_eq!(answers[0]["result"], json!([1]));
    assert_eq!(answers[1], json!({"result": null, "error": null, "id": "x"}));
    assert_eq!((&answers[2]["error"]["code"], &answers[2]["id"]), (&json!(-22), &json!(3)));
    assert_eq!(answers[3]["error"]["code"], -32601);
    assert_eq!((&answers[4]["error"]["code"], &answers[4]["id"]), (&json!(-32600), &json!(null)));
    assert_eq!(node.memory().submitted, [hash_of(&raw)]);
}

#[tokio::test]
async fn without_a_node_only_blocks_are_taken_and_two_is_answered_in_two() {
    let port = Port::open(None).await;
    let (status, answer) = port.post("/", "{\"method\":\"getblockcount\",\"id\":1}").await;
    assert!(status == 404 && answer.contains("-32601") && answer.contains("\"id\":1"), "{answer}");
    let two = submitblock(&block(GENESIS, 1, 1)).replace("{\"id\"", "{\"jsonrpc\":\"2.0\",\"id\"");
    let said = "{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":\"x\"}\n".to_owned();
    assert_eq!(port.post("/", two).await, (200, said));
    let quiet = submitblock(&block(GENESIS, 1, 2)).replace("\"id\":\"x\"", "\"jsonrpc\":\"2.0\"");
    assert_eq!(port.post("/", quiet).await, (204, String::new()));
    let two = "{\"jsonrpc\":\"2.0\",\"method\":\"submitblock\",\"params\":[\"z\"],\"id\":1}";
    let (status, answer) = port.post("/", two).await;
    assert!(status == 200 && answer.contains("-22") && !answer.contains("result"), "{answer}");
}

#[tokio::test]
async fn too_many_blocks_at_once_are_told_to_come_again() {
    let port = Port::open(None).await;
    let held: Vec<_> = std::iter::from_fn(|| port.bench.desk.admit()).collect();
    let raw = block(GENESIS, 1, 1);
    let busy = "Work queue depth exceeded".to_owned();
    assert_eq!(port.post("/", submitblock(&raw)).await, (503, busy));
    drop(held);
    assert_eq!(port.post("/", submitblock(&raw)).await.0, 200);
}

#[tokio::test]
async fn a_node_that_is_away_is_said_in_the_callers_language() {
    let node = FakeNode::start().await;
    let port = Port::open(Some(&node)).await;
    node.kill().await;
    let (status, answer) = port.post("/", "{\"method\":\"getblocktemplate\",\"id\":9}").await;
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!((status, &answer["error"]["code"], &answer["id"]), (500, &json!(-9), &json!(9)));
}

mod merged;
mod through;
