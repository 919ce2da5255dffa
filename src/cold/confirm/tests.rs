use super::*;
use crate::cold::directory::Directory;
use crate::cold::node::NodeAuth;
use crate::cold::node::fake::FakeNode;
use crate::cold::node::verdict::Verdict;
use crate::cold::stats::{BlockMeta, Stages};
use crate::hot::link::ImageId;
use crate::wire::chain::{self, Network};

fn regtest() -> &'static Chain {
    chain::find(chain::names()[0], Network::Regtest).expect("every name has a regtest row")
}

const GENESIS: BlockHash = BlockHash([0; 32]);

/// A node's chain, and a watch over it that only looks when told.
struct World {
    node: FakeNode,
    watch: Watch,
}

impl World {
    async fn new(spool: Option<Arc<Spool>>) -> Self {
        let node = FakeNode::start().await;
        let log = Arc::new(BlockLog::new(Arc::new(Directory::default()), 1));
        let told = Confirm {
            chain_index: 0,
            chain: regtest(),
            node: node.client(NodeAuth::None),
            log,
            spool,
        };
        Self { node, watch: Watch::new(told) }
    }

    fn log(&self) -> &BlockLog {
        &self.watch.told.log
    }

    /// A block of ours goes out.
    fn publish(&self, image: u64, hash: BlockHash) {
        let meta = BlockMeta {
            chain_index: 0,
            chain: regtest(),
            hash,
            height: None,
            size_bytes: 1,
            transactions: 1,
            first_byte_ns: 1,
            last_byte_ns: 1,
            published_ns: 1,
            received_unix_ms: 1,
            stages: Stages::default(),
        };
        self.log().begin(ImageId(image), meta);
    }

    /// The node's chain gets `count` blocks on `parent`, the first of them `first`; the last is the
    /// tip where it is the highest. Gives back the tip of this branch.
    fn grow(&self, parent: BlockHash, first: u8, count: u8) -> BlockHash {
        let mut memory = self.node.memory();
        let mut parent = parent;
        for byte in first..first + count {
            let height = memory.blocks[&parent].0 + 1;
            let hash = BlockHash([byte; 32]);
            memory.blocks.insert(hash, (height, parent));
            if height > memory.blocks[&memory.best].0 {
                memory.best = hash;
            }
            parent = hash;
        }
        parent
    }

    async fn look(&mut self) {
        self.watch.look().await.expect("the node answers");
    }

    fn fate(&self, byte: u8) -> Fate {
        self.log().fate(0, &BlockHash([byte; 32])).expect("it is in the log")
    }

    fn counts(&self) -> (u64, u64) {
        let fates = self.log().totals(0).fates;
        (fates.confirmed, fates.stale)
    }
}

/// Goal: a block is followed from its first sight to its burial, and counted once.
#[tokio::test]
async fn a_buried_block_is_confirmed_once() {
    let mut world = World::new(None).await;
    world.publish(1, BlockHash([1; 32]));
    world.look().await;
    assert_eq!(world.fate(1), Fate::Pending, "the node does not have it yet");
    let mut tip = world.grow(GENESIS, 1, 1);
    for depth in 1..CONFIRM_DEPTH {
        world.look().await;
        assert_eq!(world.fate(1), Fate::InChain(depth));
        tip = world.grow(tip, 1 + depth as u8, 1);
    }
    world.look().await;
    assert_eq!((world.fate(1), world.counts()), (Fate::Confirmed, (1, 0)));
    world.grow(tip, 100, 1);
    world.look().await;
    assert_eq!(world.counts(), (1, 0));
    assert_eq!(world.log().totals(0).fates.orphan_rate(), Some(0.0));
}

/// Goal: of two blocks at one height, the one that lost is stale by the one that won, and only when
/// that is certain; until then it may come back.
#[tokio::test]
async fn a_lost_race_names_the_winner() {
    let mut world = World::new(None).await;
    let depth = CONFIRM_DEPTH as u8;
    let ours = world.grow(GENESIS, 1, 1);
    world.publish(1, ours);
    let rival = world.grow(GENESIS, 50, 1);
    world.look().await;
    assert_eq!(world.fate(1), Fate::InChain(1), "first seen wins");
    let theirs = world.grow(rival, 51, 1);
    world.look().await;
    assert_eq!(world.fate(1), Fate::Behind(rival));
    let ours = world.grow(ours, 2, 2);
    world.look().await;
    assert_eq!(world.fate(1), Fate::InChain(3), "back again");
    let _theirs = world.grow(theirs, 52, depth - 2);
    world.look().await;
    assert_eq!((world.fate(1), world.counts()), (Fate::Stale(rival), (0, 1)));
    assert_eq!(world.log().totals(0).fates.orphan_rate(), Some(1.0));
    let json = world.log().recent(1)[0].confirmation_json();
    assert_eq!((&json["state"], &json["rival"]), (&"stale".into(), &rival.to_string().into()));

    // Deeper than anybody reckons with: what counted as certain is looked at again.
    world.publish(2, BlockHash([50; 32]));
    world.look().await;
    assert_eq!((world.fate(50), world.counts()), (Fate::Confirmed, (1, 1)));
    world.grow(ours, 100, depth + 1);
    world.look().await;
    assert_eq!((world.fate(50), world.counts()), (Fate::Stale(BlockHash([1; 32])), (0, 2)));
}

