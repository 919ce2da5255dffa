//! What nodes do about each message.
//!
//! Sources: `net_processing.cpp` and `validation.cpp` of each node.

use broadside::limits::{INVENTORY_MAX, MESSAGE_HEADERS_MAX};
use broadside::wire::check::{CheckError, parse_and_check};
use broadside::wire::compact::{BlockTransactions, CompactBlock, compact_id, encode_getblocktxn};
use broadside::wire::hash::sha256d;
use broadside::wire::locks::{LockKind, read_lock};
use broadside::wire::message::{
    InvItem, InvKind, SendCompact, encode_headers, encode_inv, header_items, inv_count, inv_items,
    name,
};

use super::{BAN_POINTS, Connection, Form};

/// Points of Litecoin, Dogecoin and Dash for small things; Bitcoin bans for any.
const SMALL: u32 = 10;

impl Connection {
    /// Bitcoin Core has no points: whatever it minds is a ban.
    fn points(&self, points: u32) -> u32 {
        if self.shared.chain.name == "bitcoin" { BAN_POINTS } else { points }
    }

    /// Messages up to `verack`.
    pub(super) fn judge_greeting(&self, command: &str, payload: &[u8], is_greeted: bool) {
        let chain = self.shared.chain;
        let mark = |points, why: String| self.shared.mark(points, why);
        match (command, is_greeted) {
            (name::VERSION, false) => {
                let services = payload.get(4..12).and_then(|it| it.try_into().ok());
                let services = u64::from_le_bytes(services.unwrap_or_default());
                if services & (1 << 11 | 1 << 12) != 0 {
                    mark(0, format!("services {services:#x} promise what we don't speak"));
                }
                let agent = usize::from(payload.get(80).copied().unwrap_or(0));
                if payload.len() != 80 + 1 + agent + 5 {
                    mark(0, "the version has fields of masternodes".to_owned());
                }
            }
            (name::VERSION, true) => match chain.name {
                "litecoin" | "dogecoin" => mark(1, "a second version".to_owned()),
                _ => {}
            },
            (name::VERACK | name::WTXIDRELAY | name::SENDADDRV2, true) => {
                let is_known = chain.addrv2_version.is_some() || command == name::VERACK;
                if !is_known {
                    mark(0, format!("{command} means nothing here"));
                }
            }
            (_, false) => mark(u32::from(chain.name != "bitcoin"), format!("{command} first")),
            (_, true) => {
                mark(u32::from(chain.name == "dogecoin"), format!("{command} before verack"));
            }
        }
    }

    /// One message behind the handshake.
    pub(super) fn one(&mut self) -> Option<()> {
        let (command, payload, _) = self.read()?;
        self.shared.state().heard.push(command.clone());
        match command.as_str() {
            name::PING => self.pinged(&payload),
            name::PONG | "" => {}
            name::SENDCMPCT => self.compact_offered(&payload),
            name::BLOCK => self.block(&payload),
            name::CMPCTBLOCK => self.compact_block(&payload),
            name::BLOCKTXN => self.transactions(&payload),
            name::HEADERS => self.headers(&payload),
            name::INV => self.inventory(&payload),
            name::GETDATA => self.asked(&payload),
            name::GETHEADERS => self.send(name::HEADERS, &encode_headers(&[])),
            name::TX => self.shared.state().taken.push(payload),
            "clsig" => self.lock(LockKind::Block, payload),
            "isdlock" => self.lock(LockKind::Transaction, payload),
            name::NOTFOUND => {}
            name::VERSION | name::WTXIDRELAY | name::SENDADDRV2 => {
                let points = match (self.shared.chain.name, command.as_str()) {
                    ("litecoin" | "dogecoin", name::VERSION) => 1,
                    ("bitcoin" | "dash", name::VERSION) => 0,
                    _ => BAN_POINTS,
                };
                self.shared.mark(points, format!("{command} after verack"));
            }
            other => self.shared.mark(0, format!("nobody needs {other}")),
        }
        self.shared.more.notify_all();
        Some(())
    }

    /// The pong, and behind it the echo of a block that came whole since the last one.
    fn pinged(&mut self, nonce: &[u8]) {
        self.send(name::PONG, nonce);
        if let Some(hash) = self.fresh.take() {
            self.send(name::INV, &encode_inv(&[InvItem { kind: InvItem::BLOCK, hash }]));
        }
    }

