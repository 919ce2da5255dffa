//! What scouts tell the roster, and whom it lets them listen at.
//!
//! Scouts own their connections (`cold/scouts`); the roster owns the database. So scouts ask for
//! addresses to listen at, and tell what they heard there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::backoff::{Chance, ORDINARY};
use super::choose;
use super::keeper::{Keeper, epoch_s};
use super::kept::STABLE;
use super::{Event, RosterHandle, Traffic};
use crate::cold::gossip::{Fate, Gossip, HeardAddress, SourceGroup};
use crate::cold::score::{self, Standing};
use crate::cold::store::{Netgroup, PeerBook};
use crate::limits::{
    BOOK_POOR, HEARD_LISTS_MAX, SCOUT_NEWS_MAX, SCOUTS_PER_NETGROUP_MAX, SEEDS_BOOK_ENOUGH,
    VISIT_PAUSE_S, VISITS_REMEMBERED_MAX,
};
use crate::wire::handshake::PeerFacts;

/// What scouts tell.
#[derive(Debug)]
pub enum ScoutNews {
    /// They are there. An address sent by `orders` is one that they must let go of.
    Ready {
        /// Their way in.
        orders: mpsc::Sender<SocketAddr>,
    },
    /// Addresses that passed validation and the sender's allowance.
    Heard {
        /// Who told of them.
        from: SocketAddr,
        /// Which.
        addresses: Vec<HeardAddress>,
    },
    /// Addresses that a DNS seed answered with, validated.
    Named {
        /// The seed's number in the chain's row.
        seed: u8,
        /// Which.
        addresses: Vec<HeardAddress>,
    },
    /// A scout's peer announced a block that is not ours.
    Announced {
        /// Who.
        from: SocketAddr,
        /// Which, in wire order.
        hash: [u8; 32],
        /// When, CLOCK_MONOTONIC, in ns.
        at_ns: u64,
    },
    /// A scout is connected.
    Connected {
        /// To whom.
        address: SocketAddr,
        /// What the peer said of itself.
        facts: PeerFacts,
    },
    /// A scout has ended, or never came to be. Comes once for each address of a draw.
    Ended {
        /// Whose.
        address: SocketAddr,
        /// Why, in one word.
        word: &'static str,
        /// Whether it says something of the peer.
        is_the_peers: bool,
        /// Whether trying again soon would end the same way.
        is_lasting: bool,
    },
    /// Addresses to listen at next, please.
    Draw {
        /// So many at most.
        wanted: usize,
        /// The answer.
        reply: oneshot::Sender<Drawn>,
    },
}

/// The answer to a draw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// To listen at. Never the node, nor anybody fixed, banned, put off, or connected already.
    pub listen: Vec<SocketAddr>,
    /// To be asked for addresses once, over a connection of its own: peers that are connected, while
    /// the database is poor.
    pub visit: Option<SocketAddr>,
    /// Hardly anybody is known or connected: the DNS seeds may help.
    pub is_short: bool,
    /// Nobody at all is known.
    pub is_empty: bool,
}

/// How many scouts there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScoutCounts {
    /// Connected, and listening.
    pub connected: u32,
    /// As many as are wanted.
    pub wanted: u32,
}

impl RosterHandle {
    /// Hands over what a scout has to tell. Never blocks: when the roster does not keep up, what
    /// scouts heard is dropped, but never that one has come or gone.
    pub fn scout_news(&self, news: ScoutNews) {
        if let Some((waiting, most)) = self.traffic.room_for(&news)
            && waiting.fetch_add(1, Ordering::Relaxed) >= most
        {
            waiting.fetch_sub(1, Ordering::Relaxed);
            if let ScoutNews::Heard { addresses, .. } = news {
                self.traffic.fates.note(Fate::Dropped, addresses.len() as u64);
            }
            return;
        }
        let _ = self.inbox.send(Event::Scout(news));
    }

    /// Counts what became of addresses that were refused before the roster heard of them.
    pub fn note_fate(&self, fate: Fate, by: u64) {
        self.traffic.fates.note(fate, by);
    }
}

impl Traffic {
    /// What counts the news of this kind that wait, and how many may; `None`: all of them.
    const fn room_for(&self, news: &ScoutNews) -> Option<(&AtomicUsize, usize)> {
        match news {
            ScoutNews::Heard { .. } => Some((&self.lists_waiting, HEARD_LISTS_MAX)),
            ScoutNews::Announced { .. } => Some((&self.news_waiting, SCOUT_NEWS_MAX)),
            _ => None,
        }
    }
}

