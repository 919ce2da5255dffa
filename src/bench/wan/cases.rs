//! The cases that the goals W1 to W10 are set for, and the ways to send that are held against each
//! other in them.

use super::super::baseline::Kind;
use super::super::child::Line;
use super::super::plan::{FULL_BYTES, case_name};
use super::super::sinks::Conduct;
use super::super::subject::{Subject, Variant};
use super::bound::Load;
use crate::sim::wan::WanSettings;

/// Every tenth peer is the one that stalls or loses.
const TENTH: usize = 10;
/// Packets that such a line loses, of a million.
const LOSS_PPM: u32 = 10_000;
/// A connection's first window where the route sets it, in packets. Above 44 of them what the peer
/// allows at first is the limit, but the next round trips have more from it.
pub(super) const INITIAL_WINDOW_PACKETS: u32 = 256;

/// How a block is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Everything to everybody, on new connections: what all are held against.
    AllAtOnce,
    /// The same on connections that have carried blocks before.
    AllAtOnceWarm,
    /// A few peers at a time.
    Window,
    /// A few at a time, each socket paced.
    PacedWindow,
    /// The engine, which is told the uplink's rate.
    Governor,
    /// The engine, which has to learn it.
    Learnt,
    /// As [`Self::AllAtOnce`], the first window opened by route.
    AllAtOnceRouted,
    /// The engine right after its start, the kernel's own first window.
    GovernorCold,
    /// The engine right after its start, the first window opened by route.
    GovernorRouted,
    /// The engine right after its start, the first window opened by BPF, for its connections alone.
    GovernorBpf,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::AllAtOnce,
        Self::AllAtOnceWarm,
        Self::Window,
        Self::PacedWindow,
        Self::Governor,
        Self::Learnt,
        Self::AllAtOnceRouted,
        Self::GovernorCold,
        Self::GovernorRouted,
        Self::GovernorBpf,
    ];

    /// The one of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllAtOnce => "all-at-once",
            Self::AllAtOnceWarm => "all-at-once-warm",
            Self::Window => "k-window",
            Self::PacedWindow => "paced-window",
            Self::Governor => "governor",
            Self::Learnt => "governor-learnt",
            Self::AllAtOnceRouted => "all-at-once-initcwnd",
            Self::GovernorCold => "governor-cold",
            Self::GovernorRouted => "governor-initcwnd",
            Self::GovernorBpf => "governor-bpf",
        }
    }

    /// What it is.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::AllAtOnce => "epoll, everything at once, new connections for each block",
            Self::AllAtOnceWarm => "the same, connections that have carried blocks",
            Self::Window => "epoll, four peers at a time, the next when all is sent; warm",
            Self::PacedWindow => "the same, each socket paced at a quarter of the uplink; warm",
            Self::Governor => "the engine, told the uplink's rate; warm",
            Self::Learnt => "the engine anew for each block, the rate learnt in its warm-up",
            Self::AllAtOnceRouted => "epoll, new connections, initial window by route",
            Self::GovernorCold => {
                "the engine right after its start, the kernel's own initial window"
            }
            Self::GovernorRouted => "the engine right after its start, initial window by route",
            Self::GovernorBpf => "the engine right after its start, initial window by BPF",
        }
    }

    /// Which program it is.
    #[must_use]
    pub const fn subject(self) -> Subject {
        match self {
            Self::AllAtOnce | Self::AllAtOnceWarm | Self::AllAtOnceRouted => {
                Subject::Baseline(Kind::EpollRoundRobin)
            }
            Self::Window => Subject::Baseline(Kind::Window),
            Self::PacedWindow => Subject::Baseline(Kind::PacedWindow),
            Self::Governor
            | Self::Learnt
            | Self::GovernorCold
            | Self::GovernorRouted
            | Self::GovernorBpf => Subject::Product(Variant::Wait),
        }
    }

    /// Whether it is the engine.
    #[must_use]
    pub const fn is_product(self) -> bool {
        self.subject().is_product()
    }

    /// Whether it is started anew for each block.
    #[must_use]
    pub const fn is_fresh(self) -> bool {
        !matches!(self, Self::AllAtOnceWarm | Self::Window | Self::PacedWindow | Self::Governor)
    }

    /// Whether the route opens the first window.
    #[must_use]
    pub const fn is_routed(self) -> bool {
        matches!(self, Self::AllAtOnceRouted | Self::GovernorRouted)
    }

    /// Whether it has a node, and so something to warm its connections with. Nothing else makes use of
    /// one.
    #[must_use]
    pub(super) const fn has_node(self) -> bool {
        matches!(self, Self::Governor | Self::Learnt)
    }

    pub(super) const fn line(self, bits_per_s: u64) -> Line {
        match self {
            Self::Learnt => Line::Unknown,
            _ => Line::BitsPerS(bits_per_s),
        }
    }
}

