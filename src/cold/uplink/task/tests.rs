//! The task on a bench: real connections that count as shared, a shard that is only a queue.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use super::*;
use crate::cold::uplink::Found;
use crate::hot::link::Order;
use crate::limits::{UPLINK_LOSSES_MS, WARM_UP_BYTES_PER_HOUR, WARM_UP_JUDGED_MS};
use crate::sys::doorbell::Doorbell;
use crate::wire::chain::{Network, find};

/// Remembers what was set and published.
#[derive(Default)]
struct Hot {
    uplink: Mutex<Vec<Option<u64>>>,
    probe: Mutex<Vec<Option<u64>>>,
    published: Mutex<Vec<[u8; 32]>>,
    full: std::sync::atomic::AtomicBool,
}

impl UplinkControl for Hot {
    fn set_uplink(&self, bits_per_s: Option<u64>) {
        self.uplink.lock().unwrap().push(bits_per_s);
    }

    fn set_probe(&self, line_bytes_per_s: Option<u64>) {
        self.probe.lock().unwrap().push(line_bytes_per_s);
    }
}

impl WarmUpSink for Hot {
    fn publish(&self, _: u8, raw: &[u8], hash: [u8; 32]) -> Option<ImageId> {
        assert!(!raw.is_empty());
        if self.full.load(Ordering::Relaxed) {
            return None;
        }
        let mut published = self.published.lock().unwrap();
        published.push(hash);
        Some(ImageId(published.len() as u64))
    }
}

struct Bench {
    task: Task,
    events: mpsc::UnboundedReceiver<Event>,
    hot: Arc<Hot>,
    link: Arc<Link>,
    paths: Arc<Paths>,
    view: watch::Receiver<Arc<UplinkView>>,
    far: Vec<TcpStream>,
    near: Vec<OwnedFd>,
    _inbox: mpsc::UnboundedSender<Event>,
    folder: tempfile::TempDir,
}

const TIP: BlockHash = BlockHash([1; 32]);

impl Bench {
    fn new(uplink: UplinkSetting, warm: Warm, shared: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (hot, paths) = (Arc::new(Hot::default()), Arc::new(Paths::default()));
        let link = Arc::new(Link::new(0, Arc::new(Doorbell::new().unwrap())).unwrap());
        let chain = find("litecoin", Network::Regtest).unwrap();
        let settings = UplinkSettings {
            uplink,
            chains: vec![ChainWarmth { chain, warm, node: None, earns_slots: false }],
            file: folder.path().join("uplink.json"),
            warm_up_bytes_per_hour: WARM_UP_BYTES_PER_HOUR,
        };
        let around = Around {
            paths: Arc::clone(&paths),
            rosters: Arc::default(),
            links: vec![Arc::clone(&link)],
            control: Arc::clone(&hot) as Arc<dyn UplinkControl>,
            sink: Arc::clone(&hot) as Arc<dyn WarmUpSink>,
        };
        let (inbox, events) = mpsc::unbounded_channel();
        let (shown, view) = watch::channel(Arc::default());
        let task = Task::new(settings, around, inbox.downgrade(), shown, Arc::default());
        let (far, near) = (Vec::new(), Vec::new());
        let mut bench =
            Self { task, events, hot, link, paths, view, far, near, _inbox: inbox, folder };
        (0..shared).for_each(|_| bench.connect(true));
        bench.task.turn();
        bench
    }

    fn connect(&mut self, shared: bool) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let near = OwnedFd::from(TcpStream::connect(address).unwrap());
        self.far.push(listener.accept().unwrap().0);
        let slot = self.near.len() as u16;
        let peer = PeerId::new(0, u64::from(slot) + 1);
        self.paths.add(peer, address, (Arc::clone(&self.link), slot), shared, &near);
        self.near.push(near);
    }

    /// The next thing that the task tells itself, done.
    async fn next(&mut self) {
        let event = self.events.recv().await.unwrap();
        self.task.on_event(event);
    }

    fn tip(&mut self, hash: BlockHash) {
        self.task.on_event(Event::Tip { chain_index: 0, hash, raw: vec![7; 200_000].into() });
    }

    fn offered(&self) -> Vec<PeerId> {
        let mut peers = Vec::new();
        while let Some(order) = self.link.next_order() {
            if let Order::WarmUp { peer, .. } = order {
                peers.push(peer);
            }
        }
        peers
    }

    fn ended(&self) -> bool {
        std::iter::from_fn(|| self.link.next_order())
            .any(|order| matches!(order, Order::EndWarmUp { .. }))
    }
}

