//! The families of a chain's own node, of the further endpoints, and of what else it may have.

use super::family::{Family, Samples};
use super::now::{ChainNow, EndpointNow};
use crate::cold::stats::VerdictCounts;

pub(super) const NODES: &[Family<ChainNow>] = &[
    Family::gauge(
        "broadside_node_connected",
        &[],
        "Whether the protected local node is connected as a peer (1) or not (0).",
        |chain, samples| samples.some(chain.peers.node_connected),
    ),
    Family::gauge(
        "broadside_node_rpc_up",
        &[],
        "Whether the local node's RPC answers (1) or not (0).",
        |chain, samples| samples.some(chain.node_answers),
    ),
    Family::gauge(
        "broadside_node_tip_height",
        &[],
        "Height of the local node's best block.",
        |chain, samples| samples.some(chain.tip_height),
    ),
    Family::counter(
        "broadside_verdicts_total",
        &["node", "verdict"],
        "What nodes said of blocks: the chain's own, and the further endpoints together.",
        |chain, samples| {
            for (node, counts) in
                [("own", chain.totals.verdicts), ("endpoints", chain.totals.endpoint_verdicts)]
            {
                for (verdict, count) in verdicts(counts) {
                    samples.put(&[node, verdict], count);
                }
            }
        },
    ),
    Family::gauge(
        "broadside_spool_waiting_blocks",
        &[],
        "Blocks on disk that wait for the node's verdict.",
        |chain, samples| samples.some(chain.waiting),
    ),
    Family::gauge(
        "broadside_issues",
        &[],
        "Things that are not as they should be; /broadcaster_stats has them in words.",
        |chain, samples| samples.put(&[], chain.issues),
    ),
    Family::gauge(
        "broadside_endpoint_up",
        &["leg", "host"],
        "Whether a further endpoint answered when it was last asked (1) or not (0).",
        |chain, samples| {
            each(chain, samples, |endpoint, labels, samples| {
                if let Some(is_here) = endpoint.totals.is_here {
                    samples.put(labels, is_here);
                }
            });
        },
    ),
    Family::gauge(
        "broadside_endpoint_held_off",
        &["leg", "host"],
        "Whether a further endpoint is left alone for failing several times in a row (1) or not (0).",
        |chain, samples| {
            each(chain, samples, |endpoint, labels, samples| {
                samples.put(labels, !endpoint.is_closed);
            });
        },
    ),
    Family::gauge(
        "broadside_endpoint_waiting_blocks",
        &["leg", "host"],
        "Blocks on their way to a further endpoint.",
        |chain, samples| {
            each(chain, samples, |endpoint, labels, samples| {
                samples.put(labels, endpoint.totals.waiting);
            });
        },
    ),
    Family::counter(
        "broadside_endpoint_blocks_total",
        &["leg", "host"],
        "Blocks that were taken for a further endpoint.",
        |chain, samples| {
            each(chain, samples, |endpoint, labels, samples| {
                samples.put(labels, endpoint.totals.blocks);
            });
        },
    ),
    Family::counter(
        "broadside_endpoint_lost_total",
        &["leg", "host"],
        "Blocks that ended at a further endpoint without a verdict, or never began.",
        |chain, samples| {
            each(chain, samples, |endpoint, labels, samples| {
                samples.put(labels, endpoint.totals.gave_up + endpoint.totals.turned_away);
            });
        },
    ),
    Family::counter(
        "broadside_endpoint_troubles_total",
        &["leg", "host", "trouble"],
        "Requests to a further endpoint that failed, by what went wrong.",
        |chain, samples| {
            each(chain, samples, |endpoint, labels, samples| {
                for (word, count) in &endpoint.totals.troubles {
                    samples.put(&[labels[0], labels[1], word], *count);
                }
            });
        },
    ),
    Family::histogram(
        "broadside_endpoint_answer_seconds",
        &["leg", "host"],
        "From a request to a further endpoint until its verdict.",
        |chain, samples| {
            each(chain, samples, |endpoint, labels, samples| {
                samples.times(labels, &endpoint.totals.answers);
            });
        },
    ),
];

/// Merged mining, templates, locks: where the chain has them.
pub(super) const EXTRAS: &[Family<ChainNow>] = &[
    Family::counter(
        "broadside_proofs_total",
        &["fate"],
        "Proofs of merged mining, and the blocks behind them, by what became of them.",
        |chain, samples| {
            let fates = chain.proofs.iter();
            fates.for_each(|(fate, count)| samples.put(&[fate], *count));
        },
    ),
    Family::counter(
        "broadside_templates_total",
        &["result"],
        "Answers to questions for a template, by what became of them.",
        |chain, samples| {
            let Some(counts) = chain.templates else { return };
            samples.put(&["staged"], counts.staged);
            samples.put(&["unreadable"], counts.unreadable);
            samples.put(&["dropped"], counts.dropped);
        },
    ),
    Family::counter(
        "broadside_template_blocks_total",
        &["match"],
        "Blocks by how they fit a template that was held.",
        |chain, samples| {
            let Some(counts) = chain.templates else { return };
            samples.put(&["proven"], counts.proven);
            samples.put(&["other-transactions"], counts.other_transactions);
            samples.put(&["other-witnesses"], counts.other_witnesses);
            samples.put(&["no-template"], counts.no_template);
        },
    ),
    Family::counter(
        "broadside_locks_pushed_total",
        &["kind"],
        "Locks that were pushed to all peers, and the pool's own transactions.",
        |chain, samples| {
            let Some(counts) = &chain.locks else { return };
            samples.put(&["block"], counts.blocks);
            samples.put(&["transaction"], counts.transactions);
            samples.put(&["own-transaction"], counts.sent);
        },
    ),
    Family::counter(
        "broadside_locks_refused_total",
        &["reason"],
        "Locks that were not passed on.",
        |chain, samples| {
            let Some(counts) = &chain.locks else { return };
            let words = counts.refused.iter();
            words.for_each(|(word, count)| samples.put(&[word], *count));
        },
    ),
];

const fn verdicts(counts: VerdictCounts) -> [(&'static str, u64); 5] {
    [
        ("accepted", counts.accepted),
        ("duplicate", counts.duplicate),
        ("inconclusive", counts.inconclusive),
        ("refused", counts.refused),
        ("error", counts.error),
    ]
}

fn each(
    chain: &ChainNow,
    samples: &mut Samples<'_>,
    read: fn(&EndpointNow, &[&str; 2], &mut Samples<'_>),
) {
    for endpoint in &chain.endpoints {
        read(endpoint, &[&endpoint.leg, &endpoint.host], samples);
    }
}
