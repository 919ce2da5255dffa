//! The roster's task: one inbox, one timetable, one owner of everything.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::{UnboundedReceiver, WeakUnboundedSender};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::absent::Missed;
use super::asking::Asker;
use super::backoff::Chance;
use super::choose::Wanted;
use super::connections::{Connections, ORDER_RETRY};
use super::covering::Covering;
use super::diary::Diary;
use super::kept::KeptPeers;
use super::rotation::UnderWay;
use super::saving::Saver;
use super::schedule::Schedule;
use super::scouting::Scouting;
use super::seats::Carries;
use super::slots::SlotTable;
use super::view::{DialCounts, PlaceChange, RosterView};
use super::{Event, PeerInfoSource, RosterSettings, Traffic, sources};
use crate::cold::directory::Directory;
use crate::cold::score::Standing;
use crate::cold::store::{PeerBook, PeerEntry, StoreSettings};
use crate::hot::link::traffic::Bytes;
use crate::hot::link::{PeerId, Report};
use crate::limits::{PEERS_LEAVING_MAX, RECEIPT_DEADLINE_MS, ROSTER_EVENTS_AT_ONCE};

/// What a roster works with and does not own alone.
pub(super) struct Surroundings {
    pub(super) slots: Arc<SlotTable>,
    pub(super) directory: Arc<Directory>,
    pub(super) source: Option<Arc<dyn PeerInfoSource>>,
    pub(super) inbox: WeakUnboundedSender<Event>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) shown: watch::Sender<Arc<RosterView>>,
}

/// A roster before its database is read.
pub(super) struct Unloaded(RosterSettings, Surroundings);

/// All that a roster knows.
pub(super) struct Keeper {
    pub(super) settings: RosterSettings,
    pub(super) slots: Arc<SlotTable>,
    pub(super) directory: Arc<Directory>,
    pub(super) inbox: WeakUnboundedSender<Event>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) shown: watch::Sender<Arc<RosterView>>,
    pub(super) book: PeerBook,
    pub(super) kept: KeptPeers,
    pub(super) connections: Connections,
    /// Addresses being dialled, and how each stands.
    pub(super) dialling: HashMap<SocketAddr, Standing>,
    pub(super) dials: JoinSet<()>,
    /// Addresses to try next.
    pub(super) candidates: VecDeque<SocketAddr>,
    /// Who should have a seat, best first, as of the last refresh.
    pub(super) wanted: Vec<Wanted>,
    /// Replacements being dialled, and whom each replaces.
    pub(super) swaps: HashMap<SocketAddr, SocketAddr>,
    /// The best before the last stop, to be tried first.
    pub(super) anchors: VecDeque<SocketAddr>,
    pub(super) covering: Covering,
    pub(super) under_way: UnderWay,
    pub(super) carries: Carries,
    /// Connections aimed at now, the kept ones among them.
    pub(super) aimed: u32,
    /// The covering rule says who is served first.
    pub(super) is_by_rule: bool,
    pub(super) asker: Asker,
    pub(super) saver: Saver,
    pub(super) schedule: Schedule,
    pub(super) chance: Chance,
    pub(super) drops: BTreeMap<&'static str, u64>,
    /// What went over connections that have ended.
    pub(super) ended_traffic: Bytes,
    pub(super) dial_counts: DialCounts,
    pub(super) missed: Missed,
    pub(super) diary: Diary,
    /// Entries of the database by the word for their source, as of the last refresh.
    pub(super) sources: BTreeMap<&'static str, u32>,
    pub(super) scouting: Scouting,
    /// Ended connections whose labels are still shown, and until when.
    leaving: VecDeque<(Instant, PeerId)>,
    pub(super) started: Instant,
    /// Whether the operator was told that there are fewer than `min`.
    pub(super) told_few: bool,
    /// Other addresses of the local node, as it says itself: not dialled beside it.
    pub(super) own: HashSet<SocketAddr>,
    /// Why the proxy can't be used, while it can't.
    pub(super) proxy_trouble: Option<String>,
}