#[tokio::test]
async fn the_tip_goes_to_cold_peers_behind_the_uplink_and_to_nobody_else() {
    let mut bench = Bench::new(UplinkSetting::BitsPerS(1_000_000_000), Warm::Always, 2);
    bench.connect(false);
    bench.task.turn();
    assert_eq!(bench.hot.uplink.lock().unwrap().as_slice(), [Some(1_000_000_000)]);
    // A loopback's round trip is next to nothing, so that any window is wide enough.
    for look in &mut bench.task.looks {
        look.warm = !look.shared;
        look.info.least_round_trip_us = 1_000 * look.peer.0 as u32;
    }
    bench.tip(TIP);
    bench.next().await;
    assert_eq!(bench.offered(), [PeerId::new(0, 2), PeerId::new(0, 1)], "the farther one first");
    assert!(bench.hot.probe.lock().unwrap().is_empty(), "its rate is known");
    // The next tip takes the place of this one.
    bench.tip(BlockHash([2; 32]));
    assert!(bench.ended() && bench.task.live.is_none());
    for peer in [1, 2] {
        let (image, peer) = (ImageId(1), PeerId::new(0, peer));
        bench.task.on_event(Event::WarmedUp { image, peer, sent_bytes: 50_000 });
    }
    bench.task.show();
    let view = Arc::clone(&bench.view.borrow());
    assert_eq!((view.state, view.shared_peers), ("configured", 2));
    assert_eq!((view.warm_up_offers, view.warm_up_sent_bytes), (2, 100_000));
    assert!(view.warm_up_left_bytes.abs_diff(WARM_UP_BYTES_PER_HOUR - 100_000) < 60_000_000);
}

#[tokio::test]
async fn what_was_found_is_set_before_the_probe_ends_and_kept() {
    let mut bench = Bench::new(UplinkSetting::Auto, Warm::Auto, 3);
    assert_eq!(bench.view.borrow().state, "unknown");
    let finding = Finding {
        found: Found::Learnt,
        bits_per_s: 80_000_000,
        took_us: 900_000,
        queue_us_max: 9_000,
    };
    bench.task.on_told(Told::Found(finding));
    assert_eq!(bench.hot.uplink.lock().unwrap().last(), Some(&Some(80_000_000)));
    assert_eq!(bench.hot.probe.lock().unwrap().last(), Some(&None));
    bench.task.on_told(Told::QueueStands);
    bench.task.on_told(Told::Ended { interrupted: false });
    assert_eq!(bench.hot.uplink.lock().unwrap().last(), Some(&Some(76_000_000)));
    let view = Arc::clone(&bench.view.borrow());
    assert_eq!(
        (view.state, view.bits_per_s, view.last),
        ("learnt", Some(76_000_000), Some(finding))
    );
    // Blocks that many lose lower it further; never raise it.
    let looks: Vec<_> = bench.task.looks.iter().map(|look| look.peer).collect();
    bench.task.losses.block(ImageId(1), 0);
    looks.iter().for_each(|peer| bench.task.losses.seen(*peer, 9));
    let late_ms = UPLINK_LOSSES_MS * 2;
    bench.task.started -= Duration::from_millis(late_ms);
    bench.task.judge_block();
    assert_eq!(bench.hot.uplink.lock().unwrap().last(), Some(&Some(70_680_000)));
    assert!(bench.view.borrow().doubt.is_none());
}

#[tokio::test]
async fn a_configured_rate_stays_and_what_speaks_against_it_is_said() {
    let mut bench = Bench::new(UplinkSetting::BitsPerS(9_000_000_000), Warm::Auto, 4);
    bench.task.losses.block(ImageId(1), 0);
    for look in bench.task.looks.clone() {
        bench.task.losses.seen(look.peer, 40);
    }
    bench.task.started -= Duration::from_millis(UPLINK_LOSSES_MS * 2);
    bench.task.judge_block();
    bench.task.show();
    let view = Arc::clone(&bench.view.borrow());
    assert_eq!((view.state, view.bits_per_s), ("configured", Some(9_000_000_000)));
    let doubt = view.doubt.clone().unwrap();
    assert!(doubt.starts_with("4 of 4 peers lost packets"), "{doubt}");
    bench.task.card_bits_per_s = Some(1_000_000_000);
    bench.task.doubt_configured();
    assert!(bench.task.doubt.as_ref().unwrap().contains("the card does 1.00 Gbit/s"));
    bench.task.card_bits_per_s = Some(100_000_000_000);
    bench.task.doubt_configured();
    assert!(bench.task.doubt.as_ref().unwrap().contains("a tenth of the card's"));
}

