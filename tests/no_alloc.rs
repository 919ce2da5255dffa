//! The hot path between publish and reap: no allocation, and few entries into the kernel.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

#[path = "fanout/world.rs"]
#[allow(dead_code, unreachable_pub)]
mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use broadside::hot::governor::bucket::Bucket;
use broadside::hot::link::{Relay, Terms};
use broadside::hot::publish::Attachment;
use broadside::hot::shard::Policy;
use broadside::metrics::Counter;
use broadside::sys::ring::{Ring, Wait};
use broadside::wire::compact::encode_getblocktxn;
use broadside::wire::frame::frame;
use broadside::wire::hash::sha256d;
use broadside::wire::message::{InvItem, encode_inv};

use world::{Peers, Skewed, World};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

/// Counts what the calling thread asks of the allocator.
struct Counting;

// JUSTIFICATION: counting allocations takes an allocator, which is an unsafe trait.
// SAFETY: every call goes to the system's allocator unchanged; the counter is a plain cell of the
// calling thread, const-initialised and without a destructor, so touching it allocates nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    // SAFETY: nothing is promised beyond what the system's allocator promises.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        BYTES.with(|bytes| bytes.set(bytes.get() + layout.size() as u64));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    // SAFETY: nothing is promised beyond what the system's allocator promises.
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
    // SAFETY: nothing is promised beyond what the system's allocator promises.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counted(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

/// Publish, fan out, reap and settle a block to `peers` peers; returns entries into the kernel from
/// publish to the last byte handed over. Only the shard's own turns are counted.
fn one_block<R: Ring, P: Peers<Skewed<R>>>(
    world: &mut World<R, P>,
    peers: usize,
    bytes: usize,
    number: u8,
) -> u64 {
    let block = vec![number; bytes];
    let before = world.link.counters.get(Counter::KernelEntries);
    let settled = world.shard.tally().settled();
    let mut writer = world.publisher.begin().unwrap();
    writer.push(&block).unwrap();
    let chain = world.chain;
    let committing = counted(|| {
        let _ = writer.commit(0, chain, [number; 32]);
    });
    assert_eq!(committing, 0, "publishing allocates");
    let sends = |world: &World<R, P>| {
        let count = |counter| world.link.counters.get(counter);
        count(Counter::ZeroCopySends) + count(Counter::CopyingSends)
    };
    let (sends_before, mut entries) = (sends(world), 0);
    for _ in 0..5_000 {
        let turning = counted(|| world.shard.turn(Wait::UpTo(1_000_000)));
        assert_eq!(turning, 0, "a turn allocates");
        if entries == 0 && sends(world) >= sends_before + peers as u64 {
            entries = world.link.counters.get(Counter::KernelEntries) - before;
        }
        world.serve_peers();
        if world.shard.tally().settled() == settled + peers as u64 {
            return entries;
        }
    }
    panic!("not all receipts came: {:?}", world.shard.tally());
}

fn measure<R: Ring, P: Peers<Skewed<R>>>(name: &str, mut world: World<R, P>, peers: usize) {
    for _ in 0..peers {
        world.connect();
    }
    // All that a connection needs is there before it comes: user memory does not grow with peers.
    while world.shard.connections() < peers {
        let adopting = counted(|| world.shard.turn(Wait::No));
        assert_eq!(adopting, 0, "a connection allocates");
    }
    (0..20).for_each(|_| world.turn());
    for (number, bytes) in [(1, 20_000), (2, 20_000), (3, 1_000_000)] {
        let entries = world.link.counters.get(Counter::KernelEntries);
        let queued = one_block(&mut world, peers, bytes, number);
        if name == "io_uring" && bytes == 20_000 {
            assert!(queued <= 2, "{queued} entries until a small block was queued for {peers}");
        }
        let total = world.link.counters.get(Counter::KernelEntries) - entries;
        let sends = world.link.counters.get(Counter::ZeroCopySends)
            + world.link.counters.get(Counter::CopyingSends);
        eprintln!(
            "{name}: {bytes:>7} bytes to {peers:>3} peers: 0 allocations, {queued} kernel \
             entries from publish to the last send, {total} to the last receipt ({sends} sends so far)"
        );
    }
}

#[test]
fn nothing_is_allocated_on_io_uring() {
    // Two descriptors per connection, and some room.
    let most = if broadside::sys::cpu::raise_open_files() < 2_200 { 200 } else { 1_000 };
    if most < 1_000 {
        eprintln!("NOT TESTED with 1,000 peers: allow 2,200 open files");
    }
    for peers in [20, 200, most] {
        if let Some(world) = world::on_uring() {
            measure("io_uring", world, peers);
        }
    }
}

