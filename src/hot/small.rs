//! A small message put together in place.

use crate::limits::{CONTROL_BYTES_MAX, FRAME_HEADER_BYTES};
use crate::wire::frame::write_header;
use crate::wire::hash::sha256d;

const HEADER_BYTES: usize = FRAME_HEADER_BYTES as usize;

/// A message of at most [`CONTROL_BYTES_MAX`] with its header.
#[derive(Debug)]
pub(super) struct SmallFrame {
    bytes: [u8; CONTROL_BYTES_MAX as usize],
    length: usize,
    is_whole: bool,
}

impl SmallFrame {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; CONTROL_BYTES_MAX as usize], length: HEADER_BYTES, is_whole: true }
    }

    /// Adds to the payload.
    pub(super) fn push(&mut self, field: &[u8]) {
        match self.bytes.get_mut(self.length..self.length + field.len()) {
            Some(place) => {
                place.copy_from_slice(field);
                self.length += field.len();
            }
            None => self.is_whole = false,
        }
    }

    /// The whole message; `None` where it found no room.
    pub(super) fn finish(&mut self, magic: [u8; 4], command: &str) -> Option<&[u8]> {
        let (header, payload) = self.bytes.get_mut(..self.length)?.split_first_chunk_mut()?;
        let [c0, c1, c2, c3, ..] = sha256d(payload);
        write_header(header, magic, command, payload.len() as u32, [c0, c1, c2, c3]);
        self.bytes.get(..self.length).filter(|_| self.is_whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::frame;

    #[test]
    fn it_is_the_reference_frame_or_nothing() {
        let mut small = SmallFrame::new();
        small.push(&[1]);
        small.push(&[2; 80]);
        let payload = [&[1][..], &[2; 80]].concat();
        assert_eq!(small.finish([7; 4], "headers"), Some(&frame([7; 4], "headers", &payload)[..]));
        small.push(&[3; CONTROL_BYTES_MAX as usize]);
        assert_eq!(small.finish([7; 4], "headers"), None);
    }
}
