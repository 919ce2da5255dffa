//! The families of a chain: indicators, blocks, times. Each has the labels `chain` and `network` before
//! its own.

use super::family::{Family, Samples};
use super::nodes::{EXTRAS, NODES};
use super::now::ChainNow;
use super::peers::PEERS;
use crate::cold::stats::{Percentiles, Stage};
use crate::hot::link::{Outcome, Way};

/// All of them, in the order in which they are written.
pub(super) const CHAIN: &[&[Family<ChainNow>]] = &[INDICATORS, BLOCKS, TIMES, PEERS, NODES, EXTRAS];

const INDICATORS: &[Family<ChainNow>] = &[
    Family::gauge(
        "broadside_indicator_success_ratio",
        &[],
        "Broadcast success rate: of all ended offers of a block to a peer, those after which the peer surely had it.",
        |chain, samples| samples.some(chain.indicators.success_rate),
    ),
    Family::gauge(
        "broadside_indicator_broadcast_seconds",
        &["statistic"],
        "Broadcast time: from a block's last byte in until its last byte had gone out to a peer.",
        |chain, samples| percentiles(chain.indicators.broadcast, samples),
    ),
    Family::gauge(
        "broadside_indicator_peer_availability_ratio",
        &[],
        "Peer availability: of the connections that are wanted now, those that are there.",
        |chain, samples| samples.some(chain.indicators.peer_availability),
    ),
    Family::gauge(
        "broadside_indicator_orphan_ratio",
        &[],
        "Orphan rate: of all decided blocks, those that lost to another.",
        |chain, samples| samples.some(chain.indicators.orphan_rate),
    ),
    Family::gauge(
        "broadside_indicator_propagation_seconds",
        &["statistic"],
        "Network propagation time: from publishing until a peer announced the block back.",
        |chain, samples| percentiles(chain.indicators.propagation, samples),
    ),
];

const BLOCKS: &[Family<ChainNow>] = &[
    Family::counter(
        "broadside_blocks_broadcast_total",
        &[],
        "Blocks published to peers.",
        |chain, samples| samples.put(&[], chain.totals.blocks_broadcast),
    ),
    Family::gauge(
        "broadside_last_block_timestamp_seconds",
        &[],
        "When the newest block was handed in, in seconds since 1970.",
        |chain, samples| {
            let last = chain.totals.last_block;
            samples.some(last.map(|(_, received_unix_ms)| received_unix_ms as f64 / 1e3));
        },
    ),
    Family::counter(
        "broadside_blocks_held_back_total",
        &[],
        "Blocks that did not go to peers on our own judgement.",
        |chain, samples| samples.put(&[], chain.totals.held_back.values().sum::<u64>()),
    ),
    Family::counter(
        "broadside_held_back_total",
        &["reason"],
        "The same by the word that a node has for what is wrong with them.",
        |chain, samples| {
            let words = chain.totals.held_back.iter();
            words.for_each(|(word, count)| samples.put(&[word], *count));
        },
    ),
    Family::gauge(
        "broadside_block_fates",
        &["fate"],
        "Blocks by what has become of them; one that comes back after all is counted anew.",
        |chain, samples| {
            let fates = chain.totals.fates;
            samples.put(&["confirmed"], fates.confirmed);
            samples.put(&["stale"], fates.stale);
            if let Some(pending) = chain.pending {
                samples.put(&["pending"], pending);
            }
        },
    ),
    Family::counter(
        "broadside_offers_total",
        &["outcome"],
        "Ended offers of a block to a peer, by how they ended.",
        |chain, samples| {
            for outcome in Outcome::ALL {
                samples.put(&[outcome.word()], chain.totals.of(outcome));
            }
        },
    ),
    Family::counter(
        "broadside_way_offers_total",
        &["way"],
        "Ended offers, by the form in which the block was sent.",
        |chain, samples| {
            for (way, sums) in Way::ALL.iter().zip(&chain.totals.ways) {
                samples.put(&[way.word()], sums.offers);
            }
        },
    ),
    Family::counter(
        "broadside_way_sent_bytes_total",
        &["way"],
        "Bytes of blocks that were sent, by form; what peers asked for among them.",
        |chain, samples| {
            for (way, sums) in Way::ALL.iter().zip(&chain.totals.ways) {
                samples.put(&[way.word()], sums.bytes);
            }
        },
    ),
];

const TIMES: &[Family<ChainNow>] = &[
    Family::histogram(
        "broadside_stage_seconds",
        &["stage"],
        "From a block's first byte in until it had come so far.",
        |chain, samples| {
            // The first byte is where the clock starts.
            for stage in Stage::ALL.iter().filter(|stage| **stage != Stage::FirstByte) {
                let times = &chain.totals.stages[stage.index()];
                samples.times(&[stage.word()], times);
            }
        },
    ),
    Family::histogram(
        "broadside_publish_seconds",
        &[],
        "From a block's last byte in until the shards were told.",
        |chain, samples| samples.times(&[], &chain.totals.publish),
    ),
    Family::histogram(
        "broadside_peer_step_seconds",
        &["step"],
        "From a block's last byte in until a peer had come so far: its first send queued, the last byte sent, acknowledged, the block handled.",
        |chain, samples| {
            let totals = &chain.totals;
            samples.times(&["submitted"], &totals.submitted);
            samples.times(&["sent"], &totals.sent);
            samples.times(&["acked"], &totals.acked);
            samples.times(&["handled"], &totals.handled);
        },
    ),
    Family::histogram(
        "broadside_kernel_step_seconds",
        &["step"],
        "As the kernel tells: from the moment in which a peer's socket had taken the last byte until it was on the wire, and from then until the peer's TCP had acknowledged it.",
        |chain, samples| {
            samples.times(&["wire"], &chain.totals.to_wire);
            samples.times(&["acked"], &chain.totals.wire_to_acked);
        },
    ),
    Family::histogram(
        "broadside_back_seconds",
        &["voices"],
        "From publishing until a peer announced the block back: all that did, and the first of each block.",
        |chain, samples| {
            samples.times(&["all"], &chain.totals.back);
            samples.times(&["first"], &chain.totals.first_back);
        },
    ),
];

/// The numbers of [`Percentiles`], in seconds.
fn percentiles(told: Option<Percentiles>, samples: &mut Samples<'_>) {
    let Some(told) = told else { return };
    let all = [
        ("mean", told.mean_ms),
        ("p50", told.p50_ms),
        ("p90", told.p90_ms),
        ("p99", told.p99_ms),
        ("max", told.max_ms),
    ];
    for (statistic, value_ms) in all {
        samples.put(&[statistic], value_ms / 1e3);
    }
}
