//! `wire/block/walker.rs`: a whole block, per coin, as one piece and as it arrives; hashed one
//! message after the other (`portable`) and side by side (`lanes`, of `sys/sha.rs`); and compared with the
//! template that it was made of (`template`).

#![allow(clippy::unwrap_used, reason = "a bench that can't be set up has nothing to say")]

use std::hint::black_box;
use std::sync::Arc;

use broadside::sim::blocks::BlockMaker;
use broadside::sys::sha;
use broadside::wire::block::Walker;
use broadside::wire::chain::{Chain, Network, find, names};
use broadside::wire::hash::Lanes;
use broadside::wire::staged::{Proof, Staged};
use criterion::{Criterion, Throughput};

/// Clock of the made-up blocks, in s since 1970.
const TIME_S: u32 = 1_700_000_000;
/// What arrives at once.
const PIECE_BYTES: usize = 64 * 1024;

fn walker(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("walker");
    for coin in names() {
        let chain = find(coin, Network::Regtest).unwrap();
        for (name, bytes) in [("1MB", 1_000_000), ("2MB", 2_000_000)] {
            // A chain may not allow a block of this size.
            let Ok(block) = BlockMaker::new(chain, 1, TIME_S).next(bytes) else {
                continue;
            };
            group.throughput(Throughput::Bytes(u64::from(bytes)));
            for (way, lanes) in [("portable", Lanes::PORTABLE), ("lanes", sha::lanes())] {
                let start = || Walker::with_lanes(chain, lanes);
                group.bench_function(format!("{coin}/{name}/{way}"), |bencher| {
                    bencher.iter(|| start().finish(black_box(&block.raw)).unwrap());
                });
                group.bench_function(format!("{coin}/{name}-in-pieces/{way}"), |bencher| {
                    bencher.iter(|| {
                        let mut walker = start();
                        for end in (PIECE_BYTES..block.raw.len()).step_by(PIECE_BYTES) {
                            walker.advance(&block.raw[..end]).unwrap();
                        }
                        walker.finish(black_box(&block.raw)).unwrap()
                    });
                });
            }
            if let Some(staged) = staged(chain, &block.raw) {
                group.bench_function(format!("{coin}/{name}-in-pieces/template"), |bencher| {
                    bencher.iter(|| in_pieces(chain, black_box(&block.raw), &staged));
                });
            }
        }
    }
}

/// The template that `raw` is made of; `None` where something stands behind its transactions.
fn staged(chain: &'static Chain, raw: &[u8]) -> Option<Arc<Staged>> {
    let layout = Walker::new(chain).finish(raw).unwrap();
    let spans: Vec<_> = layout.transactions.iter().skip(1).map(|it| &raw[it.range()]).collect();
    let staged = Staged::new(chain, spans.into_iter(), &[], sha::lanes()).ok()?;
    let coinbase = &raw[layout.transactions.first()?.range()];
    assert_eq!(staged.proves(raw.first_chunk()?, coinbase), Proof::Holds);
    Some(Arc::new(staged))
}

/// Walks the block as it arrives, following the template from the coinbase on.
fn in_pieces(chain: &'static Chain, raw: &[u8], staged: &Arc<Staged>) {
    let mut walker = Walker::with_lanes(chain, sha::lanes());
    let mut follows = false;
    for end in (PIECE_BYTES..raw.len()).step_by(PIECE_BYTES) {
        walker.advance(&raw[..end]).unwrap();
        if !follows {
            let coinbase = walker.transactions().first().unwrap();
            let header = raw.first_chunk().unwrap();
            follows = staged.proves(header, &raw[coinbase.range()]) == Proof::Holds;
            assert!(walker.follow(&raw[..end], staged));
        }
    }
    black_box(walker.finish(raw).unwrap());
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    walker(&mut criterion);
    criterion.final_summary();
}