/// What goes wrong with every tenth peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// It reads nothing of a block.
    Stalls,
    /// Packets to it are lost.
    Loses,
}

/// What a case is to reach: gains against all at once, T(half) against the bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aims {
    /// Who is to reach it.
    pub(super) way: Way,
    pub(super) half_gain: f64,
    pub(super) all_gain: f64,
    pub(super) half_of_bound: Option<f64>,
}

/// One case.
#[derive(Clone, Debug)]
pub struct WanCase {
    /// Name of its goal.
    pub name: &'static str,
    /// Peers, with round trips of 20 to 200 ms.
    pub peers: usize,
    /// Size of a block, in bytes.
    pub bytes: u32,
    /// The uplink that all share, in bits/s on the line.
    pub uplink_bits_per_s: u64,
    /// Who takes part.
    pub ways: Vec<Way>,
    pub(super) trouble: Trouble,
    pub(super) aims: Aims,
}

/// Every case of the goals.
pub(super) fn all() -> Vec<WanCase> {
    const GIGABIT: u64 = 1_000_000_000;
    let warm = [Way::AllAtOnceWarm, Way::Window, Way::PacedWindow, Way::Governor];
    let known = || [&[Way::AllAtOnce], &warm[..]].concat();
    let learnt = || vec![Way::AllAtOnce, Way::Governor, Way::Learnt];
    let engine = [Way::GovernorCold, Way::GovernorRouted, Way::GovernorBpf];
    let routed = || [&[Way::AllAtOnce, Way::AllAtOnceRouted], &engine[..]].concat();
    let case = |name, bits, peers, bytes, half_gain, all_gain, most: f64| {
        let half_of_bound = Some(most);
        let aims = Aims { way: Way::Governor, half_gain, all_gain, half_of_bound };
        let (ways, trouble) = (known(), Trouble::None);
        WanCase { name, peers, bytes, uplink_bits_per_s: bits, ways, trouble, aims }
    };
    let learning = |told: WanCase| {
        let aims = Aims { way: Way::Learnt, ..told.aims };
        WanCase { ways: learnt(), aims, ..told }
    };
    let cold = case("W10", GIGABIT, 20, 1_000_000, 1.7, 1.45, 0.0);
    let aims = Aims { way: Way::GovernorRouted, half_of_bound: None, ..cold.aims };
    let cold = WanCase { ways: routed(), aims, ..cold };
    let slow = GIGABIT / 10;
    let stalled = case("W7", GIGABIT, 100, 1_000_000, 1.55, 1.4, 1.2);
    let lossy = case("W8", GIGABIT, 100, 1_000_000, 1.4, 5.0, 1.3);
    vec![
        case("W1", GIGABIT, 20, 1_000_000, 5.5, 4.5, 1.2),
        case("W2", GIGABIT, 100, 1_000_000, 1.6, 1.35, 1.1),
        case("W3", GIGABIT, 20, FULL_BYTES, 2.5, 2.0, 1.1),
        case("W4", GIGABIT, 100, 20_000, 2.6, 2.6, 1.2),
        case("W5", slow, 20, 1_000_000, 1.65, 1.9, 1.1),
        case("W6", slow, 100, 20_000, 1.5, 4.5, 1.5),
        WanCase { trouble: Trouble::Stalls, ..stalled },
        WanCase { trouble: Trouble::Loses, ..lossy },
        learning(case("W9", GIGABIT, 20, 1_000_000, 5.0, 4.2, 1.2)),
        learning(case("W9", slow, 20, 1_000_000, 1.55, 1.8, 1.2)),
        cold,
    ]
}

