//! In which situation a setting shows what it is worth. Pure.

use crate::bench::wan::WanCase;
use crate::edge::tune::how::{How, Shown, Window};
use crate::edge::tune::unit::{Scope, Unit};

const GIGABIT: u64 = 1_000_000_000;
/// Quiet time before each block where a pause matters, in ms: ten retransmission timeouts of the farthest
/// peer.
pub(super) const PAUSE_MS: u64 = 4_000;

/// A situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// Far peers on connections that have carried blocks.
    Warm,
    /// The same after a pause.
    Pause,
    /// Far peers on new connections.
    Cold,
    /// Warm, and a tenth of the peers loses packets.
    Lossy,
    /// New connections to peers of which a tenth lost packets on the connection before.
    AfterLoss,
    /// Peers on this host.
    Loopback,
}

impl Scene {
    /// Whether programs stay connected from block to block.
    pub(super) const fn keeps(self) -> bool {
        matches!(self, Self::Warm | Self::Pause | Self::Lossy)
    }

    /// What it is, for people.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Warm => "open connections, warm",
            Self::Pause => "open connections, 4 s quiet before each block",
            Self::Cold => "new connections for each block",
            Self::Lossy => "open connections",
            Self::AfterLoss => "new connections after ones that lost packets as well",
            Self::Loopback => "peers on this host, 0.2 s quiet before each block",
        }
    }

    /// Far peers behind one uplink, as in W1 of `bench wan`.
    pub(super) fn case(self, is_quick: bool) -> WanCase {
        let (peers, bytes) = if is_quick { (6, 20_000) } else { (20, 1_000_000) };
        WanCase::scene(peers, bytes, GIGABIT, matches!(self, Self::Lossy | Self::AfterLoss))
    }
}

/// The situation for this setting, or why nothing here can measure it.
pub(super) fn scene_of(unit: &Unit) -> Result<Scene, String> {
    let card = "of a network card: the emulated line has none; `broadside jitter` and `broadside bench fanout` \
                before and after it";
    let why = match (&unit.text.how, unit.text.scope) {
        (How::File(keys), Scope::Network) => {
            return Ok(match keys.path.rsplit('/').next().unwrap_or_default() {
                "tcp_slow_start_after_idle" => Scene::Pause,
                "tcp_congestion_control" | "tcp_sack" => Scene::Lossy,
                "tcp_no_metrics_save" => Scene::AfterLoss,
                _ => Scene::Warm,
            });
        }
        (How::File(_), Scope::Host) => return Ok(Scene::Loopback),
        (How::Qdisc(_), _) => return Ok(Scene::Warm),
        (How::Ethtool(keys), _) if keys.show == Shown::Offloads => return Ok(Scene::Warm),
        (How::Route(keys), _) if keys.window == Window::Initcwnd => return Ok(Scene::Cold),
        (How::Route(_), _) => "of what peers send us, which nothing here measures",
        (How::Ethtool(_) | How::Steering(_) | How::Interrupts(_), _) => card,
        (How::Boot(_), _) => {
            "takes a reboot: `broadside jitter` and `broadside bench fanout --json` before and after it, \
             then `bench compare`"
        }
        _ => "nothing is set for it that could be held against what is",
    };
    Err(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::tune::unit::units;

    /// Goal: whatever names this bench as its measure is measured by it.
    #[test]
    fn every_setting_has_a_scene_or_a_reason() {
        for unit in units().unwrap() {
            let scene = scene_of(&unit);
            println!("{}: {scene:?}", unit.name);
            let is_named =
                unit.text.bench.as_ref().is_some_and(|it| it.contains("broadside bench tune"));
            assert!(!is_named || scene.is_ok(), "{}: {scene:?}", unit.name);
        }
        assert!(Scene::Pause.keeps() && !Scene::Cold.keeps() && !Scene::AfterLoss.keeps());
        assert_eq!(Scene::Cold.case(true).peers, 6);
    }
}
