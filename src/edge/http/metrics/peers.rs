//! The families of a chain's peers.

use super::family::Family;
use super::now::ChainNow;
use crate::cold::gossip::Fate;

pub(super) const PEERS: &[Family<ChainNow>] = &[
    Family::gauge(
        "broadside_peers_connected",
        &[],
        "Peers that are connected.",
        |chain, samples| {
            samples.put(&[], chain.peers.connected);
        },
    ),
    Family::gauge("broadside_peers_max", &[], "Peers at most, as configured.", |chain, samples| {
        samples.put(&[], chain.peers.max);
    }),
    Family::gauge(
        "broadside_peers_min",
        &[],
        "Fewer peers than this are worth a warning, as configured.",
        |chain, samples| samples.put(&[], chain.peers.min),
    ),
    Family::gauge(
        "broadside_peers_aimed",
        &[],
        "Peers that are wanted now: what the uplink serves in time.",
        |chain, samples| samples.put(&[], chain.peers.aimed),
    ),
    Family::gauge(
        "broadside_peers_known",
        &[],
        "Addresses in the peer database.",
        |chain, samples| {
            samples.put(&[], chain.peers.known);
        },
    ),
    Family::gauge(
        "broadside_peers_absent",
        &[],
        "Peers that should be connected and are waited for.",
        |chain, samples| samples.put(&[], chain.peers.absent.len()),
    ),
    Family::gauge(
        "broadside_peers_by_form",
        &["form"],
        "Connected peers that take compact blocks, and that chose us to send them unasked.",
        |chain, samples| {
            let rows = || chain.peers.peers.iter();
            let takers = rows().filter(|row| row.takes_compact).count();
            let choosers = rows().filter(|row| row.high_bandwidth.is_some()).count();
            samples.put(&["takes-compact"], takers);
            samples.put(&["chose-us"], choosers);
        },
    ),
    Family::counter(
        "broadside_dial_attempts_total",
        &[],
        "Attempts to connect that were begun.",
        |chain, samples| samples.put(&[], chain.peers.dials.attempts),
    ),
    Family::counter(
        "broadside_dials_total",
        &["result"],
        "Attempts to connect that have ended.",
        |chain, samples| {
            samples.put(&["succeeded"], chain.peers.dials.succeeded);
            samples.put(&["failed"], chain.peers.dials.failed);
        },
    ),
    Family::counter(
        "broadside_drops_total",
        &["reason"],
        "Connections and attempts that ended, by the reason.",
        |chain, samples| {
            let words = chain.peers.drops.iter();
            words.for_each(|(word, count)| samples.put(&[word], *count));
        },
    ),
    Family::counter(
        "broadside_peer_received_bytes_total",
        &[],
        "Bytes received from peers.",
        |chain, samples| samples.put(&[], chain.peers.traffic.received_bytes),
    ),
    Family::counter(
        "broadside_peer_sent_bytes_total",
        &[],
        "Bytes that the kernel took for peers.",
        |chain, samples| samples.put(&[], chain.peers.traffic.sent_bytes),
    ),
    Family::counter(
        "broadside_roster_reports_dropped_total",
        &[],
        "Reports of the shards dropped because the roster did not keep up.",
        |chain, samples| samples.put(&[], chain.peers.reports_dropped),
    ),
    Family::gauge(
        "broadside_scouts_connected",
        &[],
        "Connections that listen.",
        |chain, samples| {
            samples.put(&[], chain.peers.scouts.connected);
        },
    ),
    Family::gauge(
        "broadside_scouts_wanted",
        &[],
        "Listening connections wanted.",
        |chain, samples| {
            samples.put(&[], chain.peers.scouts.wanted);
        },
    ),
    Family::counter(
        "broadside_addresses_heard_total",
        &["fate"],
        "Addresses that others told of, by what became of them.",
        |chain, samples| {
            for fate in Fate::ALL {
                let count = chain.peers.addresses.get(fate.word()).copied().unwrap_or(0);
                samples.put(&[fate.word()], count);
            }
        },
    ),
    Family::gauge(
        "broadside_blocks_watched",
        &[],
        "Blocks of the network from which it was learnt who hears early.",
        |chain, samples| samples.put(&[], chain.peers.blocks_watched),
    ),
];
