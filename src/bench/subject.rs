//! What is put to the test: the engine in its variants, and the baselines.

use super::baseline::Kind;

/// How the engine is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// As it comes: shards that sleep in the kernel.
    Wait,
    /// Shards that burn their core.
    Spin,
    /// On epoll, for hosts where io_uring is refused.
    Epoll,
    /// Every send copies.
    Plain,
    /// Every send is tried without copying, also where the kernel copies all the same.
    ZeroCopy,
    /// As it comes, with a full history, a dashboard that is open, and Prometheus.
    Watched,
    /// As it comes, with the kernel's program that tells how far blocks come.
    TracedDeliveries,
    /// As it comes, with the one that tells who runs on the shards' cores.
    TracedCores,
    /// As it comes, with both.
    Traced,
}

impl Variant {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Wait,
        Self::Spin,
        Self::Epoll,
        Self::Plain,
        Self::ZeroCopy,
        Self::Watched,
        Self::TracedDeliveries,
        Self::TracedCores,
        Self::Traced,
    ];

    /// What `--engine` calls it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Spin => "spin",
            Self::Epoll => "epoll",
            Self::Plain => "plain",
            Self::ZeroCopy => "zero-copy",
            Self::Watched => "watched",
            Self::TracedDeliveries => "traced-deliveries",
            Self::TracedCores => "traced-cores",
            Self::Traced => "traced",
        }
    }
}

/// A program under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The engine.
    Product(Variant),
    /// What it is held against.
    Baseline(Kind),
}

impl Subject {
    /// Every one of them, the engine first.
    pub fn all() -> impl Iterator<Item = Self> {
        let baselines = Kind::ALL.into_iter().map(Self::Baseline);
        Variant::ALL.into_iter().map(Self::Product).chain(baselines)
    }

    /// The one of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::all().find(|subject| subject.name() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Product(Variant::Wait) => "broadside",
            Self::Product(Variant::Spin) => "broadside-spin",
            Self::Product(Variant::Epoll) => "broadside-epoll",
            Self::Product(Variant::Plain) => "broadside-plain",
            Self::Product(Variant::ZeroCopy) => "broadside-zero-copy",
            Self::Product(Variant::Watched) => "broadside-watched",
            Self::Product(Variant::TracedDeliveries) => "broadside-traced-deliveries",
            Self::Product(Variant::TracedCores) => "broadside-traced-cores",
            Self::Product(Variant::Traced) => "broadside-traced",
            Self::Baseline(kind) => kind.name(),
        }
    }

    /// What it is.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Product(Variant::Wait) => "the engine as it comes (idle = wait)",
            Self::Product(Variant::Spin) => "the engine with a shard that burns its core",
            Self::Product(Variant::Epoll) => "the engine on epoll",
            Self::Product(Variant::Plain) => "the engine with zero_copy = off",
            Self::Product(Variant::ZeroCopy) => "the engine with zero_copy = always",
            Self::Product(Variant::Watched) => {
                "the engine with a history of 10,000 blocks, an open dashboard and Prometheus"
            }
            Self::Product(Variant::TracedDeliveries) => "the engine with trace.bpf = deliveries",
            Self::Product(Variant::TracedCores) => "the engine with trace.bpf = cores",
            Self::Product(Variant::Traced) => "the engine with both of the kernel's programs",
            Self::Baseline(kind) => kind.what(),
        }
    }

    /// Whether it is the engine.
    #[must_use]
    pub const fn is_product(self) -> bool {
        matches!(self, Self::Product(_))
    }

    /// Whether its processor time says nothing, because it burns all there is.
    #[must_use]
    pub fn burns(self) -> bool {
        self == Self::Product(Variant::Spin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own() {
        for subject in Subject::all() {
            assert_eq!(Subject::find(subject.name()), Some(subject));
        }
        assert_eq!(Subject::find("nothing"), None);
    }
}
