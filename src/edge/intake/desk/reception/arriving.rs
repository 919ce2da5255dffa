//! A block on its way through the checks, and into the shards' hands once they hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};
use tracing::warn;

use super::early::foresee;
use super::holding::Placed;
use super::walk::{Gathered, Walk, Work};
use crate::cold::node::{SendTimes, Streamed};
use crate::cold::stats::Stages;
use crate::edge::intake::desk::behind::Behind;
use crate::edge::intake::desk::course::{Facts, now_unix_ms};
use crate::edge::intake::desk::entry::Entry;
use crate::edge::intake::desk::judge::{Claims, Judgement, ask, judge};
use crate::edge::intake::desk::legs::Forward;
use crate::edge::intake::desk::{Desk, Fault, HEADER_BYTES, HandOver};
use crate::limits::LEGS_WAIT_BYTES_MAX;
use crate::wire::chain::Chain;
use crate::wire::check::Checked;

/// What the intake knows at the end of a block.
pub(super) struct Ending {
    pub(super) last_byte_ns: u64,
    /// What the intake has for the nodes.
    pub(super) forward: Forward,
}

/// What an intake's caller is to be told about.
pub(super) enum Entered {
    /// The block of this entry.
    Known(Arc<Entry>),
    /// Other bytes under its header.
    Apart { entry: Arc<Entry>, raw: Bytes, forward: Forward, fault: Fault },
    /// Nothing that has a header.
    Unreadable(&'static str),
}

/// A block that is coming in, as the walking side has it.
pub(super) struct Arriving {
    pub(super) desk: Arc<Desk>,
    pub(super) chain_index: u8,
    pub(super) chain: &'static Chain,
    pub(super) first_byte_ns: u64,
    pub(super) walk: Walk,
    pub(super) judging: Judging,
    /// For the side that lays the block down.
    pub(super) work: watch::Sender<Work>,
    /// All bytes have come.
    is_there: Arc<AtomicBool>,
}

/// What the node says of the parent, asked for as soon as the header is there.
#[derive(Default)]
pub(super) enum Judging {
    /// The header was not there yet.
    #[default]
    Unasked,
    /// No need to ask.
    Clear,
    /// On its way.
    Asked(oneshot::Receiver<Judgement>),
}

impl Judging {
    fn begin(desk: &Desk, chain_index: u8, chain: &'static Chain, claims: Claims) -> Self {
        let tip = desk.tip(chain_index);
        if judge(chain, tip, claims).is_some() {
            return Self::Clear;
        }
        let Some(tip) = tip.cloned() else {
            return Self::Clear;
        };
        let (told, asked) = oneshot::channel();
        desk.runtime.spawn(async move {
            let _unheard = told.send(ask(chain, &tip, claims).await);
        });
        Self::Asked(asked)
    }
}

impl Arriving {
    pub(super) fn new(
        desk: &Arc<Desk>,
        (chain_index, chain): (u8, &'static Chain),
        first_byte_ns: u64,
        gathered: Gathered,
    ) -> Self {
        Self {
            desk: Arc::clone(desk),
            chain_index,
            chain,
            first_byte_ns,
            walk: Walk::new(chain, gathered, desk.templates(chain_index).cloned()),
            judging: Judging::default(),
            work: watch::Sender::new(Work::Unknown),
            is_there: Arc::default(),
        }
    }

    /// Walks on a little, tells of the work, and sees to the judging once there is a header.
    pub(super) fn step(&mut self) {
        self.walk.step();
        let work = self.walk.work();
        self.work.send_if_modified(|told| std::mem::replace(told, work) != work);
        self.see_to_judging();
        if let Some(foreseen) = self.walk.foreseen() {
            let of = (self.chain_index, self.first_byte_ns);
            foresee(&self.desk, of, foreseen, Arc::clone(&self.is_there));
        }
    }

    fn see_to_judging(&mut self) {
        if let (Judging::Unasked, Some(header)) =
            (&self.judging, self.walk.gathered.bytes().first_chunk())
        {
            let claims = Claims::of(header);
            self.judging = Judging::begin(&self.desk, self.chain_index, self.chain, claims);
        }
    }

    /// All bytes of a short block are there. Never waits.
    pub(super) fn finish(self, ending: Ending) -> Option<Entered> {
        let runtime = self.desk.runtime.clone();
        let (told, mut entered) = oneshot::channel();
        if let Some(publishable) = self.close(ending, told)
            && let Some(waiting) = publishable.publish_at_once()
        {
            runtime.spawn_blocking(move || waiting.publish(None));
        }
        entered.try_recv().ok()
    }

    /// All bytes are there: enters the block into the desk's memory, starts the legs, then ends the
    /// checks. Tells `told` in between. Returns the block where it may be published. Never waits.
    pub(super) fn close(
        mut self,
        ending: Ending,
        told: oneshot::Sender<Entered>,
    ) -> Option<Publishable> {
        self.is_there.store(true, Ordering::Relaxed);
        let raw = self.walk.all();
        let Some(header) = raw.first_chunk::<HEADER_BYTES>() else {
            let _unheard = told.send(Entered::Unreadable("it is shorter than a header"));
            return None;
        };
        let (desk, chain, chain_index) = (self.desk.clone(), self.chain, self.chain_index);
        let hash = self.walk.hash().unwrap_or_else(|| chain.identity_hash(header));
        let (entry, is_new) = desk.memory.enter(chain_index, hash, &raw);
        let Ending { last_byte_ns, forward } = ending;
        if !is_new {
            // Its own bytes may have passed the checks: then no others do.
            let fault = entry.is_sound().then(|| self.walk.end(&raw).err()).flatten();
            let _unheard = told.send(match fault {
                None => Entered::Known(entry),
                Some(fault) => Entered::Apart { entry, raw, forward, fault },
            });
            return None;
        }
        let received_unix_ms = now_unix_ms();
        let first_byte_ns = self.first_byte_ns;
        let block = HandOver { chain_index, raw, hex: None, first_byte_ns, last_byte_ns };
        let to_node = forward.streamed.as_ref().map(Streamed::times);
        let others = Others {
            desk: Arc::clone(&desk),
            entry: Arc::clone(&entry),
            block: block.clone(),
            forward,
            received_unix_ms,
        };
        let mut legs = Legs(Some(others));
        if self.walk.rest_bytes() > LEGS_WAIT_BYTES_MAX {
            legs.start();
        }
        let entry = Deciding(entry);
        let _unheard = told.send(Entered::Known(Arc::clone(&entry.0)));
        while self.walk.is_behind() {
            self.step();
        }
        self.see_to_judging();
        // Header or proof may be cut short: then nobody need wait for the work.
        self.work.send_if_modified(|told| {
            *told == Work::Unknown && std::mem::replace(told, Work::Failed) == Work::Unknown
        });
        match self.walk.end(&block.raw) {
            Ok((checked, behind, stages)) => Some(Publishable {
                desk,
                chain,
                entry,
                block,
                checked,
                stages,
                to_node,
                received_unix_ms,
                judging: self.judging,
                legs,
                behind,
            }),
            Err(fault) => {
                entry.hold_back(&desk, chain, fault);
                None
            }
        }
    }
}

/// What is to happen to a block beside its checks and the peers.
struct Others {
    desk: Arc<Desk>,
    entry: Arc<Entry>,
    block: HandOver,
    forward: Forward,
    received_unix_ms: u64,
}

/// The ways to the nodes. Where next to nothing is left to check they start behind the peers, at the
/// latest when this is dropped: starting them wakes threads, and those take a core from the shards.
struct Legs(Option<Others>);

impl Legs {
    fn start(&mut self) {
        let Some(Others { desk, entry, block, forward, received_unix_ms }) = self.0.take() else {
            return;
        };
        let leg = desk.start_legs(&entry, &block.raw, block.last_byte_ns, forward);
        // Behind the legs: a second task has another worker come for the first.
        let runtime = desk.runtime.clone();
        runtime.spawn(desk.run(entry, block, leg, received_unix_ms));
    }
}

impl Drop for Legs {
    fn drop(&mut self) {
        self.start();
    }
}

/// The entry of a block that is being checked: decided in the end, whatever happens.
struct Deciding(Arc<Entry>);

impl Deciding {
    fn hold_back(&self, desk: &Desk, chain: &Chain, fault: Fault) {
        desk.log.note_held_back(self.0.chain_index, fault.word.unwrap_or("unreadable"));
        warn!(chain = chain.name, block = %self.0.hash, reason = %fault.why,
            "not sent to peers: a check failed; the node decides");
        self.0.decide(Some(fault), None);
    }
}

impl Drop for Deciding {
    fn drop(&mut self) {
        if !self.0.progress.borrow().decided {
            self.0.decide(Some(Fault::internal()), None);
        }
    }
}

/// A block that has passed its own checks.
pub(super) struct Publishable {
    pub(super) desk: Arc<Desk>,
    chain: &'static Chain,
    entry: Deciding,
    block: HandOver,
    checked: Checked,
    stages: Stages,
    /// The request that went to the node while the block came in.
    to_node: Option<SendTimes>,
    received_unix_ms: u64,
    judging: Judging,
    legs: Legs,
    behind: Behind,
}

impl Publishable {
    /// Publishes the block in `placed`, which has all of it; or in a slot that it finds, waiting a
    /// moment for one. Also waits for the node's word on an unknown parent: for threads that may.
    pub(super) fn publish(mut self, placed: Option<Placed>) {
        let judged = self.judged();
        if judged.is_none() || placed.is_none() {
            // This may take a while.
            self.legs.start();
        }
        let judged = judged.unwrap_or_else(|| self.wait_for_node());
        match placed.or_else(|| self.desk.draft(&self.block.raw).map(Placed::from)) {
            Some(placed) => self.commit(judged, placed),
            None => match judged {
                Ok(_) => self.entry.0.decide(None, None),
                Err(fault) => self.entry.hold_back(&self.desk, self.chain, fault),
            },
        }
    }

