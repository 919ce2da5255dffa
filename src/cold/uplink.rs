//! The uplink's rate: configured, or learnt while connections are warmed.
//!
//! Pure: what comes out depends on the samples and times that went in. [`learner`] measures by a
//! ramp and a held queue, [`delays`] has the formula, [`belief`] is what the engine goes by between
//! measurements: never raised on a block, lowered on clear evidence.

pub mod belief;
pub mod delays;
pub mod learner;

pub use belief::{Belief, Standing};
pub use learner::{Finding, Found, Learner, LearnerSettings};
