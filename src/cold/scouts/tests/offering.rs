//! Blocks of ours, offered to those that listen.

use bytes::Bytes;

use super::*;
use crate::limits::{SCOUT_ANSWER_PIECE_BYTES, SCOUT_ANSWERS_MAX};
use crate::wire::compact::{encode_blocktxn, encode_getblocktxn};
use crate::wire::message::encode_inv;

/// Where the transactions of [`own_block`] end.
const ENDS: [u32; 4] = [90, 100, 30_100, 30_200];

fn own_block(number: u8) -> Arc<OwnBlock> {
    let raw = Bytes::from((0..=255).cycle().take(30_200).collect::<Vec<u8>>());
    let place = (ImageId(u64::from(number)), [number; 32]);
    Arc::new(OwnBlock::new(row(), place, raw, (81, &ENDS), &[number; 200]))
}

fn block_item(hash: [u8; 32]) -> Vec<u8> {
    encode_inv(&[InvItem { kind: row().block_inventory, hash }])
}

#[test]
fn an_answer_is_the_message_in_short_pieces() {
    let block = own_block(1);
    let raw = block.answer(&Wanted::Block).flatten().skip(24).collect::<Vec<u8>>();
    let transaction = |index: usize| {
        let start = index.checked_sub(1).map_or(81, |before| ENDS[before]);
        &raw[start as usize..ENDS[index] as usize]
    };
    let some = encode_blocktxn(&[1; 32], &[transaction(0), transaction(2), transaction(3)]);
    for (wanted, name, payload) in [
        (Wanted::Block, name::BLOCK, raw.clone()),
        (Wanted::Transactions(vec![0, 2, 3]), name::BLOCKTXN, some),
        (Wanted::Transactions(Vec::new()), name::BLOCKTXN, encode_blocktxn(&[1; 32], &[])),
    ] {
        let pieces: Vec<_> = block.answer(&wanted).collect();
        assert_eq!(pieces.concat(), frame(row().magic, name, &payload));
        assert!(pieces.iter().all(|piece| piece.len() <= SCOUT_ANSWER_PIECE_BYTES));
        assert!(pieces.len() <= 2 + 2 * payload.len() / SCOUT_ANSWER_PIECE_BYTES);
    }
    assert!(block.answer(&Wanted::Transactions(vec![4, u32::MAX])).count() == 1);
}

#[tokio::test]
async fn who_was_not_heard_of_a_block_is_offered_it_and_answered() {
    let (offer, own) = watch::channel(None);
    let world = World::new(|_, scouts| scouts.own = own);
    let peers = polite(2).await;
    world.tell(&peers);
    let (mut lacks, mut has) = (line(&peers[0], 1).await, line(&peers[1], 1).await);
    world.wait(|view| view.scouts.connected == 2).await;
    send(&mut has, name::INV, &block_item([1; 32])).await;
    send(&mut has, name::PING, &[1; 8]).await;
    read_until(&mut has, name::PONG).await;

    offer.send_replace(Some(own_block(1)));
    assert_eq!(read_until(&mut lacks, name::CMPCTBLOCK).await, [1; 200]);
    // What can't be met is passed over, and costs nothing.
    send(&mut lacks, name::GETBLOCKTXN, &encode_getblocktxn(&[1; 32], &[0, 4])).await;
    send(&mut lacks, name::GETBLOCKTXN, &encode_getblocktxn(&[2; 32], &[0])).await;
    send(&mut lacks, name::GETDATA, &block_item([2; 32])).await;
    send(&mut lacks, name::GETBLOCKTXN, &encode_getblocktxn(&[1; 32], &[1])).await;
    let (answer, before) = message(&mut lacks, name::BLOCKTXN).await;
    assert_eq!(answer, encode_blocktxn(&[1; 32], &[&[90, 91, 92, 93, 94, 95, 96, 97, 98, 99]]));
    assert_eq!(before, Vec::<String>::new());
    send(&mut lacks, name::GETDATA, &block_item([1; 32])).await;
    assert_eq!(read_until(&mut lacks, name::BLOCK).await.len(), 30_200);
    // That was as often as it may.
    assert_eq!(SCOUT_ANSWERS_MAX, 2);
    send(&mut lacks, name::GETDATA, &block_item([1; 32])).await;
    send(&mut lacks, name::PING, &[2; 8]).await;
    assert_eq!(message(&mut lacks, name::PONG).await, (vec![2; 8], Vec::new()));

    // The next block goes to both, and to the one that had the first it is the first.
    offer.send_replace(Some(own_block(2)));
    for line in [&mut lacks, &mut has] {
        let (offered, before) = message(line, name::CMPCTBLOCK).await;
        assert_eq!((offered, before), (vec![2; 200], Vec::new()));
    }
    world.scouts.stop().await;
}
