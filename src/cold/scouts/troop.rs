//! The task that keeps a chain's scouts: sends them out, hears them, and rotates them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::ScoutSettings;
use super::hearing::End;
use super::listen::{Errand, Scout, Tiding, epoch_s};
use super::own::OwnBlock;
use super::rotation::{Firsts, Record, leaver};
use crate::cold::gossip::Fate;
use crate::cold::roster::{Chance, Drawn, RosterHandle, ScoutNews};
use crate::cold::seeds::{Resolver, Seeds, Told};
use crate::cold::stats::BlockLog;
use crate::limits::{
    FEW_PEERS_REFRESH_MS, SCOUT_DIALS_MAX, SCOUT_DRAW_PAUSE_MS, SCOUT_OFFER_BYTES_PER_S,
    SCOUT_OFFER_WAIT_MS, SCOUT_ROTATED_ONE_IN, SCOUT_TIDINGS_MAX, VISITS_MAX,
};
use crate::wire::hash::BlockHash;

const DRAW_PAUSE: Duration = Duration::from_millis(SCOUT_DRAW_PAUSE_MS);
const OFFER_WAIT: Duration = Duration::from_millis(SCOUT_OFFER_WAIT_MS);
const FEW_REFRESH: Duration = Duration::from_millis(FEW_PEERS_REFRESH_MS);

/// One scout, as its keeper sees it.
struct Out {
    errand: Errand,
    leave: watch::Sender<bool>,
    give: watch::Sender<Option<Arc<OwnBlock>>>,
    /// Since when it is connected; `None`: still being dialled.
    since: Option<Instant>,
    announced: u32,
    early: u32,
    /// It was told to go.
    is_leaving: bool,
}

/// All scouts of a chain.
pub(super) struct Troop {
    settings: Arc<ScoutSettings>,
    roster: RosterHandle,
    log: Option<Arc<BlockLog>>,
    seeds: Seeds,
    tasks: JoinSet<End>,
    /// By task: two can be at one address, one of them on a visit.
    out: HashMap<Id, (SocketAddr, Out)>,
    told: (mpsc::Sender<Tiding>, mpsc::Receiver<Tiding>),
    firsts: Firsts,
    chance: Chance,
    draw: Option<oneshot::Receiver<Drawn>>,
    next_draw: Instant,
    next_rotation: Instant,
    /// Scouts wanted beyond the full number, whose places others are to give up.
    extra: usize,
    own: watch::Receiver<Option<Arc<OwnBlock>>>,
    /// Takes the newest block of ours round.
    round: JoinSet<()>,
}

impl Troop {
    pub(super) fn new(
        settings: ScoutSettings,
        roster: RosterHandle,
        log: Option<Arc<BlockLog>>,
        resolver: Arc<dyn Resolver>,
    ) -> Self {
        let now = Instant::now();
        Self {
            seeds: Seeds::new(settings.dial.chain, resolver),
            next_rotation: now + settings.refresh,
            own: settings.own.clone(),
            round: JoinSet::new(),
            settings: Arc::new(settings),
            roster,
            log,
            tasks: JoinSet::new(),
            out: HashMap::new(),
            told: mpsc::channel(SCOUT_TIDINGS_MAX),
            firsts: Firsts::default(),
            chance: Chance::new(),
            draw: None,
            next_draw: now,
            extra: 0,
        }
    }

