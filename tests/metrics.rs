//! `/metrics` of a running engine: a strict reader takes it, promtool finds nothing to say, and the
//! five indicators are the same wherever they are shown.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use broadside::sim::loopback::{Keep, Loopback};
use support::daemon::{Daemon, Told};
use support::engine::{maker, peers};
use support::exposition::Page;
use support::prometheus::promtool;

/// A daemon with peers that have had some blocks.
fn lively(count: usize, blocks: u32) -> (Daemon, Loopback) {
    let loopback = peers(Vec::new(), count, Keep::Nothing);
    let daemon = Daemon::start(&Told { fixed: loopback.addresses(), ..Told::default() });
    daemon.wait_for_peers(count as u64);
    let mut maker = maker();
    for _ in 0..blocks {
        let (code, out, errors) = daemon.submit(&maker.next(60_000).unwrap().raw, &[]);
        assert!(code != 2 && !out.is_empty(), "{code} {out} {errors}");
    }
    let wanted = u64::from(blocks) * count as u64;
    daemon.wait_for_stats("all offers ended and announced back", |stats| {
        let back = &stats["indicators"]["propagation_ms"]["count"];
        stats["total_broadcasts"] == wanted && *back == wanted
    });
    (daemon, loopback)
}

#[test]
fn promtool_has_nothing_to_say() {
    let (daemon, _peers) = lively(5, 3);
    let (status, text) = daemon.page("/metrics");
    assert_eq!(status, 200, "{text}");
    let page = Page::read(&text);
    println!(
        "{} families, {} samples, {} bytes",
        page.0.len(),
        text.lines().filter(|line| !line.starts_with('#')).count(),
        text.len()
    );
    let Some((code, said)) = promtool(&["check", "metrics"], &text) else { return };
    assert!(code == 0 && said.is_empty(), "{code}: {said}");
}
