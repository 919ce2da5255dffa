//! The other threads of the shards' physical cores (Linux `Documentation/admin-guide/cputopology.rst`).

use super::access::read;
use super::cores::{list, of_list, spoken, without};
use super::{Cannot, Finding, Host, Knob};
use crate::edge::tune::how::Smt;

const ALONE: &str = "alone";

fn place_of(core: usize) -> String {
    format!("core {core}")
}

/// The cores that share this one's physical core and may run something: none while they are isolated
/// without being a shard's, or offline (the kernel then does not list them).
fn sharing(host: &Host, core: usize) -> Result<Vec<usize>, Cannot> {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    let all = of_list(&read(host, &path)?).unwrap_or_default();
    let isolated = read(host, "/sys/devices/system/cpu/isolated").ok();
    let isolated = isolated.as_deref().and_then(of_list).unwrap_or_default();
    let quiet = without(&isolated, &host.shard_cores);
    Ok(without(&without(&all, &[core]), &quiet))
}

fn spoken_of(sharing: &[usize]) -> String {
    if sharing.is_empty() { ALONE.to_owned() } else { format!("shared with {}", spoken(sharing)) }
}

impl Knob for Smt {
    fn look(&self, host: &Host) -> Vec<Finding> {
        let found = host.shard_cores.iter().filter_map(|core| {
            let now = match sharing(host, *core) {
                Err(Cannot::Missing(_)) => return None,
                now => now.map(|cores| spoken_of(&cores)),
            };
            let wanted = now.as_deref().is_ok_and(|now| now != ALONE).then(|| ALONE.to_owned());
            Some(Finding { place: place_of(*core), now, wanted, note: String::new() })
        });
        found.collect()
    }

    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot> {
        let core = host.shard_cores.iter().find(|core| place_of(**core) == place);
        let core = core.ok_or_else(|| Cannot::Missing(place.to_owned()))?;
        sharing(host, *core).map(|cores| spoken_of(&cores))
    }

    fn write(&self, host: &Host, place: &str, _value: &str) -> Result<(), Cannot> {
        self.settable(host, place)
    }

    fn settable(&self, host: &Host, place: &str) -> Result<(), Cannot> {
        let core = host.shard_cores.iter().find(|core| place_of(**core) == place);
        let core = core.ok_or_else(|| Cannot::Missing(place.to_owned()))?;
        let others = sharing(host, *core)?;
        let offline =
            others.iter().map(|other| format!("echo 0 >/sys/devices/system/cpu/cpu{other}/online"));
        let offline = offline.collect::<Vec<_>>().join("; ");
        let shards = without(&others, &without(&others, &host.shard_cores));
        Err(Cannot::ByHand(if shards.is_empty() {
            format!(
                "keep {} quiet: add it to isolcpus, or take it offline until the next start ({offline})",
                spoken(&others)
            )
        } else {
            format!(
                "two shards share a physical core: name others than {} in engine.cores",
                list(&shards)
            )
        }))
    }
}
