use super::fake::{Act, FakeNode};
use super::leg::{hex_of, until_verdict};
use super::tip::{Presence, TipWatch};
use super::verdict::{RpcAnswer, Shape};
use super::*;
use crate::wire::hash::{BlockHash, sha256d};
use serde_json::json;
use std::sync::Arc;

/// A header that builds on `parent`, with `tag` to tell it from others.
fn header(parent: BlockHash, tag: u8) -> Bytes {
    let mut raw = [tag; 80];
    raw[4..36].copy_from_slice(&parent.0);
    Bytes::copy_from_slice(&raw)
}

fn hash_of(raw: &[u8]) -> BlockHash {
    BlockHash(sha256d(&raw[..80]))
}

const GENESIS: BlockHash = BlockHash([0; 32]);

#[tokio::test]
async fn calls_and_verdicts_come_back_as_the_node_says_them() {
    let node = FakeNode::start().await;
    let client = node.client(NodeAuth::None);
    assert_eq!(client.call("echo", json!([1, "two"])).await.expect("answers"), json!([1, "two"]));
    let unknown = client.call("nonsense", json!([])).await;
    assert!(matches!(unknown, Err(NodeError::Rpc { code: -32601, .. })), "{unknown:?}");

    let raw = header(GENESIS, 1);
    assert_eq!(client.submit_block(hex_of(&raw)).await.expect("answers"), Verdict::Accepted);
    assert_eq!(client.submit_block(hex_of(&raw)).await.expect("answers"), Verdict::Duplicate);
    let broken = client.submit_block(Bytes::from_static(b"00")).await.expect("answers");
    let said = RpcAnswer::Error { code: -22, message: "Block decode failed".to_owned() };
    assert_eq!(broken.answer(), said);
    assert!(broken.is_refusal() && said.status(Shape::One) == StatusCode::INTERNAL_SERVER_ERROR);
    for (word, success, refusal) in [
        ("duplicate", true, false),
        ("inconclusive", false, false),
        ("duplicate-invalid", false, true),
        ("high-hash", false, true),
    ] {
        let verdict = Verdict::from_word(word);
        assert_eq!((verdict.is_success(), verdict.is_refusal()), (success, refusal), "{word}");
        assert_eq!(verdict.answer(), RpcAnswer::Result(Some(word.to_owned())));
    }
}

#[tokio::test]
async fn a_full_queue_a_warm_up_and_a_lost_answer_are_waited_out() {
    let node = FakeNode::start().await;
    let client = node.client(NodeAuth::None);
    let raw = header(GENESIS, 2);
    node.memory().acts.extend([
        Act::QueueFull500,
        Act::QueueFull503,
        Act::WarmUp,
        Act::Say(500, "{\"result\":null,\"error\":{\"code\":-25,\"message\":\"disk\"},\"id\":1}"),
        Act::DropMidAnswer,
    ]);
    let hash = hash_of(&raw);
    let verdict = until_verdict(&client, &hash.to_string(), &raw, None).await;
    assert_eq!(verdict, Verdict::Accepted, "the lost answer was to our own earlier try");
    assert_eq!(node.memory().submitted, [hash, hash]);
}

#[tokio::test]
async fn a_node_that_was_restarted_is_found_again_with_its_new_cookie() {
    let folder = tempfile::tempdir().expect("tempdir");
    let cookie = folder.path().join(".cookie");
    let node = FakeNode::start().await;
    node.memory().password = Some("__cookie__:one".to_owned());
    let client = node.client(NodeAuth::Cookie(cookie.clone()));

    let missing = client.call("echo", json!([])).await.expect_err("there is no cookie yet");
    let text = missing.to_string();
    assert!(text.contains(".cookie") && text.contains("cookie_file"), "{text}");

    std::fs::write(&cookie, "__cookie__:wrong").expect("writes");
    let refused = client.call("echo", json!([])).await;
    assert!(matches!(refused, Err(NodeError::Unauthorized { .. })), "{refused:?}");

    std::fs::write(&cookie, "__cookie__:one").expect("writes");
    client.call("echo", json!([])).await.expect("the file is read again on 401");

    // The password changes under a live connection.
    node.memory().password = Some("__cookie__:two".to_owned());
    std::fs::write(&cookie, "__cookie__:two").expect("writes");
    client.call("echo", json!([])).await.expect("the file is read again on 401");

    let down = node.kill().await;
    std::fs::remove_file(&cookie).expect("removes");
    let away = client.call("echo", json!([])).await.expect_err("nobody listens");
    assert!(away.is_away(), "the node is the news, not its cookie: {away}");

    let node = FakeNode::restart(down).await;
    node.memory().password = Some("__cookie__:three".to_owned());
    std::fs::write(&cookie, "__cookie__:three").expect("writes");
    client.call("echo", json!([])).await.expect("a new connection reads the new cookie");
}

