//! How much is unacknowledged: asked in the ring where the kernel knows how, else by `ioctl(2)`.

use std::os::fd::AsRawFd;

use io_uring::types::{Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{opcode, squeue};
use socket2::{Domain, Socket, Type};

use super::{NO_IMAGE, Uring};
use crate::limits::PROBE_DEADLINE_MS;
use crate::sys::ring::{Event, TokenKind};
use crate::sys::socket::unacknowledged_bytes;

/// SOCKET_URING_OP_SIOCOUTQ (`io_uring_cmd` on a socket, Linux 6.7).
const SIOCOUTQ: u32 = 1;

/// The request that a completion answers with the number of unacknowledged bytes.
fn question(slot: u16) -> squeue::Entry {
    opcode::UringCmd16::new(Fixed(slot.into()), SIOCOUTQ).build()
}

impl Uring {
    /// Whether the kernel answers in the ring. The ring must be new: nothing else is in it.
    pub(super) fn probe_question(&mut self) -> bool {
        let Ok(socket) = Socket::new(Domain::IPV4, Type::STREAM, None) else {
            return false;
        };
        if !self.push(&opcode::UringCmd16::new(Fd(socket.as_raw_fd()), SIOCOUTQ).build()) {
            return false;
        }
        let timeout = Timespec::from(std::time::Duration::from_millis(PROBE_DEADLINE_MS));
        let _ = self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&timeout));
        let answer = self.ring.completion().next();
        answer.is_some_and(|entry| entry.result() >= 0)
    }

    /// Asks by system calls what could not be asked in the ring. Only when nothing was to be sent.
    pub(super) fn ask_plainly(&mut self) {
        for at in 0..self.to_ask.len() {
            let slot = self.to_ask[at];
            let connection = &mut self.connections[usize::from(slot)];
            connection.asked = false;
            if let Some(socket) = connection.socket.as_ref() {
                self.entries += 1;
                let result = unacknowledged_bytes(socket)
                    .map_err(|error| error.raw_os_error().unwrap_or(libc::EIO));
                self.answers.push_back(Event::Unacknowledged { slot, result });
            }
        }
        self.to_ask.clear();
    }

    /// As [`crate::sys::ring::Ring::ask_unacknowledged`].
    pub(super) fn ask(&mut self, slot: u16) -> bool {
        let Some(connection) = self.connections.get(usize::from(slot)) else {
            return false;
        };
        if connection.asked || !connection.installed || connection.closing {
            return connection.asked;
        }
        if self.can_ask {
            let token = self.token(TokenKind::Question, NO_IMAGE, slot);
            // No memory is named: the answer is the completion's result.
            let entry = question(slot).user_data(token);
            if !self.push_for(slot, &entry) {
                return false;
            }
        } else {
            self.to_ask.push(slot);
        }
        self.connections[usize::from(slot)].asked = true;
        true
    }
}
