//! What a shard asks of the kernel, whichever way the kernel is asked.
//!
//! Three implementations: [`super::uring::Uring`], [`super::epoll::Epoll`] for hosts where
//! io_uring is refused, and the seeded simulator `sim::ring::SimRing`. The same tests run on all.

use std::os::fd::OwnedFd;

use super::memory::Lease;

/// How long [`Ring::enter`] may wait for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: submit what is queued, take what is there.
    No,
    /// Until there is an event, or so many ns have passed.
    UpTo(u64),
}

/// Whether a send may be done without copying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copying {
    /// The kernel copies the bytes and is done with them at [`Event::Sent`].
    Plain,
    /// The kernel sends from the arena and is done with it at [`Event::Released`].
    Zero,
}

/// What has happened. For one connection, events come in the order in which things happened.
#[derive(Debug)]
pub enum Event {
    /// Bytes arrived: read them by [`Ring::octets`], then give the buffer back by [`Ring::recycle`].
    Received {
        /// The connection.
        slot: u16,
        /// Which buffer.
        buffer: u16,
        /// How many bytes of it.
        length: u32,
    },
    /// Nothing will be received any more. `errno` 0 is an orderly close.
    Ended {
        /// The connection.
        slot: u16,
        /// Why.
        errno: i32,
    },
    /// A send is over (a zero-copy one may still hold its memory).
    Sent {
        /// The connection.
        slot: u16,
        /// Bytes that the kernel took, possibly fewer than asked; or the errno.
        result: Result<u32, i32>,
        /// An [`Event::Released`] is still to come for it.
        held: bool,
    },
    /// The kernel has let go of a zero-copy send's memory.
    Released {
        /// The connection, unless its slot has been given up since.
        slot: Option<u16>,
        /// Whether the kernel copied the bytes after all; `None` when it does not say. Of a send
        /// that took no bytes it always says so.
        copied: Option<bool>,
    },
    /// The answer to [`Ring::ask_unacknowledged`].
    Unacknowledged {
        /// The connection.
        slot: u16,
        /// How many of the bytes it was given the peer's TCP has not acknowledged; or the errno.
        result: Result<u32, i32>,
    },
    /// The connection can take bytes (again).
    Writable {
        /// The connection.
        slot: u16,
    },
    /// The ring refers to the connection no more; here is its socket. The slot is free.
    Gone {
        /// The connection.
        slot: u16,
        /// Its socket, to be closed by whoever is not in a hurry.
        socket: OwnedFd,
    },
    /// Somebody rang the shard's doorbell.
    Woken,
    /// A request failed in a way that concerns no connection. The errno, to be counted.
    Fault(i32),
}

/// A submission queue, a completion queue, and the sockets between them.
///
/// Laws that every implementation keeps and [`crate::hot`] relies on:
/// * at most one send is outstanding per connection (a second one is refused);
/// * each accepted send gives exactly one [`Event::Sent`], and where that says `held` (which only a
///   [`Copying::Zero`] one can be, failed or not) exactly one [`Event::Released`], never earlier;
/// * an arena slot stays leased until the last of these;
/// * after [`Ring::close`] comes exactly one [`Event::Gone`], and after it nothing of that
///   connection but `Released { slot: None }`.
pub trait Ring {
    /// CLOCK_MONOTONIC, in ns.
    fn now_ns(&self) -> u64;

    /// Takes a connected, non-blocking socket into `slot` and begins to receive from it. Sends are
    /// taken from its first [`Event::Writable`] on.
    ///
    /// # Errors
    /// The slot is taken or out of range; the socket is the caller's again.
    fn adopt(&mut self, slot: u16, socket: OwnedFd) -> Result<(), OwnedFd>;

    /// Queues a send of the image's bytes `from..to`. It never waits in the kernel: what the
    /// socket can't take at once is left out of the result.
    ///
    /// `false`: not queued (queue full, send outstanding, or slot empty); enter and try again.
    fn send_image(
        &mut self,
        slot: u16,
        lease: &Lease,
        from: u32,
        to: u32,
        copying: Copying,
    ) -> bool;