/// An address that scouts have in hand.
#[derive(Debug, Default)]
struct Listening {
    /// Since when it is connected.
    since: Option<Instant>,
}

/// What the roster knows of its scouts.
#[derive(Debug, Default)]
pub(super) struct Scouting {
    pub(super) gossip: Gossip,
    orders: Option<mpsc::Sender<SocketAddr>>,
    listening: HashMap<SocketAddr, Listening>,
    /// Who was visited when.
    visits: HashMap<SocketAddr, Instant>,
}

impl Scouting {
    /// Scouts that are connected.
    pub(super) fn connected(&self) -> usize {
        self.listening.values().filter(|it| it.since.is_some()).count()
    }

    /// Has the scout at `address` go, if there is one.
    pub(super) fn make_way(&self, address: SocketAddr) {
        if self.listening.contains_key(&address)
            && let Some(orders) = &self.orders
        {
            // Full: its time comes at the next look.
            let _ = orders.try_send(address);
        }
    }
}

impl Keeper {
    pub(super) fn on_scout_news(&mut self, news: ScoutNews, now: Instant) {
        if let Some((waiting, _)) = self.traffic.room_for(&news) {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
        let now_s = epoch_s();
        let is_seen = !matches!(news, ScoutNews::Announced { .. } | ScoutNews::Draw { .. });
        match news {
            ScoutNews::Ready { orders } => {
                self.scouting.orders = Some(orders);
                self.scouting.listening.clear();
            }
            ScoutNews::Heard { from, addresses } => {
                self.take_heard(SourceGroup::of(from), &addresses, now_s);
            }
            ScoutNews::Named { seed, addresses } => {
                self.take_heard(SourceGroup::Seed(seed), &addresses, now_s);
            }
            ScoutNews::Announced { from, hash, at_ns } => self.note_announced(from, hash, at_ns),
            ScoutNews::Connected { address, facts } => {
                if let Some(listening) = self.scouting.listening.get_mut(&address) {
                    listening.since = Some(now);
                    self.note_connected(address, &facts, now_s);
                    self.listen_to(address);
                }
            }
            ScoutNews::Ended { address, word, is_the_peers, is_lasting } => {
                self.on_scout_ended(address, word, (is_the_peers, is_lasting), now, now_s);
            }
            ScoutNews::Draw { wanted, reply } => {
                let drawn = self.draw_for_scouts(wanted, now, now_s);
                let _ = reply.send(drawn);
            }
        }
        if is_seen {
            self.schedule.show_soon();
        }
    }

    fn take_heard(&mut self, source: SourceGroup, heard: &[HeardAddress], now_s: f64) {
        let mut fresh = 0;
        for address in heard {
            let fate = self.scouting.gossip.take(&mut self.book, source, address, now_s);
            self.traffic.fates.note(fate, 1);
            fresh += usize::from(fate == Fate::Taken);
        }
        if fresh > 0 && self.empty_seats() > 0 {
            // Whoever waits for candidates need not wait for the next round.
            self.draw_candidates(now_s);
            self.schedule.fill_soon();
        }
    }

    /// A scout's end costs its address a pause. Its score counts only while nothing but hearsay
    /// speaks for it: what never answers leaves the database in the end, as the seeds' rules have it.
    fn on_scout_ended(
        &mut self,
        address: SocketAddr,
        word: &'static str,
        (is_the_peers, is_lasting): (bool, bool),
        now: Instant,
        now_s: f64,
    ) {
        let Some(Listening { since }) = self.scouting.listening.remove(&address) else {
            return;
        };
        self.stop_listening(address);
        // While nobody at all is connected it may be our own network that is away.
        let counts = is_the_peers
            && (self.scouting.connected() > 0 || self.connections.staying().next().is_some());
        let Some(entry) = self.book.get_mut(address) else {
            return;
        };
        if let Some(since) = since {
            (entry.last_seen_s, entry.last_connected_s) = (now_s, now_s);
            if now.duration_since(since) >= STABLE {
                entry.failures_in_row = 0;
            }
        }
        if !is_the_peers {
            return;
        }
        self.count_drop(word);
        let Some(entry) = self.book.get_mut(address) else {
            return;
        };
        if counts && !entry.has_answered() {
            entry.score = score::after_failure(entry.score);
        }
        choose::put_off(entry, word, now_s, ORDINARY, is_lasting, &mut self.chance);
        if score::is_spent(entry) {
            self.book.remove(address);
        }
    }

    /// Addresses for scouts, and how things stand.
    fn draw_for_scouts(&mut self, wanted: usize, now: Instant, now_s: f64) -> Drawn {
        let hosts = self.hosts_taken();
        let Self { book, connections, dialling, kept, chance, scouting, own, .. } = self;
        let is_out = |address: SocketAddr| {
            connections.has(address)
                || dialling.contains_key(&address)
                || kept.standing(address) != Standing::Ordinary
                || scouting.listening.contains_key(&address)
                || own.contains(&address)
                || hosts.contains(&address.ip())
        };
        let there = scouting.listening.keys().filter_map(|it| Netgroup::of(it.ip()));
        let listen = draw(book, wanted, now_s, is_out, there, chance);
        for address in &listen {
            scouting.listening.insert(*address, Listening::default());
        }
        let known = book.len().saturating_sub(kept.len());
        let has_company = scouting.connected() > 0
            || connections.staying().any(|it| it.standing == Standing::Ordinary);
        let is_poor = book.len() < BOOK_POOR as usize;
        Drawn {
            visit: if is_poor { self.draw_visit(now) } else { None },
            is_short: known < SEEDS_BOOK_ENOUGH as usize || !has_company,
            is_empty: known == 0,
            listen,
        }
    }

    /// A connected peer that has not been visited for long; the node first, who is trusted most.
    fn draw_visit(&mut self, now: Instant) -> Option<SocketAddr> {
        let visits = &mut self.scouting.visits;
        visits.retain(|_, at| now.duration_since(*at).as_secs() < VISIT_PAUSE_S);
        if visits.len() >= VISITS_REMEMBERED_MAX {
            return None;
        }
        let open = self.connections.staying().filter(|it| !visits.contains_key(&it.address));
        let (_, address) = open.map(|it| (it.standing, it.address)).min()?;
        visits.insert(address, now);
        Some(address)
    }

    /// At every refresh: what has become of hearsay; whoever listens is alive, and the banned go.
    pub(super) fn tend_scouts(&mut self, now_s: f64) {
        self.scouting.gossip.settle(&self.book);
        for (address, listening) in &self.scouting.listening {
            if self.book.is_banned(*address) || self.connections.has(*address) {
                self.scouting.make_way(*address);
            } else if listening.since.is_some()
                && let Some(entry) = self.book.get_mut(*address)
            {
                entry.last_seen_s = now_s;
            }
        }
    }
}

/// Chooses from the database: half of them from those that have answered before, the longest not
/// spoken to first; the others from those that never did, by lot. So all of it has its turn.
pub(super) fn draw(
    book: &PeerBook,
    wanted: usize,
    now_s: f64,
    is_out: impl Fn(SocketAddr) -> bool,
    there: impl Iterator<Item = Netgroup>,
    chance: &mut Chance,
) -> Vec<SocketAddr> {
    if wanted == 0 {
        return Vec::new();
    }
    let due = book.iter().filter(|(address, entry)| {
        // Onion services can't be listened at without a proxy.
        choose::is_due(entry, now_s) && entry.onion.is_none() && !is_out(*address)
    });
    let due = due.filter(|(address, _)| !book.is_banned(*address));
    let (mut proven, mut untried) = (Vec::new(), Vec::new());
    for (address, entry) in due {
        match entry.has_answered() {
            true => proven.push((entry.last_connected_s, chance.next(), address)),
            false => untried.push((0.0, chance.next(), address)),
        }
    }
    let by_time = |a: &(f64, u64, SocketAddr), b: &(f64, u64, SocketAddr)| {
        a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
    };
    proven.sort_unstable_by(by_time);
    untried.sort_unstable_by(by_time);
    let mut groups: HashMap<Netgroup, usize> = HashMap::new();
    there.for_each(|group| *groups.entry(group).or_default() += 1);
    let (mut proven, mut untried) = (proven.into_iter(), untried.into_iter());
    let mut drawn = Vec::new();
    let mut is_turn = chance.next().is_multiple_of(2);
    while drawn.len() < wanted {
        is_turn = !is_turn;
        let next = if is_turn { proven.next().or_else(|| untried.next()) } else { None };
        let next = next.or_else(|| untried.next()).or_else(|| proven.next());
        let Some((_, _, address)) = next else { break };
        if let Some(group) = Netgroup::of(address.ip()) {
            let count = groups.entry(group).or_default();
            if *count >= SCOUTS_PER_NETGROUP_MAX {
                continue;
            }
            *count += 1;
        }
        drawn.push(address);
    }
    drawn
}
