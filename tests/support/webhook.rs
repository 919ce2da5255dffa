//! A receiver of webhooks in a test, as bad as it is told to be.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::Value;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is answered to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// 200.
    Fine,
    /// 500.
    Fails,
    /// 302 to somewhere else of this receiver.
    Redirects,
    /// Nothing, until the other side closes.
    Hangs,
    /// 200 with a body that does not end.
    Endless,
}

/// What has come so far.
#[derive(Default)]
pub struct Seen {
    /// Bodies with the path they were posted to, in order, those that were not taken among them.
    pub posts: Vec<(String, Value)>,
}

/// A receiver. It listens until the test's process ends.
pub struct Webhook {
    address: SocketAddr,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Webhook {
    /// Starts one that gives `first` in turn, then `then` for ever.
    pub fn start(first: &[Reply], then: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
        let first = Arc::new(Mutex::new(first.iter().copied().collect::<VecDeque<_>>()));
        std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let (seen, first) = (Arc::clone(&seen), Arc::clone(&first));
                    std::thread::spawn(
                        move || while serve(&stream, &seen, &first, then).is_some() {},
                    );
                }
            }
        });
        Self { address, seen }
    }

    /// Where notices are to be posted, with a secret in it.
    pub fn url(&self) -> String {
        format!("http://{}/hook?key=topsecret", self.address)
    }

    /// Waits until what has come is as wished; returns what `look` gives.
    pub fn wait<T>(&self, what: &str, look: impl Fn(&Seen) -> Option<T>) -> T {
        let (seen, more) = &*self.seen;
        let seen = seen.lock().expect("whole");
        let waited = more.wait_timeout_while(seen, PATIENCE, |seen| look(seen).is_none());
        let (seen, _) = waited.expect("whole");
        look(&seen).unwrap_or_else(|| panic!("never came to {what}: {:?}", seen.posts))
    }

    /// Waits for a notice of this kind and state.
    pub fn wait_for(&self, kind: &str, state: &str) -> Value {
        let is_it = |body: &Value| body["kind"] == kind && body["state"] == state;
        self.wait(&format!("{kind} {state}"), |seen| {
            seen.posts.iter().map(|(_, body)| body).find(|body| is_it(body)).cloned()
        })
    }

    /// How many of this kind and state have come.
    pub fn count(&self, kind: &str, state: &str) -> usize {
        let seen = self.seen.0.lock().expect("whole");
        let all = seen.posts.iter();
        all.filter(|(_, body)| body["kind"] == kind && body["state"] == state).count()
    }
}

/// One request; `None`: the connection is over.
fn serve(
    stream: &TcpStream,
    seen: &(Mutex<Seen>, Condvar),
    first: &Mutex<VecDeque<Reply>>,
    then: Reply,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut path) = (0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if path.is_empty() {
            path = line.split(' ').nth(1)?.to_owned();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let reply = first.lock().expect("whole").pop_front().unwrap_or(then);
    let (told, more) = seen;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    told.lock().expect("whole").posts.push((path, body));
    more.notify_all();
    let mut out = stream;
    match reply {
        Reply::Fine => out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok(),
        Reply::Fails => out.write_all(b"HTTP/1.1 500 Oh No\r\nContent-Length: 2\r\n\r\nno").ok(),
        Reply::Redirects => {
            let head = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
            out.write_all(head.as_bytes()).ok()
        }
        Reply::Hangs => {
            let _ = reader.read(&mut [0]);
            let _ = stream.shutdown(Shutdown::Both);
            None
        }
        Reply::Endless => {
            out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").ok()?;
            while out.write_all(b"8\r\nblahblah\r\n").is_ok() {}
            None
        }
    }
}