    fn compact_offered(&mut self, payload: &[u8]) {
        let Ok(SendCompact { version, .. }) = SendCompact::decode(payload) else {
            return self.shared.mark(0, "sendcmpct can't be read".to_owned());
        };
        if payload.first().is_some_and(|announce| *announce > 1) {
            self.shared.mark(self.points(0), "sendcmpct neither yes nor no".to_owned());
        }
        self.compact.get_or_insert(version);
    }

    fn block(&mut self, raw: &[u8]) {
        self.shared.state().block_bytes += raw.len() as u64;
        self.judge(raw, Form::Full);
    }

    /// A whole block, however it came.
    fn judge(&mut self, raw: &[u8], form: Form) {
        let chain = self.shared.chain;
        let checked = match parse_and_check(chain, raw) {
            Ok((_, checked)) => checked,
            Err(CheckError::Block(error)) => {
                return self.shared.mark(0, format!("a block that does not decode: {error}"));
            }
            // Nobody is punished for what a compact block turns out to be.
            Err(error) => {
                let is_whole = form == Form::Full;
                let high = matches!(error, CheckError::TooLittleWork { .. });
                let points = if high && chain.name == "dogecoin" { 50 } else { BAN_POINTS };
                return self.shared.mark(if is_whole { points } else { 0 }, error.to_string());
            }
        };
        let mut state = self.shared.state();
        state.owed.remove(&checked.hash.0);
        if state.known.contains(&checked.hash.0) {
            return;
        }
        if !state.known.contains(&checked.parent.0) {
            drop(state);
            return self.shared.mark(self.points(SMALL), "a block without its parent".to_owned());
        }
        state.known.insert(checked.hash.0);
        state.blocks.push((checked.hash.0, form));
        drop(state);
        // Once it has heard of the header by itself it would not announce it: only after `block`.
        self.fresh = (form == Form::Full).then_some(checked.hash.0).or(self.fresh);
        if !self.chosen && self.compact == Some(chain.compact_version) {
            self.chosen = true;
            let chosen = [&[1][..], &chain.compact_version.to_le_bytes()].concat();
            self.send(name::SENDCMPCT, &chosen);
        }
    }

    /// Whether this chain's nodes look at a compact block that they did not ask for.
    fn takes_compact(&self) -> bool {
        let chain = self.shared.chain;
        let has_said = self.compact == Some(chain.compact_version);
        match chain.name {
            "bitcoin" => self.chosen && has_said,
            "litecoin" => has_said,
            _ => true,
        }
    }

    fn compact_block(&mut self, payload: &[u8]) {
        let chain = self.shared.chain;
        self.shared.state().block_bytes += payload.len() as u64;
        if !self.takes_compact() {
            return self.shared.mark(0, "a compact block that nobody takes".to_owned());
        }
        let Ok(compact) = CompactBlock::decode(chain, payload) else {
            return self.shared.mark(BAN_POINTS, "a compact block that is none".to_owned());
        };
        let parent: [u8; 32] = compact.header[4..36].try_into().expect("a header");
        let hash = chain.identity_hash(compact.header.first_chunk().expect("a header"));
        if !self.shared.state().known.contains(&parent) {
            let asked = [&[0; 4][..], &[0], &[0; 32]].concat();
            return self.send(name::GETHEADERS, &asked);
        }
        if self.shared.state().known.contains(&hash.0) {
            return;
        }
        match self.put_together(&compact, &[]) {
            Ok(raw) => self.judge(&raw, Form::Compact),
            Err(missing) => {
                self.send(name::GETBLOCKTXN, &encode_getblocktxn(&hash.0, &missing));
                self.shared.state().owed.insert(hash.0);
                self.partial = Some((payload.to_vec(), missing));
            }
        }
    }

    /// The block, from what is in its pool and what was sent of it, or what is missing.
    fn put_together(
        &self,
        compact: &CompactBlock<'_>,
        sent: &[(u32, &[u8])],
    ) -> Result<Vec<u8>, Vec<u32>> {
        let state = self.shared.state();
        let key = compact.key();
        let pool = state.pool.iter().map(|(id, raw)| (key.short_id(id), raw.as_slice()));
        let pool: std::collections::HashMap<_, _> = pool.collect();
        let sent: std::collections::HashMap<_, _> = sent.iter().copied().collect();
        compact.rebuild(|at, short| sent.get(&at).or_else(|| pool.get(&short)).copied())
    }

