//! What follows from the configuration and this machine: which core does what. Pure.

/// Which cores the shards are to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cores {
    /// Broadside chooses.
    Auto,
    /// One shard on each of these.
    Listed(Vec<usize>),
}

/// Who runs where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// One pinned shard on each.
    pub shards: Vec<usize>,
    /// Everything else runs on these; empty where fewer than two would be left: anywhere. A block's
    /// checks are worth two cores, and a shard needs its own only when they are done.
    pub rest: Vec<usize>,
}

/// A listed core that this process can't have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "engine.cores names core {core}, but this process may run on {available:?} only: name some of \
     these, or \"auto\""
)]
pub struct NoSuchCore {
    core: usize,
    available: Vec<usize>,
}

/// Gives the shards their cores. `auto` takes the last core (interrupts and daemons sit on the
/// first ones by custom) and leaves the others to the cold side; one shard serves a thousand peers,
/// so more are taken only when they are named.
///
/// # Errors
/// A listed core is not among `available`.
pub fn plan(available: &[usize], cores: &Cores) -> Result<Topology, NoSuchCore> {
    let shards = match cores {
        Cores::Auto => available.last().copied().into_iter().collect(),
        Cores::Listed(listed) => listed.clone(),
    };
    if let Some(core) = shards.iter().find(|core| !available.contains(core)) {
        return Err(NoSuchCore { core: *core, available: available.to_vec() });
    }
    let mut rest: Vec<_> =
        available.iter().copied().filter(|core| !shards.contains(core)).collect();
    if rest.len() < 2 {
        rest.clear();
    }
    Ok(Topology { shards, rest })
}

#[cfg(test)]
mod tests {
    use super::{Cores, Topology, plan};

    #[test]
    fn auto_takes_the_last_core_and_leaves_the_rest() {
        let four = plan(&[0, 1, 2, 3], &Cores::Auto).unwrap();
        assert_eq!(four, Topology { shards: vec![3], rest: vec![0, 1, 2] });
        for few in [&[5][..], &[4, 5]] {
            let shared = plan(few, &Cores::Auto).unwrap();
            assert_eq!(shared, Topology { shards: vec![5], rest: vec![] });
        }
    }

    #[test]
    fn listed_cores_must_exist() {
        let listed = Cores::Listed(vec![2, 3]);
        assert_eq!(plan(&[0, 1, 2, 3], &listed).unwrap().rest, [0, 1]);
        assert!(plan(&[0, 1], &listed).unwrap_err().to_string().contains("core 2"));
    }
}
