//! What the simulated world does between two entries: peers speak and acknowledge, sockets drain,
//! the kernel lets go of memory.

use super::{SimConnection, SimRing};
use crate::limits::RECEIVE_BUFFER_BYTES;
use crate::sys::ring::Event;

impl SimRing {
    pub(super) fn move_world(&mut self, at: usize) {
        let slot = at as u16;
        let roll = self.dice.one_in(2);
        let connection = &mut self.connections[at];
        if roll && !connection.stalled {
            connection.acknowledged = connection.taken.len();
        }
        if connection.socket.is_none() || connection.ended {
            return;
        }
        // Before a modelled line it is the line that says so.
        let drains = self.line.as_ref().map_or(roll, |line| line.is_writable(at));
        if connection.full && drains && !connection.stalled {
            connection.full = false;
            connection.events.push_back(Event::Writable { slot });
        }
        if !connection.saying.is_empty() {
            let Some(buffer) = self.free.pop() else {
                return;
            };
            let most = connection.saying.len().min(RECEIVE_BUFFER_BYTES as usize) as u64;
            let count = 1 + self.dice.below(most) as usize;
            self.buffers[usize::from(buffer)] = connection.saying.drain(..count).collect();
            let length = count as u32;
            connection.events.push_back(Event::Received { slot, buffer, length });
        } else if let Some(errno) = connection.hung_up {
            connection.ended = true;
            connection.events.push_back(Event::Ended { slot, errno });
        }
    }

    pub(super) fn release(&mut self) {
        let mut kept = Vec::new();
        for late in std::mem::take(&mut self.late) {
            if self.trouble.late_release > 0 && !self.dice.one_in(self.trouble.late_release) {
                kept.push(late);
                continue;
            }
            let connection = &mut self.connections[usize::from(late.slot)];
            let same = connection.serial == late.serial && connection.socket.is_some();
            let copied = Some(late.copied);
            if same {
                connection.events.push_back(Event::Released { slot: Some(late.slot), copied });
            } else {
                self.ready.push_back(Event::Released { slot: None, copied });
            }
        }
        self.late = kept;
    }

    pub(super) fn let_go(&mut self, at: usize) {
        let slot = at as u16;
        let connection = &mut self.connections[at];
        if !connection.closing || connection.pending.is_some() {
            return;
        }
        let Some(socket) = connection.socket.take() else {
            return;
        };
        let serial = connection.serial.wrapping_add(1);
        let mut events = std::mem::take(&mut connection.events);
        // What was received is nobody's now; the rest comes before the end.
        let free = &mut self.free;
        events.retain(|event| match event {
            Event::Received { buffer, .. } => {
                free.push(*buffer);
                false
            }
            Event::Sent { .. } | Event::Released { .. } => true,
            _ => false,
        });
        *connection = SimConnection { serial, events, ..SimConnection::default() };
        connection.events.push_back(Event::Gone { slot, socket });
    }

    /// Mixes the connections' events, each connection's own order kept.
    pub(super) fn shuffle(&mut self) {
        let mut waiting: Vec<usize> = (0..self.connections.len())
            .filter(|at| !self.connections[*at].events.is_empty())
            .collect();
        while !waiting.is_empty() {
            let pick = self.dice.below(waiting.len() as u64) as usize;
            match self.connections[waiting[pick]].events.pop_front() {
                Some(event) => self.ready.push_back(event),
                None => drop(waiting.swap_remove(pick)),
            }
        }
    }
}
