//! The port itself: slow, idle and many clients, texts where there is no page, and the stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::edge::http::router;
use crate::edge::http::security::guarded;
use crate::edge::http::stats::tests::state;
use crate::edge::intake::desk::testing::Bench;
use crate::edge::intake::rpc::RpcAuth;
use crate::limits::{EVENT_STREAMS_MAX, HTTP_CONNECTIONS_MAX};

const PATIENCE: Duration = Duration::from_secs(60);

/// A running port.
pub(in crate::edge::http) struct Port {
    pub(in crate::edge::http) address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Port {
    pub(in crate::edge::http) async fn open(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = watch::channel(false);
        Self { address, stop, server: tokio::spawn(serve(listener, router, stopped)) }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connects")
    }

    /// A connection on which `bytes` were sent.
    pub(in crate::edge::http) async fn said(&self, bytes: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.expect("writes");
        stream
    }

    /// One request, with further header lines; status, head and body.
    pub(in crate::edge::http) async fn ask(
        &self,
        method: &str,
        path: &str,
        more: &str,
    ) -> (u16, String, Vec<u8>) {
        let host = if more.contains("Host:") { "" } else { "Host: localhost\r\n" };
        let request = format!("{method} {path} HTTP/1.1\r\n{host}{more}Connection: close\r\n\r\n");
        let mut stream = self.said(&request).await;
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        read.expect("in time").expect("an answer");
        let end = answer.windows(4).position(|it| it == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        (head[9..12].parse().expect("a status"), head, answer[end + 4..].to_vec())
    }

    /// Ends it; waits until it has ended.
    async fn close(self) {
        let _ = self.stop.send(true);
        timeout(PATIENCE, self.server).await.expect("it ends").expect("without a panic");
    }
}

/// Reads until `stream` has said so many events.
async fn read_events(stream: &mut TcpStream, count: usize) -> String {
    let mut text = String::new();
    while text.matches("event: changed").count() < count {
        let mut piece = [0; 1_024];
        let read = timeout(PATIENCE, stream.read(&mut piece)).await.expect("in time");
        let read = read.expect("it lives");
        assert!(read > 0, "it ended after {text}");
        text += &String::from_utf8_lossy(&piece[..read]);
    }
    text
}

const EVENTS: &str = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn whoever_hangs_there_keeps_nobody_out() {
    let bench = Bench::new(None, None);
    let port = Port::open(router(state(&bench, 3, None))).await;
    let mut hanging = Vec::new();
    for number in 0..2 * HTTP_CONNECTIONS_MAX {
        let half = ["", "GET /healthz HTTP/1.1\r\nHost: ", "GET /bro"][number % 3];
        hanging.push(port.said(half).await);
    }
    assert_eq!(port.ask("GET", "/healthz", "").await.0, 200);
    // The first ones had to make room.
    let ended = timeout(PATIENCE, hanging[0].read(&mut [0; 9])).await.expect("in time");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    let start = tokio::time::Instant::now();
    port.close().await;
    assert!(start.elapsed() < STOP_PATIENCE, "half a request holds up no stop");
}

#[tokio::test]
async fn events_come_at_once_with_each_change_and_end_at_the_stop() {
    let bench = Bench::new(None, None);
    let mut state = state(&bench, 3, None);
    let roster = watch::Sender::new(Arc::clone(&state.chains[0].roster.borrow()));
    state.chains[0].roster = roster.subscribe();
    let (uplink, alerts) = (watch::Sender::default(), watch::Sender::default());
    (state.uplink, state.alerts) = (uplink.subscribe(), alerts.subscribe());
    let port = Port::open(router(state)).await;
    let mut streams = Vec::new();
    for _ in 0..EVENT_STREAMS_MAX {
        let mut stream = port.said(EVENTS).await;
        let text = read_events(&mut stream, 1).await;
        assert!(text.contains("retry: 2000") && text.contains("data: {\"revision\":"), "{text}");
        streams.push(stream);
    }
    let (status, head, text) = port.ask("GET", "/events", "").await;
    assert!(status == 503 && head.contains("retry-after: "), "{head}");
    assert!(String::from_utf8_lossy(&text).contains("too many"));
    for _ in 0..2 {
        roster.send_modify(|_| {});
        for stream in &mut streams {
            read_events(stream, 1).await;
        }
    }
    // Nothing changes: nothing is said.
    let silent = timeout(Duration::from_millis(3 * crate::limits::EVENT_PAUSE_MS), async {
        read_events(&mut streams[0], 1).await
    });
    assert!(silent.await.is_err(), "an event without a change");
    // One that leaves gives its place to another.
    drop(streams.pop());
    let mut stream = loop {
        let mut stream = port.said(EVENTS).await;
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.expect("an answer");
        if first.ends_with(b"200") {
            break stream;
        }
    };
    read_events(&mut stream, 1).await;
    streams.push(stream);
    let start = tokio::time::Instant::now();
    port.close().await;
    assert!(start.elapsed() < STOP_PATIENCE, "no stream holds up a stop");
    for mut stream in streams {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("ended in order");
        assert!(rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
    }
}

#[tokio::test]
async fn wrong_requests_get_a_clear_text() {
    let bench = Bench::new(None, None);
    let port = Port::open(guarded(router(state(&bench, 3, None)), None)).await;
    let (status, _, text) = port.ask("GET", "/%3Cscript%3E", "").await;
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(status == 404 && text.contains("/broadcaster_stats") && !text.contains("script"));
    for path in ["/broadcaster_stats", "/healthz", "/events", "/blocks/x"] {
        let (status, head, text) = port.ask("POST", path, "Content-Length: 0\r\n").await;
        assert_eq!((status, head.contains("allow: get,head")), (405, true), "{path}");
        assert!(String::from_utf8_lossy(&text).contains("GET or HEAD"), "{path}");
    }
    assert_eq!(port.ask("GET", "/blocks/xyz", "").await.0, 400);
    assert_eq!(port.ask("GET", "/blocks?limit=-1", "").await.0, 400);
    let long = format!("X-Long: {}\r\n", "x".repeat(HTTP_HEAD_BYTES_MAX));
    assert_eq!(port.ask("GET", "/healthz", &long).await.0, 431);
    let mut stream = port.said("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"));
    let (_, head, _) = port.ask("GET", "/broadcaster_stats", "").await;
    for header in ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff"]
    {
        assert!(head.contains(header), "{head}");
    }
    assert!(head.contains("cache-control: no-cache") && head.contains("referrer-policy: "));
    port.close().await;
}

#[tokio::test]
async fn only_those_who_know_the_password_see_pages() {
    let bench = Bench::new(None, None);
    let auth = RpcAuth::password("pool", "secret");
    let port = Port::open(guarded(router(state(&bench, 3, None)), Some(auth))).await;
    for path in ["/broadcaster_stats", "/events", "/blocks", "/no-such-page"] {
        let (status, head, _) = port.ask("GET", path, "").await;
        assert_eq!(status, 401, "{path}");
        assert!(head.contains("www-authenticate: basic realm="), "{head}");
        assert!(head.contains("content-security-policy: "), "{head}");
    }
    // pool:secret and pool:wrong
    let wrong = port.ask("GET", "/blocks", "Authorization: Basic cG9vbDp3cm9uZw==\r\n").await;
    assert_eq!(wrong.0, 401);
    // Behind a login any name will do: a stranger's page has no password.
    let more = "Host: stats.example.org\r\nAuthorization: Basic cG9vbDpzZWNyZXQ=\r\n";
    assert_eq!(port.ask("GET", "/blocks", more).await.0, 200);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(port.ask("GET", path, "").await.0, 200, "{path} is for everybody");
    }
    port.close().await;
}

#[tokio::test]
async fn a_strangers_name_for_us_leads_nowhere() {
    let bench = Bench::new(None, None);
    let port = Port::open(guarded(router(state(&bench, 3, None)), None)).await;
    let evil = "Host: evil.example:9380\r\n";
    let (status, _, text) = port.ask("GET", "/broadcaster_stats", evil).await;
    assert!(status == 403 && String::from_utf8_lossy(&text).contains("by address"));
    assert_eq!(port.ask("GET", "/events", evil).await.0, 403);
    assert_eq!(port.ask("GET", "/healthz", evil).await.0, 200, "this one tells nothing");
    assert_eq!(port.ask("GET", "/broadcaster_stats", "Host: 127.0.0.1:9380\r\n").await.0, 200);
    port.close().await;
}

#[tokio::test]
async fn an_answer_under_way_is_finished_at_the_stop() {
    let (begun, gate) =
        (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let (started, opened) = (Arc::clone(&begun), Arc::clone(&gate));
    let page = move || async move {
        started.notify_one();
        opened.notified().await;
        "slow"
    };
    let port = Port::open(Router::new().route("/slow", get(page))).await;
    let mut stream = port.said("GET /slow HTTP/1.1\r\n\r\n").await;
    begun.notified().await;
    let _ = port.stop.send(true);
    gate.notify_one();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.ends_with("slow"), "{answer}");
    port.close().await;
}