impl Unloaded {
    pub(super) const fn new(settings: RosterSettings, around: Surroundings) -> Self {
        Self(settings, around)
    }

    /// Reads the database, then lives until told to stop, or until nobody is left to tell.
    pub(super) async fn run(self, mut events: UnboundedReceiver<Event>) {
        let mut keeper = self.load().await;
        let done = keeper.live(&mut events).await;
        let Keeper { saver, book, dials, .. } = keeper;
        drop(dials);
        saver.end(book, epoch_s()).await;
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    async fn load(self) -> Keeper {
        let Self(settings, around) = self;
        let chain = settings.chain;
        let file = StoreSettings {
            path: settings.database.clone(),
            chain: chain.name.to_owned(),
            network: chain.network.name().to_owned(),
            port: chain.p2p_port,
        };
        let (saver, mut book) = Saver::load(file, epoch_s()).await;
        let now = Instant::now();
        let kept = KeptPeers::new(settings.node_p2p, &settings.fixed, now);
        book.connected.clear();
        book.enter_kept(kept.iter().map(|it| (it.address, it.standing)), epoch_s());
        let has_node = settings.node_p2p.is_some() || around.source.is_some();
        let source = around.source.filter(|_| settings.bootstrap);
        let anchors = book.anchors.iter().copied().collect();
        let mut chance = Chance::new();
        Keeper {
            slots: around.slots,
            directory: around.directory,
            inbox: around.inbox,
            traffic: around.traffic,
            shown: around.shown,
            book,
            kept,
            connections: Connections::default(),
            dialling: HashMap::new(),
            dials: JoinSet::new(),
            candidates: VecDeque::new(),
            wanted: Vec::new(),
            swaps: HashMap::new(),
            anchors,
            covering: Covering::new(chance.next(), has_node),
            under_way: UnderWay::default(),
            carries: Carries::default(),
            aimed: settings.max,
            is_by_rule: false,
            asker: Asker::new(source, now),
            saver,
            schedule: Schedule::new(now),
            chance,
            drops: BTreeMap::new(),
            ended_traffic: Bytes::default(),
            dial_counts: DialCounts::default(),
            missed: Missed::default(),
            diary: Diary::default(),
            sources: BTreeMap::new(),
            scouting: Scouting::default(),
            leaving: VecDeque::new(),
            started: now,
            told_few: false,
            own: HashSet::new(),
            proxy_trouble: None,
            settings,
        }
    }
}

impl Keeper {
    /// Takes events and does what is due, until told to stop.
    async fn live(&mut self, events: &mut UnboundedReceiver<Event>) -> Option<oneshot::Sender<()>> {
        loop {
            let wake = self.next_wake(Instant::now());
            let mut next = tokio::select! {
                event = events.recv() => Some(event?),
                () = sleep_until(wake) => None,
            };
            let mut taken = 0;
            while let Some(event) = next {
                if let Event::Stop(done) = event {
                    return Some(done);
                }
                self.on_event(event, Instant::now());
                taken += 1;
                next = if taken < ROSTER_EVENTS_AT_ONCE { events.try_recv().ok() } else { None };
            }
            self.turn(Instant::now());
        }
    }

    /// Does what is due at `now`.
    fn turn(&mut self, now: Instant) {
        while self.dials.try_join_next().is_some() {}
        self.refresh(now);
        self.dial_kept(now);
        self.fill();
        self.rank(now);
        self.give_orders(now);
        self.ask_and_save(now);
        self.forget(now);
        self.show(now);
    }

    fn next_wake(&self, now: Instant) -> Instant {
        let more = [
            self.next_kept(),
            self.asker.due(self.lacks_candidates()),
            self.saver.due(),
            self.leaving.front().map(|(until, _)| *until),
        ];
        more.into_iter().flatten().fold(self.schedule.next(now), Instant::min)
    }

