//! A block's story as a row of the table `blocks`, and back.

use std::net::SocketAddr;

use rusqlite::Row;
use rusqlite::types::{FromSql, Value};

use crate::cold::stats::{
    BlockStory, Counts, Fate, FirstBackStory, PeerStory, Stage, VerdictStory, Voice,
};
use crate::hot::link::{Outcome, Way};
use crate::wire::hash::BlockHash;

/// The columns of `blocks` but for `id`, in the order of [`values`].
pub(super) fn names() -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |more: &[&str]| names.extend(more.iter().map(|name| (*name).to_owned()));
    add(&["run", "image", "chain", "network", "hash", "height", "size_bytes", "transactions"]);
    add(&["received_us"]);
    names.extend(Stage::ALL.iter().map(|stage| format!("{}_us", stage.word())));
    names.extend(["shards", "offers", "settled"].map(str::to_owned));
    names.extend(Outcome::ALL.iter().map(|outcome| outcome.word().replace('-', "_")));
    names.extend(
        [
            "echoes",
            "witnesses",
            "announced",
            "have",
            "fate",
            "depth",
            "rival",
            "first_back_address",
            "first_back_voice",
            "first_back_us",
            "half_back_us",
        ]
        .map(str::to_owned),
    );
    names
}

/// One row's values. `half_back_us`: as it is to be kept.
pub(super) fn values(story: &BlockStory, run: i64, half_back_us: Option<i64>) -> Vec<Value> {
    let mut row: Vec<Value> = vec![
        run.into(),
        (story.image as i64).into(),
        story.chain.clone().into(),
        story.network.clone().into(),
        story.hash.to_string().into(),
        story.height.into(),
        story.size_bytes.into(),
        story.transactions.into(),
        (story.received_unix_ms.saturating_mul(1_000) as i64).into(),
    ];
    row.extend(story.stages.iter().map(|at_us| Value::from(*at_us)));
    let counts = &story.counts;
    row.extend([Value::from(counts.shards), counts.offers.into(), counts.settled.into()]);
    row.extend(counts.outcomes.iter().map(|count| Value::from(*count)));
    row.extend([
        Value::from(counts.echoes),
        counts.witnesses.into(),
        counts.announced.into(),
        counts.have.into(),
    ]);
    row.extend(fate_values(story.fate));
    let first = story.first_back;
    row.extend([
        first.and_then(|first| first.address).map(|address| address.to_string()).into(),
        first.map(|first| first.voice.word().to_owned()).into(),
        first.and_then(|first| first.after_us).into(),
        half_back_us.into(),
    ]);
    row
}

/// `fate`, `depth`, `rival`.
pub(super) fn fate_values(fate: Fate) -> [Value; 3] {
    let rival = fate.rival().map(|rival| rival.to_string());
    [fate.word().to_owned().into(), fate.depth().into(), rival.into()]
}

/// The other way round. What nobody of ours wrote is pending.
pub(super) fn fate(word: &str, depth: Option<u32>, rival: Option<&str>) -> Fate {
    let rival = rival.and_then(BlockHash::from_hex);
    match (word, rival) {
        ("in-chain", _) => Fate::InChain(depth.unwrap_or(1)),
        ("confirmed", _) => Fate::Confirmed,
        ("behind", Some(rival)) => Fate::Behind(rival),
        ("stale", Some(rival)) => Fate::Stale(rival),
        ("refused", _) => Fate::Refused,
        _ => Fate::Pending,
    }
}

/// A number that no honest file has beyond its range.
pub(super) fn clamped(row: &Row<'_>, at: usize) -> rusqlite::Result<u32> {
    Ok(row.get::<_, i64>(at)?.clamp(0, u32::MAX.into()) as u32)
}

/// Takes a row's columns one after the other.
struct Columns<'r> {
    row: &'r Row<'r>,
    next: usize,
}

impl Columns<'_> {
    fn take<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        self.next += 1;
        self.row.get(self.next - 1)
    }

    fn number(&mut self) -> rusqlite::Result<u32> {
        self.next += 1;
        clamped(self.row, self.next - 1)
    }

    fn address(&mut self) -> rusqlite::Result<Option<SocketAddr>> {
        Ok(self.take::<Option<String>>()?.and_then(|text| text.parse().ok()))
    }
}

/// One block as it is read: `id`, `run`, and its story without verdicts, peers and scouts.
pub(super) struct Read {
    pub(super) id: i64,
    pub(super) run: i64,
    pub(super) story: BlockStory,
}

