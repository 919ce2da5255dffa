//! The one value of this very host that can be changed for a moment without anybody noticing: where
//! interrupts go that are yet to be made.

use std::fs;
use std::path::Path;

use super::{apply, host, of_unit, undo};

const TO_COME: &str = "/proc/irq/default_smp_affinity";

/// Puts the value back, however the test ends.
struct Kept(String);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = fs::write(TO_COME, &self.0);
    }
}

#[test]
fn interrupts_to_come_are_kept_off_a_core_and_put_back() {
    let knob = of_unit("irq/to_come");
    let online = std::thread::available_parallelism().map_or(1, usize::from);
    let host = host(Path::new("/"), &[online - 1], &(0..online).collect::<Vec<_>>(), &[]);
    let wanted = knob.look(&host).into_iter().find_map(|it| it.wanted);
    if wanted.is_none() || knob.settable(&host, TO_COME).is_err() {
        return eprintln!("SKIPPED: takes root, two cores and {TO_COME}");
    }
    let kept = Kept(fs::read_to_string(TO_COME).unwrap());
    // Read again as it was written: `apply` asserts it.
    let set = apply(&*knob, &host);
    assert_eq!(set.len(), 1);
    undo(&*knob, &host, &set);
    assert_eq!(fs::read_to_string(TO_COME).unwrap(), kept.0);
}
