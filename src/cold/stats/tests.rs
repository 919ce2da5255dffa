use super::*;
use crate::hot::link::{Outcome, PeerId, Way};
use crate::wire::chain::{self, Network};

fn log() -> BlockLog {
    BlockLog::new(Arc::new(Directory::default()), 2)
}

fn meta(hash: u8, published_ns: u64) -> BlockMeta {
    let name = chain::names()[0];
    BlockMeta {
        chain_index: 0,
        chain: chain::find(name, Network::Regtest).expect("every name has a regtest row"),
        hash: BlockHash([hash; 32]),
        height: Some(7),
        size_bytes: 1_000,
        transactions: 3,
        first_byte_ns: published_ns - 3_000_000,
        last_byte_ns: published_ns - 1_000_000,
        published_ns,
        received_unix_ms: 1,
        stages: Stages { header_ns: published_ns - 2_500_000, ..Stages::default() },
    }
}

fn settled(image: u64, peer: u64, outcome: Outcome, base_ns: u64) -> Report {
    Report::Settled {
        image: ImageId(image),
        peer: PeerId::new(0, peer),
        outcome,
        way: Way::Full,
        sent_bytes: 0,
        submitted_ns: base_ns + 1_000,
        sent_ns: base_ns + 2_000_000,
        acked_ns: base_ns + 4_500_000,
        handled_ns: if outcome == Outcome::Handled { base_ns + 5_000_000 } else { 0 },
    }
}

fn offered(image: u64, shard: u8, offers: u32) -> Report {
    Report::Offered { image: ImageId(image), shard, offers, at_ns: 1 }
}

/// Goal: every offer is counted once, whether its report comes before or after the intake's note.
/// A shard that offers the block to a newcomer too has still been heard only once.
#[tokio::test]
async fn a_newcomer_does_not_stand_for_another_shard() {
    let log = log();
    log.begin(ImageId(1), meta(1, 10_000_000));
    log.on_report(&offered(1, 0, 1));
    log.on_report(&offered(1, 0, 1));
    log.on_report(&settled(1, 1, Outcome::Handled, 10_000_000));
    log.on_report(&settled(1, 2, Outcome::Handled, 10_000_000));
    assert!(!log.settled(ImageId(1), Duration::ZERO).await, "the second shard has not spoken");
    log.on_report(&offered(1, 1, 0));
    assert!(log.settled(ImageId(1), Duration::ZERO).await);
}

#[tokio::test]
async fn counts_offers_and_knows_when_all_have_ended() {
    let log = log();
    let base = 10_000_000;
    log.on_report(&offered(1, 0, 1));
    log.on_report(&settled(1, 1, Outcome::Handled, base));
    log.begin(ImageId(1), meta(1, base));
    log.on_report(&offered(1, 1, 1));
    assert!(!log.settled(ImageId(1), Duration::ZERO).await, "one offer is still open");
    log.on_report(&settled(1, 2, Outcome::Reset, base));
    assert!(log.settled(ImageId(1), Duration::ZERO).await);

    let record = log.find(0, &BlockHash([1; 32])).expect("it was begun");
    assert_eq!((record.counts.offers, record.counts.settled), (2, 2));
    assert_eq!(record.counts.of(Outcome::Handled), 1);
    let rows = record.rows_in_order();
    assert_eq!(rows[0].outcome, Some(Outcome::Handled));
    let json = record.to_json();
    assert_eq!(json["peers"][0]["acked_ms"], 4.5);
    assert_eq!(json["peers"][0]["handled_ms"], 5.0);
    assert_eq!(json["peers"][1]["handled_ms"], serde_json::Value::Null);
    assert_eq!(json["last_byte_ms"], -1.0);

    let totals = log.totals(0);
    assert_eq!((totals.blocks_broadcast, totals.settled(), totals.successes()), (1, 2, 1));
    assert_eq!(totals.success_rate(), Some(0.5));
    let handled = totals.handled.percentiles().expect("one receipt");
    assert!((handled.max_ms - 6.0).abs() < 0.01 && handled.count == 1, "{handled:?}");
    assert_eq!(totals.sent.percentiles().map(|sent| sent.count), Some(2));
}

#[tokio::test]
async fn waits_until_the_last_offer_ends() {
    let log = Arc::new(log());
    log.begin(ImageId(1), meta(1, 5_000_000));
    log.on_report(&offered(1, 0, 1));
    log.on_report(&offered(1, 1, 0));
    let waiter = tokio::spawn({
        let log = Arc::clone(&log);
        async move { log.settled(ImageId(1), Duration::from_secs(60)).await }
    });
    tokio::task::yield_now().await;
    log.on_report(&settled(1, 1, Outcome::Handled, 5_000_000));
    assert!(waiter.await.expect("the waiter does not panic"));
}

