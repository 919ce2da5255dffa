//! Which benches there are, and what each does when nothing is said.

use super::baseline::Kind;
use super::subject::{Subject, Variant};
use crate::wire::chain::Chain;

/// The largest block that is made of ordinary payments, near enough: "4 MB".
pub const FULL_BYTES: u32 = 3_900_000;
/// Counted runs when nothing is said.
pub const RUNS: usize = 15;
/// Idle time when nothing is said, in s.
pub const IDLE_S: u32 = 60;
/// Counted runs of the cases with a thousand peers, which are there for memory and kernel entries.
const LARGE_RUNS: usize = 3;

/// Where a bench runs.
#[derive(Clone, Debug)]
pub struct Site {
    /// Whose network.
    pub chain: &'static Chain,
    /// Cores of this process.
    pub cores: Vec<usize>,
    /// The engine's shards run on these cores,
    pub shard_cores: Vec<usize>,
    /// everything else of it on these,
    pub rest_cores: Vec<usize>,
    /// sinks and client on this one, where there is more than one core.
    pub sink_core: Option<usize>,
    /// Seed of blocks, order and nonces.
    pub seed: u64,
}

/// A bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bench {
    /// From the pool's last byte to the first submission.
    Intake,
    /// From the pool's first byte to every peer.
    Fanout,
    /// After a pause.
    Idle,
    /// With peers that misbehave.
    Stall,
    /// Far peers behind one uplink.
    Wan,
    /// Real nodes.
    Node,
    /// Pages.
    Page,
}

impl Bench {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Intake, Self::Fanout, Self::Idle, Self::Stall, Self::Wan, Self::Node, Self::Page];

    /// The one of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bench| bench.name() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Fanout => "fanout",
            Self::Idle => "idle",
            Self::Stall => "stall",
            Self::Wan => "wan",
            Self::Node => "node",
            Self::Page => "page",
        }
    }

    /// What it measures.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::Intake => {
                "last byte in (shared memory: the ring) to published and to the first submission, each \
                 way to hand over (L1)"
            }
            Self::Fanout => {
                "first byte in to the first, half, 90 % and all of the peers, processor time, \
                 memory, kernel entries, against the baselines (L2 to L5, L8 to L10)"
            }
            Self::Idle => "the first fan-out after a pause against back-to-back (L7)",
            Self::Stall => {
                "fan-out to the healthy with 10 % stalled, 10 % slow, 10 % reset against none (L6)"
            }
            Self::Wan => {
                "20 or 100 peers 20 to 200 ms away behind one emulated uplink, against other ways \
                 to send (W1 to W10); needs root and /dev/net/tun"
            }
            Self::Node => {
                "ten real nodes 50 ms apart, against one submitblock to a node that relays; needs \
                 litecoind"
            }
            Self::Page => {
                "the dashboard and the other pages, with 1,000 peers connected and 10,000 blocks of \
                 history"
            }
        }
    }
}

/// Who gets blocks of which size, how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Peers.
    pub peers: usize,
    /// Size of a block, in bytes.
    pub bytes: u32,
    /// Counted runs.
    pub runs: usize,
    /// Programs.
    pub subjects: Vec<Subject>,
}

/// What the user said; what is empty was not said.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Numbers of peers.
    pub peers: Vec<usize>,
    /// Sizes of blocks, in bytes.
    pub sizes: Vec<u32>,
    /// Counted runs.
    pub runs: Option<usize>,
    /// Variants of the engine.
    pub engines: Vec<Variant>,
    /// Baselines.
    pub baselines: Vec<Kind>,
    /// As little as shows that it works.
    pub quick: bool,
}

