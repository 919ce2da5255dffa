//! Made-up rosters and blocks to draw.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::super::text;
use super::HOSTILE;
use crate::cold::alert::{Alert, AlertView};
use crate::cold::atlas::Region;
use crate::cold::cover::ChosenBy;
use crate::cold::directory::{Directory, PeerLabel};
use crate::cold::diversity::Kin;
use crate::cold::node::verdict::Verdict;
use crate::cold::roster::{AbsentPeer, PeerRow, PlaceChange, RosterChange, RosterView};
use crate::cold::score::Standing;
use crate::cold::stats::{BlockLog, BlockMeta, KernelTimes, Stages, StolenTime, Thief, thief_name};
use crate::cold::store::Source;
use crate::cold::uplink::{PathFacts, UplinkView};
use crate::edge::http::state::HttpState;
use crate::edge::http::testing;
use crate::hot::link::{ImageId, Outcome, PeerId, Report, Way};
use crate::sys::bpf::Runner;
use crate::wire::chain::{self, Chain, Network};
use crate::wire::hash::BlockHash;

fn plain_chain() -> &'static Chain {
    chain::find(chain::names()[1], Network::Main).expect("every name has a main row")
}

fn address(place: u64) -> SocketAddr {
    ([203, (place >> 8) as u8, place as u8, 7], 9_333).into()
}

fn peer(place: u64, user_agent: &str) -> PeerRow {
    let region = Region::parse(["EU", "NA", "AS", "SA"][place as usize % 4]);
    let standing = match place {
        3 => Standing::Protected,
        1 => Standing::Fixed,
        _ => Standing::Ordinary,
    };
    PeerRow {
        label: PeerLabel {
            address: address(place),
            user_agent: user_agent.to_owned(),
            protected: place == 3,
        },
        standing,
        score: 120.0,
        rank_value: 100.0,
        rank: place as u32,
        seat: (place as u32, ChosenBy::Cover),
        kin: Kin { netgroup: None, as_number: Some(64_500 + place as u32 % 9), region },
        path: PathFacts {
            window_bytes: 87_000 * place,
            warm: !place.is_multiple_of(3),
            ..PathFacts::default()
        },
        round_trip_us: Some(9_000 + 4_300 * place as u32),
        delivery_ms: Some(12.0 + place as f64),
        successful_broadcasts: 46,
        failed_broadcasts: place % 2,
        echoes: 3,
        announced: 9,
        takes_compact: true,
        ..testing::peer_row(place as u32, user_agent)
    }
}

fn absent(place: u64) -> AbsentPeer {
    AbsentPeer {
        address: address(60_000 + place),
        standing: Standing::Fixed,
        source: Source::Operator,
        score: 50.0,
        is_dialled: place == 1,
        failures: 3,
        next_try_in: Duration::from_secs(42),
        wait: Duration::from_secs(60),
        last_failure: Some("refused"),
        successful_broadcasts: 0,
        failed_broadcasts: 2,
        seen_s: (1.0, 2.0),
    }
}

pub(super) fn roster(peers: u64, user_agent: &str) -> RosterView {
    let at_s = now_s() - 100.0;
    let moved = PlaceChange::Moved { from: 7, to: 2 };
    let changes = [moved, PlaceChange::Joined, PlaceChange::Left("reset")];
    RosterView {
        connected: peers as u32,
        max: 1_000,
        min: 2,
        aimed: 1_000,
        known: 4_321,
        node_connected: Some(true),
        peers: (0..peers).map(|place| peer(place, user_agent)).collect(),
        absent: (0..peers.min(30) / 10).map(absent).collect(),
        changes: changes.map(|change| RosterChange { at_s, address: address(1), change }).to_vec(),
        drops: BTreeMap::new(),
        ..RosterView::default()
    }
}

fn now_s() -> f64 {
    text::now_ms() as f64 / 1e3
}

