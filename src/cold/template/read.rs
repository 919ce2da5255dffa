//! Reads a node's answer to `getblocktemplate`.

use std::borrow::Cow;

use serde::Deserialize;
use thiserror::Error;

use crate::sys::sha;
use crate::wire::chain::Chain;
use crate::wire::hash::{BlockHash, unhex};
use crate::wire::staged::{Staged, StagedError};

/// Stands before the extension block of a block that has one.
const EXTENSION_MARKER: u8 = 1;

/// Why an answer is of no use.
#[derive(Debug, Error)]
pub enum TemplateError {
    /// It is no answer to `getblocktemplate`.
    #[error("the answer is no template: {0}")]
    Json(#[from] serde_json::Error),
    /// The node answered with an error, or nothing.
    #[error("the node gave no template")]
    None,
    /// Something that should be hex is not.
    #[error("its {what} is no hex")]
    Hex {
        /// What.
        what: &'static str,
    },
    /// Its transactions are no block's.
    #[error(transparent)]
    Staged(#[from] StagedError),
}

/// A template that was read.
pub(super) struct Template {
    pub(super) parent: BlockHash,
    pub(super) staged: Staged,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<Result<'a>>,
}

#[derive(Deserialize)]
struct Result<'a> {
    #[serde(borrow)]
    previousblockhash: Cow<'a, str>,
    #[serde(borrow)]
    transactions: Vec<Transaction<'a>>,
    /// Without its marker; absent before the fork.
    #[serde(borrow, default)]
    mweb: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Transaction<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
}

/// Only the long poll's name of an answer.
#[derive(Deserialize)]
struct LongPoll<'a> {
    #[serde(borrow)]
    result: Option<LongPollId<'a>>,
}

#[derive(Deserialize)]
struct LongPollId<'a> {
    #[serde(borrow, default)]
    longpollid: Option<Cow<'a, str>>,
}

/// What a node wants to hear the next time, to answer when there is something new.
pub(super) fn long_poll_id(answer: &[u8]) -> Option<String> {
    let read: LongPoll<'_> = serde_json::from_slice(answer).ok()?;
    read.result?.longpollid.map(Cow::into_owned)
}

/// Reads, walks and hashes a template. Takes milliseconds: for a thread that may.
///
/// # Errors
/// [`TemplateError`]: it is of no use.
pub(super) fn template(
    chain: &'static Chain,
    answer: &[u8],
) -> std::result::Result<Template, TemplateError> {
    let read: Answer<'_> = serde_json::from_slice(answer)?;
    let read = read.result.ok_or(TemplateError::None)?;
    let bad_parent = TemplateError::Hex { what: "previousblockhash" };
    let parent = BlockHash::from_hex(&read.previousblockhash).ok_or(bad_parent)?;
    let digits: usize = read.transactions.iter().map(|one| one.data.len()).sum();
    // All transactions one behind the other: no allocation for each.
    let mut raw = vec![0; digits / 2];
    let mut lengths = Vec::with_capacity(read.transactions.len());
    let mut rest = raw.as_mut_slice();
    for one in &read.transactions {
        let bad = TemplateError::Hex { what: "transaction" };
        let Some((place, behind)) = rest.split_at_mut_checked(one.data.len() / 2) else {
            return Err(bad);
        };
        unhex(one.data.as_bytes(), place).ok_or(bad)?;
        lengths.push(place.len());
        rest = behind;
    }
    let mut extension = Vec::new();
    if let Some(digits) = read.mweb.filter(|_| chain.has_mweb) {
        extension.resize(1 + digits.len() / 2, EXTENSION_MARKER);
        let place = extension.get_mut(1..).unwrap_or_default();
        unhex(digits.as_bytes(), place).ok_or(TemplateError::Hex { what: "mweb" })?;
    }
    let mut from = 0;
    let parts = lengths.iter().map(|length| {
        let part = raw.get(from..from + length).unwrap_or_default();
        from += length;
        part
    });
    let staged = Staged::new(chain, parts, &extension, sha::lanes())?;
    Ok(Template { parent, staged })
}
