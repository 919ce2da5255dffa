//! One scout: its connection, from the dial to the end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::ScoutSettings;
use super::hearing::{End, Heard, Hearing};
use super::own::{OwnBlock, Wanted};
use crate::cold::dial::dial;
use crate::cold::gossip::{Fate, HeardAddress};
use crate::cold::roster::unforeseen;
use crate::limits::{
    SCOUT_PING_INTERVAL_MS, SCOUT_READ_BYTES, SCOUT_RECEIVE_BUFFER_BYTES, SCOUT_SILENCE_MS,
    SCOUT_WRITE_DEADLINE_MS, VISIT_MS_MAX,
};
use crate::sys::clock;
use crate::wire::frame::frame;
use crate::wire::handshake::PeerFacts;
use crate::wire::message::{encode_nonce, name};

const PING_INTERVAL: Duration = Duration::from_millis(SCOUT_PING_INTERVAL_MS);
const SILENCE: Duration = Duration::from_millis(SCOUT_SILENCE_MS);
const WRITE_DEADLINE: Duration = Duration::from_millis(SCOUT_WRITE_DEADLINE_MS);
const VISIT: Duration = Duration::from_millis(VISIT_MS_MAX);
/// Nodes tell of themselves and of newcomers unasked; more than so many at once are our answer.
const UNASKED: u64 = 1;

/// What a scout is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// To listen, until it is sent away.
    Listen,
    /// To ask for addresses, and go with the answer.
    Visit,
}

/// What a scout has to tell.
#[derive(Debug)]
pub(super) enum Tiding {
    Connected { address: SocketAddr, facts: PeerFacts },
    Announced { address: SocketAddr, hash: [u8; 32], at_ns: u64 },
    Told { address: SocketAddr, addresses: Vec<HeardAddress>, refused: Vec<(Fate, u64)> },
}

/// A scout on its way.
pub(super) struct Scout {
    pub(super) address: SocketAddr,
    pub(super) errand: Errand,
    pub(super) settings: Arc<ScoutSettings>,
    pub(super) tidings: mpsc::Sender<Tiding>,
    /// Becomes true when it is to go.
    pub(super) leave: watch::Receiver<bool>,
    /// Blocks of ours, to be offered.
    pub(super) given: watch::Receiver<Option<Arc<OwnBlock>>>,
}

impl Scout {
    /// Lives until the connection ends, or until it is sent away.
    pub(super) async fn run(self) -> End {
        let mut leave = self.leave.clone();
        let sent_away = async move { drop(leave.wait_for(|leave| *leave).await) };
        tokio::select! {
            end = self.live() => end,
            () = sent_away => End::ours("rotated"),
        }
    }

    async fn live(&self) -> End {
        let dialled = match dial(self.address, &self.settings.dial, unforeseen()).await {
            Ok(dialled) => dialled,
            Err(error) => {
                tracing::debug!(peer = %self.address, "no scout there: {error}");
                let (is_the_peers, is_lasting) = (error.is_the_peers(), error.is_lasting());
                return End { word: error.word(), is_the_peers, is_lasting };
            }
        };
        let Ok(stream) = TcpStream::from_std(dialled.socket.into()) else {
            return End::ours("local");
        };
        // What a peer can leave lying in the kernel is bounded too. Refused: it is what all have.
        let _ = SockRef::from(&stream).set_recv_buffer_size(SCOUT_RECEIVE_BUFFER_BYTES);
        if self.errand == Errand::Listen {
            self.tell(Tiding::Connected { address: self.address, facts: dialled.facts }).await;
        }
        match self.listen(stream).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn listen(&self, mut stream: TcpStream) -> Result<Infallible, End> {
        let (chain, wants_addresses) = (self.settings.dial.chain, self.settings.discover);
        let mut hearing = Hearing::new(chain, self.address, wants_addresses, clock::now_ns());
        if wants_addresses {
            write(&mut stream, &hearing.ask()).await?;
        }
        let mut given = self.given.clone();
        let mut input = [0; SCOUT_READ_BYTES];
        let began = Instant::now();
        let (mut heard_last, mut next_ping) = (began, began + PING_INTERVAL);
        loop {
            let ends = match self.errand {
                Errand::Listen => heard_last + SILENCE,
                Errand::Visit => began + VISIT,
            };
            let read = tokio::select! {
                read = stream.read(&mut input) => read,
                Ok(()) = given.changed() => {
                    let block = given.borrow_and_update().clone();
                    if let Some(block) = block.filter(|block| hearing.offer(block)) {
                        write(&mut stream, block.offer()).await?;
                    }
                    continue;
                }
                () = sleep_until(next_ping.min(ends)) => {
                    let now = Instant::now();
                    if now >= ends {
                        return Err(End::lost("silent"));
                    }
                    next_ping = now + PING_INTERVAL;
                    let ping = frame(chain.magic, name::PING, &encode_nonce(unforeseen()));
                    write(&mut stream, &ping).await?;
                    continue;
                }
            };
            let at_ns = clock::now_ns();
            let length = read.map_err(|_| End::lost("reset"))?;
            let Some(input) = input.get(..length).filter(|input| !input.is_empty()) else {
                return Err(End::lost("closed"));
            };
            heard_last = Instant::now();
            let heard = hearing.take(input, at_ns, epoch_s())?;
            write(&mut stream, &heard.reply).await?;
            for (block, wanted) in &heard.wanted {
                answer(&mut stream, block, wanted).await?;
            }
            self.pass_on(heard, at_ns).await?;
        }
    }

    async fn pass_on(&self, heard: Heard, at_ns: u64) -> Result<(), End> {
        let Heard { blocks, addresses, refused, told, .. } = heard;
        let (address, listens) = (self.address, self.errand == Errand::Listen);
        // Whoever is visited is connected already, and announces there what we sent there.
        for hash in blocks.into_iter().filter(|_| listens) {
            self.tell(Tiding::Announced { address, hash, at_ns }).await;
        }
        if told > 0 {
            self.tell(Tiding::Told { address, addresses, refused }).await;
        }
        if told > UNASKED && !listens {
            return Err(End::ours("visited"));
        }
        Ok(())
    }

    async fn tell(&self, tiding: Tiding) {
        // Nobody is left to hear it: this task ends with theirs.
        let _ = self.tidings.send(tiding).await;
    }
}

/// Sends what a peer wants of a block that it was offered.
async fn answer(stream: &mut TcpStream, block: &OwnBlock, wanted: &Wanted) -> Result<(), End> {
    // Never closed.
    let _place = block.answers.acquire().await;
    for piece in block.answer(wanted) {
        write(stream, &piece).await?;
    }
    Ok(())
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), End> {
    if bytes.is_empty() {
        return Ok(());
    }
    match timeout(WRITE_DEADLINE, stream.write_all(bytes)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::lost("reset")),
        Err(_) => Err(End::fault("stalled")),
    }
}

/// The clock on the wall, in epoch s.
pub(super) fn epoch_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
