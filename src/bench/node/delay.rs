//! A way with a delay between two programs on one host: what is written at one end is handed on at
//! the other when its time has come, both ways.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Bytes that are read at once.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces under way in one direction.
const PIECES: usize = 1_024;

/// All ways of one bench, on threads of their own. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Delays {
    runtime: Runtime,
    delay: Duration,
}

impl Delays {
    /// None yet; each will take `delay` in either direction, rounded up to whole ms.
    pub(super) fn start(delay: Duration) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .thread_name("delays")
            .build()?;
        Ok(Self { runtime, delay })
    }

    /// Opens a way to `target`: whoever connects to the address that this gives is connected to it.
    pub(super) fn way_to(&self, target: SocketAddr) -> io::Result<SocketAddr> {
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let delay = self.delay;
        self.runtime.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(async move {
                    // Whoever can't be reached is noticed by the one who asked for the way.
                    if let Ok(far) = TcpStream::connect(target).await {
                        join(near, far, delay);
                    }
                });
            }
        });
        Ok(address)
    }
}

fn join(near: TcpStream, far: TcpStream, delay: Duration) {
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (from_near, to_near) = near.into_split();
    let (from_far, to_far) = far.into_split();
    tokio::spawn(carry(from_near, to_far, delay));
    tokio::spawn(carry(from_far, to_near, delay));
}

/// Carries bytes one way until either end is gone.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (send, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    tokio::spawn(async move {
        while let Some((at, piece)) = due.recv().await {
            sleep_until(at).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    });
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        match from.read_buf(&mut piece).await {
            Ok(count) if count > 0 => {}
            _ => return,
        }
        if send.send((Instant::now() + delay, piece)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// Bytes come whole, in order, and no sooner than the delay says; an end is carried on.
    #[test]
    fn bytes_come_whole_and_not_too_soon() {
        let echo = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let target = echo.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let mut stream = echo.accept().unwrap().0;
            let mut bytes = vec![0; 500_000];
            stream.read_exact(&mut bytes).unwrap();
            stream.write_all(&bytes).unwrap();
        });
        let delay = Duration::from_millis(20);
        let delays = Delays::start(delay).unwrap();
        let mut stream = std::net::TcpStream::connect(delays.way_to(target).unwrap()).unwrap();
        let sent: Vec<u8> = (0..500_000_u32).map(|at| (at * 7 / 3) as u8).collect();
        let before = std::time::Instant::now();
        stream.write_all(&sent).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        assert!(before.elapsed() >= 2 * delay);
        assert!(received == sent, "the bytes differ");
        server.join().unwrap();
    }
}
