//! The uplink and warm connections, through the whole engine.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::routing::post;
use axum::{Json, Router};
use broadside::cold::node::{NodeAuth, NodeSettings};
use broadside::cold::uplink::{Finding, Found, UplinkSetting, UplinkView};
use broadside::edge::engine::{Engine, EngineSettings};
use broadside::hot::spawn::Backend;
use broadside::sim::blocks::MadeBlock;
use broadside::sim::loopback::{Keep, Loopback, LoopbackSettings};
use broadside::sim::wan::{Wan, WanError, WanSettings};
use broadside::wire::hash::BlockHash;
use serde_json::{Value, json};
use support::engine::{PATIENCE, chain, connected, maker, peers, settings, submit};

/// A node whose tip is `tip`, on this network's loopback.
async fn node(tip: &MadeBlock) -> NodeSettings {
    let best = BlockHash(tip.hash).to_string();
    let digits = hex_simd::encode_to_string(&tip.raw, hex_simd::AsciiCase::Lower);
    let answer = Arc::new(move |call: &Value| match call["method"].as_str() {
        Some("getbestblockhash") => json!(best),
        Some("getblockcount") => json!(1),
        Some("getblockheader") => json!({"height": 1, "bits": "207fffff"}),
        Some("getblock") => json!(digits),
        _ => Value::Null,
    });
    let serve = move |Json(call): Json<Value>| async move {
        Json(json!({"result": answer(&call), "error": null, "id": call["id"]}))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(serve));
    tokio::spawn(async move { axum::serve(listener, router).await });
    NodeSettings { url, auth: NodeAuth::None }
}

/// Waits until the engine's view of the uplink is as wished.
async fn uplink(engine: &Engine, wished: impl FnMut(&Arc<UplinkView>) -> bool) -> Arc<UplinkView> {
    let (mut view, now) = (engine.uplink_view(), engine.uplink_view());
    match tokio::time::timeout(PATIENCE, view.wait_for(wished)).await {
        Ok(reached) => Arc::clone(&*reached.expect("the task lives")),
        Err(_) => panic!("not in time: {:?}", now.borrow()),
    }
}

/// Goal: on loopback nothing is shared: no limit, nobody cold, not a byte of warm-up, though there
/// is a node to warm from.
#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_nothing_is_shared() {
    let folder = tempfile::tempdir().unwrap();
    let loopback = peers(Vec::new(), 8, Keep::Nothing);
    let mut maker = maker();
    let (tip, block) = (maker.next(300_000).unwrap(), maker.next(300_000).unwrap());
    let mut settings = settings(&folder, Backend::Auto, &loopback);
    settings.chains[0].node = Some(node(&tip).await);
    let engine = Engine::start(settings).await.unwrap();
    connected(&engine, 8).await;
    let mut view = engine.rosters()[0].view.clone();
    let seen = view.wait_for(|view| view.peers.iter().all(|it| it.path.window_bytes > 0));
    let seen = Arc::clone(&*tokio::time::timeout(PATIENCE, seen).await.unwrap().unwrap());
    assert!(seen.peers.iter().all(|it| it.path.warm && it.path.round_trip_us == 0));
    assert!(seen.peers.iter().all(|it| !it.path.congestion_control.is_empty()));
    submit(&engine, &block).await;
    assert_eq!(loopback.wait_for(block.hash, 8, PATIENCE).times_ns().len(), 8);
    let found = uplink(&engine, |_| true).await;
    assert_eq!((found.state, found.bits_per_s, found.shared_peers), ("not-shared", None, 0));
    assert_eq!((found.warm_up_offers, found.warm_up_sent_bytes), (0, 0));
    assert!(found.advice.is_empty() && found.doubt.is_none() && found.last.is_none());
    engine.stop().await;
    assert!(loopback.wait_until(PATIENCE, |states| states.iter().all(|it| it.open == 0)));
    assert!(!folder.path().join("uplink.json").exists());
}

/// Goal: what the operator says is what is gone by.
#[tokio::test(flavor = "multi_thread")]
async fn a_configured_uplink_is_shown_as_such() {
    for (uplink, state, bits_per_s) in [
        (UplinkSetting::Unlimited, "unlimited", None),
        (UplinkSetting::BitsPerS(50_000_000), "configured", Some(50_000_000)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let loopback = peers(Vec::new(), 1, Keep::Nothing);
        let settings = EngineSettings { uplink, ..settings(&folder, Backend::Auto, &loopback) };
        let engine = Engine::start(settings).await.unwrap();
        let view = Arc::clone(&engine.uplink_view().borrow());
        assert_eq!((view.state, view.bits_per_s), (state, bits_per_s));
        engine.stop().await;
    }
}

/// An engine behind the emulated uplink learns it from a node's tip of `block_bytes`: what was
/// found, and how many peers were warm in the end. `None`: there is no emulator here, said loudly.
fn learnt(settings: WanSettings, block_bytes: u32) -> Option<(Finding, Arc<UplinkView>, u64)> {
    let wan = match Wan::start(settings) {
        Ok(wan) => wan,
        Err(error @ WanError::System { .. }) => {
            eprintln!("SKIPPED: {error}");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let own: Vec<Ipv4Addr> = wan.peers(0).iter().map(|address| *address.ip()).collect();
    let (count, sim) = (
        own.len(),
        LoopbackSettings {
            chain: chain(),
            peers: own.len(),
            faults: Vec::new(),
            keep: Keep::Nothing,
            seed: 3,
        },
    );
    let far = wan.receiver().run(move || Loopback::start_on(sim, &own).unwrap()).unwrap();
    let fixed: Vec<SocketAddr> = far.addresses().to_vec();
    let work = move || {
        let log = tracing_subscriber::fmt().with_env_filter("broadside=debug,info");
        let _ = log.with_test_writer().try_init();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let folder = tempfile::tempdir().unwrap();
            let tip = maker().next(block_bytes).unwrap();
            let mut settings = support::engine::settings_at(&folder, Backend::Auto, fixed);
            settings.chains[0].node = Some(node(&tip).await);
            let engine = Engine::start(settings).await.unwrap();
            connected(&engine, count as u32).await;
            let found = uplink(&engine, |view| view.last.is_some()).await.last.unwrap();
            let warmed =
                uplink(&engine, |view| view.state != "learning" && view.warm_up_under_way == 0);
            let view = warmed.await;
            engine.stop().await;
            let kept = std::fs::read_to_string(folder.path().join("uplink.json"));
            assert_eq!(kept.is_ok(), found.found == Found::Learnt, "{kept:?}");
            (found, view)
        })
    };
    let _ = wan.take_late_ns();
    let (found, view) = wan.sender().run(work).unwrap();
    let late_ms = wan.take_late_ns() / 1_000_000;
    println!("{found:?}\n{view:?}\nlate by at most {late_ms} ms; {:?}", wan.counts());
    Some((found, view, late_ms))
}

/// Goal: 100 Mbit/s with 20 peers at 20 to 200 ms are learnt within -10 and +3 %.
#[test]
#[ignore = "needs root, /dev/net/tun and a host with a core for the emulator"]
fn an_emulated_uplink_is_learnt() {
    let Some((found, view, late_ms)) = learnt(WanSettings::spread(20, 100_000_000), 1_000_000)
    else {
        return;
    };
    if late_ms > 30 {
        return eprintln!("SKIPPED: the emulator was late by {late_ms} ms, which proves nothing");
    }
    assert_eq!((found.found, view.state), (Found::Learnt, "learnt"));
    assert!((90_000_000..=103_000_000).contains(&found.bits_per_s), "{found:?}");
    assert_eq!(view.shared_peers, 20);
}
