//! What a pool may hand over by mistake, made from a good block.

use broadside::wire::chain::Chain;
use broadside::wire::hash::{hex, meets_target, target_from_bits};

/// A block spoilt in one way, in hex.
pub struct Spoilt {
    /// How.
    pub how: &'static str,
    /// The digits, or what stands in their place.
    pub hex: String,
}

/// Every way to spoil `good`, apart from bytes behind its end.
pub fn all(chain: &Chain, good: &[u8]) -> Vec<Spoilt> {
    let whole = hex_of(good);
    let mut other_payment = good.to_vec();
    // Part of the last transaction's lock time or of what follows it: never of the header.
    *other_payment.last_mut().expect("a byte") ^= 1;
    let spoilt = |how, hex| Spoilt { how, hex };
    vec![
        spoilt("empty", String::new()),
        spoilt("not hex", format!("{}zz", &whole[..whole.len() - 2])),
        spoilt("odd length", whole[..whole.len() - 1].to_owned()),
        spoilt("half a header", whole[..80].to_owned()),
        spoilt("header alone", whole[..160].to_owned()),
        spoilt("truncated", whole[..whole.len() - 20].to_owned()),
        spoilt("over the size limit", "00".repeat(chain.block_bytes_max as usize + 1)),
        spoilt("no proof of work", hex_of(&without_work(chain, good))),
        spoilt("wrong merkle root", hex_of(&other_payment)),
    ]
}

/// The same block with a nonce that does not meet its target.
pub fn without_work(chain: &Chain, good: &[u8]) -> Vec<u8> {
    with_nonce(chain, good, false)
}

/// The same block with a nonce that meets its target, an easy one.
pub fn with_work(chain: &Chain, good: &[u8]) -> Vec<u8> {
    with_nonce(chain, good, true)
}

fn with_nonce(chain: &Chain, good: &[u8], is_met: bool) -> Vec<u8> {
    let mut raw = good.to_vec();
    loop {
        let header: &[u8; 80] = raw.first_chunk().expect("a header");
        let bits = u32::from_le_bytes(header[72..76].try_into().expect("four bytes"));
        let target = target_from_bits(bits).expect("a target");
        if meets_target(&chain.work_hash(header), &target) == is_met {
            return raw;
        }
        let nonce = u32::from_le_bytes(header[76..80].try_into().expect("four bytes"));
        raw[76..80].copy_from_slice(&nonce.wrapping_add(1).to_le_bytes());
    }
}

/// Digits of `raw`.
pub fn hex_of(raw: &[u8]) -> String {
    hex(raw)
}
