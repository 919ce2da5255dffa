//! `hot/link.rs`: an order and a report through their queues, from one side to the other.

#![allow(clippy::unwrap_used, reason = "a bench that can't be set up has nothing to say")]

use std::sync::Arc;

use broadside::hot::link::{ControlFrame, ImageId, Link, Order, Outcome, PeerId, Report, Way};
use broadside::sys::doorbell::Doorbell;
use criterion::{Criterion, Throughput};

/// As many as one block to a full shard makes.
const REPORTS: u64 = 1_000;

fn link(criterion: &mut Criterion) {
    let link = Link::new(0, Arc::new(Doorbell::new().unwrap())).unwrap();
    let mut group = criterion.benchmark_group("link");
    let peer = PeerId::new(0, 7);
    group.throughput(Throughput::Elements(1));
    group.bench_function("order-rung-and-taken", |bencher| {
        let frame = ControlFrame::new(&[0; 32]).unwrap();
        bencher.iter(|| {
            let queued = link.order(Order::Control { slot: 1, peer, frame }).is_ok();
            (queued, link.next_order())
        });
    });
    group.throughput(Throughput::Elements(REPORTS));
    group.bench_function("reports-of-a-block", |bencher| {
        bencher.iter(|| {
            for at_ns in 0..REPORTS {
                let report = Report::Settled {
                    image: ImageId(1),
                    peer,
                    outcome: Outcome::Handled,
                    way: Way::Full,
                    sent_bytes: 0,
                    submitted_ns: at_ns,
                    sent_ns: at_ns,
                    handled_ns: at_ns,
                    acked_ns: 0,
                };
                link.report(report).unwrap();
            }
            let mut taken = 0;
            while link.next_report().is_some() {
                taken += 1;
            }
            taken
        });
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    link(&mut criterion);
    criterion.final_summary();
}
