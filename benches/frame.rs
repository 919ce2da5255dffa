//! `wire/frame.rs`: cutting a peer's stream into messages, and making a whole message.

#![allow(clippy::unwrap_used, reason = "a bench that can't be set up has nothing to say")]

use std::hint::black_box;

use broadside::limits::MESSAGE_HEAD_BYTES;
use broadside::wire::frame::{FrameReader, frame};
use criterion::{BatchSize, Criterion, Throughput};

const MAGIC: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];
const LIMIT: u32 = 4_000_000;
/// What a shard reads at once.
const PIECE_BYTES: usize = 2_048;

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame/read");
    let chatter = [
        frame(MAGIC, "inv", &[7; 37]),
        frame(MAGIC, "pong", &[1; 8]),
        frame(MAGIC, "inv", &[9; 36 * 35 + 1]),
    ]
    .concat()
    .repeat(100);
    let block = frame(MAGIC, "block", &vec![3; 1_000_000]);
    for (name, stream) in [("chatter", chatter), ("1MB-skipped", block)] {
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(name, |bencher| {
            let reader = FrameReader::<{ MESSAGE_HEAD_BYTES as usize }>::new(MAGIC, LIMIT);
            let read_all = |mut reader: FrameReader<_>| {
                let mut messages = 0;
                for mut piece in stream.chunks(PIECE_BYTES) {
                    while reader.push(&mut piece).unwrap().is_some() {
                        messages += 1;
                    }
                }
                messages
            };
            bencher.iter_batched(|| reader.clone(), read_all, BatchSize::SmallInput);
        });
    }
}

fn write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame/write");
    for (name, bytes) in [("ping", 8), ("20KB", 20_000), ("1MB", 1_000_000)] {
        let payload = vec![5; bytes];
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| frame(MAGIC, "block", black_box(&payload)));
        });
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    read(&mut criterion);
    write(&mut criterion);
    criterion.final_summary();
}
