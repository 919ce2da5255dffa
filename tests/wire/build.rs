//! Builds transactions and blocks by the rules, with encoders that share nothing with the code
//! under test but its hash functions.

use broadside::wire::chain::{Chain, Network, find};
use broadside::wire::hash::{meets_target, sha256d, target_from_bits};

/// The row of a private network.
pub(crate) fn regtest(name: &str) -> &'static Chain {
    find(name, Network::Regtest).expect("every coin has one")
}

/// A count in its shortest form.
pub(crate) fn count(value: usize) -> Vec<u8> {
    let bytes = (value as u64).to_le_bytes();
    match value {
        0..=0xfc => bytes[..1].to_vec(),
        0xfd..=0xffff => [&[0xfd], &bytes[..2]].concat(),
        _ => [&[0xfe], &bytes[..4]].concat(),
    }
}

/// Bytes behind their length.
pub(crate) fn counted(bytes: &[u8]) -> Vec<u8> {
    [count(bytes.len()), bytes.to_vec()].concat()
}

/// A transaction to be written in any chain's form.
#[derive(Clone, Debug)]
pub(crate) struct Tx {
    pub(crate) version: u32,
    pub(crate) inputs: Vec<([u8; 36], Vec<u8>)>,
    pub(crate) outputs: Vec<(u64, Vec<u8>)>,
    /// One stack per input.
    pub(crate) witness: Option<Vec<Vec<Vec<u8>>>>,
    pub(crate) hogex: bool,
    pub(crate) payload: Option<Vec<u8>>,
}

impl Tx {
    /// Spends something made up of `seed`.
    pub(crate) fn plain(seed: u8) -> Self {
        let mut outpoint = [seed; 36];
        outpoint[32..].fill(0);
        Self {
            version: 2,
            inputs: vec![(outpoint, vec![seed; usize::from(seed)])],
            outputs: vec![(1000, vec![0x51]), (2000, vec![seed; 300])],
            witness: None,
            hogex: false,
            payload: None,
        }
    }

    /// A coinbase for `height`.
    pub(crate) fn coinbase(height: u32) -> Self {
        let mut outpoint = [0; 36];
        outpoint[32..].fill(0xff);
        let mut script = match height {
            1..=16 => vec![0x50 + height as u8],
            _ => {
                let digits = height.to_le_bytes();
                let mut length = 4 - digits.iter().rev().take_while(|digit| **digit == 0).count();
                length += usize::from(digits[length - 1] & 0x80 != 0);
                counted(&digits[..length])
            }
        };
        script.extend(b"/pool/");
        let output = (5_000_000_000, vec![0x51]);
        Self { inputs: vec![(outpoint, script)], outputs: vec![output], ..Self::plain(0) }
    }

    /// Carries the state of the extension block in `tail`.
    pub(crate) fn hogex(tail: &[u8]) -> Self {
        let hash = tail.get(1..1 + MWEB_HEADER_BYTES).map(blake3::hash);
        let script = [&[0x58, 0x20], &hash.map_or([0; 32], Into::into)[..]].concat();
        Self { hogex: true, outputs: vec![(7, script)], ..Self::plain(7) }
    }

    /// The same with a witness of `items` of 5 bytes for each input.
    pub(crate) fn with_witness(mut self, items: usize) -> Self {
        self.witness = Some(vec![vec![vec![9; 5]; items]; self.inputs.len()]);
        self
    }