#[test]
fn forgets_the_oldest_and_keeps_rows_of_the_newest_only() {
    let log = log();
    let blocks = BLOCKS_REMEMBERED_MAX as u64 + 10;
    for image in 1..=blocks {
        log.begin(ImageId(image), meta((image % 251) as u8, 5_000_000));
        log.on_report(&settled(image, 1, Outcome::Handled, 5_000_000));
    }
    assert!(log.record(ImageId(1)).is_none());
    log.on_report(&settled(1, 2, Outcome::Handled, 1));
    assert!(log.record(ImageId(1)).is_none(), "a late report brings nothing back");
    let old = log.record(ImageId(blocks - BLOCKS_WITH_ROWS_MAX as u64)).expect("remembered");
    assert!(old.rows.is_empty() && old.counts.settled == 1);
    assert_eq!(log.record(ImageId(blocks)).map(|record| record.rows.len()), Some(1));
    assert_eq!(log.recent(5).len(), 5);
}

#[test]
fn echoes_and_verdicts_find_their_block() {
    let log = log();
    log.begin(ImageId(1), meta(9, 5_000_000));
    let echo = Report::Echo {
        image: ImageId(1),
        peer: PeerId::new(0, 4),
        at_ns: 6_000_000,
        sent_before: false,
    };
    log.on_report(&echo);
    let hash = BlockHash([9; 32]);
    log.note_verdict(0, &hash, "http://node:1", true, &Verdict::Accepted, 7_000_000);
    log.note_verdict(0, &hash, "http://more:1", false, &Verdict::Duplicate, 8_000_000);
    let record = log.find(0, &hash).expect("begun");
    assert_eq!((record.counts.echoes, record.counts.witnesses), (1, 1));
    assert_eq!(record.to_json()["verdicts"][0]["after_ms"], 2.0);
    let stages = &record.to_json()["stages"];
    for (stage, ms) in
        [("first_byte", 0.0), ("header", 0.5), ("last_byte", 2.0), ("published", 3.0)]
    {
        assert_eq!(stages[stage], ms, "{stage}");
    }
    assert_eq!(
        (&stages["verdict"], &stages["walked"]),
        (&serde_json::json!(5.0), &serde_json::Value::Null)
    );

    let totals = log.totals(0);
    assert_eq!((totals.verdicts.accepted, totals.endpoint_verdicts.duplicate), (1, 1));
}

/// Goal: it is known who announced a block first, how many have it and when half had said so, in
/// whatever order that is told; nobody counts twice.
#[test]
fn voices_are_counted_once_and_put_in_order() {
    let (log, base) = (log(), 10_000_000);
    let echo = |peer: u64, at_ns| Report::Echo {
        image: ImageId(1),
        peer: PeerId::new(0, peer),
        at_ns,
        sent_before: true,
    };
    // Faster than the intake's note.
    log.on_report(&echo(1, base + 3_000_000));
    log.begin(ImageId(1), meta(1, base));
    let scout: [std::net::SocketAddr; 2] = [([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 1).into()];
    assert!(log.note_witness(0, &BlockHash([1; 32]), scout[0], base + 2_000_000));
    assert!(log.note_witness(0, &BlockHash([1; 32]), scout[0], base + 8_000_000), "said again");
    assert!(log.note_witness(0, &BlockHash([1; 32]), scout[1], base + 9_000_000));
    assert!(!log.note_witness(0, &BlockHash([2; 32]), scout[1], base), "not ours");
    for peer in 1..=2 {
        log.on_report(&settled(1, peer, Outcome::Handled, base));
    }
    log.on_report(&settled(1, 3, Outcome::Reset, base));
    let record = log.record(ImageId(1)).expect("it is there");
    assert_eq!((record.counts.announced, record.counts.have, record.counts.witnesses), (3, 4, 2));
    let first = record.first_back.expect("somebody spoke");
    assert_eq!((first.address, first.voice), (Some(scout[0]), Voice::Scout));
    let told = record.confirmation_json();
    assert_eq!(
        (&told["first_back"]["after_ms"], &told["half_back_ms"]),
        (&2.0.into(), &3.0.into())
    );
    let totals = log.totals(0);
    let count = |times: Option<Percentiles>| times.map(|times| times.count);
    assert_eq!(count(totals.back.percentiles()), Some(3));
    assert_eq!(count(totals.first_back.percentiles()), Some(1));
}