#[tokio::test]
async fn a_kept_rate_is_used_on_its_own_route_alone() {
    let mut bench = Bench::new(UplinkSetting::Auto, Warm::Off, 1);
    let route = bench.view.borrow().route.clone().unwrap();
    let kept = |route: &str| {
        format!(r#"{{"bits_per_s":50000000,"measured_s":1700000000,"route":"{route}"}}"#)
    };
    bench.task.started_s = 1_700_000_600;
    for (told, used) in
        [(kept(&route), Some(50_000_000)), (kept("elsewhere"), None), ("{".into(), None)]
    {
        std::fs::write(bench.folder.path().join("uplink.json"), told).unwrap();
        (bench.task.way, bench.task.way_due_ms) = (None, 0);
        bench.task.look_up_way();
        assert_eq!(bench.task.belief.bits_per_s(), used);
        assert_eq!(bench.hot.uplink.lock().unwrap().last(), Some(&used));
    }
    // The route changes while it runs: what was learnt does not hold any more.
    bench.task.belief = Belief::unknown(route, 0);
    let finding =
        Finding { found: Found::Learnt, bits_per_s: 1_000_000, took_us: 0, queue_us_max: 0 };
    bench.task.belief.found(&finding, bench.task.now_s());
    bench.task.way =
        bench.task.way.take().map(|way| Way { gateway: Some([10, 0, 0, 1].into()), ..way });
    bench.task.way_due_ms = 0;
    bench.task.belief.route("before", 0);
    bench.task.look_up_way();
    assert_eq!(bench.hot.uplink.lock().unwrap().last(), Some(&None));
}

/// Without a known uplink, and with too few peers to measure it, a warm-up is no burst.
#[tokio::test]
async fn a_blind_warm_up_is_slow_and_an_arena_that_is_full_is_asked_again() {
    let mut bench = Bench::new(UplinkSetting::Auto, Warm::Auto, 2);
    bench.hot.full.store(true, Ordering::Relaxed);
    bench.tip(TIP);
    bench.next().await;
    assert!(bench.task.live.is_none() && !bench.task.is_publishing);
    bench.hot.full.store(false, Ordering::Relaxed);
    bench.task.turn();
    bench.next().await;
    assert!(bench.hot.probe.lock().unwrap().last().unwrap().is_some());
    assert_eq!(bench.offered().len(), 2);
    for peer in [1, 2] {
        let (image, peer) = (ImageId(1), PeerId::new(0, peer));
        bench.task.on_event(Event::WarmedUp { image, peer, sent_bytes: 200_000 });
    }
    bench.task.turn();
    assert!(bench.ended() && bench.task.live.is_none());
    assert_eq!(bench.hot.probe.lock().unwrap().last(), Some(&None));
    // One that has closed is forgotten.
    bench.paths.remove(PeerId::new(0, 1));
    bench.task.turn();
    assert_eq!((bench.task.looks.len(), bench.task.facts.len()), (1, 1));
}

/// A block's own arrival at the node makes a new tip: that must not be sent to peers that are cold
/// while others still wait for the block.
#[tokio::test]
async fn no_warm_up_is_begun_while_a_block_has_the_line() {
    let mut bench = Bench::new(UplinkSetting::BitsPerS(1_000_000_000), Warm::Always, 2);
    bench.task.looks.iter_mut().for_each(|look| look.warm = false);
    bench.tip(TIP);
    bench.next().await;
    assert_eq!(bench.offered().len(), 2);
    let block = |is_over| Event::Block { image: ImageId(5), shard: 0, is_over };
    bench.task.on_event(block(false));
    assert!(bench.ended(), "whoever has nothing of it gets nothing of it now");
    for peer in [1, 2] {
        let (image, peer) = (ImageId(1), PeerId::new(0, peer));
        bench.task.on_event(Event::WarmedUp { image, peer, sent_bytes: 0 });
    }
    bench.tip(BlockHash([2; 32]));
    bench.task.warm();
    assert!(bench.task.live.is_none() && !bench.task.is_publishing);
    // Time for its next turn is come, too.
    bench.task.started -= Duration::from_millis(WARM_UP_JUDGED_MS);
    bench.task.warm();
    assert!(!bench.task.is_publishing);
    bench.task.on_event(block(true));
    bench.task.warm();
    bench.next().await;
    assert_eq!(bench.offered().len(), 2);
}

#[tokio::test]
async fn warm_peers_that_may_choose_us_are_brought_news_until_they_do() {
    let mut bench = Bench::new(UplinkSetting::BitsPerS(1_000_000_000), Warm::Auto, 2);
    bench.task.settings.chains[0].earns_slots = true;
    bench.task.looks.iter_mut().for_each(|look| look.warm = true);
    let [one, two] = [1, 2].map(|serial| PeerId::new(0, serial));
    bench.task.on_event(Event::Chose { peer: two, is_chosen: true });
    bench.task.on_event(Event::Chose { peer: PeerId::new(0, 9), is_chosen: true });
    assert_eq!(bench.task.choosers.len(), 1, "nobody who is not there");
    bench.tip(TIP);
    bench.next().await;
    assert_eq!(bench.offered(), [one]);
    bench.task.on_event(Event::Chose { peer: two, is_chosen: false });
    bench.task.offer();
    assert_eq!(bench.offered(), [two]);
}
