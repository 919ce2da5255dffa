//! Reading JSON-RPC requests, as little of them as is needed: a block's hex is looked at where it
//! lies, never copied.

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memchr;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cold::node::verdict::Shape;
use crate::limits::{LOCK_BYTES_MAX, RPC_BATCH_MAX};
use crate::wire::hash::{BlockHash, unhex};

/// A string of this length is worth being left out while the rest is read, in bytes.
const LONG_STRING_BYTES: usize = 4_096;

/// A body that is no request, with the code that nodes give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadCall {
    /// -32700.
    Unparsed,
    /// -32700 too: JSON, but neither an object nor a list.
    PlainValue,
    /// -32600.
    Malformed,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A block is handed in.
    Block(Hex),
    /// A proof is handed in that completes a block which the node has made.
    Proof(BlockHash),
    /// Anything else: the node's business.
    Other,
}

/// A block's digits, or what stands in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hex {
    /// Digits, as they lie in the body, and the block that they stand for.
    Good { digits: Bytes, raw: Bytes },
    /// Not hex, or half a byte too many.
    Bad,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// The request itself, a part of the body.
    pub(super) text: Bytes,
    /// Its `id` as JSON text; `None` where it has none.
    pub(super) id: Option<String>,
    /// It says `"jsonrpc": "2.0"`.
    pub(super) says_two: bool,
    /// Its method is `getblocktemplate`: the pool knows of a new tip, or is about to.
    pub(super) asks_template: bool,
    /// Its method is one of merged mining: where no chain is named, it means the merged one.
    pub(super) is_aux: bool,
    /// The transaction that it hands in by `sendrawtransaction`, if it is short.
    pub(super) transaction: Option<Bytes>,
    /// What it wants.
    pub(super) wanted: Wanted,
}

impl Call {
    /// The `id` of the answer.
    pub(super) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or("null")
    }

    /// The shape of our own answer, given what the node speaks.
    pub(super) const fn shape(&self, node_speaks_two: bool) -> Shape {
        if self.says_two && node_speaks_two { Shape::Two } else { Shape::One }
    }
}

/// A whole body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Calls {
    Single(Box<Call>),
    Batch(Vec<Call>),
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    #[serde(alias = "hexstring")]
    hexdata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct NamedProof<'a> {
    #[serde(borrow)]
    hash: Option<&'a RawValue>,
    #[serde(borrow)]
    auxpow: Option<&'a RawValue>,
}

/// Reads a body. Takes a millisecond for a large block: not for a thread that must not wait.
pub(super) fn read(body: &Bytes) -> Result<Calls, BadCall> {
    read_around(body).unwrap_or_else(|| read_all(body))
}

/// Reads a single request with one long string in it as if the string were two digits, and decodes
/// the string by itself: a block's digits are looked at twice instead of five times (0.3 ms instead
/// of 1 ms for 1 MB). `None` where the body is anything else: then it is read the long way.
fn read_around(body: &Bytes) -> Option<Result<Calls, BadCall>> {
    let mut at = 0;
    let (start, end) = loop {
        let start = at + memchr(b'"', body.get(at..)?)? + 1;
        let end = start + memchr(b'"', body.get(start..)?)?;
        if end - start >= LONG_STRING_BYTES {
            break (start, end);
        }
        at = end + 1;
    };
    let (before, digits, behind) = (body.get(..start)?, body.slice(start..end), body.get(end..)?);
    // With a backslash about, a quote may not be one; with another long string, nothing is gained.
    let plain = memchr(b'\\', before).is_none() && behind.len() < LONG_STRING_BYTES;
    if !plain || before.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    let mut call = read_around_block(before, digits.get(..2)?, behind)?;
    let mut raw = vec![0; digits.len() / 2];
    unhex(&digits, &mut raw)?;
    call.wanted = Wanted::Block(Hex::Good { digits, raw: Bytes::from(raw) });
    call.text = body.clone();
    Some(Ok(Calls::Single(Box::new(call))))
}

/// Reads a single request with `stub` in place of its block: `before` ends with the quote in front
/// of that, `behind` begins with the one behind it. `None` where it is no request, or what stands
/// there is not the block that is handed in.
pub(super) fn read_around_block(before: &[u8], stub: &[u8], behind: &[u8]) -> Option<Call> {
    let rest = Bytes::from([before, stub, behind].concat());
    let text: &RawValue = serde_json::from_slice(&rest).ok()?;
    let call = read_one(&rest, text).ok()?;
    // What stands in the place of the block must be the string that was cut short.
    match &call.wanted {
        Wanted::Block(Hex::Good { digits, .. })
            if digits.len() == stub.len()
                && digits.as_ptr() == rest.get(before.len()..)?.as_ptr() =>
        {
            Some(call)
        }
        _ => None,
    }
}