    fn on_event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Report(report) => {
                if !matches!(report, Report::Retired { .. }) {
                    self.traffic.waiting.fetch_sub(1, Ordering::Relaxed);
                }
                self.on_report(report, now, epoch_s());
            }
            Event::Paths(known) => self.on_paths(known),
            Event::Uplink(carries) => self.carries = carries,
            Event::Vouched(hash) => self.covering.vouch(hash.0),
            Event::Own(hash) => self.covering.own(hash.0),
            Event::Block { image, shard, is_over: false } => {
                self.under_way.begin(image, shard, now)
            }
            Event::Block { image, shard, is_over: true } => self.under_way.end(image, shard),
            Event::Dialled { address, standing, result } => {
                self.on_dialled(address, standing, result, now);
            }
            Event::Told(told) => {
                let again = self.settings.refresh;
                if let Some(found) = self.asker.on_told(told, again, now, &mut self.chance) {
                    self.book.bootstrapped = true;
                    self.note_own(found.own);
                    sources::offer(&mut self.book, found.peers, epoch_s());
                    self.schedule.refresh = now;
                }
            }
            Event::Saved(result) => self.saver.on_saved(result),
            Event::Edited(edits) => self.on_edited(edits, now),
            Event::Changed(to) => self.on_changed(to, now),
            Event::Scout(news) => self.on_scout_news(news, now),
            Event::SaveNow => {
                self.traffic.save_asked.store(false, Ordering::Relaxed);
                self.saver.ask(now);
            }
            // Taken out by the loop.
            Event::Stop(_) => {}
        }
    }

    fn give_orders(&mut self, now: Instant) {
        let (late, is_due) = self.connections.give_orders(now);
        self.schedule.orders = is_due.then_some(now + ORDER_RETRY);
        for peer in late {
            let Some(connection) = self.connections.remove(peer) else {
                continue;
            };
            let place = &connection.place;
            self.slots.give_back(place.link.shard, place.slot, peer);
            self.directory.remove(peer);
            self.book.connected.remove(&connection.address);
            self.diary.note(connection.address, PlaceChange::Left("shard-busy"));
            self.fail(connection.address, connection.standing, "shard-busy", false, now);
        }
    }

    fn ask_and_save(&mut self, now: Instant) {
        if self.asker.due(self.lacks_candidates()).is_some_and(|due| due <= now) {
            let beside = self.settings.node_p2p.is_some_and(|node| node.ip().is_loopback());
            self.asker.ask(self.settings.chain, beside, &self.inbox);
        }
        if self.saver.due().is_some_and(|due| due <= now) {
            self.saver.begin(&self.book, now, epoch_s(), &self.inbox);
        }
    }

    /// Ends an ordinary connection, unless there would be too few then.
    pub(super) fn give_up(&mut self, peer: PeerId) {
        if self.connections.staying().count() <= self.settings.min as usize {
            return;
        }
        if let Some(connection) = self.connections.get_mut(peer) {
            connection.end("spent");
        }
    }

    pub(super) fn entry_of(&mut self, peer: PeerId) -> Option<&mut PeerEntry> {
        let address = self.connections.get_mut(peer)?.address;
        self.book.get_mut(address)
    }

    pub(super) fn count_drop(&mut self, word: &'static str) {
        let count = self.drops.entry(word).or_default();
        *count = count.saturating_add(1);
    }

    /// Lets the directory know `peer` for as long as outcomes of it can still come.
    pub(super) fn forget_later(&mut self, peer: PeerId, now: Instant) {
        self.leaving.push_back((now + Duration::from_millis(RECEIPT_DEADLINE_MS), peer));
    }

    fn forget(&mut self, now: Instant) {
        while let Some((until, peer)) = self.leaving.front().copied() {
            if until > now && self.leaving.len() <= PEERS_LEAVING_MAX {
                break;
            }
            self.leaving.pop_front();
            self.directory.remove(peer);
        }
    }
}

/// The clock on the wall, in epoch s.
pub(super) fn epoch_s() -> f64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_1970.unwrap_or_default().as_secs_f64()
}
