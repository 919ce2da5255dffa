//! What every kind of setting can do. One file for each kind stands below.

mod file;

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
    /// No command can set it, or none should: it takes a person, and says what that one has to do.
    #[error("{0}")]
    ByHand(String),
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
    /// As it should be. `None`: it is right as it is. Where it can't be set from here it is given all the
    /// same, and [`Knob::settable`] says why not.
    pub wanted: Option<String>,
    /// What a person should know of this value; may be empty.
    pub note: String,
}

/// A kind of setting: reads, sets and puts back. Holds nothing that changes.
pub trait Knob {
    /// Every value of the setting on this host. Never writes. Empty: it does not apply here.
    fn look(&self, host: &Host) -> Vec<Finding>;

    /// The value at `place` now, in the form of [`Finding::now`]. `place` may come from a file: one that
    /// [`Knob::look`] could never give is refused.
    ///
    /// # Errors
    /// See [`Cannot`].
    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot>;

    /// Makes the value at `place` this one: [`Finding::wanted`] to set it, an earlier [`Finding::now`] to
    /// put it back. `place` and `value` may come from a file, as for [`Knob::read`].
    ///
    /// # Errors
    /// See [`Cannot`].
    fn write(&self, host: &Host, place: &str, value: &str) -> Result<(), Cannot>;

    /// Whether [`Knob::write`] could set the value at `place` from here, as far as that can be told without
    /// doing it. [`Cannot::ByHand`] where it is for a person to set.
    ///
    /// # Errors
    /// See [`Cannot`].
    fn settable(&self, _host: &Host, _place: &str) -> Result<(), Cannot> {
        Ok(())
    }
}

/// A knob that this version does not have: it finds nothing.
#[derive(Debug)]
pub(super) struct Absent;

impl Knob for Absent {
    fn look(&self, _host: &Host) -> Vec<Finding> {
        Vec::new()
    }

    fn read(&self, _host: &Host, place: &str) -> Result<String, Cannot> {
        Err(Cannot::Missing(place.to_owned()))
    }

    fn write(&self, _host: &Host, place: &str, _value: &str) -> Result<(), Cannot> {
        Err(Cannot::Missing(place.to_owned()))
    }
}
