//! Marks, compression and bounds of pages.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get;

use super::*;
use crate::edge::http::serve::tests::Port;
use crate::limits::HTTP_PAGE_BYTES_MAX;

fn text() -> String {
    "a page that repeats itself. ".repeat(2_000)
}

async fn long_text() -> String {
    text()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test]
async fn whoever_has_a_page_already_is_told_so() {
    let router = Router::new().route("/a", get(long_text)).route("/b", get(|| async { "b" }));
    let port = Port::open(pressed(router)).await;
    let (status, head, body) = port.ask("GET", "/a", "").await;
    assert_eq!((status, body == text().as_bytes()), (200, true));
    let mark = header(&head, "etag").expect("a mark").to_owned();
    assert_eq!(header(&head, "content-length"), Some(body.len().to_string().as_str()));
    let plain = mark.trim_start_matches("w/").to_owned();
    let known = [mark.clone(), plain.clone(), format!("\"x\", {mark}"), "*".to_owned()];
    for known in known.map(|known| known.replace("w/", "W/")) {
        for more in ["", "Accept-Encoding: gzip\r\n"] {
            let more = format!("If-None-Match: {known}\r\n{more}");
            let (status, head, body) = port.ask("GET", "/a", &more).await;
            assert_eq!((status, body.len()), (304, 0), "{known}");
            assert_eq!(header(&head, "etag"), Some(mark.as_str()));
        }
    }
    let (status, other, _) = port.ask("GET", "/b", &format!("If-None-Match: {plain}\r\n")).await;
    assert_eq!(status, 200);
    assert_ne!(header(&other, "etag"), Some(mark.as_str()));
    let (status, head_only, body) = port.ask("HEAD", "/a", "").await;
    assert_eq!((status, body.len()), (200, 0));
    assert_eq!(header(&head_only, "etag"), Some(mark.as_str()));
    assert_eq!(header(&head_only, "content-length"), header(&head, "content-length"));
    assert_eq!(port.ask("GET", "/none", &format!("If-None-Match: {plain}\r\n")).await.0, 404);
}

#[tokio::test]
async fn pages_are_compressed_for_those_who_can_read_it() {
    let port = Port::open(pressed(Router::new().route("/a", get(long_text)))).await;
    let (_, plain, body) = port.ask("GET", "/a", "Accept-Encoding: br\r\n").await;
    assert_eq!((header(&plain, "content-encoding"), body.len()), (None, text().len()));
    let (status, head, body) = port.ask("GET", "/a", "Accept-Encoding: gzip, br\r\n").await;
    assert_eq!((status, header(&head, "content-encoding")), (200, Some("gzip")));
    assert!(body.starts_with(&[0x1f, 0x8b]) && body.len() < text().len() / 20);
    assert_eq!(header(&head, "content-length"), Some(body.len().to_string().as_str()));
    assert_eq!(header(&head, "transfer-encoding"), None);
    assert_eq!(header(&head, "vary"), Some("accept-encoding"));
    assert_eq!(header(&head, "etag"), header(&plain, "etag"));
}

#[tokio::test]
async fn one_page_is_made_at_a_time() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inside, seen) = (Arc::clone(&now), Arc::clone(&most));
    let page = move || async move {
        seen.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        inside.fetch_sub(1, Ordering::SeqCst);
        "made"
    };
    let port = Port::open(pressed(Router::new().route("/", get(page)))).await;
    let asked = (0..20).map(|_| port.ask("GET", "/", ""));
    let answers = futures_util::future::join_all(asked).await;
    assert!(answers.iter().all(|(status, _, _)| *status == 200));
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

/// A page whose handler never ends is given up, and the next one has its turn.
#[tokio::test]
async fn a_page_that_hangs_holds_up_no_other() {
    let router = Router::new()
        .route("/hangs", get(std::future::pending::<&'static str>))
        .route("/works", get(|| async { "works" }));
    let press = Press::new(1_000, Duration::from_millis(100));
    let port = Port::open(with(press, router)).await;
    let (hangs, works) = tokio::join!(port.ask("GET", "/hangs", ""), port.ask("GET", "/works", ""));
    assert!(hangs.0 == 503 && hangs.1.contains("retry-after: 1"), "{}", hangs.1);
    assert!(works.0 == 200 || works.0 == 503, "it may have waited behind the other");
    assert_eq!(port.ask("GET", "/works", "").await.0, 200);
}

#[tokio::test]
async fn what_slow_readers_leave_untaken_is_bounded() {
    // One page fits, two do not; and one is more than the kernel's buffers take.
    const ROOM_BYTES: usize = HTTP_PAGE_BYTES_MAX;
    let page = || async { vec![b'x'; 12 * 1024 * 1024] };
    let router = Router::new().route("/", get(page));
    let port = Port::open(with(Press::new(ROOM_BYTES, PAGE_DEADLINE), router)).await;
    let slow = port.said("GET / HTTP/1.1\r\n\r\n").await;
    let mut byte = [0];
    slow.peek(&mut byte).await.expect("it has begun");
    let (status, _, text) = port.ask("GET", "/", "").await;
    assert!(status == 503 && String::from_utf8_lossy(&text).contains("slow readers"));
    drop(slow);
    while port.ask("GET", "/", "").await.0 != 200 {
        tokio::task::yield_now().await;
    }
    let too_long = Router::new().route("/", get(|| async { vec![0; HTTP_PAGE_BYTES_MAX + 1] }));
    let port = Port::open(pressed(too_long)).await;
    assert_eq!(port.ask("GET", "/", "").await.0, 500);
}