/// With tokens to wait for, and an order of service that is laid out anew between blocks.
#[test]
fn nothing_is_allocated_behind_a_shared_uplink() {
    let policy = || {
        let bucket = std::sync::Arc::new(Bucket::new(5_000_000_000));
        Policy { bucket, ..Policy::default() }
    };
    for peers in [20, 200] {
        if let Some(mut world) = world::governed_on_uring(policy()) {
            world.is_governed = true;
            measure("governed", world, peers);
        }
        if let Some(mut world) = world::governed_on_epoll(policy()) {
            world.is_governed = true;
            measure("governed, epoll", world, peers);
        }
    }
}

#[test]
fn nothing_is_allocated_on_epoll() {
    for peers in [20, 200] {
        if let Some(world) = world::on_epoll() {
            measure("epoll", world, peers);
        }
    }
}

/// Publishes a block with a compact form to peers that take it, and lets one ask for what it lacks.
fn compact_block<R: Ring, P: Peers<Skewed<R>>>(name: &str, mut world: World<R, P>, peers: usize) {
    let terms = Terms { relay: Relay::Compact, takes_unasked: true, ..Terms::default() };
    world.terms = Terms { speaks_compact: true, ..terms };
    world.connect_many(peers);
    world.until("all adopted", |world| world.shard.connections() == peers);
    (0..20).for_each(|_| world.turn());
    world.mute = vec![0];
    let entries = world.link.counters.get(Counter::KernelEntries);
    let mut writer = world.publisher.begin().unwrap();
    writer.push(&vec![1; 1_000_000]).unwrap();
    let ends: Vec<u32> = (1..=2_000).map(|at| 81 + at * 400).collect();
    let compact = vec![5; 20_000];
    let [c0, c1, c2, c3, ..] = sha256d(&compact);
    let compact = Some((&compact[..], [c0, c1, c2, c3]));
    let more = Attachment { header_bytes: 80, transactions_start: 81, ends: &ends, compact };
    let chain = world.chain;
    let attaching = counted(|| writer.attach(chain, more));
    assert_eq!(attaching, 0, "a compact form allocates");
    let _ = writer.commit(0, chain, [1; 32]);
    let mut queued = 0;
    for turn in 0..5_000 {
        if turn == 20 {
            let lacking = encode_getblocktxn(&[1; 32], &[3, 5, 6, 1_999]);
            let asked = encode_inv(&[InvItem { kind: 4, hash: [9; 32] }]);
            let said = [
                frame(chain.magic, "getblocktxn", &lacking),
                frame(chain.magic, "getdata", &asked),
            ];
            world.peers.say(world.shard.ring_mut(), 0, &said.concat());
            world.mute.clear();
        }
        let turning = counted(|| world.shard.turn(Wait::UpTo(1_000_000)));
        assert_eq!(turning, 0, "a turn with compact blocks allocates");
        if queued == 0 && world.link.counters.get(Counter::CompactBytes) > 0 {
            queued = world.link.counters.get(Counter::KernelEntries) - entries;
        }
        world.serve_peers();
        if world.shard.tally().settled() == peers as u64 {
            break;
        }
    }
    let count = |counter| world.link.counters.get(counter);
    assert_eq!(world.shard.tally().settled(), peers as u64);
    assert_eq!((count(Counter::CompactBlocksSent), count(Counter::AnswersSent)), (peers as u64, 1));
    assert_eq!((count(Counter::WholeBlocksSent), count(Counter::NotFound)), (0, 1));
    eprintln!(
        "{name}: a compact block to {peers} peers and an answer: 0 allocations, {queued} kernel entries to the first compact block"
    );
}

#[test]
fn nothing_is_allocated_for_compact_blocks_and_answers() {
    for peers in [20, 200] {
        if let Some(world) = world::on_uring() {
            compact_block("io_uring", world, peers);
        }
        if let Some(world) = world::on_epoll() {
            compact_block("epoll", world, peers);
        }
    }
}

/// What a shard takes from the allocator, once and for all of its connections, beside the arena.
#[test]
fn memory_is_fixed() {
    let before = BYTES.with(Cell::get);
    let world = world::simulated(1, broadside::sim::ring::Trouble::default());
    let beside = BYTES.with(Cell::get);
    let inner = std::hint::black_box(world).shard;
    drop(inner);
    let bytes = beside - before;
    let per_peer = bytes / u64::from(broadside::limits::PEERS_PER_SHARD_MAX);
    eprintln!(
        "a shard with its queues: {bytes} bytes from the allocator, {per_peer} per place for a \
         connection, whatever the block's size; the arena: {} bytes for all shards",
        broadside::limits::ARENA_BYTES
    );
    assert!(per_peer < 8 * 1024, "{per_peer} bytes per place");
}
