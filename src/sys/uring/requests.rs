//! Requests that the ring can't do without: none of them is lost to a queue that is full.

use std::os::fd::{AsRawFd, RawFd};

use io_uring::types::Fixed;
use io_uring::{opcode, squeue, types};

use super::{GROUP, NO_IMAGE, Uring, cell};
use crate::sys::ring::{Token, TokenKind};

impl Uring {
    /// Queues `entry`, with the next entry into the kernel if there is no room now.
    fn require(&mut self, entry: squeue::Entry) {
        // Never past those that wait already: a cancellation comes after what it cancels.
        if !self.late.is_empty() || !self.push(&entry) {
            self.late.push(entry);
        }
    }

    /// Queues a request of `slot` that gives one more completion.
    pub(super) fn require_for(&mut self, slot: u16, entry: squeue::Entry) {
        self.connections[usize::from(slot)].outstanding += 1;
        self.require(entry);
    }

    /// Queues what found no room before, as far as there is room now.
    pub(super) fn push_late(&mut self) {
        let mut pushed = 0;
        while let Some(entry) = self.late.get(pushed).cloned()
            && self.push(&entry)
        {
            pushed += 1;
        }
        self.late.drain(..pushed);
    }

    pub(super) fn arm_bell(&mut self) {
        let bell = types::Fd(self.bell.as_raw_fd());
        let token = Token { kind: TokenKind::Bell, image: NO_IMAGE, slot: 0, serial: 0 };
        let poll = opcode::PollAdd::new(bell, libc::POLLIN as u32).multi(true).build();
        // No memory is named; the descriptor lives in `bell`, dropped after the ring.
        self.require(poll.user_data(token.pack()));
    }

    pub(super) fn arm_receive(&mut self, slot: u16) {
        let token = self.token(TokenKind::Receive, NO_IMAGE, slot);
        // The buffers are the group's, registered for the ring's life.
        let receive = opcode::RecvMulti::new(Fixed(slot.into()), GROUP).build();
        self.require_for(slot, receive.user_data(token));
    }

    pub(super) fn arm_writable(&mut self, slot: u16) {
        let token = self.token(TokenKind::Writable, NO_IMAGE, slot);
        let poll = opcode::PollAdd::new(Fixed(slot.into()), libc::POLLOUT as u32).multi(true);
        self.require_for(slot, poll.build().user_data(token));
    }

    /// Puts the descriptor at `offset` of the slot's cell (its socket, or -1) into the ring's table.
    pub(super) fn update_file(&mut self, kind: TokenKind, slot: u16, offset: usize) {
        let descriptor = self.cells.at(cell(slot) + offset).cast::<RawFd>();
        // The cell lives in `cells`, dropped after the ring, and is not written while `outstanding`.
        let update = opcode::FilesUpdate::new(descriptor, 1).offset(slot.into()).build();
        let token = self.token(kind, NO_IMAGE, slot);
        self.require_for(slot, update.user_data(token));
    }
}
