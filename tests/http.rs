//! The HTTP port of a real daemon: many that hang there, logins, marks, compression, refusals.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

use broadside::limits::{HTTP_CONNECTIONS_MAX, HTTP_STOP_MS};
use broadside::sim::loopback::Keep;
use broadside::sys::cpu::raise_open_files;
use support::daemon::{Daemon, PATIENCE, Told};
use support::engine::{maker, peers};
use support::spoil::hex_of;

const SLOW_CLIENTS: usize = 1_000;
const PEERS: usize = 20;
/// What the daemon may grow by, however many hang there, in KiB.
const GROWTH_KIB_MAX: u64 = 96 * 1024;

/// A connection on which `bytes` were sent.
fn say(address: SocketAddr, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // Whoever had to make room is closed already.
    let _ = stream.write_all(bytes.as_bytes());
    stream
}

/// One request to its end: status, head in lower case, body.
fn ask(address: SocketAddr, request: &str) -> (u16, String, Vec<u8>) {
    let mut stream = say(address, &format!("{request}Connection: close\r\n\r\n"));
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    (head[9..12].parse().expect("a status"), head, answer[end + 4..].to_vec())
}

fn get(address: SocketAddr, path: &str, more: &str) -> (u16, String, Vec<u8>) {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}"))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Resident memory of the daemon, in KiB.
fn resident_kib(daemon: &Daemon) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).expect("a number").parse().expect("KiB")
}

/// Puts `lines` under `[http]`.
fn with_http(daemon: &Daemon, lines: &str) {
    let text = std::fs::read_to_string(daemon.config()).expect("there");
    let text = text.replacen("[http]\n", &format!("[http]\n{lines}"), 1);
    std::fs::write(daemon.config(), text).expect("written");
}

/// Goal: 1,000 clients that hang at the HTTP port cost a block nothing, take little memory, and keep
/// nobody out who only wants to know whether we are well.
#[test]
fn a_thousand_slow_clients_hold_up_no_block() {
    if raise_open_files() < 4 * SLOW_CLIENTS as u64 {
        eprintln!("SKIPPED: this test needs {} open files", 4 * SLOW_CLIENTS);
        return;
    }
    let loopback = peers(Vec::new(), PEERS, Keep::Nothing);
    let mut daemon = Daemon::start(&Told { fixed: loopback.addresses(), ..Told::default() });
    daemon.wait_for_peers(PEERS as u64);
    let (mut pool, mut maker) = (daemon.pool(), maker());
    let mut broadcast = |what: &str| {
        let block = maker.next(1_000_000).expect("a block");
        let start = Instant::now();
        let (status, answer) = pool.submit(&hex_of(&block.raw));
        assert!(status == 200 && answer["result"].is_null(), "{what}: {answer}");
        let arrivals = loopback.wait_for(block.hash, PEERS, PATIENCE);
        assert_eq!(arrivals.times_ns().len(), PEERS, "{what}");
        println!("{what}: handed in and at {PEERS} peers after {:?}", start.elapsed());
    };
    broadcast("nobody hangs there");
    assert_eq!(get(daemon.http, "/broadcaster_stats", "").0, 200);
    let before_kib = resident_kib(&daemon);
    let kinds = [
        "GET /broadcaster_stats HTTP/1.1\r\nHost: loc",
        "GET /broadcaster_stats HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "",
        // Many answers, none of them read.
        &"GET /broadcaster_stats HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50),
    ];
    let hanging: Vec<TcpStream> =
        (0..SLOW_CLIENTS).map(|at| say(daemon.http, kinds[at % kinds.len()])).collect();
    broadcast("1,000 hang there");
    let (status, _, body) = get(daemon.http, "/healthz", "");
    assert_eq!((status, body.as_slice()), (200, b"ok\n".as_slice()));
    broadcast("1,000 hang there still");
    let after_kib = resident_kib(&daemon);
    println!("resident before {before_kib} KiB, with 1,000 clients {after_kib} KiB");
    assert!(after_kib < before_kib + GROWTH_KIB_MAX, "{before_kib} KiB, then {after_kib} KiB");
    let sockets = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("it runs").count();
    println!("open files of the daemon: {sockets}");
    assert!(sockets < HTTP_CONNECTIONS_MAX + 5 * PEERS + 150, "{sockets} open files");
    let start = Instant::now();
    assert!(daemon.terminate().success());
    println!("stopped after {:?}, with {} sockets at the port", start.elapsed(), hanging.len());
    assert!(start.elapsed() < PATIENCE);
}