    fn write(&self, witness: bool, extension: bool) -> Vec<u8> {
        let (witness, extension) = (witness && self.witness.is_some(), extension && self.hogex);
        let mut out = self.version.to_le_bytes().to_vec();
        if witness || extension {
            out.extend([0, u8::from(witness) | u8::from(extension) << 3]);
        }
        out.extend(count(self.inputs.len()));
        for (outpoint, script) in &self.inputs {
            out.extend([&outpoint[..], &counted(script), &[0xff; 4]].concat());
        }
        out.extend(count(self.outputs.len()));
        for (value, script) in &self.outputs {
            out.extend([&value.to_le_bytes()[..], &counted(script)].concat());
        }
        for stack in self.witness.iter().flatten().filter(|_| witness) {
            out.extend(count(stack.len()));
            stack.iter().for_each(|item| out.extend(counted(item)));
        }
        if extension {
            out.push(0);
        }
        out.extend([0; 4]);
        out.extend(self.payload.iter().flat_map(|payload| counted(payload)));
        out
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.write(true, true)
    }

    pub(crate) fn txid(&self) -> [u8; 32] {
        sha256d(&self.write(false, false))
    }

    pub(crate) fn wtxid(&self) -> [u8; 32] {
        sha256d(&self.write(true, false))
    }
}

/// A merkle root, the slow way.
pub(crate) fn merkle(ids: &[[u8; 32]]) -> [u8; 32] {
    match ids {
        [] => [0; 32],
        [id] => *id,
        ids => {
            let pair = |pair: &[[u8; 32]]| sha256d(&[pair[0], pair[pair.len() - 1]].concat());
            merkle(&ids.chunks(2).map(pair).collect::<Vec<_>>())
        }
    }
}

/// A block to be mined.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) chain: &'static Chain,
    pub(crate) version: u32,
    pub(crate) bits: u32,
    pub(crate) time_s: u32,
    pub(crate) txs: Vec<Tx>,
    /// What stands behind the transactions.
    pub(crate) tail: Vec<u8>,
}

impl Block {
    /// With a coinbase for `height` and the given transactions behind it.
    pub(crate) fn new(
        chain: &'static Chain,
        height: u32,
        txs: impl IntoIterator<Item = Tx>,
    ) -> Self {
        let txs = [Tx::coinbase(height)].into_iter().chain(txs).collect();
        let version = chain.auxpow_chain_id.map_or(0x2000_0000, |id| u32::from(id) << 16 | 4);
        let (bits, time_s) = (chain.pow_limit_bits, 1_700_000_000);
        Self { chain, version, bits, time_s, txs, tail: Vec::new() }
    }

    /// The same with its witnesses committed to in the coinbase.
    pub(crate) fn committed(mut self) -> Self {
        let ids: Vec<_> = self.txs.iter().skip(1).map(Tx::wtxid).collect();
        let root = merkle(&[&[[0; 32]], &ids[..]].concat());
        let nonce = [5; 32];
        let commitment = sha256d(&[root, nonce].concat());
        let script = [&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed], &commitment[..]].concat();
        self.txs[0].outputs.push((0, script));
        self.txs[0].witness = Some(vec![vec![nonce.to_vec()]]);
        self
    }

    /// The header with this nonce.
    pub(crate) fn header(&self, nonce: u32) -> [u8; 80] {
        let ids: Vec<_> = self.txs.iter().map(Tx::txid).collect();
        header(self.version, merkle(&ids), self.time_s, self.bits, nonce)
    }

    /// What stands behind header and proof.
    pub(crate) fn body(&self) -> Vec<u8> {
        let txs = self.txs.iter().flat_map(Tx::bytes);
        count(self.txs.len()).into_iter().chain(txs).chain(self.tail.clone()).collect()
    }

    /// The block with work of its own.
    pub(crate) fn mine(&self) -> Vec<u8> {
        let mut header = self.header(0);
        mine(self.chain, &mut header, self.bits);
        [&header[..], &self.body()].concat()
    }
}

/// The 80 bytes of a header, its parent made up.
pub(crate) fn header(version: u32, root: [u8; 32], time_s: u32, bits: u32, nonce: u32) -> [u8; 80] {
    let numbers = [time_s, bits, nonce].map(u32::to_le_bytes).concat();
    let parts = [&version.to_le_bytes()[..], &[3; 32], &root, &numbers].concat();
    parts.try_into().expect("80 bytes")
}

