//! Simulated peers on loopback, for this room's tests: real sockets, the real handshake code.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::wire::chain::{self, Chain, Network};
use crate::wire::frame::frame;
use crate::wire::handshake::{Handshake, HandshakeSettings, PeerFacts, Progress};

/// What a simulated peer does with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Completes the handshake and keeps the connection.
    Polite,
    /// The same, one byte at a time.
    Slow,
    /// The same, with pings and a message in two pieces behind its verack.
    Chatty,
    /// Accepts and says nothing.
    Silent,
    /// Sends these bytes.
    Says(Vec<u8>),
    /// Sends back what it gets: our own version.
    Mirror,
    /// Closes before it says anything.
    Closes,
    /// Completes the handshake with these services.
    Serves(u64),
}

/// One of them. Gone, with all its connections, when dropped.
#[derive(Debug)]
pub(crate) struct FakePeer {
    pub(crate) address: SocketAddr,
    /// Connections greeted so far.
    greeted: watch::Receiver<usize>,
    streams: Arc<Mutex<Vec<(TcpStream, PeerFacts)>>>,
    task: JoinHandle<()>,
}

impl Drop for FakePeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A port that is ours while this lives, whether anybody listens on it or not.
#[derive(Debug)]
pub(crate) struct Reserved(TcpSocket);

impl Reserved {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseport(true).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

/// A private network's row; any will do.
pub(crate) fn row() -> &'static Chain {
    chain::all().find(|row| row.network == Network::Regtest && row.has_mweb).unwrap()
}

impl FakePeer {
    /// Listens on a free port.
    pub(crate) async fn start(manner: Manner) -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), manner)
    }

    /// Listens on a reserved address.
    pub(crate) fn start_at(reserved: &Reserved, manner: Manner) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseport(true).unwrap();
        socket.bind(reserved.address()).unwrap();
        Self::serve(socket.listen(16).unwrap(), manner)
    }

    fn serve(listener: TcpListener, manner: Manner) -> Self {
        let address = listener.local_addr().unwrap();
        let (sender, greeted) = watch::channel(0);
        let streams = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&streams);
        let task = tokio::spawn(async move {
            // Connections still being greeted; they end with this task.
            let mut busy = tokio::task::JoinSet::new();
            let sender = Arc::new(sender);
            while let Ok((stream, remote)) = listener.accept().await {
                let (manner, kept, sender) = (manner.clone(), Arc::clone(&kept), sender.clone());
                busy.spawn(async move {
                    if let Some(stream) = receive(stream, remote, manner).await {
                        kept.lock().unwrap().push(stream);
                        sender.send_modify(|count| *count += 1);
                    }
                });
            }
        });
        Self { address, greeted, streams, task }
    }

    /// Waits until so many connections have been greeted in all.
    pub(crate) async fn wait_greeted(&self, count: usize) {
        self.greeted.clone().wait_for(|greeted| *greeted >= count).await.unwrap();
    }

    /// Takes its end of the connections that it keeps, and who is at the other end.
    pub(crate) fn take_streams(&self) -> Vec<(TcpStream, PeerFacts)> {
        std::mem::take(&mut self.streams.lock().unwrap())
    }
}

async fn receive(
    mut stream: TcpStream,
    remote: SocketAddr,
    manner: Manner,
) -> Option<(TcpStream, PeerFacts)> {
    let mut input = [0; 4_096];
    match manner {
        Manner::Polite => greet(stream, remote, all_services(), false, &[]).await,
        Manner::Slow => greet(stream, remote, all_services(), true, &[]).await,
        Manner::Chatty => {
            let mut more = frame(row().magic, "ping", &7u64.to_le_bytes());
            more.extend(frame(row().magic, "inv", &[0; 300]));
            greet(stream, remote, all_services(), false, &more).await
        }
        Manner::Serves(services) => greet(stream, remote, services, false, &[]).await,
        Manner::Silent => {
            while stream.read(&mut input).await.ok()? > 0 {}
            None
        }
        Manner::Says(bytes) => {
            stream.write_all(&bytes).await.ok()?;
            while stream.read(&mut input).await.ok()? > 0 {}
            None
        }
        Manner::Mirror => loop {
            let length = stream.read(&mut input).await.ok().filter(|length| *length > 0)?;
            stream.write_all(&input[..length]).await.ok()?;
        },
        Manner::Closes => None,
    }
}

fn all_services() -> u64 {
    row().services_wanted | chain::SERVICE_NETWORK
}

/// The listener's side of a handshake; `more` goes out in two pieces right behind the verack.
async fn greet(
    mut stream: TcpStream,
    remote: SocketAddr,
    services: u64,
    is_slow: bool,
    more: &[u8],
) -> Option<(TcpStream, PeerFacts)> {
    stream.set_nodelay(true).ok()?;
    let mut handshake = Handshake::new(HandshakeSettings {
        chain: row(),
        nonce: u64::from(remote.port()),
        now_s: 0,
        user_agent: "/fake:1.0/".into(),
        start_height: 123,
        services,
        relay: true,
        remote,
        want_sendcmpct: Some((false, row().compact_version)),
        initiator: false,
    });
    let mut input = [0; 4_096];
    loop {
        let length = stream.read(&mut input).await.ok().filter(|length| *length > 0)?;
        let (reply, greeted) = match handshake.receive(&input[..length]).ok()? {
            Progress::NeedsMore { reply } => (reply, None),
            Progress::Done { mut reply, peer } => {
                let (first, second) = more.split_at(more.len() / 2);
                reply.extend(first);
                stream.write_all(&reply).await.ok()?;
                (second.to_vec(), Some(peer))
            }
        };
        for piece in reply.chunks(if is_slow { 1 } else { usize::MAX }) {
            stream.write_all(piece).await.ok()?;
        }
        if let Some(facts) = greeted {
            return Some((stream, facts));
        }
    }
}