    fn transactions(&mut self, payload: &[u8]) {
        let chain = self.shared.chain;
        self.shared.state().block_bytes += payload.len() as u64;
        let Some((compact, missing)) = self.partial.take() else { return };
        let Ok(answer) = BlockTransactions::decode(chain, payload) else {
            return self.shared.mark(BAN_POINTS, "blocktxn can't be read".to_owned());
        };
        let compact = CompactBlock::decode(chain, &compact).expect("it was read before");
        if answer.transactions.len() != missing.len() {
            return self.shared.mark(BAN_POINTS, "blocktxn with other transactions".to_owned());
        }
        let sent: Vec<_> = missing.into_iter().zip(answer.transactions).collect();
        match self.put_together(&compact, &sent) {
            Ok(raw) => self.judge(&raw, Form::Asked),
            Err(_) => self.shared.mark(0, "still incomplete".to_owned()),
        }
    }

    fn headers(&mut self, payload: &[u8]) {
        let chain = self.shared.chain;
        let headers: Vec<_> = header_items(chain, payload).collect();
        if headers.len() as u64 > MESSAGE_HEADERS_MAX || headers.is_empty() {
            return;
        }
        let mut asked = Vec::new();
        for header in headers {
            let header: &[u8; 80] = header.first_chunk().expect("a header");
            let hash = chain.identity_hash(header).0;
            let parent: [u8; 32] = header[4..36].try_into().expect("a hash");
            let state = self.shared.state();
            let is_new = state.known.contains(&parent) && !state.known.contains(&hash);
            if is_new && self.services & chain.services_wanted == chain.services_wanted {
                asked.push(InvItem { kind: chain.block_inventory, hash });
            }
        }
        if self.services & 1 != 0 && !asked.is_empty() {
            self.shared.state().owed.extend(asked.iter().map(|item| item.hash));
            self.send(name::GETDATA, &encode_inv(&asked));
        }
    }

    fn inventory(&mut self, payload: &[u8]) {
        if inv_count(payload).is_none_or(|count| count > INVENTORY_MAX) {
            return self.shared.mark(self.points(20), "too long an inv".to_owned());
        }
        let unknown = inv_items(payload).any(|item| {
            item.about() == InvKind::Block && !self.shared.state().known.contains(&item.hash)
        });
        if unknown {
            self.send(name::GETHEADERS, &[&[0; 4][..], &[0], &[0; 32]].concat());
        }
    }

    /// Locks are served; of blocks it has only their hashes.
    fn asked(&mut self, payload: &[u8]) {
        let mut lacking = Vec::new();
        for item in inv_items(payload) {
            let state = self.shared.state();
            let lock = state
                .good_locks
                .iter()
                .find(|(kind, hash, _)| *kind == item.kind && *hash == item.hash);
            match (lock.cloned(), LockKind::of_inventory(item.kind)) {
                (Some((_, _, lock)), Some(kind)) => {
                    drop(state);
                    self.send(kind.command(), &lock);
                }
                _ => lacking.push(item),
            }
        }
        if !lacking.is_empty() {
            self.send(name::NOTFOUND, &encode_inv(&lacking));
        }
    }

    fn lock(&mut self, kind: LockKind, payload: Vec<u8>) {
        if !self.shared.chain.has_locks {
            return self.shared.mark(0, "a lock on a chain without".to_owned());
        }
        match read_lock(kind, &payload) {
            Err(error) => self.shared.mark(BAN_POINTS, error.to_string()),
            Ok(_) => {
                let hash = sha256d(&payload);
                let is_good = self.shared.state().good_locks.iter().any(|it| it.1 == hash);
                if !is_good {
                    self.shared.mark(SMALL, "a lock with a wrong signature".to_owned());
                }
                self.shared.state().taken.push(payload);
            }
        }
    }
}

/// The transactions of a block by the id that compact blocks name them with, the coinbase left out.
pub fn pool_of(
    chain: &'static broadside::wire::chain::Chain,
    raw: &[u8],
) -> std::collections::HashMap<[u8; 32], Vec<u8>> {
    let walker = broadside::wire::block::Walker::new(chain).keeping_ids();
    let layout = walker.finish(raw).expect("a block");
    let ids = layout.transactions.ids();
    let of = |(at, ids)| {
        let span = layout.transactions.get(at).expect("there").range();
        (compact_id(chain, ids), raw[span].to_vec())
    };
    ids.iter().enumerate().skip(1).map(of).collect()
}
