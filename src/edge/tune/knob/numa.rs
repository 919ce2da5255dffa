//! On which memory node a network device is, against the shards' cores (Linux
//! `Documentation/ABI/stable/sysfs-devices-node`).

use super::access::{devices, names, read};
use super::cores::{list, of_list, spoken};
use super::{Cannot, Finding, Host, Knob};
use crate::edge::tune::how::Numa;

/// Devices above a network device that may say where they are: a virtio device's PCI parent does.
const PARENTS_MAX: usize = 3;

/// Each memory node with its cores.
fn nodes(host: &Host) -> Vec<(i64, Vec<usize>)> {
    let folder = "/sys/devices/system/node";
    let found = names(host, folder).into_iter().filter_map(|name| {
        let number = name.strip_prefix("node")?.parse().ok()?;
        Some((number, of_list(&read(host, &format!("{folder}/{name}/cpulist")).ok()?)?))
    });
    found.collect()
}

/// The node of a device; `None`: it is on none, as a virtual one is, or does not say.
fn node_of(host: &Host, device: &str) -> Option<i64> {
    let mut folder = host.path(&format!("/sys/class/net/{device}/device")).canonicalize().ok()?;
    for _ in 0..PARENTS_MAX {
        if let Ok(text) = std::fs::read_to_string(folder.join("numa_node")) {
            return text.trim().parse().ok().filter(|node| *node >= 0);
        }
        folder.pop();
    }
    None
}

fn place_of(device: &str) -> String {
    format!("shards of {device}")
}

/// "node 0" or "nodes 0,1".
fn of_nodes(found: &[i64]) -> String {
    let numbers: Vec<_> = found.iter().map(i64::to_string).collect();
    format!("{} {}", if found.len() == 1 { "node" } else { "nodes" }, numbers.join(","))
}

fn finding(host: &Host, device: &str) -> Option<Finding> {
    let nodes = nodes(host);
    let node = node_of(host, device)?;
    let has_shards = |cores: &[usize]| cores.iter().any(|core| host.shard_cores.contains(core));
    let now: Vec<_> =
        nodes.iter().filter(|(_, cores)| has_shards(cores)).map(|(at, _)| *at).collect();
    if nodes.len() < 2 || now.is_empty() {
        return None;
    }
    let wanted = (now != [node]).then(|| of_nodes(&[node]));
    let note = nodes
        .iter()
        .find(|(at, _)| *at == node)
        .map(|(_, cores)| format!("its cores: {}", list(cores)));
    let place = place_of(device);
    Some(Finding { place, now: Ok(of_nodes(&now)), wanted, note: note.unwrap_or_default() })
}

impl Knob for Numa {
    fn look(&self, host: &Host) -> Vec<Finding> {
        devices(host).iter().filter_map(|device| finding(host, device)).collect()
    }

    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot> {
        let found = self.look(host).into_iter().find(|finding| finding.place == place);
        found.map_or_else(|| Err(Cannot::Missing(place.to_owned())), |finding| finding.now)
    }

    fn write(&self, host: &Host, place: &str, _value: &str) -> Result<(), Cannot> {
        self.settable(host, place)
    }

    fn settable(&self, host: &Host, place: &str) -> Result<(), Cannot> {
        let device = devices(host).into_iter().find(|device| place_of(device) == place);
        let device = device.ok_or_else(|| Cannot::Missing(place.to_owned()))?;
        let node = node_of(host, &device);
        let cores =
            nodes(host).into_iter().find(|(at, _)| Some(*at) == node).map(|(_, cores)| cores);
        Err(Cannot::ByHand(format!(
            "the shards are on another memory node than {device}: name some of {} in engine.cores",
            spoken(&cores.unwrap_or_default())
        )))
    }
}
