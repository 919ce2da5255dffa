//! What an intake does to a block's digits before `hot/publish.rs` has them: decode and checksum,
//! one after the other and in pieces that stay in the cache.

use std::hint::black_box;

use broadside::wire::hash::{Checksum, hex, sha256d, unhex};
use criterion::{Criterion, Throughput};

/// What is decoded and hashed at once.
const PIECE_BYTES: usize = 64 * 1024;

fn digits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hex");
    for (name, bytes) in [("1MB", 1_000_000), ("2MB", 2_000_000)] {
        let raw: Vec<u8> = (0..bytes).map(|at: u32| (at / 5) as u8).collect();
        let digits = hex(&raw).into_bytes();
        let mut out = vec![0; raw.len()];
        group.throughput(Throughput::Bytes(raw.len() as u64));
        group.bench_function(format!("decode/{name}"), |bencher| {
            bencher.iter(|| unhex(black_box(&digits), &mut out));
        });
        group.bench_function(format!("checksum/{name}"), |bencher| {
            bencher.iter(|| sha256d(black_box(&raw)));
        });
        group.bench_function(format!("whole/{name}"), |bencher| {
            bencher.iter(|| {
                let decoded = unhex(black_box(&digits), &mut out);
                (decoded.is_some(), sha256d(&out))
            });
        });
        group.bench_function(format!("pieces/{name}"), |bencher| {
            bencher.iter(|| {
                let mut sum = Checksum::new();
                let mut good = true;
                let pieces = black_box(&digits).chunks(2 * PIECE_BYTES);
                for (digits, place) in pieces.zip(out.chunks_mut(PIECE_BYTES)) {
                    good &= unhex(digits, place).is_some();
                    sum.push(place);
                }
                (good, sum.finish())
            });
        });
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    digits(&mut criterion);
    criterion.final_summary();
}
