//! What completions mean: each becomes at most one event.

use std::os::fd::RawFd;

use io_uring::cqueue;

use super::{CELL_BYTES, NO_IMAGE, USAGE_COPIED, Uring};
use crate::sys::ring::{Event, Token, TokenKind};

impl Uring {
    /// Lets go of a closing connection once nothing of it is outstanding.
    pub(super) fn maybe_remove(&mut self, slot: u16) {
        let connection = &mut self.connections[usize::from(slot)];
        if connection.closing && !connection.removing && connection.outstanding == 0 {
            connection.removing = true;
            self.update_file(TokenKind::Remove, slot, CELL_BYTES - size_of::<RawFd>());
        }
    }

    /// Drops one hold on an arena slot, and the lease with the last.
    fn release(&mut self, image: u8) {
        let at = usize::from(image);
        if let Some(held) = self.held.get_mut(at) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.leases[at] = None;
            }
        }
    }

    /// Turns one completion into at most one event.
    pub(super) fn digest(&mut self, entry: &cqueue::Entry) -> Option<Event> {
        let (result, flags) = (entry.result(), entry.flags());
        let token = Token::unpack(entry.user_data())?;
        let more = cqueue::more(flags);
        match token.kind {
            TokenKind::Bell => {
                if !more {
                    self.arm_bell();
                }
                return Some(Event::Woken);
            }
            TokenKind::ColdBell => {
                return (result < 0 && result != -libc::EAGAIN).then_some(Event::Fault(-result));
            }
            TokenKind::SendZero if cqueue::notif(flags) => {
                return Some(self.notified(token, result));
            }
            _ => {}
        }
        if !more || token.kind == TokenKind::SendZero {
            let connection = &mut self.connections[usize::from(token.slot)];
            connection.outstanding = connection.outstanding.saturating_sub(1);
        }
        let event = match token.kind {
            TokenKind::Receive => self.received(token.slot, result, flags, more),
            TokenKind::Writable => self.polled(token.slot, result, more),
            TokenKind::SendPlain | TokenKind::SendZero => Some(self.sent(token, result, more)),
            TokenKind::Question => self.answered(token.slot, result),
            TokenKind::Install => self.installed(token.slot, result),
            TokenKind::Remove => self.removed(token.slot),
            TokenKind::Cancel | TokenKind::Bell | TokenKind::ColdBell => None,
        };
        self.maybe_remove(token.slot);
        event
    }

    fn notified(&mut self, token: Token, result: i32) -> Event {
        self.release(token.image);
        let connection = &self.connections[usize::from(token.slot)];
        let same = connection.serial == token.serial && connection.socket.is_some();
        let copied = Some(result & USAGE_COPIED != 0);
        Event::Released { slot: same.then_some(token.slot), copied }
    }

    fn sent(&mut self, token: Token, result: i32, more: bool) -> Event {
        self.connections[usize::from(token.slot)].sending = false;
        // With MORE, a release is still to come and the memory stays leased.
        if token.image != NO_IMAGE && !more {
            self.release(token.image);
        }
        let result = u32::try_from(result).map_err(|_| -result);
        Event::Sent { slot: token.slot, result, held: more }
    }

    fn received(&mut self, slot: u16, result: i32, flags: u32, more: bool) -> Option<Event> {
        let closing = self.connections[usize::from(slot)].closing;
        let buffer = cqueue::buffer_select(flags);
        buffer.into_iter().for_each(|buffer| self.buffers.take(buffer));
        match (u32::try_from(result), buffer) {
            (Ok(length), Some(buffer)) if length > 0 => {
                if closing {
                    self.buffers.give_back(buffer);
                    return None;
                }
                if !more {
                    self.arm_receive(slot);
                }
                return Some(Event::Received { slot, buffer, length });
            }
            (_, Some(buffer)) => self.buffers.give_back(buffer),
            _ => {}
        }
        if closing {
            return None;
        }
        if result == -libc::ENOBUFS {
            self.starved += 1;
            self.starving.push(slot);
            return None;
        }
        Some(Event::Ended { slot, errno: -result.min(0) })
    }

    fn polled(&mut self, slot: u16, result: i32, more: bool) -> Option<Event> {
        let closing = self.connections[usize::from(slot)].closing;
        let broken = result < 0 || result & i32::from(libc::POLLERR | libc::POLLHUP) != 0;
        // A broken connection would answer a new poll at once and for ever; its receive tells.
        if !more && !closing && !broken {
            self.arm_writable(slot);
        }
        match result {
            _ if closing => None,
            // Without its readiness it would wait for ever once it is full.
            ..0 => Some(Event::Ended { slot, errno: -result }),
            _ => Some(Event::Writable { slot }),
        }
    }

    fn answered(&mut self, slot: u16, result: i32) -> Option<Event> {
        self.connections[usize::from(slot)].asked = false;
        let result = u32::try_from(result).map_err(|_| -result);
        (!self.connections[usize::from(slot)].closing)
            .then_some(Event::Unacknowledged { slot, result })
    }

    fn installed(&mut self, slot: u16, result: i32) -> Option<Event> {
        if result < 0 {
            return Some(Event::Ended { slot, errno: -result });
        }
        let connection = &mut self.connections[usize::from(slot)];
        connection.installed = true;
        if connection.closing {
            return None;
        }
        self.arm_receive(slot);
        self.arm_writable(slot);
        None
    }

    fn removed(&mut self, slot: u16) -> Option<Event> {
        let connection = &mut self.connections[usize::from(slot)];
        let serial = connection.serial;
        let socket = std::mem::take(connection).socket?;
        connection.serial = serial.wrapping_add(1);
        Some(Event::Gone { slot, socket })
    }
}
