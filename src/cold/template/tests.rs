use std::time::Duration;

use super::*;
use crate::wire::chain::{self, Network};
use crate::wire::check::parse_and_check;
use crate::wire::hash::hex;

/// A chain without witnesses, whose blocks are made of anything.
fn row() -> &'static Chain {
    let mut rows = chain::all().filter(|row| row.network == Network::Main);
    rows.find(|row| !row.has_witness && !row.has_special_transactions).expect("the table has one")
}

/// A transaction that is like no other.
fn transaction(tag: u8, is_coinbase: bool) -> Vec<u8> {
    let mut raw = vec![1, 0, 0, 0, 1];
    raw.extend(if is_coinbase { [0; 32] } else { [tag; 32] });
    raw.extend([if is_coinbase { 0xff } else { 0 }; 4]);
    raw.extend([2, 0x51, tag, 0xff, 0xff, 0xff, 0xff, 1]);
    raw.extend([tag; 8]);
    raw.extend([0; 5]);
    raw
}

fn answer(parent: u8, tags: &[u8]) -> Bytes {
    let one = |tag: &u8| json!({"data": hex(&transaction(*tag, false)), "depends": [], "fee": 1});
    let transactions: Vec<Value> = tags.iter().map(one).collect();
    let parent = BlockHash([parent; 32]).to_string();
    let result = json!({"version": 1, "previousblockhash": parent, "transactions": transactions,
                        "longpollid": "abc", "height": 7});
    Bytes::from(json!({"result": result, "error": null, "id": 1}).to_string())
}

/// Header and coinbase of the block that holds these transactions.
fn block(parent: u8, tags: &[u8]) -> ([u8; 80], Vec<u8>) {
    let coinbase = transaction(200, true);
    let mut raw = vec![0; 80];
    raw[4..36].fill(parent);
    raw.push(tags.len() as u8 + 1);
    raw.extend(&coinbase);
    tags.iter().for_each(|tag| raw.extend(transaction(*tag, false)));
    let layout = crate::wire::block::Walker::new(row()).finish(&raw).expect("a block");
    let mut header = layout.header;
    header[36..68].copy_from_slice(&layout.merkle.root);
    assert!(parse_and_check(row(), &raw).is_err(), "it has no work");
    (header, coinbase)
}

async fn staged(templates: &Templates, wanted: u64) {
    let reached = async {
        while templates.counts().staged + templates.counts().unreadable < wanted {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached).await.expect("in time");
}

/// Goal: a block made of a kept template is recognised by header and coinbase alone; any other is
/// counted by what differs.
#[tokio::test]
async fn blocks_are_recognised_or_counted() {
    let templates = Templates::new(row(), TemplateMode::Auto);
    let ours = [1, 2, 3, 4, 5];
    for (wanted, tags) in [(1, &ours[..3]), (2, &ours[..]), (3, &ours[1..])] {
        templates.offer(&answer(9, tags));
        staged(&templates, wanted).await;
    }
    let prove = |parent, tags: &[u8]| {
        let (header, coinbase) = block(parent, tags);
        templates.prove(&header, &coinbase).map(|staged| staged.len())
    };
    assert_eq!(prove(9, &ours), Some(5), "a job may be made of an older template");
    assert_eq!(prove(9, &ours[..4]), None);
    assert_eq!(prove(8, &ours), None);
    let counts = templates.counts();
    assert_eq!((counts.proven, counts.other_transactions, counts.no_template), (1, 1, 1));
    let known = templates.known(&BlockHash([9; 32])).expect("there are templates");
    assert_eq!(known.len(), 5);
    assert!(templates.known(&BlockHash([8; 32])).is_none());
    let told = templates.to_json();
    assert_eq!((&told["kept"], &told["newest"]["transactions"]), (&json!(3), &json!(4)));
}

/// Goal: what is in no template is sent whole, and nothing else but the coinbase.
#[tokio::test]
async fn peers_are_sent_what_no_template_had() {
    use crate::wire::block::Walker;
    use crate::wire::compact::CompactBuilder;
    let templates = Templates::new(row(), TemplateMode::Auto);
    templates.offer(&answer(9, &[1, 2]));
    templates.offer(&answer(9, &[3, 4]));
    staged(&templates, 2).await;
    let known = templates.known(&BlockHash([9; 32])).expect("there are templates");
    let whole = |tags: &[u8]| {
        let mut raw = vec![0; 80];
        raw.push(tags.len() as u8 + 1);
        raw.extend(transaction(200, true));
        tags.iter().for_each(|tag| raw.extend(transaction(*tag, false)));
        let mut builder = CompactBuilder::new(row(), 7);
        builder.knowing(Arc::clone(&known));
        let walker = Walker::new(row()).compacting(builder);
        let (layout, builder) = walker.finish_compact(&raw).expect("a block");
        let compact = builder.and_then(|builder| builder.finish(&layout, &raw));
        compact.expect("it is small").prefilled
    };
    assert_eq!((whole(&[1, 2, 3, 4]), whole(&[4, 1])), (1, 1));
    assert_eq!((whole(&[1, 50, 2, 51]), whole(&[50])), (3, 2));
    let strangers: Vec<u8> = (50..51 + crate::limits::COMPACT_UNKNOWN_MAX as u8).collect();
    assert_eq!(whole(&strangers), 1, "the templates say nothing of such a block");
}

/// Goal: answers that are no templates do no harm, and what is kept is bounded.
#[tokio::test]
async fn nonsense_is_counted_and_memory_is_bounded() {
    let templates = Templates::new(row(), TemplateMode::Auto);
    let bad = [
        "",
        "[]",
        "{\"result\":null,\"error\":{\"code\":-9,\"message\":\"not connected\"}}",
        "{\"result\":{\"previousblockhash\":\"00\",\"transactions\":[]}}",
        "{\"result\":{\"previousblockhash\":\"0\",\"transactions\":[{\"data\":\"0\"}]}}",
        &String::from_utf8(answer(9, &[1]).to_vec()).expect("text").replace("0100", "zz"),
        &String::from_utf8(answer(9, &[1]).to_vec()).expect("text").replace("025101", ""),
    ];
    for (number, text) in (1..).zip(bad) {
        templates.offer(&Bytes::copy_from_slice(text.as_bytes()));
        staged(&templates, number).await;
        assert_eq!(templates.counts().unreadable, number, "{text}");
    }
    let before = bad.len() as u64;
    for number in 1..=TEMPLATES_KEPT_MAX as u64 + 3 {
        templates.offer(&answer(number as u8, &[1]));
        staged(&templates, before + number).await;
    }
    assert_eq!(templates.to_json()["kept"], TEMPLATES_KEPT_MAX);
    let (header, coinbase) = block(1, &[1]);
    assert!(templates.prove(&header, &coinbase).is_none(), "the oldest went");

    let off = Templates::new(row(), TemplateMode::Off);
    off.offer(&answer(9, &[1]));
    let (header, coinbase) = block(9, &[1]);
    assert!(off.prove(&header, &coinbase).is_none());
    assert_eq!(off.counts(), TemplateCounts::default());
}

#[test]
fn the_long_polls_name_is_found() {
    assert_eq!(read::long_poll_id(&answer(1, &[])).as_deref(), Some("abc"));
    assert_eq!(read::long_poll_id(b"{\"result\":{}}"), None);
    assert_eq!(read::long_poll_id(b"no"), None);
}
