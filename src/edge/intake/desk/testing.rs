//! What the intakes' tests share: blocks by the rules of a regtest chain, and a publisher that
//! writes down what it was given.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash as _;
use bitcoin::{
    Amount, Block, BlockHash as ParentHash, CompactTarget, OutPoint, ScriptBuf, Sequence,
    Transaction, TxIn, TxOut, Witness, transaction,
};
use bytes::Bytes;

use super::{Desk, DeskChain, Draft, HandOver, Publish, PublishedAt};
use crate::cold::directory::Directory;
use crate::cold::node::NodeClient;
use crate::cold::node::endpoint::Endpoint;
use crate::cold::spool::Spool;
use crate::cold::stats::BlockLog;
use crate::cold::template::TemplateMode;
use crate::hot::link::ImageId;
use crate::hot::publish::Attachment;
use crate::limits::{BLOCKS_KEPT, IMAGE_SLOTS};
use crate::wire::block::Walker;
use crate::wire::chain::{self, Chain, HashKind, Network};
use crate::wire::compact::CompactBlock;
use crate::wire::hash::{BlockHash, sha256d};

/// The plainest chain of the table: its blocks are easily made.
pub(crate) fn plain_chain() -> &'static Chain {
    chain::all()
        .find(|row| row.network == Network::Regtest && row.proof_of_work == HashKind::Sha256d)
        .expect("the table has one")
}

/// A public network that is as easily mined: there, parents are judged.
pub(crate) fn judged_chain() -> &'static Chain {
    Box::leak(Box::new(Chain { network: Network::Test, ..plain_chain().clone() }))
}

/// A valid block of that chain on `parent`; `tag` tells it from others at the same place.
pub(crate) fn block(parent: BlockHash, height: u32, tag: u32) -> Bytes {
    let mut block = unmined(parent, height, tag);
    mine(&mut block);
    Bytes::from(bitcoin::consensus::serialize(&block))
}

/// As [`block`], with `bytes` more in it.
pub(crate) fn large_block(parent: BlockHash, height: u32, tag: u32, bytes: usize) -> Bytes {
    let mut block = unmined(parent, height, tag);
    block.txdata[0].output[0].script_pubkey = ScriptBuf::from_bytes(vec![0x6a; bytes]);
    let root = block.txdata[0].compute_txid().to_raw_hash();
    block.header.merkle_root = bitcoin::TxMerkleNode::from_raw_hash(root);
    mine(&mut block);
    Bytes::from(bitcoin::consensus::serialize(&block))
}

fn unmined(parent: BlockHash, height: u32, tag: u32) -> Block {
    let mut script = vec![3];
    script.extend_from_slice(&height.to_le_bytes()[..3]);
    script.push(4);
    script.extend_from_slice(&tag.to_le_bytes());
    let coinbase = Transaction {
        version: transaction::Version(2),
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig: ScriptBuf::from_bytes(script),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: vec![TxOut { value: Amount::from_sat(50), script_pubkey: ScriptBuf::new() }],
    };
    let header = Header {
        version: Version::from_consensus(0x2000_0000),
        prev_blockhash: ParentHash::from_byte_array(parent.0),
        merkle_root: bitcoin::TxMerkleNode::from_raw_hash(coinbase.compute_txid().to_raw_hash()),
        time: 1_700_000_000 + height,
        bits: CompactTarget::from_consensus(0x207f_ffff),
        nonce: 0,
    };
    Block { header, txdata: vec![coinbase] }
}

fn mine(block: &mut Block) {
    while block.header.validate_pow(block.header.target()).is_err() {
        block.header.nonce += 1;
    }
}

/// A block whose header promises other transactions.
pub(crate) fn block_with_wrong_root(parent: BlockHash) -> Bytes {
    let mut block = unmined(parent, 1, 7);
    block.header.merkle_root = bitcoin::TxMerkleNode::all_zeros();
    mine(&mut block);
    Bytes::from(bitcoin::consensus::serialize(&block))
}

/// A block whose work does not meet its target.
pub(crate) fn block_without_work(parent: BlockHash) -> Bytes {
    let mut block = unmined(parent, 1, 8);
    while block.header.validate_pow(block.header.target()).is_ok() {
        block.header.nonce += 1;
    }
    Bytes::from(bitcoin::consensus::serialize(&block))
}

pub(crate) fn hash_of(raw: &[u8]) -> BlockHash {
    BlockHash(sha256d(&raw[..80]))
}

pub(crate) const GENESIS: BlockHash = BlockHash([0; 32]);

/// Writes down what it is given.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) published: Mutex<Vec<(BlockHash, Vec<u8>)>>,
    /// Published blocks that the node refused.
    pub(crate) withdrawn: Mutex<Vec<ImageId>>,
    /// Whether all places are taken.
    pub(crate) full: AtomicBool,
    /// Places that were ever taken.
    pub(crate) begun: AtomicU32,
    /// Published blocks that came with their compact form.
    compact: AtomicU32,
    /// Places that are being written to.
    pub(crate) held: AtomicU32,
}

