//! The program on tokio-uring: a runtime of its own in a thread of its own, two tasks per peer.
//!
//! Sockets stay blocking: the ring waits for them itself, and gives up at once where they are not.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_uring::buf::BoundedBuf;
use tokio_uring::net::{TcpListener, TcpStream};

use super::Program;
use super::call;
use super::greet::Pongs;
use super::http::{BAD_REQUEST, CONTINUE, Request, Step};
use crate::limits::{SEND_DEADLINE_MS, SUBMISSIONS_MAX};
use crate::wire::chain::Chain;

/// Messages that may wait for one peer; a further one is not sent to it.
const JOBS_MAX: usize = 16;
/// Bytes read from a peer at once.
const PEER_READ_BYTES: usize = 4_096;

/// A message for one peer.
#[derive(Clone)]
struct Job {
    message: Bytes,
    /// Dropped when it is done.
    _done: Option<mpsc::Sender<()>>,
}

struct Running {
    intake: SocketAddr,
    connected: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Program for Running {
    fn intake(&self) -> SocketAddr {
        self.intake
    }

    fn connected(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }

    fn stop(self: Box<Self>) {}
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts the runtime in its thread.
pub(super) fn start(
    chain: &'static Chain,
    listener: std::net::TcpListener,
    peers: Vec<std::net::TcpStream>,
) -> io::Result<Box<dyn Program>> {
    let intake = listener.local_addr()?;
    let connected = Arc::new(AtomicUsize::new(peers.len()));
    let count = Arc::clone(&connected);
    let (stop, stopped) = oneshot::channel();
    let (report, reported) = std::sync::mpsc::channel();
    let thread = thread::Builder::new().name("baseline".to_owned()).spawn(move || {
        let mut builder = tokio_uring::builder();
        let ring = tokio_uring::Runtime::new(builder.entries(SUBMISSIONS_MAX));
        let ring = match ring {
            Ok(ring) => ring,
            Err(error) => return drop(report.send(Err(error))),
        };
        let _ = report.send(Ok(()));
        ring.block_on(serve(chain, listener, peers, count, stopped));
    })?;
    let running = Running { intake, connected, stop: Some(stop), thread: Some(thread) };
    reported.recv().map_err(io::Error::other)?.map_err(|error: io::Error| {
        let how = "allow it (sysctl kernel.io_uring_disabled=0, or the container's seccomp \
                   profile), or run Linux 5.11 or newer";
        io::Error::new(error.kind(), format!("tokio-uring can't run here ({error}): {how}"))
    })?;
    Ok(Box::new(running))
}

async fn serve(
    chain: &'static Chain,
    listener: std::net::TcpListener,
    peers: Vec<std::net::TcpStream>,
    connected: Arc<AtomicUsize>,
    stopped: oneshot::Receiver<()>,
) {
    let mut channels = Vec::with_capacity(peers.len());
    for peer in peers {
        let stream = Rc::new(TcpStream::from_std(peer));
        let (jobs, theirs) = mpsc::channel(JOBS_MAX);
        channels.push(jobs.clone());
        let (writing, connected) = (Rc::clone(&stream), Arc::clone(&connected));
        let writer = tokio_uring::spawn(async move { write_jobs(&writing, theirs).await });
        tokio_uring::spawn(async move {
            let _ = read_peer(&stream, jobs, chain).await;
            // Ends the writer, wherever it is.
            let _ = stream.shutdown(Shutdown::Both);
            writer.abort();
            connected.fetch_sub(1, Ordering::Relaxed);
        });
    }
    let listener = TcpListener::from_std(listener);
    let channels: Rc<[_]> = channels.into();
    let accepting = async {
        while let Ok((stream, _)) = listener.accept().await {
            tokio_uring::spawn(serve_caller(stream, Rc::clone(&channels), chain));
        }
    };
    tokio::select! {
        () = accepting => {}
        _ = stopped => {}
    }
}

/// Sends what comes over the channel, until the peer does not take it in time.
async fn write_jobs(stream: &TcpStream, mut jobs: mpsc::Receiver<Job>) {
    let deadline = Duration::from_millis(SEND_DEADLINE_MS);
    while let Some(job) = jobs.recv().await {
        let written = timeout(deadline, stream.write_all(job.message.clone())).await;
        if !matches!(written, Ok((Ok(()), _))) {
            // The reader sees it and ends.
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}

async fn read_peer(stream: &TcpStream, jobs: mpsc::Sender<Job>, chain: &Chain) -> io::Result<()> {
    let mut pongs = Pongs::new(chain);
    let mut room = vec![0; PEER_READ_BYTES];
    loop {
        let (count, came) = stream.read(room).await;
        let bytes = came.get(..count?).filter(|bytes| !bytes.is_empty());
        let bytes = bytes.ok_or(io::ErrorKind::UnexpectedEof)?;
        let pongs = pongs.answer(bytes).map_err(io::Error::other)?;
        if !pongs.is_empty() {
            // Behind the block that is on its way. Full: it is stalled.
            let _ = jobs.try_send(Job { message: pongs.into(), _done: None });
        }
        room = came;
    }
}

async fn serve_caller(
    stream: TcpStream,
    peers: Rc<[mpsc::Sender<Job>]>,
    chain: &Chain,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Request::new();
    loop {
        match request.step() {
            Step::NeedsMore => {
                let (room, filled) = request.take_room();
                let (count, room) = stream.read(room.slice(filled..)).await;
                request.put_room(room.into_inner());
                match count? {
                    0 => return Ok(()),
                    count => request.filled(count),
                }
            }
            Step::Continue => stream.write_all(CONTINUE).await.0?,
            Step::Bad => return stream.write_all(BAD_REQUEST).await.0,
            Step::Whole => {
                let mut call = call::read(request.body(), chain);
                request.next();
                let answer = match call.take() {
                    Ok(block) => {
                        send(block.into_message(chain).into(), &peers).await;
                        call.accepted()
                    }
                    Err(refused) => refused,
                };
                stream.write_all(answer).await.0?;
            }
        }
    }
}

/// Gives `message` to every peer's writer and waits until all are done with it.
async fn send(message: Bytes, peers: &[mpsc::Sender<Job>]) {
    let (done, mut all_done) = mpsc::channel(1);
    let job = Job { message, _done: Some(done) };
    for peer in peers {
        let _ = peer.try_send(job.clone());
    }
    drop(job);
    let _ = all_done.recv().await;
}