/// Counts the nonce up until the header's work meets `bits`.
pub(crate) fn mine(chain: &Chain, header: &mut [u8; 80], bits: u32) {
    let target = target_from_bits(bits).expect("a target");
    let found = (0_u32..).find(|nonce| {
        header[76..].copy_from_slice(&nonce.to_le_bytes());
        meets_target(&chain.work_hash(header), &target)
    });
    assert!(found.is_some());
}

/// The header of [`built_by_rules_mweb_tail`], in bytes.
const MWEB_HEADER_BYTES: usize = 1 + 160 + 2;

/// An extension block by the rules, for `height`: one output, one kernel with a fee. Its hashes,
/// keys and proofs are made up, so that no node would take it.
pub(crate) fn built_by_rules_mweb_tail(height: u8) -> Vec<u8> {
    assert!(height < 0x80, "one byte");
    let front = [&[1, height][..], &[6; 160], &[2, 1]].concat();
    let output = [&[6; 99][..], &[1], &[6; 58], &[6; 675 + 64]].concat();
    let kernel = [&[1 | 16, 5][..], &[6; 33], &[6; 33 + 64]].concat();
    [front, vec![0, 1], output, vec![1], kernel].concat()
}

/// A block of every kind: `(what it is, block)`.
pub(crate) fn every_kind() -> Vec<(&'static str, &'static Chain, Vec<u8>)> {
    let [bitcoin, litecoin, dogecoin, dash] =
        ["bitcoin", "litecoin", "dogecoin", "dash"].map(regtest);
    let plain = || [Tx::plain(1), Tx::plain(2), Tx::plain(200)];
    let segwit = || [Tx::plain(1).with_witness(2), Tx::plain(2), Tx::plain(3).with_witness(1)];
    let mut some_empty = Tx::plain(4).with_witness(3);
    some_empty.inputs.push(Tx::plain(5).inputs.remove(0));
    some_empty.witness.as_mut().expect("set").push(Vec::new());
    let many = (0..300).map(|seed| Tx::plain(seed as u8 | 1));
    let mut mweb = Block::new(litecoin, 9, segwit()[..2].iter().cloned());
    mweb.tail = built_by_rules_mweb_tail(9);
    mweb.txs.push(Tx::hogex(&mweb.tail));
    let mut special = Block::new(dash, 9, plain());
    special.txs[0].version = 5 << 16 | 3;
    special.txs[0].payload = Some([&[3, 0, 9, 0, 0, 0][..], &[1; 64]].concat());
    for (kind, inputs, outputs) in [(1, 1, 1), (6, 0, 0), (9, 0, 1)] {
        let mut tx = Tx::plain(kind);
        (tx.version, tx.payload) = (u32::from(kind) << 16 | 3, Some(vec![kind; 300]));
        tx.inputs.truncate(inputs);
        tx.outputs.truncate(outputs);
        special.txs.push(tx);
    }
    let merged = Block::new(dogecoin, 9, plain());
    vec![
        ("coinbase only", bitcoin, Block::new(bitcoin, 1, []).mine()),
        ("plain", bitcoin, Block::new(bitcoin, 300, plain()).mine()),
        ("segwit", bitcoin, Block::new(bitcoin, 70_000, segwit()).committed().mine()),
        ("empty stack", bitcoin, Block::new(bitcoin, 9, [some_empty]).committed().mine()),
        ("many", bitcoin, Block::new(bitcoin, 9, many).mine()),
        ("scrypt", litecoin, Block::new(litecoin, 9, segwit()).committed().mine()),
        ("mweb", litecoin, mweb.committed().mine()),
        ("alone", dogecoin, Block::new(dogecoin, 9, plain()).mine()),
        ("merged", dogecoin, super::auxpow::Merged::new(&merged).block(&merged)),
        ("special", dash, special.mine()),
    ]
}