/// Goal: a block that the node refused is no orphan, and a node that is away decides nothing.
#[tokio::test]
async fn refused_is_not_stale_and_away_is_not_an_answer() {
    let mut world = World::new(None).await;
    world.publish(1, BlockHash([1; 32]));
    let refused = Verdict::Refused("bad-cb-amount".to_owned());
    world.log().note_verdict(0, &BlockHash([1; 32]), "node", true, &refused, 1);
    world.publish(2, BlockHash([2; 32]));
    world.grow(GENESIS, 50, 20);
    world.look().await;
    assert_eq!((world.fate(1), world.fate(2)), (Fate::Refused, Fate::Pending));
    let World { node, mut watch } = world;
    let away = node.kill().await;
    assert!(watch.look().await.is_err());
    assert_eq!(watch.told.log.fate(0, &BlockHash([2; 32])), Some(Fate::Pending));
    let node = FakeNode::restart(away).await;
    node.memory().blocks.insert(BlockHash([2; 32]), (1, GENESIS));
    watch.look().await.expect("it is back");
    let rival = BlockHash([50; 32]);
    assert_eq!(watch.told.log.fate(0, &BlockHash([2; 32])), Some(Fate::Stale(rival)));
}

/// Goal: the spool keeps an accepted block until it is decided, also one of an earlier process; a
/// buried one until the node has surely written it down.
#[tokio::test]
async fn the_spool_keeps_what_is_not_decided() {
    let folder = tempfile::tempdir().expect("tempdir");
    let spool = Arc::new(Spool::open(folder.path()).expect("opens"));
    spool.watch(regtest());
    let mut world = World::new(Some(Arc::clone(&spool))).await;
    let depth = CONFIRM_DEPTH as u8;
    let now_unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("later").as_millis();
    let now_unix_ms = now_unix_ms as u64;
    for (byte, received) in [(1, 5), (2, now_unix_ms), (30, 5), (31, 5), (70, 5)] {
        let entry = spool.store(regtest(), &BlockHash([byte; 32]), received, &[byte]);
        let entry = entry.expect("stores");
        spool.settle(&entry, SpoolState::Accepted, received).expect("settles");
    }
    // 1 and 2 are buried, 30 has lost, 31 is with nobody, 70 is the tip.
    world.grow(GENESIS, 30, 1);
    let tip = world.grow(GENESIS, 1, depth + 2);
    world.grow(tip, 70, 1);
    let kept = |_: &str| {
        let mut kept: Vec<u8> =
            spool.list(regtest(), SpoolState::Accepted).iter().map(|it| it.hash.0[0]).collect();
        kept.sort_unstable();
        kept
    };
    assert_eq!(kept("before"), [1, 2, 30, 31, 70]);
    world.look().await;
    assert_eq!(kept("after"), [2, 31, 70], "the young one may still be lost by the node");
    assert_eq!(world.counts(), (2, 1), "an earlier process's blocks count as well");
    world.look().await;
    assert_eq!(world.counts(), (2, 1), "once");
}

/// Goal: the task looks by itself when the tip changes.
#[tokio::test]
async fn a_new_tip_is_reason_enough_to_look() {
    let world = World::new(None).await;
    let ours = world.grow(GENESIS, 1, 1);
    world.publish(1, ours);
    let World { node, watch } = world;
    let log = Arc::clone(&watch.told.log);
    let tip = TipWatch::spawn(node.client(NodeAuth::None));
    watch.told.spawn(&tip);
    let mut tips = tip.changes();
    tips.wait_for(Option::is_some).await.expect("it lives");
    let reached = async {
        while log.fate(0, &ours) != Some(Fate::InChain(1)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached).await.expect("in time");
}