/// A block that every peer has taken, each a little later than the one before.
pub(super) fn broadcast(log: &BlockLog, image: u64, peers: u64, word: &str) -> BlockHash {
    let published_ns = 1_000_000_000 * image;
    let after = |us: u64| published_ns + us * 1_000;
    let before = |us: u64| published_ns - us * 1_000;
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&image.to_le_bytes());
    let hash = BlockHash(hash);
    let stages = Stages {
        header_ns: before(11_000),
        work_checked_ns: before(10_900),
        walked_ns: before(600),
        checked_ns: before(300),
        compact_ns: before(100),
        node_first_byte_ns: before(2_000),
        node_last_byte_ns: after(1_000),
    };
    log.begin(
        ImageId(image),
        BlockMeta {
            chain_index: 0,
            chain: plain_chain(),
            hash,
            height: Some(2_800_000 + image as u32),
            size_bytes: 812_345,
            transactions: 1_234,
            first_byte_ns: before(12_000),
            last_byte_ns: before(1_000),
            published_ns,
            received_unix_ms: text::now_ms() - 90_000,
            stages,
        },
    );
    log.on_report(&Report::Offered {
        image: ImageId(image),
        shard: 0,
        offers: peers as u32,
        at_ns: 1,
    });
    for place in 0..peers {
        let late_us = 60 * place + 97 * (image * 31 % 17);
        let (image, peer) = (ImageId(image), PeerId::new(0, place));
        let outcome = if place % 19 == 18 { Outcome::Unanswered } else { Outcome::Handled };
        log.on_report(&Report::Settled {
            image,
            peer,
            outcome,
            way: Way::Full,
            sent_bytes: 812_345,
            submitted_ns: after(20 + place),
            sent_ns: after(400 + late_us),
            acked_ns: after(14_000 + 4 * late_us),
            handled_ns: if outcome == Outcome::Handled { after(19_000 + 9 * late_us) } else { 0 },
        });
        if place % 3 == 0 {
            let at_ns = after(22_000 + 9 * late_us);
            log.on_report(&Report::Echo { image, peer, at_ns, sent_before: place > 0 });
        }
    }
    log.note_verdict(0, &hash, "http://127.0.0.1:9332", true, &Verdict::Accepted, after(24_000));
    let verdict = Verdict::Refused(word.to_owned());
    log.note_verdict(0, &hash, HOSTILE, false, &verdict, after(31_000));
    note_kernel(log, ImageId(image), peers, published_ns);
    hash
}

/// What the kernel saw of it: a thread can call itself anything.
fn note_kernel(log: &BlockLog, image: ImageId, peers: u64, published_ns: u64) {
    let times = |place: u64| {
        let after = |us: u64| published_ns + (us + 60 * place) * 1_000;
        let [given_ns, queued_ns, wire_ns, acked_ns] = [399, 400, 410, 13_900].map(after);
        (image, PeerId::new(0, place), KernelTimes { given_ns, queued_ns, wire_ns, acked_ns })
    };
    log.note_kernel_times(&(0..peers).map(times).collect::<Vec<_>>());
    let thief = Thief {
        core: 3,
        runner: Runner::Task,
        number: 4_242,
        name: thief_name(b"<b>\x1bthief\xff"),
        count: 2,
        total_ns: 31_000,
        longest_ns: 30_000,
    };
    let (rest_count, rest_ns) = (7, 900);
    log.note_stolen(
        image,
        StolenTime { thieves: vec![thief], rest_count, rest_ns, may_lack: true },
    );
}

/// So many peers, and as many blocks.
pub(super) fn state(
    peers: u64,
    blocks: u64,
    user_agent: &str,
) -> (HttpState, watch::Sender<Arc<RosterView>>) {
    let directory = Arc::new(Directory::default());
    (0..peers).for_each(|place| directory.insert(PeerId::new(0, place), peer(place, "").label));
    let log = Arc::new(BlockLog::new(directory, 1));
    (1..=blocks).for_each(|image| {
        broadcast(&log, image, peers, HOSTILE);
    });
    let rosters = watch::Sender::new(Arc::new(roster(peers, user_agent)));
    let told = format!("the node refused a block: {HOSTILE}");
    let alert = |cleared_unix_ms| Alert {
        since_unix_ms: text::now_ms() - 5_000,
        cleared_unix_ms,
        ..testing::alert(plain_chain(), HOSTILE, &told)
    };
    let alerts = AlertView { active: vec![alert(None)], past: vec![alert(Some(text::now_ms()))] };
    let uplink = UplinkView {
        state: "learnt",
        bits_per_s: Some(94_100_000),
        route: Some(HOSTILE.to_owned()),
        doubt: Some("the card says less".to_owned()),
        ..UplinkView::default()
    };
    let mut state = testing::state(plain_chain(), &log, RosterView::default());
    state.chains.iter_mut().for_each(|chain| chain.roster = rosters.subscribe());
    state.uplink = watch::Sender::new(Arc::new(uplink)).subscribe();
    if blocks > 0 {
        state.alerts = watch::Sender::new(Arc::new(alerts)).subscribe();
    }
    (state, rosters)
}
