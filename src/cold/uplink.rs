//! The uplink's rate: configured, or learnt while connections are warmed.
//!
//! [`learner`] measures by a ramp and a held queue, [`delays`] has the formula, [`belief`] is what
//! the engine goes by between measurements: never raised on a block, lowered on clear evidence.
//! [`warm_up`] says who is warmed with what, [`warmth`] who needs it, [`losses`] what a block cost,
//! [`advice`] what only the host can set. All these are pure. [`paths`] and [`way`] ask the kernel,
//! [`measure`] runs the learner on a thread of its own; the task puts it all together.

pub mod advice;
pub mod belief;
pub mod delays;
pub mod learner;
pub mod losses;
pub mod measure;
pub mod on_the_line;
pub mod paths;
mod task;
mod tips;
pub mod track;
mod view;
pub mod warm_up;
pub mod warmth;
pub mod way;

use crate::hot::link::ImageId;

pub use belief::{Belief, Standing};
pub use learner::{Finding, Found, Learner, LearnerSettings};
pub use paths::{Cookies, Path, PathFacts, Paths};
pub use task::{Around, ChainWarmth, Uplink, UplinkHandle, UplinkSettings};
pub use view::UplinkView;

/// What the operator says of the uplink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UplinkSetting {
    /// It is learnt.
    #[default]
    Auto,
    /// Nothing is held back.
    Unlimited,
    /// It carries so many bits per second.
    BitsPerS(u64),
}

/// When connections are kept warm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Warm {
    /// Never.
    Off,
    /// Fresh ones once; others whose windows are short when there is news for them.
    #[default]
    Auto,
    /// Also whenever a window fell.
    Always,
}

impl Warm {
    /// The word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Auto => "auto",
            Self::Always => "always",
        }
    }
}

/// The governor's rate, as far as the cold side has a say in it. Any thread, any time.
pub trait UplinkControl: Send + Sync {
    /// From now on the uplink carries so many bits/s (on the line); `None`: nothing is held back.
    fn set_uplink(&self, bits_per_s: Option<u64>);

    /// While this is `Some`, warm-ups are sent at exactly so many bytes/s (on the line), and the
    /// nearest peers are served now and then whoever else is due, so that their delay is known.
    fn set_probe(&self, line_bytes_per_s: Option<u64>);
}

/// Takes blocks that connections are warmed with.
pub trait WarmUpSink: Send + Sync {
    /// Makes an image of `raw`, a block of chain `chain_index` with identity `hash` (wire order),
    /// that was checked like any other. It is sent to nobody by itself; its memory is free again
    /// after [`crate::hot::link::Order::EndWarmUp`] at every shard. `None`: there is one already,
    /// memory is short, or the block too long; ask again later.
    fn publish(&self, chain_index: u8, raw: &[u8], hash: [u8; 32]) -> Option<ImageId>;
}
