//! The roster and what scouts tell it, with the test in the place of the scouts.

use std::time::Instant;

use super::*;
use crate::cold::atlas::Atlas;
use crate::cold::cover::Cover;
use crate::cold::gossip::{Fate, Gossip, HeardAddress, SourceGroup};
use crate::cold::store::{Ban, Edit, PeerBook};
use crate::limits::PEER_ENTRIES_MAX;
use crate::wire::handshake::PeerFacts;

fn heard(address: SocketAddr) -> HeardAddress {
    let (services, last_seen_s) = (row().services_wanted | 1, keeper::epoch_s() as u64 - 60);
    HeardAddress { address, services, last_seen_s, onion: None }
}

fn at(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 9, number], row().p2p_port))
}

/// Has the roster hear of these.
fn tell(bench: &Bench, addresses: impl IntoIterator<Item = SocketAddr>) {
    let addresses = addresses.into_iter().map(heard).collect();
    bench.handle().scout_news(ScoutNews::Heard { from: at(1), addresses });
}

async fn draw(bench: &Bench, wanted: usize) -> Drawn {
    let (reply, answer) = oneshot::channel();
    bench.handle().scout_news(ScoutNews::Draw { wanted, reply });
    let mut drawn = answer.await.unwrap();
    drawn.listen.sort_unstable();
    drawn
}

fn ended(bench: &Bench, address: SocketAddr, word: &'static str, is_the_peers: bool) {
    let news = ScoutNews::Ended { address, word, is_the_peers, is_lasting: false };
    bench.handle().scout_news(news);
}

#[tokio::test]
async fn scouts_are_sent_to_nobody_who_is_kept_banned_connected_or_in_hand() {
    let (node, fixed) =
        (FakePeer::start(Manner::Polite).await, FakePeer::start(Manner::Polite).await);
    let mut bench = Bench::new(|settings| {
        settings.node_p2p = Some(node.address);
        settings.fixed = vec![fixed.address];
        (settings.max, settings.scouts) = (2, 50);
    });
    let mut book = PeerBook::default();
    assert!(book.ban(Ban::place(at(3)), 1.0));
    let mut store = Store::new(bench.store_settings());
    store.claim(Duration::ZERO).unwrap();
    store.save(&book, keeper::epoch_s()).unwrap();
    drop(store);
    bench.start();
    let unknown = draw(&bench, 10).await;
    assert!(unknown.listen.is_empty() && unknown.is_short && unknown.is_empty);
    bench.adopt(2).await;
    tell(&bench, [node.address, fixed.address, at(1), at(2), at(3), at(4)]);
    assert!(draw(&bench, 0).await.listen.is_empty());
    let first = draw(&bench, 2).await.listen;
    let second = draw(&bench, 10).await;
    let mut all = [first.clone(), second.listen].concat();
    all.sort_unstable();
    assert_eq!(all, [at(1), at(2), at(4)]);
    assert!(second.is_short && !second.is_empty);
    assert!(draw(&bench, 10).await.listen.is_empty(), "all are in hand");
    // One goes by our own wish and may be drawn again, one has failed and is put off.
    ended(&bench, first[0], "rotated", false);
    ended(&bench, first[1], "refused", true);
    assert_eq!(draw(&bench, 10).await.listen, [first[0]]);
    let view = bench.wait(|view| view.drops.contains_key("refused")).await;
    let told = [("banned", 1), ("known", 2), ("taken", 3)];
    assert_eq!(view.addresses.clone().into_iter().collect::<Vec<_>>(), told);
    bench.stop().await;
    let saved = bench.saved();
    let (rotated, failed) = (saved.get(first[0]).unwrap(), saved.get(first[1]).unwrap());
    assert_eq!((rotated.score, rotated.next_try_s, failed.score), (50.0, 0.0, 30.0));
    assert!(failed.next_try_s > keeper::epoch_s() && failed.last_failure == "refused");
}

#[tokio::test]
async fn a_scouts_failure_costs_nothing_that_was_earned() {
    let other = FakePeer::start(Manner::Polite).await;
    let mut bench = Bench::new(|settings| {
        settings.fixed = vec![other.address];
        (settings.max, settings.scouts) = (1, 5);
    });
    bench.start();
    bench.adopt(1).await;
    tell(&bench, [at(7)]);
    assert_eq!(draw(&bench, 1).await.listen, [at(7)]);
    let facts = PeerFacts { user_agent: "/heard/".into(), ..PeerFacts::default() };
    bench.handle().scout_news(ScoutNews::Connected { address: at(7), facts });
    bench.wait(|view| view.scouts == ScoutCounts { connected: 1, wanted: 5 }).await;
    ended(&bench, at(7), "closed", true);
    bench.wait(|view| view.scouts.connected == 0).await;
    bench.stop().await;
    let entry = bench.saved().get(at(7)).unwrap().clone();
    assert_eq!((entry.score, entry.user_agent.as_str()), (50.0, "/heard/"));
    assert!(entry.last_connected_s > 0.0 && entry.next_try_s > 0.0);
}

