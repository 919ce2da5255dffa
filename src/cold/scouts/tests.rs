//! Scouts and a real roster against simulated peers on loopback.

mod offering;

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::listen::{Errand, Scout};
use super::own::Wanted;
use super::*;
use crate::cold::dial::{FakePeer, Manner, row};
use crate::cold::directory::Directory;
use crate::cold::gossip::HeardAddress;
use crate::cold::roster::{Roster, RosterSettings, RosterView, ScoutNews, SlotTable};
use crate::cold::seeds::LookUp;
use crate::cold::stats::{BlockMeta, Stages};
use crate::hot::link::{ImageId, Link};
use crate::limits::{SCOUT_MEMORY_BYTES_MAX, SCOUT_MESSAGE_BYTES};
use crate::sys::doorbell::Doorbell;
use crate::wire::chain::{self, SERVICE_NETWORK};
use crate::wire::frame::{FrameReader, frame};
use crate::wire::hash::BlockHash;
use crate::wire::message::{AddressRecord, InvItem, NetworkAddress, encode_addr, encode_inv, name};

/// Nothing here takes this long: a test that would hang fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A resolver that names 10,000 hosts of the Internet, all close together, which nobody dials.
struct Liar;

impl Resolver for Liar {
    fn look_up<'a>(&'a self, _: &'a str, most: usize) -> LookUp<'a> {
        let ips = (0..10_000_u32).map(|it| IpAddr::from((0x0808_0000 + it).to_be_bytes()));
        let found = ips.take(most + 1).collect();
        Box::pin(async move { io::Result::Ok(found) })
    }
}

struct World {
    roster: RosterHandle,
    scouts: ScoutsHandle,
    log: Arc<BlockLog>,
    _folder: tempfile::TempDir,
}