#[test]
fn open_streams_end_with_the_daemon() {
    let mut daemon = Daemon::start(&Told::default());
    let mut streams: Vec<TcpStream> = (0..10)
        .map(|_| say(daemon.http, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        .collect();
    for stream in &mut streams {
        let mut text = String::new();
        while !text.contains("event: changed") {
            let mut piece = [0; 512];
            let read = stream.read(&mut piece).expect("an event");
            assert!(read > 0, "{text}");
            text += &String::from_utf8_lossy(&piece[..read]);
        }
    }
    assert!(daemon.terminate().success());
    for mut stream in streams {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("ended in order");
        assert!(rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
    }
    let lines = daemon.lines().join("\n");
    assert!(lines.contains("stopped") && !lines.contains("panicked"), "{lines}");
    const { assert!(HTTP_STOP_MS < 10_000) };
}

/// Unpacks by the system's own program.
fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip starts");
    gzip.stdin.take().expect("piped").write_all(bytes).expect("it reads");
    let output = gzip.wait_with_output().expect("it ends");
    assert!(output.status.success(), "not gzip");
    output.stdout
}

#[test]
fn pages_are_marked_compressed_and_only_read() {
    let daemon = Daemon::start(&Told::default());
    let path = "/blocks";
    let (status, head, body) = get(daemon.http, path, "");
    let mark = header(&head, "etag").expect("a mark").replace("w/", "W/");
    assert_eq!((status, header(&head, "content-type")), (200, Some("application/json")));
    let (status, _, rest) = get(daemon.http, path, &format!("If-None-Match: {mark}\r\n"));
    assert_eq!((status, rest.len()), (304, 0));
    let (_, head, packed) = get(daemon.http, "/broadcaster_stats", "Accept-Encoding: gzip\r\n");
    assert_eq!(header(&head, "content-encoding"), Some("gzip"));
    let told: serde_json::Value = serde_json::from_slice(&unpacked(&packed)).expect("JSON");
    assert!(told["litecoin"]["health"].is_object() && packed.len() < unpacked(&packed).len() / 2);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&body).expect("JSON")["blocks"],
        serde_json::json!([])
    );
    for (request, expected) in [
        ("POST /broadcaster_stats HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n", 405),
        ("DELETE /events HTTP/1.1\r\nHost: localhost\r\n", 405),
        ("GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n", 404),
        ("GET /broadcaster_stats HTTP/1.1\r\nHost: evil.example\r\n", 403),
        ("HEAD /broadcaster_stats HTTP/1.1\r\nHost: localhost\r\n", 200),
    ] {
        let (status, head, body) = ask(daemon.http, request);
        assert_eq!(status, expected, "{request}");
        let policy = header(&head, "content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert_eq!(body.is_empty(), request.starts_with("HEAD"), "{request}");
    }
}

#[test]
fn the_status_pages_of_the_forks_are_there() {
    let loopback = peers(Vec::new(), 2, Keep::Nothing);
    let mut daemon = Daemon::start(&Told { fixed: loopback.addresses(), ..Told::default() });
    daemon.wait_for_peers(2);
    let (status, told) = daemon.get("/broadcaster_status");
    assert_eq!((status, &told["enabled"], &told["chain"]), (200, &true.into(), &"litecoin".into()));
    assert_eq!(told["connections"]["total"], 2);
    assert_eq!(told["peers"].as_array().map(Vec::len), Some(2));
    assert_eq!(daemon.get("/broadcaster_status?chain=litecoin").1["chain"], "litecoin");
    assert_eq!(daemon.get("/broadcaster_status?chain=x").0, 404);
    assert!(daemon.get("/merged_broadcaster_status").1["message"].is_string());
    assert!(daemon.terminate().success());
    daemon.options = vec!["--disable-broadcaster".to_owned()];
    daemon.restart();
    let (status, told) = daemon.get("/broadcaster_status");
    assert_eq!((status, &told["enabled"]), (200, &false.into()));
    assert_eq!(told["health"], serde_json::json!({"healthy": false, "active_connections": 0}));
}

#[test]
fn a_password_is_asked_for_and_the_commands_know_it() {
    let mut daemon = Daemon::prepare(&Told::default());
    with_http(&daemon, "user = \"pool\"\npassword = \"a secret\"\n");
    daemon.restart();
    assert_eq!(get(daemon.http, "/broadcaster_stats", "").0, 401);
    assert_eq!((get(daemon.http, "/healthz", "").0, get(daemon.http, "/readyz", "").0), (200, 503));
    // pool:a secret
    let login = "Authorization: Basic cG9vbDphIHNlY3JldA==\r\n";
    assert_eq!(get(daemon.http, "/broadcaster_stats", login).0, 200);
    let (code, out, errors) = daemon.ask(&["status"]);
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("litecoin"), "{out}");
    let text = std::fs::read_to_string(daemon.config()).expect("there");
    let text = text.replace("password = \"a secret\"", "password = \"another\"");
    std::fs::write(daemon.config(), text).expect("written");
    let (code, _, errors) = daemon.ask(&["status"]);
    assert!(code == 2 && errors.contains("refuses the login"), "{errors}");
    assert!(!errors.contains("another"), "{errors}");
}

#[test]
fn what_others_can_reach_needs_a_password_to_start() {
    let daemon = Daemon::prepare(&Told::default());
    let text = std::fs::read_to_string(daemon.config()).expect("there");
    let open = text.replace(&format!("listen = \"{}\"", daemon.http), "listen = \"0.0.0.0:0\"");
    std::fs::write(daemon.config(), &open).expect("written");
    let line = open.lines().position(|line| line.starts_with("listen = ")).expect("there") + 1;
    for command in [&["run"] as &[&str], &["config", "check"]] {
        let (code, _, errors) = daemon.ask(command);
        let expected = format!("{}:{line}: http.listen: ", daemon.config().display());
        assert_ne!(code, 0, "{command:?}");
        assert!(errors.contains(&expected) && errors.contains("user and password"), "{errors}");
    }
    with_http(&daemon, "user = \"pool\"\npassword = \"secret\"\n");
    let (code, out, errors) = daemon.ask(&["config", "check"]);
    assert_eq!(code, 0, "{out}{errors}");
}
