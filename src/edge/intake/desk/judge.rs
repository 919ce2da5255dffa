//! What the block itself can't tell: are its parent and its bits those of the network?

use tracing::debug;

use super::Fault;
use crate::cold::node::tip::{Known, Presence, TipWatch};
use crate::wire::chain::{Chain, Network};
use crate::wire::hash::{BlockHash, target_from_bits};

/// Blocks between two retargets where a chain does not retarget every block.
const RETARGET_BLOCKS: u32 = 2_016;
/// How much easier or harder a target may become at once; the strictest chain allows less.
const RETARGET_FACTOR: u32 = 4;

/// The fields of a header that are judged here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claims {
    pub(super) parent: BlockHash,
    pub(super) bits: u32,
}

impl Claims {
    /// `version [4] · parent [32] · merkle root [32] · time [4] · bits [4] · nonce [4]`
    pub(super) fn of(header: &[u8; 80]) -> Self {
        let mut parent = [0; 32];
        let mut bits = [0; 4];
        header.iter().skip(4).zip(&mut parent).for_each(|(from, to)| *to = *from);
        header.iter().skip(72).zip(&mut bits).for_each(|(from, to)| *to = *from);
        Self { parent: BlockHash(parent), bits: u32::from_le_bytes(bits) }
    }
}

/// `Ok` with what is known of the parent where the block may go out.
pub(super) type Judgement = Result<Option<Known>, Fault>;

/// What can be said without asking the node; `None`: it must be asked. On a regtest network,
/// without a node, or while the node is away, the block's proof of work alone decides.
pub(super) fn judge(chain: &Chain, tip: Option<&TipWatch>, claims: Claims) -> Option<Judgement> {
    let Some(tip) = tip else {
        return Some(Ok(None));
    };
    if let Some(parent) = tip.known(&claims.parent) {
        return Some(check_bits(chain, parent, claims.bits).map(|()| Some(parent)));
    }
    let here = *tip.presence().borrow() == Presence::Here;
    let alone = chain.network == Network::Regtest || tip.tip().is_none() || !here;
    alone.then_some(Ok(None))
}

/// Asks the node about the parent.
pub(super) async fn ask(chain: &Chain, tip: &TipWatch, claims: Claims) -> Judgement {
    match tip.ask(&claims.parent).await {
        Ok(Some(parent)) => check_bits(chain, parent, claims.bits).map(|()| Some(parent)),
        Ok(None) => Err(Fault {
            why: format!("the node does not know its parent {}", claims.parent),
            word: Some("prev-blk-not-found"),
            unfit: false,
        }),
        Err(error) => {
            debug!(%error, "the node did not tell about a parent in time");
            Ok(None)
        }
    }
}

/// The bits must be the parent's, except where the chain retargets; there they must be near.
/// Test networks allow blocks of least difficulty and are not judged.
fn check_bits(chain: &Chain, parent: Known, bits: u32) -> Result<(), Fault> {
    if chain.network != Network::Main || parent.bits == bits {
        return Ok(());
    }
    let retargets = chain.retargets_every_block
        || parent.height.wrapping_add(1).is_multiple_of(RETARGET_BLOCKS);
    let why = match (retargets, target_from_bits(parent.bits), target_from_bits(bits)) {
        (false, _, _) => "its bits are not its parent's, and no retarget is due",
        (true, Some(parent), Some(own)) if within(&parent, &own) && within(&own, &parent) => {
            return Ok(());
        }
        (true, _, _) => "its bits are further from its parent's than a retarget goes",
    };
    Err(Fault { why: why.to_owned(), word: Some("bad-diffbits"), unfit: false })
}

/// Whether `target` is at most [`RETARGET_FACTOR`] times `base`; both little-endian.
fn within(base: &[u8; 32], target: &[u8; 32]) -> bool {
    let mut carry = 0;
    let mut limit = [0_u8; 33];
    for (to, from) in limit.iter_mut().zip(base.iter().chain(&[0])) {
        let sum = u32::from(*from) * RETARGET_FACTOR + carry;
        [*to, ..] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    target.iter().chain(&[0]).rev().le(limit.iter().rev())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::chain;

    fn main_net(every_block: bool) -> &'static Chain {
        chain::all()
            .find(|c| c.network == Network::Main && c.retargets_every_block == every_block)
            .expect("the table has both kinds")
    }

    #[test]
    fn bits_stay_between_retargets_and_move_little_at_them() {
        let parent = Known { height: 2_016 * 400, bits: 0x1b01_0000 };
        let edge = Known { height: 2_016 * 400 - 1, ..parent };
        let steady = main_net(false);
        assert!(check_bits(steady, parent, 0x1b01_0000).is_ok());
        assert!(check_bits(steady, parent, 0x1b01_0001).is_err());
        for (bits, fine) in [
            (0x1b01_0001, true),
            (0x1b04_0000, true),
            (0x1b04_0001, false),
            (0x1a40_0000, true),
            (0x1a3f_ffff, false),
        ] {
            assert_eq!(check_bits(steady, edge, bits).is_ok(), fine, "{bits:x}");
            assert_eq!(check_bits(main_net(true), parent, bits).is_ok(), fine, "{bits:x}");
        }
        assert!(check_bits(steady, edge, 0).is_err(), "no target at all");
    }

    #[test]
    fn claims_are_read_from_their_places() {
        let mut header = [0; 80];
        header[4] = 1;
        header[35] = 2;
        header[72..76].copy_from_slice(&0x1b01_0203_u32.to_le_bytes());
        let claims = Claims::of(&header);
        assert_eq!((claims.parent.0[0], claims.parent.0[31], claims.bits), (1, 2, 0x1b01_0203));
    }
}