fn read_all(body: &Bytes) -> Result<Calls, BadCall> {
    match body.trim_ascii_start().first() {
        Some(b'{') => {
            let text: &RawValue = serde_json::from_slice(body).map_err(|_| BadCall::Unparsed)?;
            read_one(body, text).map(|call| Calls::Single(Box::new(call)))
        }
        Some(b'[') => {
            let items: Vec<&RawValue> =
                serde_json::from_slice(body).map_err(|_| BadCall::Unparsed)?;
            if items.len() > RPC_BATCH_MAX {
                return Err(BadCall::Malformed);
            }
            let calls = items.into_iter().map(|item| {
                // A part of a batch that is no request stays in it: the others are answered.
                read_one(body, item).unwrap_or_else(|_| Call::other(body, item))
            });
            Ok(Calls::Batch(calls.collect()))
        }
        _ => match serde_json::from_slice::<&RawValue>(body) {
            Ok(_) => Err(BadCall::PlainValue),
            Err(_) => Err(BadCall::Unparsed),
        },
    }
}

impl Call {
    /// Stands for a batch of nothing.
    pub(super) fn none() -> Self {
        Self {
            text: Bytes::new(),
            id: None,
            says_two: false,
            asks_template: false,
            is_aux: false,
            transaction: None,
            wanted: Wanted::Other,
        }
    }

    fn other(body: &Bytes, text: &RawValue) -> Self {
        Self { text: body.slice_ref(text.get().as_bytes()), ..Self::none() }
    }
}

fn read_one(body: &Bytes, text: &RawValue) -> Result<Call, BadCall> {
    let request: Request<'_> = serde_json::from_str(text.get()).map_err(|_| BadCall::Malformed)?;
    let method = request.method.and_then(string);
    let transaction = (method.as_deref() == Some("sendrawtransaction"))
        .then(|| short_hex(body, request.params.and_then(first_parameter)?))
        .flatten();
    let wanted = match method.as_deref() {
        // No parameter, or one that is no text: the node has words of its own for that.
        Some("submitblock") => request
            .params
            .and_then(first_parameter)
            .filter(|digits| digits.get().starts_with('"'))
            .map_or(Wanted::Other, |digits| Wanted::Block(read_hex(body, digits))),
        // Without its two parameters, the second asks for a block to work on.
        Some("submitauxblock" | "getauxblock") => {
            request.params.and_then(proof_hash).map_or(Wanted::Other, Wanted::Proof)
        }
        _ => Wanted::Other,
    };
    Ok(Call {
        id: request.id.map(|id| id.get().to_owned()),
        says_two: request.jsonrpc.and_then(string).as_deref() == Some("2.0"),
        asks_template: method.as_deref() == Some("getblocktemplate"),
        is_aux: matches!(
            method.as_deref(),
            Some("createauxblock" | "submitauxblock" | "getauxblock")
        ),
        transaction,
        wanted,
        ..Call::other(body, text)
    })
}

fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(text).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// The bytes of a transaction that is short enough to be pushed.
fn short_hex(body: &Bytes, digits: &RawValue) -> Option<Bytes> {
    let is_short = digits.get().len() <= 2 * LOCK_BYTES_MAX as usize + 2;
    match is_short.then(|| read_hex(body, digits))? {
        Hex::Good { raw, .. } => Some(raw),
        Hex::Bad => None,
    }
}

/// The first of a list, or what stands under a block's or a transaction's name.
fn first_parameter(params: &RawValue) -> Option<&RawValue> {
    let text = params.get();
    if text.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        return items.into_iter().next();
    }
    serde_json::from_str::<Named<'_>>(text).ok()?.hexdata
}

/// The block that a proof is for: the first of two texts, or `hash` beside `auxpow`. Whatever else
/// stands there, the node has words of its own for it.
fn proof_hash(params: &RawValue) -> Option<BlockHash> {
    let text = params.get();
    let (hash, proof) = if text.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        let [hash, proof] = items[..] else { return None };
        (hash, proof)
    } else {
        let NamedProof { hash, auxpow } = serde_json::from_str(text).ok()?;
        (hash?, auxpow?)
    };
    string(proof)?;
    BlockHash::from_hex(&string(hash)?)
}

fn read_hex(body: &Bytes, digits: &RawValue) -> Hex {
    let digits = match string(digits) {
        Some(Cow::Borrowed(text)) => body.slice_ref(text.as_bytes()),
        Some(Cow::Owned(text)) => Bytes::from(text),
        None => return Hex::Bad,
    };
    if !digits.len().is_multiple_of(2) {
        return Hex::Bad;
    }
    let mut raw = vec![0; digits.len() / 2];
    match unhex(&digits, &mut raw) {
        Some(()) => Hex::Good { digits, raw: Bytes::from(raw) },
        None => Hex::Bad,
    }
}

#[cfg(test)]
mod tests;
