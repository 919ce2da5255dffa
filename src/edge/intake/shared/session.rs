//! The socket's side of a session: asked for, granted, ended.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tracing::debug;

use super::follow::Follower;
use super::{GRANTED, MAGIC, REFUSED, REPLY_BYTES, Sessions, layout};
use crate::edge::intake::desk::Desk;
use crate::limits::{SHARED_SESSION_BYTES, SHARED_SESSIONS_MAX, UNIX_TRANSFER_DEADLINE_MS};
use crate::sys::doorbell::Doorbell;
use crate::sys::passing::send_with;
use crate::sys::shared::SharedMemory;

const TRANSFER_DEADLINE: Duration = Duration::from_millis(UNIX_TRANSFER_DEADLINE_MS);

/// One pool's memory and bells. When the last one lets go of it, all of it is given back.
pub(super) struct Session {
    pub(super) desk: Arc<Desk>,
    pub(super) chain_index: u8,
    pub(super) memory: SharedMemory,
    /// Rung by the pool.
    pub(super) ring: Doorbell,
    /// Rung by us.
    pub(super) bell: Doorbell,
    /// The pool is gone, or we are about to be; and a bell of our own for it, which nobody else can
    /// silence.
    pub(super) ended: AtomicBool,
    pub(super) end: Doorbell,
    /// The youngest block, by our own count, whose result is in the memory.
    pub(super) answered: Mutex<u64>,
    _place: OwnedSemaphorePermit,
}

impl Session {
    fn new(
        desk: Arc<Desk>,
        chain_index: u8,
        place: OwnedSemaphorePermit,
    ) -> io::Result<(Self, OwnedFd)> {
        let (memory, descriptor) = SharedMemory::create(SHARED_SESSION_BYTES as usize)?;
        layout::prepare(&memory);
        let session = Self {
            desk,
            chain_index,
            memory,
            ring: Doorbell::new()?,
            bell: Doorbell::new()?,
            ended: AtomicBool::new(false),
            end: Doorbell::new()?,
            answered: Mutex::new(0),
            _place: place,
        };
        Ok((session, descriptor))
    }
}

/// Ends the session's thread, also where its task is cut off.
struct EndOnDrop(Arc<Session>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
        self.0.end.ring();
    }
}

/// Serves a connection whose first bytes were [`MAGIC`], to its end.
pub(in crate::edge::intake) async fn serve(
    mut stream: UnixStream,
    desk: &Arc<Desk>,
    stop: &mut watch::Receiver<bool>,
    sessions: &Sessions,
) {
    let opened = match asked_for(&mut stream, desk).await {
        Ok(chain_index) => open(desk, chain_index, sessions),
        Err(reason) => Err(reason.to_owned()),
    };
    let (session, descriptor) = match opened {
        Ok(opened) => opened,
        Err(reason) => {
            debug!(reason, "a shared-memory session was refused");
            return refuse(&mut stream, &reason).await;
        }
    };
    let (alive, mut gone) = mpsc::channel(1);
    let follower = Follower::new(Arc::clone(&session), Handle::current(), alive, sessions.patience);
    let thread = std::thread::Builder::new().name("shared-intake".to_owned());
    if let Err(error) = thread.spawn(move || follower.run()) {
        return refuse(&mut stream, &format!("the engine can't start a thread: {error}")).await;
    }
    let ending = EndOnDrop(session);
    if grant(&stream, &ending.0, &descriptor).await.is_err() {
        return;
    }
    drop(descriptor);
    // Whatever is sent is read, as a connection that ends with unread bytes is reset, and what we say
    // then may not be heard.
    let mut unasked = [0; 4_096];
    let stopped = async { stop.wait_for(|stop| *stop).await.is_ok() };
    let reason = tokio::select! {
        read = stream.read(&mut unasked) => match read {
            Ok(0) | Err(_) => return,
            Ok(_) => "nothing may be sent on the socket of a session: ring instead",
        },
        _ = stopped => "the engine is stopping",
    };
    drop(ending);
    // What was rung is judged and answered first. The thread holds the other end until it is over.
    while gone.recv().await.is_some() {}
    refuse(&mut stream, reason).await;
}

/// The chain that is named in the rest of the request.
async fn asked_for(stream: &mut UnixStream, desk: &Desk) -> Result<u8, &'static str> {
    let reading = async {
        let mut chain = vec![0; usize::from(stream.read_u8().await?)];
        stream.read_exact(&mut chain).await?;
        Ok::<_, io::Error>(chain)
    };
    let read = tokio::time::timeout(TRANSFER_DEADLINE, reading).await;
    let chain = read.map_err(|_| "the request took too long to come in")?;
    let chain = chain.map_err(|_| "the request ended too early")?;
    let chain = String::from_utf8(chain).map_err(|_| "the chain name is not text")?;
    let named = if chain.is_empty() { Some(0) } else { desk.chain_index(&chain) };
    named.ok_or("no chain of this name is configured")
}

fn open(
    desk: &Arc<Desk>,
    chain_index: u8,
    sessions: &Sessions,
) -> Result<(Arc<Session>, OwnedFd), String> {
    let place = Arc::clone(&sessions.places).try_acquire_owned().map_err(|_| {
        format!("all {SHARED_SESSIONS_MAX} sessions are in use: close one, or share it")
    })?;
    let (session, descriptor) = Session::new(Arc::clone(desk), chain_index, place)
        .map_err(|error| format!("the kernel gives no memory or descriptors: {error}"))?;
    Ok((Arc::new(session), descriptor))
}

fn reply(status: u32, length: usize) -> [u8; REPLY_BYTES] {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let mut bytes = [0; REPLY_BYTES];
    let fields = [u32::from_le_bytes(MAGIC), layout::VERSION, status, length];
    for (place, field) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(fields) {
        *place = field.to_le_bytes();
    }
    bytes
}

async fn grant(stream: &UnixStream, session: &Session, memory: &OwnedFd) -> io::Result<()> {
    let bytes = reply(GRANTED, session.memory.length());
    let descriptors = [memory.as_fd(), session.ring.as_fd(), session.bell.as_fd()];
    let sending = stream.async_io(Interest::WRITABLE, || send_with(stream, &bytes, &descriptors));
    let sent = tokio::time::timeout(TRANSFER_DEADLINE, sending).await??;
    // Nothing else was ever sent here, so the socket has room for so little.
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

async fn refuse(stream: &mut UnixStream, reason: &str) {
    let text = [&reply(REFUSED, reason.len()), reason.as_bytes()].concat();
    // Whoever does not listen will notice the end.
    let _told = tokio::time::timeout(TRANSFER_DEADLINE, stream.write_all(&text)).await;
}