    /// Lives until told to stop. Its scouts end with it.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let (orders, mut ordered) = mpsc::channel(SCOUT_TIDINGS_MAX);
        self.roster.scout_news(ScoutNews::Ready { orders });
        loop {
            let now = Instant::now();
            self.rotate(now);
            self.ask_for_addresses(now);
            let wake = if self.draw.is_some() { now + FEW_REFRESH } else { self.next_draw };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                Some(tiding) = self.told.1.recv() => self.on_tiding(tiding),
                Some(ended) = self.tasks.join_next_with_id() => self.on_ended(ended),
                Some(address) = ordered.recv() => self.send_away(address),
                drawn = answer(&mut self.draw) => self.on_drawn(drawn, Instant::now()),
                told = self.seeds.told() => self.on_seed(told),
                Ok(()) = self.own.changed() => self.take_round(),
                () = sleep_until(wake.min(self.next_rotation)) => {}
            }
        }
        self.tasks.shutdown().await;
    }

    /// Has a block of ours offered to whom scouts listen to, early announcers first.
    fn take_round(&mut self) {
        let Some(block) = self.own.borrow_and_update().clone() else {
            return;
        };
        let mut there: Vec<_> = self.listening().map(|(_, out)| out).collect();
        there.retain(|out| out.since.is_some());
        there.sort_by_key(|out| Reverse(out.early));
        let there = there.into_iter().map(|out| out.give.clone()).collect();
        let round = take_round(block, self.log.clone(), there);
        // Whoever has not been offered the block before is offered this one.
        self.round = JoinSet::new();
        self.round.spawn(round);
    }

    fn wanted(&self) -> usize {
        self.settings.scouts as usize + self.extra
    }

    fn listening(&self) -> impl Iterator<Item = (Id, &Out)> {
        let all = self.out.iter().map(|(id, (_, out))| (*id, out));
        all.filter(|(_, out)| out.errand == Errand::Listen && !out.is_leaving)
    }

    fn dialling(&self) -> usize {
        self.listening().filter(|(_, out)| out.since.is_none()).count()
    }

    fn connected(&self) -> usize {
        self.listening().filter(|(_, out)| out.since.is_some()).count()
    }

    fn visiting(&self) -> usize {
        self.out.values().filter(|(_, out)| out.errand == Errand::Visit).count()
    }

    /// At every refresh a share of the scouts is to be replaced; each goes when another has come.
    fn rotate(&mut self, now: Instant) {
        if now < self.next_rotation {
            return;
        }
        let full = self.settings.scouts as usize;
        let is_full = full > 0 && self.connected() >= full;
        self.extra = if is_full { full.div_ceil(SCOUT_ROTATED_ONE_IN) } else { 0 };
        self.next_rotation = now + self.settings.refresh.mul_f64(0.75 + 0.5 * self.chance.unit());
        if self.extra > 0 && self.leaver(now).is_none() {
            self.extra = 0;
        }
    }

    /// The one who is missed least.
    fn leaver(&mut self, now: Instant) -> Option<Id> {
        let Self { out, chance, settings, .. } = self;
        let there = out.iter().filter(|(_, (_, it))| it.errand == Errand::Listen && !it.is_leaving);
        let records = there.filter_map(|(id, (_, it))| {
            let stayed = now.duration_since(it.since?);
            Some((*id, Record { stayed, announced: it.announced, early: it.early }))
        });
        leaver(records, settings.stay, chance)
    }

    /// Asks the roster for addresses, when that is due.
    fn ask_for_addresses(&mut self, now: Instant) {
        if self.draw.is_some() || now < self.next_draw {
            return;
        }
        let dialling = self.dialling();
        let missing = self.wanted().saturating_sub(self.connected() + dialling);
        let wanted = missing.min(SCOUT_DIALS_MAX.saturating_sub(dialling));
        let (reply, answer) = oneshot::channel();
        self.draw = Some(answer);
        self.roster.scout_news(ScoutNews::Draw { wanted, reply });
    }

    fn on_drawn(&mut self, drawn: Option<Drawn>, now: Instant) {
        self.draw = None;
        let Drawn { listen, visit, is_short, is_empty } = drawn.unwrap_or_default();
        let refresh = self.settings.refresh;
        let pause = if listen.is_empty() { refresh.min(FEW_REFRESH) } else { DRAW_PAUSE };
        self.next_draw = now + pause.min(refresh);
        for address in listen {
            self.send_out(address, Errand::Listen);
        }
        if !self.settings.discover {
            return;
        }
        if let Some(address) = visit.filter(|_| self.visiting() < VISITS_MAX) {
            self.send_out(address, Errand::Visit);
        }
        if is_short && self.settings.seeds {
            self.seeds.want(is_empty, now, epoch_s(), &mut self.chance);
        } else {
            self.seeds.settle();
        }
    }

    fn send_out(&mut self, address: SocketAddr, errand: Errand) {
        let (leave, left) = watch::channel(false);
        let settings = Arc::clone(&self.settings);
        let (give, given) = watch::channel(None);
        let tidings = self.told.0.clone();
        let scout = Scout { address, errand, settings, tidings, leave: left, given };
        let id = self.tasks.spawn(scout.run()).id();
        let (since, is_leaving) = (None, false);
        let out = Out { errand, leave, give, since, announced: 0, early: 0, is_leaving };
        self.out.insert(id, (address, out));
    }

    fn send_away(&mut self, address: SocketAddr) {
        for (at, out) in self.out.values_mut() {
            if *at == address && out.errand == Errand::Listen {
                out.is_leaving = true;
                let _ = out.leave.send(true);
            }
        }
    }

    fn on_tiding(&mut self, tiding: Tiding) {
        match tiding {
            Tiding::Connected { address, facts } => {
                if let Some(out) = self.listener(address) {
                    out.since = Some(Instant::now());
                }
                self.roster.scout_news(ScoutNews::Connected { address, facts });
                self.make_room();
            }
            Tiding::Announced { address, hash, at_ns } => self.on_announced(address, hash, at_ns),
            Tiding::Told { address, addresses, refused } => {
                for (fate, count) in refused {
                    self.roster.note_fate(fate, count);
                }
                if !addresses.is_empty() {
                    self.roster.scout_news(ScoutNews::Heard { from: address, addresses });
                }
            }
        }
    }

    /// More are connected than are wanted: as many go.
    fn make_room(&mut self) {
        let now = Instant::now();
        while self.connected() > self.settings.scouts as usize {
            let Some((_, out)) = self.leaver(now).and_then(|id| self.out.get_mut(&id)) else {
                break;
            };
            out.is_leaving = true;
            let _ = out.leave.send(true);
            self.extra = self.extra.saturating_sub(1);
        }
    }

    fn on_announced(&mut self, address: SocketAddr, hash: [u8; 32], at_ns: u64) {
        let index = self.settings.chain_index;
        let ours = self.log.as_ref();
        let is_ours =
            ours.is_some_and(|log| log.note_witness(index, &BlockHash(hash), address, at_ns));
        if is_ours {
            // Who has our block early has it from us.
            return;
        }
        let is_early = self.firsts.note(hash, at_ns);
        if let Some(out) = self.listener(address) {
            out.announced = out.announced.saturating_add(1);
            out.early = out.early.saturating_add(u32::from(is_early));
        }
        self.roster.scout_news(ScoutNews::Announced { from: address, hash, at_ns });
    }

    fn listener(&mut self, address: SocketAddr) -> Option<&mut Out> {
        let mut all = self.out.values_mut();
        all.find(|(at, out)| *at == address && out.errand == Errand::Listen).map(|(_, out)| out)
    }

    fn on_ended(&mut self, ended: Result<(Id, End), JoinError>) {
        let (id, end) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), End::ours("broken")),
        };
        let Some((address, out)) = self.out.remove(&id) else {
            return;
        };
        let End { word, is_the_peers, is_lasting } = end;
        tracing::debug!(peer = %address, word, "scout ended");
        if out.errand == Errand::Listen {
            let news = ScoutNews::Ended { address, word, is_the_peers, is_lasting };
            self.roster.scout_news(news);
        }
    }

    fn on_seed(&mut self, told: Told) {
        match &told.answer {
            Ok(_) => tracing::info!("{}", told.line()),
            Err(_) => tracing::warn!("{}", told.line()),
        }
        if let Ok(answer) = told.answer {
            self.roster.note_fate(Fate::Unroutable, answer.refused);
            let news = ScoutNews::Named { seed: told.seed, addresses: answer.addresses };
            self.roster.scout_news(news);
        }
    }
}

/// Waits until the peers have `block`, then hands it to one scout after the other, at a rate that
/// leaves the uplink to others.
async fn take_round(
    block: Arc<OwnBlock>,
    log: Option<Arc<BlockLog>>,
    there: Vec<watch::Sender<Option<Arc<OwnBlock>>>>,
) {
    if let Some(log) = log {
        log.settled(block.image, OFFER_WAIT).await;
    }
    let pause_us = block.offer().len() as u64 * 1_000_000 / SCOUT_OFFER_BYTES_PER_S;
    for scout in there {
        scout.send_replace(Some(Arc::clone(&block)));
        sleep(Duration::from_micros(pause_us)).await;
    }
}

/// The answer to a draw; `None`: the roster is gone. For ever while none is under way.
async fn answer(draw: &mut Option<oneshot::Receiver<Drawn>>) -> Option<Drawn> {
    match draw {
        Some(draw) => draw.await.ok(),
        None => std::future::pending().await,
    }
}