/// Reads `id` and the columns of [`names`]; `None` where the hash is none.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Option<Read>> {
    let mut columns = Columns { row, next: 0 };
    let (id, run, image) = (columns.take()?, columns.take()?, columns.take::<i64>()? as u64);
    let (chain, network) = (columns.take()?, columns.take()?);
    let hash = BlockHash::from_hex(&columns.take::<String>()?);
    let height = columns.take::<Option<i64>>()?.and_then(|height| height.try_into().ok());
    let (size_bytes, transactions) = (columns.number()?, columns.number()?);
    let received_unix_ms = columns.take::<i64>()?.max(0) as u64 / 1_000;
    let mut stages = [None; Stage::ALL.len()];
    for stage in &mut stages {
        *stage = columns.take()?;
    }
    let mut counts = Counts { shards: columns.number()?.min(255) as u8, ..Counts::default() };
    (counts.offers, counts.settled) = (columns.number()?, columns.number()?);
    for count in &mut counts.outcomes {
        *count = columns.number()?;
    }
    (counts.echoes, counts.witnesses) = (columns.number()?, columns.number()?);
    (counts.announced, counts.have) = (columns.number()?, columns.number()?);
    let word = columns.take::<String>()?;
    let depth = columns.take::<Option<i64>>()?.and_then(|depth| depth.try_into().ok());
    let fate = fate(&word, depth, columns.take::<Option<String>>()?.as_deref());
    let (address, word) = (columns.address()?, columns.take::<Option<String>>()?);
    let voice = [Voice::Echo, Voice::Witness, Voice::Scout]
        .into_iter()
        .find(|voice| Some(voice.word()) == word.as_deref());
    let after_us = columns.take()?;
    let first_back = voice.map(|voice| FirstBackStory { address, voice, after_us });
    let half_back_us = columns.take()?;
    let (verdicts, peers, scouts) = (Vec::new(), Vec::new(), Vec::new());
    let Some(hash) = hash else {
        return Ok(None);
    };
    let story = BlockStory {
        image,
        chain,
        network,
        hash,
        height,
        size_bytes,
        transactions,
        received_unix_ms,
        stages,
        counts,
        fate,
        first_back,
        half_back_us,
        verdicts,
        peers,
        scouts,
        stolen: None,
    };
    Ok(Some(Read { id, run, story }))
}

/// The columns of `peers` but for `block` and `place`.
pub(super) const PEER: &str = "connection, address, way, outcome, sent_bytes, submitted_us, sent_us, \
                               acked_us, handled_us, echo_us, queued_us, wire_us, tcp_acked_us";

/// A connection's part as one row of them.
pub(super) fn peer_values(peer: &PeerStory) -> [Value; 13] {
    [
        (peer.connection as i64).into(),
        peer.address.map(|address| address.to_string()).into(),
        peer.way.map(|way| way.word().to_owned()).into(),
        peer.outcome.map(|outcome| outcome.word().to_owned()).into(),
        peer.sent_bytes.into(),
        peer.submitted_us.into(),
        peer.sent_us.into(),
        peer.acked_us.into(),
        peer.handled_us.into(),
        peer.echo_us.into(),
        peer.queued_us.into(),
        peer.wire_us.into(),
        peer.tcp_acked_us.into(),
    ]
}

/// The other way round.
pub(super) fn read_peer(row: &Row<'_>) -> rusqlite::Result<PeerStory> {
    let mut columns = Columns { row, next: 0 };
    let connection = columns.take::<i64>()? as u64;
    let address = columns.address()?;
    let (way, outcome): (Option<String>, Option<String>) = (columns.take()?, columns.take()?);
    Ok(PeerStory {
        connection,
        address,
        way: Way::ALL.into_iter().find(|it| Some(it.word()) == way.as_deref()),
        sent_bytes: columns.number()?,
        outcome: Outcome::ALL.into_iter().find(|it| Some(it.word()) == outcome.as_deref()),
        submitted_us: columns.take()?,
        sent_us: columns.take()?,
        acked_us: columns.take()?,
        handled_us: columns.take()?,
        echo_us: columns.take()?,
        queued_us: columns.take()?,
        wire_us: columns.take()?,
        tcp_acked_us: columns.take()?,
    })
}

/// Reads `node, own, word, after_us`.
pub(super) fn read_verdict(row: &Row<'_>) -> rusqlite::Result<VerdictStory> {
    let mut columns = Columns { row, next: 0 };
    Ok(VerdictStory {
        node: columns.take()?,
        own: columns.take::<i64>()? != 0,
        word: columns.take()?,
        after_us: columns.take()?,
    })
}
