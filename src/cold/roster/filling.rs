//! Dialling: the kept peers when they are due, and candidates for the places that are empty.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::time::Instant;

use super::backoff::{ORDINARY, unforeseen};
use super::choose::{self, Field};
use super::connections::Connection;
use super::covering;
use super::keeper::{Keeper, epoch_s};
use super::kept::Kept;
use super::routes::LOOPBACK;
use super::view::PlaceChange;
use super::{Event, RosterSettings};
use crate::cold::dial::{DialError, DialSettings, Dialled, dial};
use crate::cold::directory::PeerLabel;
use crate::cold::diversity::{Crowd, Kin};
use crate::cold::score::{self, Standing};
use crate::cold::uplink::PathFacts;
use crate::hot::link::{Adoption, PeerId, Terms};
use crate::limits::{DIALS_MAX, FIXED_DIALS_MAX};
use crate::sys::tcp_info::TcpInfo;
use crate::wire::chain::Network;
use crate::wire::handshake::PeerFacts;

/// What the handshake has shown of a way. On loopback nothing is measured: order by rank is all.
fn first_facts(governed: bool, socket: &OwnedFd) -> PathFacts {
    let known = TcpInfo::read(socket).ok().filter(|_| governed);
    PathFacts {
        round_trip_us: known.map_or(0, |info| info.least_round_trip_us),
        warm: !governed,
        warm_for_small: !governed,
        ..PathFacts::default()
    }
}

impl Keeper {
    fn is_taken(&self, address: SocketAddr) -> bool {
        self.connections.has(address) || self.dialling.contains_key(&address)
    }

