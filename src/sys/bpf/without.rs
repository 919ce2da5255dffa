//! What stands here where the feature `bpf` is off.

use super::{BpfError, Delivery, DeliverySettings, Stolen};

/// The program `tcp_delivery`, attached to this process's control group until it is dropped. It minds
/// connections that this process makes from then on, and nobody else's.
#[derive(Debug)]
pub struct DeliveryWatch {
    _private: (),
}

impl DeliveryWatch {
    /// Loads and attaches it.
    ///
    /// # Errors
    /// See [`BpfError`].
    pub fn start(_settings: DeliverySettings) -> Result<Self, BpfError> {
        Err(BpfError::NotBuilt)
    }

    /// Tells everything that has happened since the last call, without waiting. The kernel wakes
    /// nobody: call it a few times a second.
    ///
    /// # Errors
    /// See [`BpfError`].
    pub fn read(&mut self, _tell: &mut dyn FnMut(Delivery)) -> Result<(), BpfError> {
        Err(BpfError::NotBuilt)
    }

    /// Moments that found no room since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        0
    }
}

/// The program `core_jitter`, until it is dropped.
#[derive(Debug)]
pub struct CoreWatch {
    _private: (),
}

impl CoreWatch {
    /// Loads and attaches it for these cores. `ours` are threads (ids as `gettid(2)` gives them) whose
    /// own running is not told.
    ///
    /// # Errors
    /// See [`BpfError`].
    pub fn start(_cores: &[usize], _ours: &[u32]) -> Result<Self, BpfError> {
        Err(BpfError::NotBuilt)
    }

    /// As [`DeliveryWatch::read`].
    ///
    /// # Errors
    /// See [`BpfError`].
    pub fn read(&mut self, _tell: &mut dyn FnMut(Stolen)) -> Result<(), BpfError> {
        Err(BpfError::NotBuilt)
    }

    /// What found no room, or was not told, since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        0
    }
}