impl Notes {
    pub(crate) fn compact(&self) -> u32 {
        self.compact.load(Relaxed)
    }

    pub(crate) fn hashes(&self) -> Vec<BlockHash> {
        let published = self.published.lock().expect("whole");
        published.iter().map(|(hash, _)| *hash).collect()
    }
}

/// The publisher that keeps the notes.
pub(crate) struct NotesPublisher(pub(crate) Arc<Notes>);

struct NotesDraft(Arc<Notes>, Vec<u8>);

impl Drop for NotesDraft {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Relaxed);
    }
}

impl Publish for NotesPublisher {
    fn begin(&self) -> Option<Box<dyn Draft>> {
        // As many as the arena has beside the newest blocks.
        if self.0.full.load(Relaxed) || self.0.held.load(Relaxed) >= IMAGE_SLOTS - BLOCKS_KEPT {
            return None;
        }
        self.0.begun.fetch_add(1, Relaxed);
        self.0.held.fetch_add(1, Relaxed);
        Some(Box::new(NotesDraft(Arc::clone(&self.0), Vec::new())))
    }

    fn withdraw(&self, image: ImageId) {
        self.0.withdrawn.lock().expect("whole").push(image);
    }
}

impl Draft for NotesDraft {
    fn push(&mut self, raw: &[u8]) -> Result<(), String> {
        self.1.extend_from_slice(raw);
        Ok(())
    }

    fn digest(&mut self) {}

    fn commit(
        mut self: Box<Self>,
        _: u8,
        chain: &'static Chain,
        hash: [u8; 32],
        more: Option<Attachment<'_>>,
    ) -> PublishedAt {
        let image = std::mem::take(&mut self.1);
        if let Some(more) = more {
            self.0.compact.fetch_add(u32::from(more.compact.is_some()), Relaxed);
            assert_fits(chain, &image, more);
        }
        let mut published = self.0.published.lock().expect("whole");
        published.push((BlockHash(hash), image));
        PublishedAt {
            image: ImageId(published.len() as u64),
            published_ns: crate::sys::clock::now_ns(),
        }
    }
}

/// What goes behind a block is that block's own: its compact form puts together to it.
fn assert_fits(chain: &'static Chain, image: &[u8], more: Attachment<'_>) {
    let layout = Walker::new(chain).finish(image).expect("what has something behind it was walked");
    let first = layout.transactions.first().expect("a coinbase");
    assert_eq!((more.ends, more.transactions_start), (layout.transactions.ends(), first.start));
    assert_eq!(more.header_bytes, layout.auxpow.map_or(80, |proof| proof.end));
    let Some((payload, checksum)) = more.compact else {
        return;
    };
    assert_eq!(checksum, sha256d(payload)[..4]);
    let compact = CompactBlock::decode(chain, payload).expect("readable");
    let at = |index: u32, _| {
        let span = layout.transactions.get(index as usize)?;
        image.get(span.range())
    };
    assert_eq!(compact.rebuild(at).as_deref(), Ok(image));
}

/// A desk for one chain, and the notes of its publisher.
pub(crate) struct Bench {
    pub(crate) desk: Arc<Desk>,
    pub(crate) notes: Arc<Notes>,
}

impl Bench {
    pub(crate) fn new(node: Option<NodeClient>, spool: Option<Arc<Spool>>) -> Self {
        Self::with(plain_chain(), node, Vec::new(), spool, super::ANSWER_DEADLINE)
    }

    pub(crate) fn with(
        chain: &'static Chain,
        node: Option<NodeClient>,
        more: Vec<NodeClient>,
        spool: Option<Arc<Spool>>,
        deadline: std::time::Duration,
    ) -> Self {
        let more = more.into_iter().map(Endpoint::of).collect();
        let chains = vec![DeskChain { chain, node, more, template: TemplateMode::Auto }];
        Self::of(chains, spool, deadline)
    }

    /// With these chains.
    pub(crate) fn of(
        chains: Vec<DeskChain>,
        spool: Option<Arc<Spool>>,
        deadline: std::time::Duration,
    ) -> Self {
        let notes = Arc::<Notes>::default();
        let publisher = Arc::new(NotesPublisher(Arc::clone(&notes)));
        let log = Arc::new(BlockLog::new(Arc::new(Directory::default()), 0));
        let desk = Desk::with_deadline(publisher, chains, spool, log, deadline);
        Self { desk, notes }
    }

    /// With another time after which a block that is coming in has stalled.
    pub(crate) fn with_stall(stall: std::time::Duration) -> Self {
        let mut bench = Self::new(None, None);
        Arc::get_mut(&mut bench.desk).expect("nobody else has it yet").stall = stall;
        bench
    }

    pub(crate) async fn submit(&self, raw: &Bytes) -> super::Answer {
        let block = HandOver {
            chain_index: 0,
            raw: raw.clone(),
            hex: None,
            first_byte_ns: 1,
            last_byte_ns: 2,
        };
        self.desk.submit(block).await
    }
}
