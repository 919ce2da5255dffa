//! The programs on tokio: a task per peer, which gets blocks over a channel.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Program;
use super::call;
use super::greet::Pongs;
use super::http::{BAD_REQUEST, CONTINUE, Request, Step};
use crate::limits::SEND_DEADLINE_MS;
use crate::wire::chain::Chain;
use crate::wire::frame::frame;
use crate::wire::message::name;

/// Blocks that may wait for one peer; a further one is not sent to it.
const JOBS_MAX: usize = 16;
/// How long the runtime may take to end.
const STOP: Duration = Duration::from_secs(5);
/// Bytes read from a peer at once.
const PEER_READ_BYTES: usize = 4_096;

/// Who makes the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Making {
    /// Each peer's task, its own.
    PerPeer,
    /// The intake, one for all.
    Once,
}

/// What a peer's task is to send.
#[derive(Clone, Debug)]
enum Load {
    /// A block, of which it makes the message.
    Block(Arc<call::Block>),
    /// The message.
    Message(Bytes),
}

#[derive(Clone, Debug)]
struct Job {
    load: Load,
    /// Dropped when it is done.
    _done: mpsc::Sender<()>,
}

struct Running {
    intake: SocketAddr,
    connected: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
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
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(STOP);
        }
    }
}

/// Starts a runtime with a thread per core.
pub(super) fn start(
    making: Making,
    chain: &'static Chain,
    listener: std::net::TcpListener,
    peers: Vec<std::net::TcpStream>,
) -> io::Result<Box<dyn Program>> {
    let intake = listener.local_addr()?;
    let connected = Arc::new(AtomicUsize::new(peers.len()));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("baseline").build()?;
    let _inside = runtime.enter();
    let mut channels = Vec::with_capacity(peers.len());
    for peer in peers {
        peer.set_nonblocking(true)?;
        let stream = TcpStream::from_std(peer)?;
        let (jobs, theirs) = mpsc::channel(JOBS_MAX);
        channels.push(jobs);
        let connected = Arc::clone(&connected);
        runtime.spawn(async move {
            // However it ends, the peer is lost.
            let _ = serve_peer(stream, theirs, chain).await;
            connected.fetch_sub(1, Ordering::Relaxed);
        });
    }
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let channels: Arc<[_]> = channels.into();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_caller(stream, Arc::clone(&channels), making, chain));
        }
    });
    drop(_inside);
    Ok(Box::new(Running { intake, connected, runtime: Some(runtime) }))
}

async fn serve_peer(
    mut stream: TcpStream,
    mut jobs: mpsc::Receiver<Job>,
    chain: &Chain,
) -> io::Result<()> {
    let mut pongs = Pongs::new(chain);
    let mut came = [0; PEER_READ_BYTES];
    let deadline = Duration::from_millis(SEND_DEADLINE_MS);
    loop {
        tokio::select! {
            biased;
            job = jobs.recv() => {
                let Some(job) = job else {
                    return Ok(());
                };
                let message = match &job.load {
                    Load::Block(block) => {
                        Bytes::from(frame(chain.magic, name::BLOCK, block.raw()))
                    }
                    Load::Message(message) => message.clone(),
                };
                timeout(deadline, stream.write_all(&message)).await??;
            }
            count = stream.read(&mut came) => {
                let count = count?;
                let came = came.get(..count).filter(|came| !came.is_empty());
                let came = came.ok_or(io::ErrorKind::UnexpectedEof)?;
                let pongs = pongs.answer(came).map_err(io::Error::other)?;
                if !pongs.is_empty() {
                    timeout(deadline, stream.write_all(&pongs)).await??;
                }
            }
        }
    }
}

async fn serve_caller(
    mut stream: TcpStream,
    peers: Arc<[mpsc::Sender<Job>]>,
    making: Making,
    chain: &Chain,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Request::new();
    loop {
        match request.step() {
            Step::NeedsMore => match stream.read(request.room()).await? {
                0 => return Ok(()),
                count => request.filled(count),
            },
            Step::Continue => stream.write_all(CONTINUE).await?,
            Step::Bad => return stream.write_all(BAD_REQUEST).await,
            Step::Whole => {
                let mut call = call::read(request.body(), chain);
                request.next();
                let answer = match call.take() {
                    Ok(block) => {
                        let load = match making {
                            Making::PerPeer => Load::Block(Arc::new(block)),
                            Making::Once => Load::Message(block.into_message(chain).into()),
                        };
                        send(load, &peers).await;
                        call.accepted()
                    }
                    Err(refused) => refused,
                };
                stream.write_all(&answer).await?;
            }
        }
    }
}

/// Gives `load` to every peer's task and waits until all are done with it.
async fn send(load: Load, peers: &[mpsc::Sender<Job>]) {
    let (done, mut all_done) = mpsc::channel(1);
    let job = Job { load, _done: done };
    for peer in peers {
        // Full: it is stalled. Closed: it is lost.
        let _ = peer.try_send(job.clone());
    }
    drop(job);
    // Nothing is ever sent on it: it ends when the last job is dropped.
    let _ = all_done.recv().await;
}