#[tokio::test]
async fn a_scout_makes_way_where_the_roster_connects_and_where_the_operator_bans() {
    let peer = FakePeer::start(Manner::Polite).await;
    let mut bench = Bench::new(|settings| (settings.max, settings.scouts) = (0, 5));
    bench.start();
    let (orders, mut ordered) = mpsc::channel(8);
    bench.handle().scout_news(ScoutNews::Ready { orders });
    tell(&bench, [peer.address]);
    assert_eq!(draw(&bench, 1).await.listen, [peer.address]);
    let mut edit = PeerBook::default();
    assert!(edit.ban(Ban::place(peer.address), 5.0));
    let edit = Edit { book: edit, unbanned: Vec::new() };
    Store::leave(&bench.store_settings(), &edit, keeper::epoch_s()).unwrap();
    assert_eq!(ordered.recv().await, Some(peer.address));
    bench.stop().await;

    let mut bench = Bench::new(|settings| (settings.max, settings.scouts) = (1, 5));
    let waiting = Reserved::new();
    bench.start();
    let (orders, mut ordered) = mpsc::channel(8);
    bench.handle().scout_news(ScoutNews::Ready { orders });
    tell(&bench, [waiting.address()]);
    // Either the roster was first, or the scouts were and are told to let go.
    if draw(&bench, 1).await.listen.is_empty() {
        return;
    }
    assert_eq!(ordered.recv().await, Some(waiting.address()));
}

#[tokio::test]
async fn connected_peers_are_visited_once_while_hardly_any_are_known() {
    let (one, other) =
        (FakePeer::start(Manner::Polite).await, FakePeer::start(Manner::Polite).await);
    let mut bench = Bench::new(|settings| {
        settings.node_p2p = Some(one.address);
        settings.fixed = vec![other.address];
    });
    bench.start();
    bench.adopt(2).await;
    let mut visits = Vec::new();
    while visits.len() < 2 {
        visits.extend(draw(&bench, 0).await.visit);
    }
    assert_eq!(visits, [one.address, other.address], "the node first");
    assert_eq!(draw(&bench, 0).await.visit, None);
}

/// The time that one refresh takes over a full database, part by part. Printed, not judged.
#[test]
fn a_refresh_over_a_full_database() {
    let (mut book, mut gossip, now_s) = (PeerBook::default(), Gossip::default(), 1.8e9);
    for number in 0..PEER_ENTRIES_MAX {
        let [_, a, b, c] = (number * 167).to_be_bytes();
        let address = SocketAddr::from(([11 + a, b, c, 1], 9_333));
        let heard = HeardAddress { last_seen_s: 1_799_990_000, ..heard(address) };
        let from = SourceGroup::of(SocketAddr::from(([9, (number % 64) as u8, 0, 1], 1)));
        if number % 2 == 0 {
            gossip.take(&mut book, from, &heard, now_s);
        } else {
            let mut entry = PeerEntry::new(Source::Discovered, now_s - f64::from(number));
            entry.last_connected_s = now_s - f64::from(number);
            book.insert(address, entry);
        }
    }
    let mut chance = Chance::seeded(5);
    let timed = |what: &str, work: &mut dyn FnMut()| {
        let began = Instant::now();
        work();
        println!("{} entries, {what}: {:?}", PEER_ENTRIES_MAX, began.elapsed());
    };
    timed("shares of hearsay", &mut || gossip.settle(&book));
    timed("candidates for 20 places", &mut || {
        let field = choose::Field {
            book: &book,
            cover: &Cover::new(1),
            selection: Selection::Measured,
            atlas: &Atlas::default(),
            regions: &[],
            now_s,
            now_us: 0,
        };
        let wanted = field.wanted(20, |_| false, |_| false);
        assert!(!choose::candidates(&wanted, 20, |_| false, |_| 0, &mut chance).is_empty());
    });
    let mut chance = Chance::seeded(6);
    timed("8 places for scouts", &mut || {
        let drawn = super::super::scouting::draw(
            &book,
            8,
            now_s,
            |_| false,
            std::iter::empty(),
            &mut chance,
        );
        let answered = |it: &&SocketAddr| book.get(**it).is_some_and(PeerEntry::has_answered);
        assert_eq!((drawn.len(), drawn.iter().filter(answered).count()), (8, 4));
    });
    timed("pruning", &mut || {
        book.prune_stale(now_s);
    });
    assert!(book.len() > PEER_ENTRIES_MAX as usize / 2);
    assert_eq!(Fate::ALL.len(), 13, "each fate is one that the view shows");
}