impl World {
    fn new(change: impl FnOnce(&mut RosterSettings, &mut ScoutSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = RosterSettings {
            chain_index: 0,
            chain: row(),
            node_p2p: None,
            fixed: Vec::new(),
            max: 0,
            min: 0,
            refresh: Duration::from_millis(50),
            bootstrap: false,
            discover: true,
            scouts: 4,
            relay: crate::hot::link::Relay::Full,
            selection: crate::cold::cover::Selection::Seed,
            atlas: Arc::default(),
            regions: Vec::new(),
            database: folder.path().join("peers.json"),
            proxy: None,
            user_agent: "/broadside-test:1/".into(),
        };
        let mut told = ScoutSettings {
            chain_index: 0,
            dial: DialSettings::new(row(), "/broadside-test:1/".into()),
            scouts: 4,
            discover: true,
            seeds: false,
            refresh: Duration::from_millis(50),
            stay: Duration::from_secs(3_600),
            own: watch::channel(None).1,
        };
        change(&mut settings, &mut told);
        settings.scouts = told.scouts;
        let link = Arc::new(Link::new(0, Arc::new(Doorbell::new().unwrap())).unwrap());
        let slots = Arc::new(SlotTable::with_places(vec![link], 16));
        let directory = Arc::new(Directory::default());
        let log = Arc::new(BlockLog::new(Arc::clone(&directory), 1));
        let roster = Roster::spawn_with(settings, slots, directory, None);
        let (told_of, liar) = (Some(Arc::clone(&log)), Arc::new(Liar));
        let scouts = Scouts::spawn_with(told, roster.clone(), told_of, liar);
        Self { roster, scouts, log, _folder: folder }
    }

    /// Has the roster hear of these.
    fn tell(&self, peers: &[FakePeer]) {
        let heard = |peer: &FakePeer| HeardAddress {
            address: peer.address,
            services: row().services_wanted | SERVICE_NETWORK,
            last_seen_s: listen::epoch_s(),
            onion: None,
        };
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        let addresses = peers.iter().map(heard).collect();
        self.roster.scout_news(ScoutNews::Heard { from, addresses });
    }

    async fn wait(&self, wanted: impl Fn(&RosterView) -> bool) -> Arc<RosterView> {
        let mut view = self.roster.view.clone();
        match tokio::time::timeout(PATIENCE, view.wait_for(|view| wanted(view))).await {
            Ok(view) => Arc::clone(&view.unwrap()),
            Err(_) => panic!("the view stays {:?}", self.roster.view.borrow()),
        }
    }
}

async fn polite(count: usize) -> Vec<FakePeer> {
    let mut peers = Vec::new();
    for _ in 0..count {
        peers.push(FakePeer::start(Manner::Polite).await);
    }
    peers
}

/// The peer's end of its newest connection.
async fn line(peer: &FakePeer, connections: usize) -> TcpStream {
    peer.wait_greeted(connections).await;
    peer.take_streams().pop().unwrap().0
}

async fn send(stream: &mut TcpStream, command: &str, payload: &[u8]) {
    stream.write_all(&frame(row().magic, command, payload)).await.unwrap();
}

/// Reads messages until one is a `command`; its payload.
async fn read_until(stream: &mut TcpStream, command: &str) -> Vec<u8> {
    message(stream, command).await.0
}

/// The same, and the names of those before it.
async fn message(stream: &mut TcpStream, command: &str) -> (Vec<u8>, Vec<String>) {
    let mut before = Vec::new();
    let reading = async {
        loop {
            let mut header = [0; 24];
            stream.read_exact(&mut header).await.unwrap();
            let length = u32::from_le_bytes(header[16..20].try_into().unwrap());
            let mut payload = vec![0; length as usize];
            stream.read_exact(&mut payload).await.unwrap();
            if header[4..16].starts_with(command.as_bytes()) {
                return payload;
            }
            before.push(String::from_utf8_lossy(&header[4..16]).into_owned());
        }
    };
    (tokio::time::timeout(PATIENCE, reading).await.expect(command), before)
}

fn record(address: SocketAddr) -> AddressRecord {
    AddressRecord {
        time_s: u32::try_from(listen::epoch_s()).unwrap(),
        services: row().services_wanted | SERVICE_NETWORK,
        address: NetworkAddress::Ip(address),
    }
}

fn meta(hash: [u8; 32]) -> BlockMeta {
    BlockMeta {
        chain_index: 0,
        chain: row(),
        hash: BlockHash(hash),
        height: None,
        size_bytes: 1,
        transactions: 1,
        first_byte_ns: 1,
        last_byte_ns: 1,
        published_ns: 1,
        received_unix_ms: 1,
        stages: Stages::default(),
    }
}

#[test]
fn a_scout_is_as_small_as_is_said() {
    let (tidings, _heard) = mpsc::channel(1);
    let (_stay, leave) = watch::channel(false);
    let settings = Arc::new(ScoutSettings {
        chain_index: 0,
        dial: DialSettings::new(row(), String::new()),
        scouts: 1,
        discover: true,
        seeds: false,
        refresh: Duration::ZERO,
        stay: Duration::ZERO,
        own: watch::channel(None).1,
    });
    let given = watch::channel(None).1;
    let (address, errand) = (SocketAddr::from(([127, 0, 0, 1], 1)), Errand::Listen);
    let task = Scout { address, errand, settings, tidings, leave, given }.run();
    let bytes = size_of_val(&task) + size_of::<FrameReader<SCOUT_MESSAGE_BYTES>>();
    println!("one scout: {bytes} bytes");
    assert!(bytes <= SCOUT_MEMORY_BYTES_MAX);
}

#[tokio::test]
async fn a_scout_asks_once_answers_and_witnesses() {
    let (world, peers) = (World::new(|_, _| {}), polite(2).await);
    world.tell(&peers[..1]);
    let mut line = line(&peers[0], 1).await;
    read_until(&mut line, name::GETADDR).await;
    world.wait(|view| view.scouts.connected == 1 && view.scouts.wanted == 4).await;
    send(&mut line, name::PING, &[7; 8]).await;
    assert_eq!(read_until(&mut line, name::PONG).await, [7; 8]);
    let told = [
        record(peers[1].address),
        record("127.0.0.1:22".parse().unwrap()),
        record("0.0.0.0:9333".parse().unwrap()),
        record(peers[0].address),
    ];
    send(&mut line, name::ADDR, &encode_addr(&told)).await;
    let view = world.wait(|view| view.scouts.connected == 2).await;
    let expected = [("known", 1), ("port", 1), ("taken", 2), ("unroutable", 1)];
    assert_eq!(view.addresses.clone().into_iter().collect::<Vec<_>>(), expected);
    world.log.begin(ImageId(1), meta([9; 32]));
    let items = [[8; 32], [9; 32]].map(|hash| InvItem { kind: InvItem::BLOCK, hash });
    for _ in 0..3 {
        send(&mut line, name::INV, &encode_inv(&items)).await;
    }
    send(&mut line, name::PING, &[8; 8]).await;
    assert_eq!(read_until(&mut line, name::PONG).await, [8; 8], "and it asks nothing more");
    let witnessed = async {
        while world.log.counts(ImageId(1)).unwrap().witnesses == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, witnessed).await.expect("witnessed");
    world.scouts.stop().await;
    assert_eq!(world.log.counts(ImageId(1)).unwrap().witnesses, 1, "one peer, one witness");
    assert_eq!(line.read(&mut [0; 8]).await.unwrap_or(0), 0, "closed");
    world.roster.stop().await;
}

#[tokio::test]
async fn without_leave_to_discover_nothing_is_asked_or_taken() {
    let (world, peers) = (World::new(|_, scouts| scouts.discover = false), polite(1).await);
    world.tell(&peers);
    let mut line = line(&peers[0], 1).await;
    let told = [record("127.0.0.1:9".parse().unwrap()), record("127.0.0.1:40404".parse().unwrap())];
    send(&mut line, name::ADDR, &encode_addr(&told)).await;
    send(&mut line, name::PING, &[7; 8]).await;
    let (_, before) = message(&mut line, name::PONG).await;
    assert!(!before.iter().any(|command| command.starts_with(name::GETADDR)), "{before:?}");
    assert_eq!(world.wait(|view| view.scouts.connected == 1).await.addresses["taken"], 1);
    world.scouts.stop().await;
}

#[tokio::test]
async fn garbage_and_floods_end_a_connection() {
    let magic = row().magic;
    let mut spoilt = frame(magic, name::PING, &[1; 8]);
    spoilt[30] ^= 1;
    let endless = [0xfd, 0xe9, 0x03];
    let cases = [
        ("garbage", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("garbage", spoilt.repeat(3)),
        ("flood", frame(magic, name::ADDR, &endless)),
        ("flood", frame(magic, name::PONG, &[1; 8]).repeat(2_100)),
        ("closed", Vec::new()),
    ];
    let (world, peers) = (World::new(|_, scouts| scouts.scouts = 5), polite(cases.len()).await);
    world.tell(&peers);
    for (peer, (_, bytes)) in peers.iter().zip(&cases) {
        let mut line = line(peer, 1).await;
        // It may close on us in the middle.
        let _ = line.write_all(bytes).await;
        if bytes.is_empty() {
            continue;
        }
        while line.read(&mut [0; 256]).await.is_ok_and(|length| length > 0) {}
    }
    // A close with bytes unread arrives as a reset.
    let of = |view: &RosterView, word| view.drops.get(word).copied().unwrap_or(0);
    let counts = |view: &RosterView| {
        (of(view, "flood"), of(view, "garbage"), of(view, "closed") + of(view, "reset"))
    };
    world.wait(|view| counts(view) == (2, 2, 1)).await;
    assert!(world.roster.view.borrow().scouts.connected == 0);
    world.scouts.stop().await;
}

#[tokio::test]
async fn scouts_go_round_and_are_never_too_many() {
    let world = World::new(|_, scouts| (scouts.scouts, scouts.stay) = (2, Duration::ZERO));
    let peers = polite(7).await;
    world.tell(&peers);
    let mut waiting: HashSet<usize> = (0..peers.len()).collect();
    let all = async {
        while !waiting.is_empty() {
            let mut here = Vec::new();
            for at in &waiting {
                if !peers[*at].take_streams().is_empty() {
                    here.push(*at);
                }
            }
            waiting.retain(|at| !here.contains(at));
            assert!(world.roster.view.borrow().scouts.connected <= 3);
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("everybody has had his turn");
    world.scouts.stop().await;
}

#[tokio::test]
async fn a_connected_peer_is_visited_for_addresses() {
    let peers = polite(2).await;
    let world = World::new(|roster, scouts| {
        roster.fixed = vec![peers[0].address];
        (roster.max, scouts.scouts) = (2, 0);
    });
    peers[0].wait_greeted(2).await;
    for (mut line, _) in peers[0].take_streams() {
        // Only one of the two connections will ask; the other belongs to the roster.
        let told = [record(peers[1].address), record("127.0.0.1:9".parse().unwrap())];
        send(&mut line, name::ADDR, &encode_addr(&told)).await;
        tokio::spawn(async move { while line.read(&mut [0; 256]).await.is_ok_and(|it| it > 0) {} });
    }
    peers[1].wait_greeted(1).await;
    let view = world.wait(|view| view.connected == 2).await;
    assert_eq!((view.addresses["taken"], view.scouts.connected), (1, 0));
    world.scouts.stop().await;
}

/// Nobody is dialled here: the roster has no places, and there are no scouts.
#[tokio::test]
async fn dns_seeds_that_lie_are_bounded() {
    let public = chain::all().max_by_key(|row| row.dns_seeds.len()).unwrap();
    let world = World::new(|roster, scouts| {
        roster.chain = public;
        scouts.dial.chain = public;
        (scouts.scouts, scouts.seeds) = (0, true);
    });
    let view = world.wait(|view| view.addresses.values().sum::<u64>() >= 3 * 256).await;
    assert_eq!((view.addresses["taken"], view.known), (200, 200), "all are in one network");
    assert!(view.addresses["group-full"] >= 56 && view.dials.attempts == 0);
    world.scouts.stop().await;
}
