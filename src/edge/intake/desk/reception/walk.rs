//! The walk over a block's bytes while they arrive: ids, merkle roots, proof of work.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::ReceptionError;
use super::piece::Piece;
use crate::cold::stats::Stages;
use crate::cold::template::Templates;
use crate::edge::intake::desk::Fault;
use crate::edge::intake::desk::behind::{Behind, walker};
use crate::edge::intake::desk::course::examine;
use crate::limits::{RECEPTION_PIECE_BYTES, RECEPTION_WALK_BYTES};
use crate::sys::clock::now_ns;
use crate::wire::block::Walker;
use crate::wire::chain::Chain;
use crate::wire::check::{CheckError, Checked, check_after_work, check_work};
use crate::wire::hash::BlockHash;
use crate::wire::staged::Staged;

/// The bytes so far, in one piece.
pub(super) enum Gathered {
    /// Pieces of one buffer, put together again as they arrive: nothing is copied.
    Growing(BytesMut),
    /// All of them, from the start.
    Whole(Bytes),
}

impl Gathered {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Growing(bytes) => bytes,
            Self::Whole(bytes) => bytes,
        }
    }

    fn freeze(self) -> Bytes {
        match self {
            Self::Growing(bytes) => bytes.freeze(),
            Self::Whole(bytes) => bytes,
        }
    }
}

/// A block of which the rest is known before it is there.
pub(super) struct Foreseen {
    /// Header, proof, count and coinbase.
    pub(super) front: Bytes,
    /// What follows.
    pub(super) staged: Arc<Staged>,
}

/// What is known of a block's work while it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Header or proof are not all there yet.
    Unknown,
    /// It holds, and what has come since is well formed.
    Holds,
    /// The block will not go to peers as it is.
    Failed,
}

/// One block's walk.
pub(super) struct Walk {
    chain: &'static Chain,
    walker: Walker,
    pub(super) gathered: Gathered,
    walked: usize,
    malformed: bool,
    work: Option<Result<BlockHash, CheckError>>,
    /// Taken when the coinbase is there.
    templates: Option<Templates>,
    /// The template that the block has been proven to be made of.
    proven: Option<Arc<Staged>>,
    pub(super) stages: Stages,
}

impl Walk {
    pub(super) fn new(
        chain: &'static Chain,
        gathered: Gathered,
        templates: Option<Templates>,
    ) -> Self {
        Self {
            chain,
            walker: walker(chain),
            gathered,
            walked: 0,
            malformed: false,
            work: None,
            templates,
            proven: None,
            stages: Stages::default(),
        }
    }

    /// Appends the next piece.
    pub(super) fn take(&mut self, piece: BytesMut) {
        if let Gathered::Growing(bytes) = &mut self.gathered {
            bytes.unsplit(piece);
        }
    }

    /// The same for one that is not part of the same memory.
    pub(super) fn append(&mut self, piece: Piece<'_>) -> Result<(), ReceptionError> {
        match &mut self.gathered {
            Gathered::Growing(bytes) => piece.append_to(bytes),
            Gathered::Whole(_) => Ok(()),
        }
    }

    pub(super) fn work(&self) -> Work {
        match self.work {
            Some(Err(_)) => Work::Failed,
            _ if self.malformed => Work::Failed,
            Some(Ok(_)) => Work::Holds,
            None => Work::Unknown,
        }
    }

    /// The block's identity, where its work has been found good.
    pub(super) fn hash(&self) -> Option<BlockHash> {
        self.work.and_then(Result::ok)
    }

    /// Whether there are bytes that were not looked at.
    pub(super) fn is_behind(&self) -> bool {
        self.walked < self.gathered.bytes().len() && self.work() != Work::Failed
    }

    /// So many bytes were not looked at.
    pub(super) fn rest_bytes(&self) -> usize {
        self.gathered.bytes().len() - self.walked
    }

    /// Walks on a little.
    pub(super) fn step(&mut self) {
        // The work is to be known before anything else is done.
        let step = if self.work.is_none() { RECEPTION_PIECE_BYTES } else { RECEPTION_WALK_BYTES };
        let all = self.gathered.bytes();
        let so_far = all.get(..self.walked + step).unwrap_or(all);
        self.walked = so_far.len();
        // Ahead of the first transaction.
        if self.walker.header().is_none()
            && let Some(parent) = so_far.get(4..36).and_then(|parent| parent.first_chunk())
            && let Some(compact) = self.walker.compact()
            && let Some(known) =
                self.templates.as_ref().and_then(|it| it.known(&BlockHash(*parent)))
        {
            compact.knowing(known);
        }
        self.malformed |= self.walker.advance(so_far).is_err();
        let header = self.walker.header().filter(|_| self.walker.is_past_header());
        if let Some(header) = header
            && self.work.is_none()
        {
            self.stages.header_ns = now_ns();
            let proof = self.walker.auxpow().map(|range| range.start as usize..range.end as usize);
            let proof = proof.map(|range| so_far.get(range).unwrap_or_default());
            self.work = Some(check_work(self.chain, header, proof));
            self.stages.work_checked_ns = now_ns();
        }
        let so_far = all.get(..self.walked).unwrap_or(all);
        if self.hash().is_some()
            && let Some(header) = self.walker.header()
            && let Some(coinbase) = self.walker.transactions().first()
            && let Some(templates) = self.templates.take()
            && let Some(coinbase) = so_far.get(coinbase.range())
            && let Some(staged) = templates.prove(header, coinbase)
        {
            self.walker.follow(so_far, &staged);
            self.proven = Some(staged);
        }
    }

    /// The whole block, where it has been proven to be made of a template while it comes in. Given
    /// once.
    pub(super) fn foreseen(&mut self) -> Option<Foreseen> {
        let staged = self.proven.take()?;
        if let Gathered::Whole(_) = self.gathered {
            return None;
        }
        let front = self.walker.transactions().first()?.end as usize;
        let is_whole = self.walker.announced() == staged.len() as u64 + 1;
        let front = self.gathered.bytes().get(..front).filter(|_| is_whole)?;
        Some(Foreseen { front: Bytes::copy_from_slice(front), staged })
    }

    /// Takes all bytes out: nothing is to come.
    pub(super) fn all(&mut self) -> Bytes {
        let bytes = std::mem::replace(&mut self.gathered, Gathered::Whole(Bytes::new())).freeze();
        self.gathered = Gathered::Whole(bytes.clone());
        bytes
    }

    /// Ends the walk over `raw`, checks what is left, and ends the compact form.
    pub(super) fn end(mut self, raw: &Bytes) -> Result<(Checked, Behind, Stages), Fault> {
        while self.is_behind() {
            self.step();
        }
        let (chain, work, mut stages) = (self.chain, self.work, self.stages);
        let judged = || -> Result<_, CheckError> {
            let (layout, compact) = self.walker.finish_compact(raw)?;
            stages.walked_ns = now_ns();
            let hash = work.unwrap_or(Err(CheckError::OtherBytes))?;
            let checked = check_after_work(chain, raw, &layout, hash)?;
            stages.checked_ns = now_ns();
            let behind = Behind::new(layout, compact, raw);
            stages.compact_ns = if behind.is_compact() { now_ns() } else { 0 };
            Ok((checked, behind, stages))
        };
        // What is said of a bad block must not depend on the pieces that it came in.
        judged().map_err(|_| examine(chain, raw).err().unwrap_or_else(Fault::internal))
    }
}
