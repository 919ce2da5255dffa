//! Payloads of the messages that a handshake and a relay need.
//!
//! Decoders are bounded and take no more than they need: lists come as iterators over the
//! payload, so that a hostile count reserves nothing, and the front of a long payload reads as
//! well as the whole of it.

mod address;
mod control;
mod inventory;
mod version;

pub use address::{
    AddressRecord, NetworkAddress, addr_records, address_count, addrv2_records, encode_addr,
    encode_addrv2,
};
pub use control::{Reject, SendCompact, encode_fee_filter, encode_nonce, fee_filter, nonce};
pub use inventory::{
    GetHeaders, InvItem, InvKind, encode_headers, encode_inv, header_items, inv_count, inv_items,
    locator,
};
pub use version::{Version, sanitised};

use thiserror::Error;

/// Why a payload can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MessageError {
    /// It ends before the named field does, or the field is not in its shortest form.
    #[error("a peer's message is malformed at its {0}: ignore the message")]
    Malformed(&'static str),
    /// The named field is longer than nodes allow.
    #[error("a peer's message has too long a {0}: ignore the message")]
    TooLong(&'static str),
}

/// Names of messages, as in a frame's command field.
pub mod name {
    #![allow(missing_docs)]
    pub const ADDR: &str = "addr";
    pub const ADDRV2: &str = "addrv2";
    pub const BLOCK: &str = "block";
    pub const BLOCKTXN: &str = "blocktxn";
    pub const CMPCTBLOCK: &str = "cmpctblock";
    pub const FEEFILTER: &str = "feefilter";
    pub const GETADDR: &str = "getaddr";
    pub const GETBLOCKTXN: &str = "getblocktxn";
    pub const GETDATA: &str = "getdata";
    pub const GETHEADERS: &str = "getheaders";
    pub const HEADERS: &str = "headers";
    pub const INV: &str = "inv";
    pub const NOTFOUND: &str = "notfound";
    pub const PING: &str = "ping";
    pub const PONG: &str = "pong";
    pub const REJECT: &str = "reject";
    pub const SENDADDRV2: &str = "sendaddrv2";
    pub const SENDCMPCT: &str = "sendcmpct";
    pub const SENDHEADERS: &str = "sendheaders";
    pub const TX: &str = "tx";
    pub const VERACK: &str = "verack";
    pub const VERSION: &str = "version";
    pub const WTXIDRELAY: &str = "wtxidrelay";
}

/// The text of a command field; `None` where it is not letters and digits padded with zeros.
#[must_use]
pub fn command_text(command: &[u8; 12]) -> Option<&str> {
    let length = command.iter().position(|byte| *byte == 0).unwrap_or(command.len());
    let (text, padding) = command.split_at_checked(length)?;
    let clean = text.iter().all(u8::is_ascii_alphanumeric) && padding.iter().all(|byte| *byte == 0);
    std::str::from_utf8(text).ok().filter(|_| clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_clean_text_or_nothing() {
        assert_eq!(command_text(b"ping\0\0\0\0\0\0\0\0"), Some("ping"));
        assert_eq!(command_text(b"sendaddrv2xx"), Some("sendaddrv2xx"));
        assert_eq!(command_text(b"ping\0junk\0\0\0"), None);
        assert_eq!(command_text(b"pi\x1b[2J\0\0\0\0\0\0"), None);
    }
}