#[tokio::test]
async fn forwarding_changes_no_byte_and_keeps_the_status() {
    let node = FakeNode::start().await;
    let client = node.client(NodeAuth::None);
    let odd = Bytes::from_static(b" {\"method\" : \"nonsense\",\"id\":  7 }\n");
    let (status, answer) = client.forward("/wallet/x", odd.clone()).await.expect("answers");
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(std::str::from_utf8(&answer).expect("text").contains("-32601"));
    assert_eq!(node.memory().bodies, [("/wallet/x".to_owned(), odd)]);
}

#[tokio::test]
async fn ordinary_calls_share_a_connection_and_blocks_have_their_own() {
    let node = FakeNode::start().await;
    let client = node.client(NodeAuth::None);
    for tag in 3..8 {
        client.call("echo", json!([])).await.expect("answers");
        client.submit_block(hex_of(&header(GENESIS, tag))).await.expect("answers");
    }
    assert_eq!(node.memory().connections, 2);

    // A block that takes long holds up neither a call nor the next block.
    let told = Arc::new(tokio::sync::Notify::new());
    node.memory().acts.push_back(Act::Wait(Arc::clone(&told)));
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.submit_block(hex_of(&header(GENESIS, 9))).await }
    });
    while !node.memory().acts.is_empty() {
        tokio::task::yield_now().await;
    }
    client.call("echo", json!([])).await.expect("answers");
    client.submit_block(hex_of(&header(GENESIS, 10))).await.expect("answers");
    told.notify_one();
    assert_eq!(slow.await.expect("no panic").expect("answers"), Verdict::Accepted);
}

#[test]
fn addresses_that_cannot_work_are_refused_with_the_right_shape() {
    for url in ["", "node:8332", "http://host", "https://host:1", "http://u:p@host:1", "ftp://h:1"]
    {
        let settings = NodeSettings { url: url.to_owned(), auth: NodeAuth::None };
        let error = NodeClient::new(settings).expect_err(url).to_string();
        assert!(error.contains("http://host:port"), "{error}");
    }
    for url in ["http://127.0.0.1:1", "http://[::1]:1/", "http://host:1/rpc/"] {
        let settings = NodeSettings { url: url.to_owned(), auth: NodeAuth::None };
        NodeClient::new(settings).expect(url);
    }
}

#[tokio::test]
async fn an_answer_that_is_no_json_rpc_is_said_so() {
    let node = FakeNode::start().await;
    let client = node.client(NodeAuth::None);
    node.memory().acts.push_back(Act::Say(200, "<html>hello</html>"));
    let error = client.submit_block(hex_of(&header(GENESIS, 1))).await.expect_err("no verdict");
    assert!(error.to_string().contains("RPC port"), "{error}");
}

#[tokio::test]
async fn the_tip_watch_follows_the_node_and_tells_when_it_is_away() {
    let node = FakeNode::start().await;
    let client = node.client(NodeAuth::None);
    let mut parent = GENESIS;
    let mut chain = Vec::new();
    for tag in 1..=5 {
        let raw = header(parent, tag);
        client.submit_block(hex_of(&raw)).await.expect("answers");
        parent = hash_of(&raw);
        chain.push(parent);
    }
    let watch = TipWatch::spawn(client.clone());
    let mut presence = watch.presence();
    presence.wait_for(|now| *now == Presence::Here).await.expect("it lives");
    let (tip, known) = watch.tip().expect("looked");
    assert_eq!((tip, known.height, known.bits), (chain[4], 5, 0x207f_ffff));
    assert!(watch.known(&chain[0]).is_some() && watch.known(&GENESIS).is_some());

    let raw = header(parent, 6);
    client.submit_block(hex_of(&raw)).await.expect("answers");
    let asked = watch.ask(&hash_of(&raw)).await.expect("answers");
    assert_eq!(asked.map(|known| known.height), Some(6));
    assert_eq!(watch.ask(&BlockHash([7; 32])).await.expect("answers"), None);

    let down = node.kill().await;
    watch.hint();
    presence.wait_for(|now| matches!(now, Presence::Away(_))).await.expect("it lives");
    assert!(watch.ask(&BlockHash([8; 32])).await.is_err());
    let _node = FakeNode::restart(down).await;
    watch.hint();
    presence.wait_for(|now| *now == Presence::Here).await.expect("it lives");
}
