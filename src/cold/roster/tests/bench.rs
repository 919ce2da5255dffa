//! A roster on a bench: a made-up node, a link without a shard, and a log that can be read.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::cold::store::PeerBook;
use crate::hot::link::{Adoption, ImageId, Link, PeerId, Relay, Way};
use crate::sys::doorbell::Doorbell;

/// Index of the chain on the bench.
pub(super) const CHAIN: u8 = 5;
/// Nothing here takes this long: a test that would hang fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The node's answers to `getpeerinfo` and `getnetworkinfo`; may change while the roster runs.
#[derive(Debug)]
struct Node(Mutex<Result<Value, String>>, Mutex<Value>);

impl PeerInfoSource for Node {
    fn peer_info(&self) -> Answer<'_> {
        Box::pin(async { self.0.lock().unwrap().clone() })
    }

    fn network_info(&self) -> Answer<'_> {
        Box::pin(async { Ok(self.1.lock().unwrap().clone()) })
    }
}

/// What a node says of peers that it dialled.
pub(super) fn peer_info(addresses: impl IntoIterator<Item = SocketAddr>) -> Result<Value, String> {
    let peer = |address: SocketAddr| json!({"addr": address.to_string(), "inbound": false});
    Ok(addresses.into_iter().map(peer).collect())
}

/// Everything around one roster.
pub(super) struct Bench {
    pub(super) directory: Arc<Directory>,
    pub(super) link: Arc<Link>,
    pub(super) slots: Arc<SlotTable>,
    settings: RosterSettings,
    node: Arc<Node>,
    handle: Option<RosterHandle>,
    folder: tempfile::TempDir,
}

impl Bench {
    pub(super) fn new(change: impl FnOnce(&mut RosterSettings)) -> Self {
        logs::prepare();
        let folder = tempfile::tempdir().unwrap();
        let mut settings = RosterSettings {
            chain_index: CHAIN,
            chain: row(),
            node_p2p: None,
            fixed: Vec::new(),
            max: 10,
            min: 0,
            refresh: Duration::from_millis(50),
            bootstrap: true,
            discover: false,
            scouts: 0,
            relay: Relay::CompactAndFull,
            selection: Selection::Measured,
            atlas: Arc::default(),
            regions: Vec::new(),
            database: folder.path().join("peers.json"),
            user_agent: "/broadside-test:1/".into(),
            proxy: None,
        };
        change(&mut settings);
        let link = Arc::new(Link::new(0, Arc::new(Doorbell::new().unwrap())).unwrap());
        Self {
            directory: Arc::default(),
            slots: Arc::new(SlotTable::with_places(vec![Arc::clone(&link)], 16)),
            settings,
            node: Arc::new(Node(Mutex::new(Err("nothing to tell".into())), Mutex::default())),
            handle: None,
            link,
            folder,
        }
    }

    /// What the node says from now on.
    pub(super) fn told(&self, answer: Result<Value, String>) {
        *self.node.0.lock().unwrap() = answer;
    }

    /// What the node says of its own addresses from now on.
    pub(super) fn reachable_at(&self, addresses: &[SocketAddr]) {
        let own =
            addresses.iter().map(|it| json!({"address": it.ip().to_string(), "port": it.port()}));
        *self.node.1.lock().unwrap() = json!({"localaddresses": own.collect::<Value>()});
    }

    pub(super) fn start(&mut self) {
        let node = Arc::clone(&self.node) as Arc<dyn PeerInfoSource>;
        let (slots, directory) = (Arc::clone(&self.slots), Arc::clone(&self.directory));
        self.handle = Some(Roster::spawn_with(self.settings.clone(), slots, directory, Some(node)));
    }

    pub(super) fn handle(&self) -> &RosterHandle {
        self.handle.as_ref().unwrap()
    }

    pub(super) async fn stop(&mut self) {
        self.handle.take().unwrap().stop().await;
    }

    /// The next order that the roster gives.
    pub(super) async fn order(&self) -> Order {
        let mut view = self.handle().view.clone();
        let next = async {
            loop {
                if let Some(order) = self.link.next_order() {
                    return order;
                }
                // Every order is followed by a new view.
                view.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("an order")
    }

    /// The next adoptions; ranks in between are let pass.
    pub(super) async fn adopt(&self, count: usize) -> Vec<Adoption> {
        let mut adopted = Vec::new();
        while adopted.len() < count {
            match self.order().await {
                Order::Adopt(adoption) => adopted.push(adoption),
                Order::Sight { .. } | Order::WarmUp { .. } | Order::EndWarmUp { .. } => {}
                other => panic!("not now: {other:?}"),
            }
        }
        adopted
    }

    /// Waits until the view is as wanted.
    pub(super) async fn wait(&self, wanted: impl Fn(&RosterView) -> bool) -> Arc<RosterView> {
        let mut view = self.handle().view.clone();
        let found = view.wait_for(|view| wanted(view));
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(view) => Arc::clone(&view.unwrap()),
            Err(_) => panic!("the view stays {:?}", self.handle().view.borrow()),
        }
    }

    /// Tries until `is_so`, letting everybody else go first each time.
    pub(super) async fn until(&self, is_so: impl Fn() -> bool) {
        let trying = async {
            while !is_so() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, trying).await.expect("what was waited for");
    }

    /// The shard lets go of a connection.
    pub(super) fn retire(&self, adoption: Adoption, cause: Cause) {
        let Adoption { slot, peer, socket, .. } = adoption;
        self.handle().report(Report::Retired {
            peer,
            shard: 0,
            slot,
            cause,
            received_bytes: 3,
            sent_bytes: 5,
            socket,
        });
    }

    /// A block's offer has ended, 1 ms after it was sent.
    pub(super) fn settled(&self, peer: PeerId, outcome: Outcome) {
        let image = ImageId(1);
        let (submitted_ns, sent_ns, handled_ns) = (1_000_000, 1_500_000, 2_000_000);
        let acked_ns = handled_ns;
        let report = Report::Settled {
            image,
            peer,
            outcome,
            way: Way::Full,
            sent_bytes: 0,
            submitted_ns,
            sent_ns,
            acked_ns,
            handled_ns,
        };
        self.handle().report(report);
    }

    /// The database as it is on disk.
    pub(super) fn saved(&self) -> PeerBook {
        let mut store = Store::new(self.store_settings());
        store.load(keeper::epoch_s()).book
    }

    pub(super) fn store_settings(&self) -> StoreSettings {
        StoreSettings {
            path: self.settings.database.clone(),
            chain: row().name.into(),
            network: row().network.name().into(),
            port: row().p2p_port,
        }
    }

    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}