impl Wishes {
    /// The cases of `bench`; none of those that have cases of their own.
    #[must_use]
    pub fn cases(&self, bench: Bench) -> Vec<Case> {
        if matches!(bench, Bench::Wan | Bench::Node) {
            return Vec::new();
        }
        let runs = self.runs.unwrap_or(if self.quick { 2 } else { RUNS });
        let products: Vec<_> = self.variants(bench).into_iter().map(Subject::Product).collect();
        let baselines = self.kinds(bench).into_iter().map(Subject::Baseline);
        let subjects: Vec<_> = products.iter().copied().chain(baselines).collect();
        let case = |peers, bytes| Case { peers, bytes, runs, subjects: subjects.clone() };
        let (peers, sizes) = (&self.peers, &self.sizes);
        if bench == Bench::Fanout && !self.quick && peers.is_empty() && sizes.is_empty() {
            let usual = [(20, 20_000), (20, 1_000_000), (20, FULL_BYTES), (64, 1_000_000)];
            let large = [(1_000, 20_000), (1_000, FULL_BYTES)];
            let large = large.map(|(peers, bytes)| Case {
                runs: runs.min(LARGE_RUNS),
                subjects: products.clone(),
                ..case(peers, bytes)
            });
            let plain = [Variant::Wait, Variant::Plain].map(Subject::Product).to_vec();
            let copying = Case { subjects: plain, ..case(20, 1_000_000) };
            let usual = usual.map(|(peers, bytes)| case(peers, bytes)).into_iter();
            return usual.chain(large).chain(self.engines.is_empty().then_some(copying)).collect();
        }
        let usual_peers: &[usize] = match bench {
            Bench::Stall => &[60],
            Bench::Page => &[20, 1_000],
            _ => &[20],
        };
        let usual_sizes: &[u32] = match bench {
            Bench::Intake => &[20_000, 1_000_000, 2_000_000, FULL_BYTES],
            Bench::Page => &[20_000],
            _ => &[1_000_000],
        };
        let few_peers: &[usize] = if bench == Bench::Stall { &[10] } else { &[4] };
        let peers = said(peers, if self.quick { few_peers } else { usual_peers });
        let sizes = said(sizes, if self.quick { &[20_000] } else { usual_sizes });
        let pairs = peers.iter().flat_map(|peers| sizes.iter().map(|bytes| (*peers, *bytes)));
        pairs.map(|(peers, bytes)| case(peers, bytes)).collect()
    }

    fn variants(&self, bench: Bench) -> Vec<Variant> {
        match (self.engines.as_slice(), bench) {
            ([], Bench::Intake | Bench::Fanout) if !self.quick => {
                vec![Variant::Wait, Variant::Spin]
            }
            ([], Bench::Page) => vec![Variant::Watched],
            ([], _) => vec![Variant::Wait],
            (said, _) => said.to_vec(),
        }
    }

    fn kinds(&self, bench: Bench) -> Vec<Kind> {
        match (self.baselines.as_slice(), bench) {
            (_, Bench::Intake | Bench::Page) => Vec::new(),
            ([], Bench::Fanout) if self.quick => vec![Kind::Sequential],
            ([], Bench::Fanout) => Kind::LOOPBACK.to_vec(),
            ([], _) => Vec::new(),
            (said, _) => said.to_vec(),
        }
    }
}

fn said<'a, T>(said: &'a [T], usual: &'a [T]) -> &'a [T] {
    if said.is_empty() { usual } else { said }
}

/// A case's name: `20 x 1 MB`.
#[must_use]
pub fn case_name(peers: usize, bytes: u32) -> String {
    match bytes {
        1_000_000.. => format!("{peers} x {} MB", f64::from(bytes / 10_000) / 100.0),
        _ => format!("{peers} x {} KB", f64::from(bytes / 10) / 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_bench() {
        for bench in Bench::ALL {
            assert_eq!(Bench::find(bench.name()), Some(bench));
        }
        assert_eq!(Bench::find("all"), None);
        assert_eq!(case_name(20, 3_900_000), "20 x 3.9 MB");
        assert_eq!(case_name(64, 20_000), "64 x 20 KB");
    }

    #[test]
    fn what_was_said_counts() {
        let all = Wishes::default().cases(Bench::Fanout);
        assert_eq!((all.len(), all[0].runs, all[0].subjects.len()), (7, RUNS, 8));
        assert!(all[5].subjects.iter().all(|it| it.is_product()));
        let wishes = Wishes {
            peers: vec![3, 5],
            sizes: vec![1_000],
            runs: Some(2),
            engines: vec![Variant::Epoll],
            baselines: vec![Kind::Sequential],
            quick: false,
        };
        let cases = wishes.cases(Bench::Fanout);
        assert_eq!(cases.iter().map(|case| case.peers).collect::<Vec<_>>(), [3, 5]);
        assert!(cases.iter().all(|case| case.subjects.len() == 2 && case.runs == 2));
    }
}
