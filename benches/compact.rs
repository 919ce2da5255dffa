//! `wire/compact/build.rs`: what a block's compact form costs, per coin. `walk` and `walk-compact` are
//! whole walks without and with it; `end` is what is left to do behind the last byte, and `end-wished`
//! the same where a transaction is sent whole that was not foreseen. 3,000 transactions or so.

#![allow(clippy::unwrap_used, reason = "a bench that can't be set up has nothing to say")]

use std::hint::black_box;

use broadside::sim::blocks::BlockMaker;
use broadside::sys::sha;
use broadside::wire::block::Walker;
use broadside::wire::chain::{Network, find, names};
use broadside::wire::compact::CompactBuilder;
use criterion::{BatchSize, Criterion, Throughput};

/// Clock of the made-up blocks, in s since 1970.
const TIME_S: u32 = 1_700_000_000;
/// Their size: a transaction has some 300 bytes.
const BLOCK_BYTES: u32 = 950_000;

fn compact(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compact");
    for coin in names() {
        let chain = find(coin, Network::Regtest).unwrap();
        let raw = BlockMaker::new(chain, 1, TIME_S).next(BLOCK_BYTES).unwrap().raw;
        let start = || Walker::with_lanes(chain, sha::lanes());
        let building = || start().compacting(CompactBuilder::new(chain, 7));
        let (layout, builder) = building().finish_compact(&raw).unwrap();
        let builder = builder.unwrap();
        let payload_bytes = builder.clone().finish(&layout, &raw).unwrap().payload.len();
        println!("{coin}: {} transactions, {payload_bytes} bytes", layout.transactions.len());
        group.throughput(Throughput::Elements(layout.transactions.len() as u64));
        group.bench_function(format!("{coin}/walk"), |bencher| {
            bencher.iter_with_large_drop(|| start().finish(black_box(&raw)).unwrap());
        });
        group.bench_function(format!("{coin}/walk-compact"), |bencher| {
            bencher.iter_with_large_drop(|| building().finish_compact(black_box(&raw)).unwrap());
        });
        let mut wishing = builder.clone();
        wishing.prefill(layout.transactions.len() as u32 / 2);
        for (name, builder) in [("end", builder), ("end-wished", wishing)] {
            group.bench_function(format!("{coin}/{name}"), |bencher| {
                bencher.iter_batched(
                    || builder.clone(),
                    |builder| builder.finish(&layout, black_box(&raw)).unwrap(),
                    BatchSize::LargeInput,
                );
            });
        }
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    compact(&mut criterion);
    criterion.final_summary();
}