impl WanCase {
    /// What it is called, the same in every file.
    #[must_use]
    pub fn title(&self) -> String {
        let trouble = match self.trouble {
            Trouble::None => "",
            Trouble::Stalls => ", a tenth stalls",
            Trouble::Loses => ", a tenth with 1 % loss",
        };
        let (megabits, size) =
            (self.uplink_bits_per_s / 1_000_000, case_name(self.peers, self.bytes));
        format!("{}: {megabits} Mbit/s, {size}{trouble}", self.name)
    }

    /// A case without ways and goals of its own: `peers` as in all others.
    pub(in crate::bench) fn scene(peers: usize, bytes: u32, bits_per_s: u64, loses: bool) -> Self {
        let way = Way::GovernorCold;
        let aims = Aims { way, half_gain: 0.0, all_gain: 0.0, half_of_bound: None };
        let trouble = if loses { Trouble::Loses } else { Trouble::None };
        let (name, ways) = ("far", Vec::new());
        Self { name, peers, bytes, uplink_bits_per_s: bits_per_s, ways, trouble, aims }
    }

    /// The network of the case.
    pub(in crate::bench) fn network(&self, core: Option<usize>) -> WanSettings {
        let mut settings = WanSettings::spread(self.peers, self.uplink_bits_per_s);
        // 50 ms at 1 Gbit/s, 100 ms at less.
        let queue_ms = if self.uplink_bits_per_s < 1_000_000_000 { 100 } else { 50 };
        settings.queue_bytes = (self.uplink_bits_per_s / 8 * queue_ms / 1_000).max(100_000);
        settings.stack.slow_start_after_idle = false;
        settings.core = core;
        for (at, path) in settings.paths.iter_mut().enumerate() {
            if self.trouble == Trouble::Loses && is_tenth(at) {
                path.loss_ppm = LOSS_PPM;
            }
        }
        settings
    }

    pub(super) const fn line(&self) -> Load {
        Load { bits_per_s: self.uplink_bits_per_s, bytes: self.bytes }
    }

    /// How each sink behaves, and whether it counts.
    pub(super) fn conducts(&self) -> Vec<(Conduct, bool)> {
        let conduct = |at| match self.trouble {
            Trouble::Stalls if is_tenth(at) => (Conduct::Stalls, false),
            _ => (Conduct::Plain, true),
        };
        (0..self.peers).map(conduct).collect()
    }

    /// Round trips of those that count, in us.
    pub(super) fn healthy(&self) -> Vec<u32> {
        let paths = self.network(None).paths.into_iter().zip(self.conducts());
        paths.filter(|(_, (_, counted))| *counted).map(|(path, _)| path.round_trip_us).collect()
    }
}

const fn is_tenth(at: usize) -> bool {
    at % TENTH == TENTH / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_holds_the_one_who_is_to_reach_it() {
        for case in all() {
            assert!(case.ways.contains(&case.aims.way), "{}", case.name);
            assert_eq!(case.ways[0], Way::AllAtOnce);
            assert_eq!(case.network(None).paths.len(), case.peers);
        }
        let stalled = all().into_iter().find(|case| case.name == "W7").unwrap();
        assert_eq!(stalled.healthy().len(), 90);
        assert_eq!(stalled.title(), "W7: 1000 Mbit/s, 100 x 1 MB, a tenth stalls");
    }

    #[test]
    fn names_find_their_way() {
        assert!(Way::ALL.into_iter().all(|way| Way::find(way.name()) == Some(way)));
        assert_eq!(Way::find("none"), None);
    }
}