    /// Addresses that have a connection, or are to have one.
    fn taken(&self) -> impl Iterator<Item = SocketAddr> + use<'_> {
        let connected = self.connections.iter().map(|(_, connection)| connection.address);
        connected.chain(self.dialling.keys().copied())
    }

    /// Whether all ports of its IP count as one host: not on loopback, nor on private networks, where
    /// many nodes share an address.
    fn is_one_host(&self, address: SocketAddr) -> bool {
        self.settings.chain.network != Network::Regtest && !address.ip().is_loopback()
    }

    /// Hosts that have a connection, or are about to.
    pub(super) fn hosts_taken(&self) -> HashSet<IpAddr> {
        self.taken().filter(|address| self.is_one_host(*address)).map(|it| it.ip()).collect()
    }

    /// Whether an ordinary connection to `address` would be to a host that has one, or to the node.
    pub(super) fn is_double(&self, address: SocketAddr) -> bool {
        let is_same = |other: SocketAddr| other.ip() == address.ip();
        self.own.contains(&address) || (self.is_one_host(address) && self.taken().any(is_same))
    }

    /// Whether this is the local node under another of its addresses.
    pub(super) fn is_own(&self, kept: &Kept) -> bool {
        kept.standing == Standing::Fixed && self.own.contains(&kept.address)
    }

    fn dials_of(&self, standing: Standing) -> usize {
        self.dialling.values().filter(|of| **of == standing).count()
    }

    /// Places for ordinary peers. The kept ones have theirs even while they are away.
    pub(super) fn seats(&self) -> usize {
        (self.aimed as usize).saturating_sub(self.kept.len())
    }

    /// Those of them that are neither filled nor being filled.
    pub(super) fn empty_seats(&self) -> usize {
        let filled = self.connections.ordinary().count();
        self.seats().saturating_sub(filled).saturating_sub(self.dials_of(Standing::Ordinary))
    }

    /// Whether there are places that nobody known can fill now.
    pub(super) fn lacks_candidates(&self) -> bool {
        self.candidates.is_empty() && self.empty_seats() > 0
    }

    pub(super) fn draw_candidates(&mut self, now_s: f64) {
        let hosts = self.hosts_taken();
        let (seats, empty) = (self.seats(), self.empty_seats());
        let Self { book, connections, dialling, kept, chance, settings, anchors, own, .. } = self;
        let field = Field {
            book,
            cover: &self.covering.cover,
            selection: settings.selection,
            atlas: &settings.atlas,
            regions: &settings.regions,
            now_s,
            now_us: covering::now_us(),
        };
        let is_kept = |address| kept.standing(address) != Standing::Ordinary;
        let is_out = |address| is_kept(address) || own.contains(&address);
        let is_out = |address| is_out(address) || !settings.can_dial(address);
        self.wanted = field.wanted(seats, is_out, |address| connections.has(address));
        let is_taken = |address: SocketAddr| {
            let has_host = || hosts.contains(&address.ip());
            connections.has(address) || dialling.contains_key(&address) || has_host()
        };
        let in_region =
            |region| connections.staying().filter(|it| it.kin.region == Some(region)).count();
        self.candidates = choose::candidates(&self.wanted, empty, is_taken, in_region, chance);
        if empty > 0 {
            // Behind each other they would come in the wrong order.
            while let Some(anchor) = anchors.pop_back() {
                if !is_taken(anchor) && !is_out(anchor) {
                    self.candidates.retain(|address| *address != anchor);
                    self.candidates.push_front(anchor);
                }
            }
        }
    }

    pub(super) fn kin_of(&self, address: SocketAddr) -> Kin {
        Kin::of(address, &self.settings.atlas, &self.settings.regions)
    }

    /// How many ordinary peers of whom are connected or being dialled.
    fn crowd(&self) -> Crowd {
        let dialled = self.dialling.iter().filter(|(_, of)| **of == Standing::Ordinary);
        let dialled = dialled.map(|(address, _)| self.kin_of(*address));
        Crowd::of(self.connections.ordinary().map(|it| it.kin).chain(dialled))
    }

    /// When the next kept peer is due that is neither connected nor being dialled.
    pub(super) fn next_kept(&self) -> Option<Instant> {
        // No shard has a place for it (or all are stopping): the next one that is given back
        // brings us here again.
        if self.slots.free() == 0 {
            return None;
        }
        let fixed_full = self.dials_of(Standing::Fixed) >= FIXED_DIALS_MAX as usize;
        let away = self.kept.iter().filter(|it| !self.is_taken(it.address) && !self.is_own(it));
        let open = away.filter(|it| it.standing == Standing::Protected || !fixed_full);
        open.map(|it| it.next_try).min()
    }

    /// Dials the kept peers that are due, the longest due first. The node never waits for others.
    pub(super) fn dial_kept(&mut self, now: Instant) {
        if self.slots.free() == 0 {
            return;
        }
        let due = self.kept.iter().filter(|it| it.next_try <= now && !self.is_taken(it.address));
        let away = due.filter(|it| !self.is_own(it));
        let mut due: Vec<_> = away.map(|it| (it.standing, it.next_try, it.address)).collect();
        due.sort_unstable();
        for (standing, _, address) in due {
            let full = self.dials_of(Standing::Fixed) >= FIXED_DIALS_MAX as usize;
            if standing == Standing::Protected || !full {
                self.dial(address, standing);
            }
        }
    }

    /// Dials candidates for the empty places.
    pub(super) fn fill(&mut self) {
        if !self.schedule.take_fill() {
            return;
        }
        let now_s = epoch_s();
        let mut room =
            self.empty_seats().min((DIALS_MAX as usize).saturating_sub(self.dialling.len()));
        room = room.min((self.slots.free() as usize).saturating_sub(self.dialling.len()));
        let mut crowd = if room > 0 { self.crowd() } else { Crowd::default() };
        while room > 0 {
            let Some(address) = self.candidates.pop_front() else {
                break;
            };
            let is_due = self.book.get(address).is_some_and(|entry| choose::is_due(entry, now_s));
            let kin = self.kin_of(address);
            let has_room = crowd.is_full_for(kin).is_none();
            let is_out = self.is_taken(address) || self.is_double(address);
            if is_due && has_room && !is_out && !self.book.is_banned(address) {
                crowd.add(kin);
                self.dial(address, Standing::Ordinary);
                room -= 1;
            }
        }
    }

    pub(super) fn dial(&mut self, address: SocketAddr, standing: Standing) {
        let Some(inbox) = self.inbox.upgrade() else {
            return;
        };
        let RosterSettings { chain, user_agent, .. } = &self.settings;
        let proxy = self.settings.proxy.clone().filter(|_| standing != Standing::Protected);
        let onion = self.book.get(address).and_then(|entry| entry.onion);
        let mut settings = DialSettings::new(chain, user_agent.clone()).through(proxy, onion);
        settings.services = self.settings.services();
        settings.must_serve_blocks = standing == Standing::Ordinary;
        self.scouting.make_way(address);
        self.dialling.insert(address, standing);
        self.dial_counts.attempts += 1;
        self.schedule.show_soon();
        self.dials.spawn(async move {
            let result = dial(address, &settings, unforeseen()).await;
            let _ = inbox.send(Event::Dialled { address, standing, result });
        });
    }

    pub(super) fn on_dialled(
        &mut self,
        address: SocketAddr,
        standing: Standing,
        result: Result<Dialled, DialError>,
        now: Instant,
    ) {
        self.dialling.remove(&address);
        // Who is kept may have been changed meanwhile.
        let standing = match standing {
            Standing::Protected => standing,
            Standing::Fixed | Standing::Ordinary => self.kept.standing(address),
        };
        self.schedule.fill_soon();
        self.schedule.show_soon();
        self.on_way(address, standing, &result);
        match result {
            // Banned since the dial began: the socket is closed right here.
            Ok(_) if standing == Standing::Ordinary && self.book.is_banned(address) => {
                self.swaps.remove(&address);
                self.count_drop("banned");
            }
            Ok(dialled) => self.join(address, standing, dialled, now),
            Err(DialError::Proxy(why)) => self.on_proxy_away(address, standing, &why, now),
            Err(error) => {
                self.swaps.remove(&address);
                self.dial_counts.note_failed(&error);
                tracing::debug!(peer = %address, "not connected: {error}");
                // While nobody else is connected it may be our own network that is away.
                let counts = error.is_the_peers()
                    && self.connections.staying().any(|it| it.standing == Standing::Ordinary);
                if let Some(entry) = self.book.get_mut(address).filter(|_| counts) {
                    entry.score = score::after_failure(entry.score);
                }
                self.fail(address, standing, error.word(), error.is_lasting(), now);
            }
        }
    }

    /// Finds a place at a shard for a greeted peer; `false`: there was none.
    pub(super) fn adopt(
        &mut self,
        address: SocketAddr,
        standing: Standing,
        dialled: Dialled,
        now: Instant,
    ) -> bool {
        let Dialled { socket, facts } = dialled;
        let (now_s, chain) = (epoch_s(), self.settings.chain);
        let value = self.note_connected(address, &facts, now_s);
        let rank = score::rank(standing, value);
        let Some((peer, place)) = self.slots.take(self.settings.chain_index, rank) else {
            self.dial_counts.failed += 1;
            self.fail(address, standing, "no-place", false, now);
            return false;
        };
        self.dial_counts.succeeded += 1;
        let label = PeerLabel {
            address,
            user_agent: facts.user_agent.clone(),
            protected: standing == Standing::Protected,
        };
        self.directory.insert(peer, label);
        let route = self.slots.route_of(&socket);
        // What never leaves this host shares nothing.
        let governed = route != LOOPBACK;
        let path = first_facts(governed, &socket);
        let way = (Arc::clone(&place.link), place.slot);
        self.slots.paths().add(peer, address, way, governed, &socket);
        let adoption = Adoption {
            slot: place.slot,
            peer,
            rank,
            round_trip_us: path.round_trip_us,
            governed,
            route,
            magic: chain.magic,
            payload_bytes_max: chain.payload_bytes_max,
            ping_deadline_s: chain.ping_deadline_s,
            is_limited: standing != Standing::Protected,
            terms: Terms {
                asks_back: self.settings.services() != 0,
                ..Terms::of(chain, self.settings.relay, &facts.compact)
            },
            socket,
        };
        let kin = self.kin_of(address);
        let connection =
            Connection::new((address, standing, kin), place, adoption, path, facts, now);
        self.connections.add(peer, connection);
        self.book.connected.insert(address);
        self.missed.forget(address);
        self.diary.note(address, PlaceChange::Joined);
        self.kept.on_connected(address, now);
        self.listen_to(address);
        self.schedule.rank_soon(now);
        tracing::debug!(peer = %address, "connected");
        true
    }

    /// What is known of the ways of connected peers, newly looked at.
    pub(super) fn on_paths(&mut self, known: Vec<(PeerId, PathFacts)>) {
        for (peer, facts) in known {
            if let Some(connection) = self.connections.get_mut(peer) {
                connection.path = facts;
            }
        }
        self.schedule.show_soon();
    }

    /// Writes down what a peer said of itself; gives what it is worth.
    pub(super) fn note_connected(
        &mut self,
        address: SocketAddr,
        facts: &PeerFacts,
        now_s: f64,
    ) -> f64 {
        let Some(entry) = self.book.get_mut(address) else {
            return 0.0;
        };
        entry.last_connected_s = now_s;
        entry.last_seen_s = now_s;
        entry.next_try_s = 0.0;
        entry.services = Some(facts.services);
        entry.start_height = Some(facts.start_height);
        entry.user_agent.clone_from(&facts.user_agent);
        score::rank_value(entry, now_s)
    }

    /// An attempt came to nothing: counts it, and puts the address off.
    pub(super) fn fail(
        &mut self,
        address: SocketAddr,
        standing: Standing,
        word: &'static str,
        is_lasting: bool,
        now: Instant,
    ) {
        self.count_drop(word);
        if standing == Standing::Ordinary {
            self.missed.note(address, word, now);
        } else {
            self.kept.on_failed(address, word, now, &mut self.chance);
        }
        let Some(entry) = self.book.get_mut(address) else {
            return;
        };
        choose::put_off(entry, word, epoch_s(), ORDINARY, is_lasting, &mut self.chance);
        if score::is_spent(entry) {
            self.forget_address(address);
        }
    }

    /// Takes an address out of the database, with all that was measured of it.
    pub(super) fn forget_address(&mut self, address: SocketAddr) {
        self.book.remove(address);
        self.missed.forget(address);
        self.covering.cover.forget(address);
    }
}
