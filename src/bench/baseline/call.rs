//! A JSON-RPC call, its block, the message made of it, and the answer.

use std::hint::black_box;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::http::response;
use crate::limits::FRAME_HEADER_BYTES;
use crate::wire::chain::Chain;
use crate::wire::frame::write_header;
use crate::wire::hash::{sha256d, unhex};
use crate::wire::message::name;

/// Where the block stands in its message.
const START: usize = FRAME_HEADER_BYTES as usize;

/// Why a call is answered with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NotJson,
    OtherMethod,
    BadBlock,
}

impl Refusal {
    const fn error(self) -> &'static str {
        match self {
            Self::NotJson => r#"{"code":-32700,"message":"Parse error"}"#,
            Self::OtherMethod => r#"{"code":-32601,"message":"Method not found"}"#,
            Self::BadBlock => r#"{"code":-22,"message":"Block decode failed"}"#,
        }
    }
}

/// A block with room for its message's header in front of it.
#[derive(Debug)]
pub(super) struct Block(Vec<u8>);

impl Block {
    /// The block's own bytes.
    pub(super) fn raw(&self) -> &[u8] {
        self.0.get(START..).unwrap_or_default()
    }

    /// The whole message: hashes the block for its checksum, copies nothing.
    pub(super) fn into_message(mut self, chain: &Chain) -> Vec<u8> {
        let [c0, c1, c2, c3, ..] = sha256d(self.raw());
        let length = self.raw().len() as u32;
        if let Some(header) = self.0.first_chunk_mut() {
            write_header(header, chain.magic, name::BLOCK, length, [c0, c1, c2, c3]);
        }
        self.0
    }
}

/// One call, read.
#[derive(Debug)]
pub(super) struct Call {
    /// Its `id` as JSON text.
    id: String,
    /// The block that it hands in.
    pub(super) block: Result<Block, Refusal>,
}

#[derive(Deserialize)]
struct Request<'a> {
    id: Option<&'a RawValue>,
    method: &'a str,
    /// Borrowed: the block's digits are not copied.
    #[serde(borrow, default)]
    params: Vec<&'a str>,
}

/// Reads a request's body.
pub(super) fn read(body: &[u8], chain: &Chain) -> Call {
    let Ok(request) = serde_json::from_slice::<Request<'_>>(body) else {
        return Call { id: "null".to_owned(), block: Err(Refusal::NotJson) };
    };
    let block = match (request.method, request.params.first()) {
        ("submitblock", Some(digits)) => decode(digits, chain),
        ("submitblock", None) => Err(Refusal::BadBlock),
        _ => Err(Refusal::OtherMethod),
    };
    Call { id: request.id.map_or("null", RawValue::get).to_owned(), block }
}

fn decode(digits: &str, chain: &Chain) -> Result<Block, Refusal> {
    if !digits.len().is_multiple_of(2) {
        return Err(Refusal::BadBlock);
    }
    let mut bytes = vec![0; START + digits.len() / 2];
    let place = bytes.get_mut(START..).unwrap_or_default();
    unhex(digits.as_bytes(), place).ok_or(Refusal::BadBlock)?;
    let header = place.first_chunk().ok_or(Refusal::BadBlock)?;
    // Every such program logs the block under its hash.
    black_box(chain.identity_hash(header));
    Ok(Block(bytes))
}

impl Call {
    /// The answer for good.
    pub(super) fn accepted(&self) -> Vec<u8> {
        response("200 OK", &format!("{{\"result\":null,\"error\":null,\"id\":{}}}\n", self.id))
    }

    /// The answer to a call without a block.
    pub(super) fn refused(&self, why: Refusal) -> Vec<u8> {
        let body = format!("{{\"result\":null,\"error\":{},\"id\":{}}}\n", why.error(), self.id);
        response("500 Internal Server Error", &body)
    }

    /// Takes the block out, or says what to answer in its place.
    pub(super) fn take(&mut self) -> Result<Block, Vec<u8>> {
        let block = std::mem::replace(&mut self.block, Err(Refusal::BadBlock));
        block.map_err(|why| self.refused(why))
    }
}