    /// Queues a send of a few bytes, at most [`crate::limits::CONTROL_BYTES_MAX`], which are copied.
    ///
    /// `false` as for [`Ring::send_image`].
    fn send_control(&mut self, slot: u16, bytes: &[u8]) -> bool;

    /// Queues the question how many bytes are unacknowledged. One is outstanding at most; asking
    /// again meanwhile is the same question.
    ///
    /// `false`: not queued (queue full, or slot empty); enter and try again.
    fn ask_unacknowledged(&mut self, slot: u16) -> bool;

    /// Begins to let go of the connection: no more receiving, outstanding sends are cut short.
    fn close(&mut self, slot: u16);

    /// Wakes the cold side; several calls before the next [`Ring::enter`] are one.
    fn ring_cold(&mut self);

    /// Submits what is queued and waits as told. At most one system call.
    fn enter(&mut self, wait: Wait);

    /// The next event.
    fn next(&mut self) -> Option<Event>;

    /// The bytes of a received buffer.
    fn octets(&self, buffer: u16, length: u32) -> &[u8];

    /// Gives a received buffer back.
    fn recycle(&mut self, buffer: u16);

    /// Whether zero-copy sends can be asked for at all.
    fn can_zero_copy(&self) -> bool;

    /// Sends of this arena slot that the kernel has not let go of.
    fn held(&self, arena_slot: u8) -> u32;

    /// System calls made so far by [`Ring::enter`].
    fn entries(&self) -> u64;

    /// Times that the kernel wanted a receive buffer and there was none.
    fn starved(&self) -> u64;
}

/// Names a send in a completion: kind, arena slot, connection, and the connection's serial, so
/// that a late completion can't be taken for one of the slot's next tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Which request.
    pub(crate) kind: TokenKind,
    /// Arena slot of a zero-copy send.
    pub(crate) image: u8,
    /// The connection.
    pub(crate) slot: u16,
    /// Counts the tenants of the slot.
    pub(crate) serial: u32,
}

/// Kinds of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum TokenKind {
    Receive = 1,
    Writable = 2,
    SendPlain = 3,
    SendZero = 4,
    Bell = 5,
    ColdBell = 6,
    Install = 7,
    Remove = 8,
    Cancel = 9,
    Question = 10,
}

impl Token {
    /// Packs into a completion's `user_data`.
    pub(crate) const fn pack(self) -> u64 {
        (self.kind as u64) << 56
            | (self.image as u64) << 48
            | (self.slot as u64) << 32
            | self.serial as u64
    }

    /// Unpacks; `None` for a kind that we never submit.
    pub(crate) const fn unpack(user_data: u64) -> Option<Self> {
        let kind = match (user_data >> 56) as u8 {
            1 => TokenKind::Receive,
            2 => TokenKind::Writable,
            3 => TokenKind::SendPlain,
            4 => TokenKind::SendZero,
            5 => TokenKind::Bell,
            6 => TokenKind::ColdBell,
            7 => TokenKind::Install,
            8 => TokenKind::Remove,
            9 => TokenKind::Cancel,
            10 => TokenKind::Question,
            _ => return None,
        };
        Some(Self {
            kind,
            image: (user_data >> 48) as u8,
            slot: (user_data >> 32) as u16,
            serial: user_data as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Token, TokenKind};

    #[test]
    fn tokens_survive_the_kernel() {
        for kind in [TokenKind::Receive, TokenKind::SendZero, TokenKind::Cancel] {
            let token = Token { kind, image: 7, slot: 0xfffe, serial: 0xdead_beef };
            assert_eq!(Token::unpack(token.pack()), Some(token));
        }
        assert_eq!(Token::unpack(0), None);
        assert_eq!(Token::unpack(u64::MAX), None);
    }
}
