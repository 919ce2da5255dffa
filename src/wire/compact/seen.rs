//! Finds a short id that came before.

/// The short ids of one block so far, in a table that is never more than half full. A short id is as
/// good as random, so its low bits say where it belongs.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Each short id plus one; zero where there is none.
    places: Vec<u64>,
}

impl Seen {
    /// Has room for `count`: all its memory is taken at once.
    pub(super) fn with_room_for(count: usize) -> Self {
        Self { places: vec![0; (2 * count).next_power_of_two()] }
    }

    /// Takes in a short id. False where it came before.
    pub(super) fn insert(&mut self, short_id: u64) -> bool {
        let (mark, wrap) = (short_id + 1, self.places.len().wrapping_sub(1));
        let mut at = short_id as usize & wrap;
        for _ in 0..self.places.len() {
            match self.places.get_mut(at) {
                Some(place) if *place == 0 => {
                    *place = mark;
                    return true;
                }
                Some(place) if *place == mark => return false,
                _ => at = (at + 1) & wrap,
            }
        }
        // Full, which it can't be with as many as it was made for.
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_is_found_whatever_shares_its_place() {
        let mut seen = Seen::with_room_for(8);
        assert_eq!(seen.places.len(), 16);
        let ids = [0, 16, 32, 15, 31, 1, 0xffff_ffff_ffff, 17];
        assert!(ids.iter().all(|id| seen.insert(*id)));
        assert!(ids.iter().all(|id| !seen.insert(*id)));
        assert!((100..108).all(|id| seen.insert(id)), "up to the last place");
        assert!(seen.insert(200) && Seen::default().insert(1), "full is no reason to hang");
    }
}
