//! Which cores this process may use, and how much of them: what the engine would get if it were started
//! from here (`cpuset(7)`, Linux `Documentation/admin-guide/cgroup-v2.rst`).

use super::access::{field, read};
use super::cores::{list, of_list, spoken, without};
use super::{Cannot, Finding, Host, Knob};
use crate::edge::tune::how::Pinning;

const CORES: &str = "cores of this process";
const SHARE: &str = "processor time of this process";
/// What `cpu.max` says where there is no limit.
const NO_LIMIT: &str = "max";
/// Groups within groups that are looked at for a limit.
const GROUPS_MAX: usize = 16;

fn cores(host: &Host) -> Result<Vec<usize>, Cannot> {
    let path = "/proc/self/status";
    let status = read(host, path)?;
    let found = field(&status, "Cpus_allowed_list:").and_then(of_list);
    found.ok_or_else(|| Cannot::Refused(format!("{path} tells no cores")))
}

/// The tightest limit of processor time of this process's control groups, as `cpu.max` has it: us in each
/// period of us.
fn share(host: &Host) -> String {
    let groups = read(host, "/proc/self/cgroup").unwrap_or_default();
    let mut group = field(&groups, "0::").unwrap_or("/").to_owned();
    for _ in 0..GROUPS_MAX {
        let limit = read(host, &format!("/sys/fs/cgroup{group}/cpu.max")).unwrap_or_default();
        if !limit.is_empty() && !limit.starts_with(NO_LIMIT) {
            return limit;
        }
        let Some(parent) = group.rfind('/').filter(|_| group != "/") else { break };
        group.truncate(parent);
    }
    NO_LIMIT.to_owned()
}

impl Knob for Pinning {
    fn look(&self, host: &Host) -> Vec<Finding> {
        let now = cores(host);
        let missing = now.as_ref().map(|now| without(&host.shard_cores, now)).unwrap_or_default();
        let wanted = (!missing.is_empty()).then(|| format!("{} too", list(&missing)));
        let now = now.map(|cores| list(&cores));
        let share = share(host);
        let limited = (share != NO_LIMIT).then(|| NO_LIMIT.to_owned());
        let note = String::new();
        vec![
            Finding { place: CORES.to_owned(), now, wanted, note: note.clone() },
            Finding { place: SHARE.to_owned(), now: Ok(share), wanted: limited, note },
        ]
    }

    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot> {
        match place {
            CORES => cores(host).map(|cores| list(&cores)),
            SHARE => Ok(share(host)),
            _ => Err(Cannot::Missing(place.to_owned())),
        }
    }

    fn write(&self, host: &Host, place: &str, _value: &str) -> Result<(), Cannot> {
        self.settable(host, place)
    }

    fn settable(&self, host: &Host, place: &str) -> Result<(), Cannot> {
        Err(Cannot::ByHand(match place {
            CORES => format!(
                "this process may not use {}: start the engine with it (systemd: AllowedCPUs=, containers: \
                 --cpuset-cpus), or name others in engine.cores",
                spoken(&without(&host.shard_cores, &cores(host)?))
            ),
            _ => "the kernel halts a group that has used up its share until the next period: take the limit \
                  away (systemd: CPUQuota=, containers: --cpus)"
                .to_owned(),
        }))
    }
}