    /// Publishes the block where nothing has to be waited for; gives it back where something has.
    pub(super) fn publish_at_once(self) -> Option<Self> {
        let Some(judged) = self.judged() else {
            return Some(self);
        };
        let Some(mut placed) = Placed::at_once(&self.desk) else {
            return Some(self);
        };
        if placed.draft.push(&self.block.raw).is_err() {
            return Some(self);
        }
        self.commit(judged, placed);
        None
    }

    fn commit(self, judged: Judgement, placed: Placed) {
        let parent = match judged {
            Ok(parent) => parent,
            Err(fault) => return self.entry.hold_back(&self.desk, self.chain, fault),
        };
        let Self { chain, ref block, checked, mut stages, received_unix_ms, .. } = self;
        if let Some(times) = &self.to_node {
            stages.node_first_byte_ns = times.first_byte_ns().unwrap_or_default();
            stages.node_last_byte_ns = times.last_byte_ns().unwrap_or_default();
        }
        let behind = Some(&self.behind);
        let facts = Facts { checked, parent, received_unix_ms, stages, behind };
        let published = self.desk.commit(chain, &self.entry.0, block, placed.draft, &facts);
        self.entry.0.decide(None, published);
        drop(self.legs);
    }

    fn wait_for_node(&mut self) -> Judgement {
        if let Judging::Clear | Judging::Unasked = self.judging {
            // The node has come back, or forgotten the parent, since the header was there.
            let claims = self.claims();
            self.judging = Judging::begin(&self.desk, self.entry.0.chain_index, self.chain, claims);
        }
        match std::mem::take(&mut self.judging) {
            Judging::Asked(asked) => asked.blocking_recv().unwrap_or(Ok(None)),
            Judging::Clear | Judging::Unasked => Ok(None),
        }
    }

    fn claims(&self) -> Claims {
        Claims { parent: self.checked.parent, bits: self.checked.bits }
    }

    fn judged(&self) -> Option<Judgement> {
        judge(self.chain, self.desk.tip(self.entry.0.chain_index), self.claims())
    }
}
