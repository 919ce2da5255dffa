//! `wire/image.rs`: the frames around a block that lies in its place.

use std::hint::black_box;

use broadside::wire::image::{ImageLayout, seal};
use criterion::{Criterion, Throughput};

fn image(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("image");
    for (name, block_bytes) in [("20KB", 20_000), ("4MB", 4_000_000)] {
        let bytes = ImageLayout { block_bytes }.total_bytes();
        let mut image = vec![0; bytes as usize];
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("seal/{name}"), |bencher| {
            bencher.iter(|| seal(black_box(&mut image), [1, 2, 3, 4], [5, 6, 7, 8], 9));
        });
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    image(&mut criterion);
    criterion.final_summary();
}
