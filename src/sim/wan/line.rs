//! The shared uplink: one queue, one rate, and whatever others send over it. Pure.

/// A drop-tail queue before a line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Bytes per ns; 0: no limit.
    rate: f64,
    queue_bytes_max: f64,
    /// When the line has put out all that waits, in ns.
    free_ns: f64,
    foreign: Option<Foreign>,
}

/// Constant traffic of others.
#[derive(Clone, Copy, Debug)]
struct Foreign {
    interval_ns: f64,
    next_ns: f64,
    dropped: u64,
}

/// Line bytes of a packet of others.
const FOREIGN_PACKET_BYTES: f64 = 1_288.0;

impl Line {
    /// A line of `bits_per_s` (0: no limit) with a queue of `queue_bytes`, of which others use
    /// `foreign_bits_per_s` from `start_ns` on.
    #[must_use]
    pub fn new(bits_per_s: u64, queue_bytes: u64, foreign_bits_per_s: u64, start_ns: u64) -> Self {
        let interval_ns = FOREIGN_PACKET_BYTES * 8e9 / foreign_bits_per_s.max(1) as f64;
        Self {
            rate: bits_per_s as f64 / 8e9,
            queue_bytes_max: queue_bytes as f64,
            free_ns: 0.0,
            foreign: (foreign_bits_per_s > 0 && bits_per_s > 0).then_some(Foreign {
                interval_ns,
                next_ns: start_ns as f64,
                dropped: 0,
            }),
        }
    }

    /// A packet of `bytes` (framing included) comes at `now_ns`; when it has left, or `None` when
    /// the queue had no room for it.
    pub fn offer(&mut self, now_ns: u64, bytes: usize) -> Option<u64> {
        if self.rate <= 0.0 {
            return Some(now_ns);
        }
        let now_ns = now_ns as f64;
        while let Some(foreign) = self.foreign.filter(|foreign| foreign.next_ns <= now_ns) {
            let taken = self.put(foreign.next_ns, FOREIGN_PACKET_BYTES).is_some();
            self.foreign = Some(Foreign {
                next_ns: foreign.next_ns + foreign.interval_ns,
                dropped: foreign.dropped + u64::from(!taken),
                ..foreign
            });
        }
        self.put(now_ns, bytes as f64).map(|left_ns| left_ns as u64)
    }

    fn put(&mut self, now_ns: f64, bytes: f64) -> Option<f64> {
        let start_ns = self.free_ns.max(now_ns);
        if (start_ns - now_ns) * self.rate + bytes > self.queue_bytes_max {
            return None;
        }
        self.free_ns = start_ns + bytes / self.rate;
        Some(self.free_ns)
    }

    /// Bytes that wait at `now_ns`.
    #[must_use]
    pub fn queue_bytes(&self, now_ns: u64) -> u64 {
        ((self.free_ns - now_ns as f64).max(0.0) * self.rate) as u64
    }

    /// Packets of others that found no room.
    #[must_use]
    pub fn foreign_dropped(&self) -> u64 {
        self.foreign.map_or(0, |foreign| foreign.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn packets_leave_at_the_rate_and_a_full_queue_drops() {
        let mut line = Line::new(1_000_000_000, 6_000, 0, 0);
        let left: Vec<_> = (0..6).map(|_| line.offer(1_000, 1_500)).collect();
        let rounded: Vec<_> = left.iter().flatten().map(|ns| (ns + 5) / 10 * 10).collect();
        assert_eq!(rounded, [13_000, 25_000, 37_000, 49_000]);
        assert_eq!(left[4..], [None, None]);
        assert!(line.queue_bytes(1_000) >= 5_999 && line.queue_bytes(60_000) == 0);
        assert!(line.offer(60_000, 1_500).is_some());
        assert_eq!(Line::new(0, 0, 5, 0).offer(7, 1_500), Some(7));
    }

    #[test]
    fn others_take_their_share() {
        let mut line = Line::new(100_000_000, 1_000_000, 30_000_000, 0);
        let mut last_ns = 0;
        for at in 0..1_000 {
            // 70 Mbit/s of ours beside 30 of theirs: it just fits.
            last_ns = line.offer(at * 171_428, 1_500).unwrap();
        }
        assert!(last_ns - 999 * 171_428 < 1_000_000, "{last_ns}");
        let mut full = Line::new(10_000_000, 3_000, 30_000_000, 0);
        let taken = (0..100).filter(|at| full.offer(at * 1_000_000, 1_500).is_some()).count();
        assert!(taken < 100);
        assert!(full.foreign_dropped() > 100);
    }
}
