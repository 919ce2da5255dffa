//! What every kind of setting can do.

use std::path::{Path, PathBuf};

/// The host that is looked at, or a made-up one.
#[derive(Clone, Debug)]
pub struct Host {
    /// `/` but in tests: `proc`, `sys` and `etc` are found below it.
    pub root: PathBuf,
    /// The cores of the shards; tuning keeps everything else off them.
    pub shard_cores: Vec<usize>,
    /// All cores of the host that are online.
    pub cores: Vec<usize>,
    /// Network devices that blocks leave by: those of the default routes, or those that the user named.
    pub devices: Vec<String>,
}

impl Host {
    /// `path`, which begins with `/`, on this host.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(Path::new(path.trim_start_matches('/')))
    }
}

/// Why a value can't be read or set, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cannot {
    /// The host has no such thing: not this kernel, processor or device.
    #[error("not on this host: {0}")]
    Missing(String),
    /// Not allowed to this user.
    #[error("{0}: not allowed; run as root")]
    NotAllowed(String),
    /// It can't be changed from here: read-only, inside of a container.
    #[error("{0}")]
    NotFromHere(String),
    /// A program that it takes is not installed.
    #[error("{program} is missing: install it (Debian: apt-get install {package})")]
    NoProgram {
        /// Its name.
        program: &'static str,
        /// Debian's package that has it.
        package: &'static str,
    },
    /// Refused by kernel, driver or program, in its words.
    #[error("{0}")]
    Refused(String),
}

/// One value of a setting: many settings have one per core, interrupt, queue, device or route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it is, in the knob's own words, the same from run to run: a path, `eth0 rx-usecs`. Recorded,
    /// and given back to [`Knob::read`] and [`Knob::write`].
    pub place: String,
    /// As it is now, in the form in which it is compared and put back.
    pub now: Result<String, Cannot>,
    /// As it should be. `None`: it is right as it is, or nobody can set it from here.
    pub wanted: Option<String>,
    /// What a person has to do where no command can, or why the value is right; may be empty.
    pub note: String,
}

/// A kind of setting: reads, sets and puts back. Holds nothing that changes.
pub trait Knob {
    /// Every value of the setting on this host. Never writes. Empty: it does not apply here.
    fn look(&self, host: &Host) -> Vec<Finding>;

    /// The value at `place` now, in the form of [`Finding::now`].
    ///
    /// # Errors
    /// See [`Cannot`].
    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot>;

    /// Makes the value at `place` this one: [`Finding::wanted`] to set it, an earlier [`Finding::now`] to
    /// put it back.
    ///
    /// # Errors
    /// See [`Cannot`].
    fn write(&self, host: &Host, place: &str, value: &str) -> Result<(), Cannot>;
}
