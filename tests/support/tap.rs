//! A relay in front of a port that remembers what its callers sent.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::daemon::PATIENCE;

/// What callers sent, and how many of their connections are over.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    ended: usize,
}

/// The relay. Its threads end with the connections that they serve.
pub struct Tap {
    /// Where it listens.
    pub address: SocketAddr,
    heard: Arc<(Mutex<Heard>, Condvar)>,
}

impl Tap {
    /// Starts in front of `target`.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("bound");
        let heard = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
        let shared = Arc::clone(&heard);
        std::thread::spawn(move || {
            for caller in listener.incoming().map_while(Result::ok) {
                let Ok(port) = TcpStream::connect(target) else {
                    continue;
                };
                let (mut answers, mut back) =
                    (port.try_clone().unwrap(), caller.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ended = std::io::copy(&mut answers, &mut back);
                    let _closed = back.shutdown(std::net::Shutdown::Both);
                });
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || listen(caller, port, &shared));
            }
        });
        Self { address, heard }
    }

    /// Forgets what was sent so far.
    pub fn forget(&self) {
        self.heard.0.lock().unwrap_or_else(PoisonError::into_inner).bytes.clear();
    }

    /// How often callers have sent `part`.
    pub fn count(&self, part: &str) -> usize {
        let heard = self.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.bytes.windows(part.len()).filter(|it| *it == part.as_bytes()).count()
    }

    /// Waits until callers have sent `part`.
    pub fn wait_for(&self, part: &str) {
        self.wait(|heard| heard.bytes.windows(part.len()).any(|it| it == part.as_bytes()));
    }

    /// Waits until so many connections are over.
    pub fn wait_for_ends(&self, count: usize) {
        self.wait(|heard| heard.ended >= count);
    }

    /// Connections that are over.
    pub fn ends(&self) -> usize {
        self.heard.0.lock().unwrap_or_else(PoisonError::into_inner).ended
    }

    fn wait(&self, wished: impl Fn(&Heard) -> bool) {
        let (heard, more) = &*self.heard;
        let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        let (heard, _) = more.wait_timeout_while(heard, PATIENCE, |it| !wished(it)).unwrap();
        assert!(wished(&heard), "not in what the callers sent ({} bytes)", heard.bytes.len());
    }
}

fn listen(mut caller: TcpStream, mut port: TcpStream, heard: &(Mutex<Heard>, Condvar)) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = caller.read(&mut piece) {
        if port.write_all(&piece[..length]).is_err() {
            break;
        }
        let mut now = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.bytes.extend_from_slice(&piece[..length]);
        heard.1.notify_all();
    }
    let _closed = port.shutdown(std::net::Shutdown::Write);
    heard.0.lock().unwrap_or_else(PoisonError::into_inner).ended += 1;
    heard.1.notify_all();
}
