//! Which cores serve interrupts: `/proc/irq` (Linux `Documentation/core-api/irq/irq-affinity.rst`).

use std::path::PathBuf;

use super::access::{devices, names, read, writable, write};
use super::cores::{list, mask, of_list, of_mask, spoken, without};
use super::{Cannot, Finding, Host, Knob};
use crate::edge::tune::how::{Interrupts, Which};

/// Mask for interrupts that are made from now on.
const TO_COME: &str = "/proc/irq/default_smp_affinity";
const BALANCER: &str = "irqbalance";
/// Devices above a network device that may hold its interrupts: a virtio device's are its PCI parent's.
const PARENTS_MAX: usize = 3;

fn place_of(interrupt: &str) -> String {
    format!("/proc/irq/{interrupt}/smp_affinity_list")
}

/// The numbers of the interrupts of a network device.
fn of_device(host: &Host, device: &str) -> Vec<String> {
    let start = host.path(&format!("/sys/class/net/{device}/device")).canonicalize();
    let mut folder: PathBuf = start.unwrap_or_default();
    for _ in 0..PARENTS_MAX {
        let within = folder.strip_prefix(&host.root).ok().and_then(|path| path.to_str());
        let Some(within) = within.filter(|path| !path.is_empty()) else { break };
        let found = names(host, &format!("/{within}/msi_irqs"));
        if !found.is_empty() {
            return found;
        }
        if let Ok(one) = read(host, &format!("/{within}/irq")).as_deref()
            && one.parse::<u32>().is_ok_and(|number| number > 0)
        {
            return vec![one.to_owned()];
        }
        folder.pop();
    }
    Vec::new()
}

/// The interrupts that are in use, with their names.
fn in_use(host: &Host) -> Vec<(String, String)> {
    let table = read(host, "/proc/interrupts").unwrap_or_default();
    let rows = table.lines().filter_map(|line| {
        let (number, rest) = line.split_once(':')?;
        let number = number.trim().parse::<u32>().ok()?;
        let name = rest.split_whitespace().next_back()?;
        Some((number.to_string(), name.to_owned()))
    });
    rows.collect()
}

/// Places and names of the interrupts that the unit is about.
fn interrupts(host: &Host, others: bool) -> Vec<(String, String)> {
    let all = in_use(host);
    let ours: Vec<_> = devices(host).iter().flat_map(|device| of_device(host, device)).collect();
    let of_ours = |number: &String| ours.contains(number);
    all.into_iter().filter(|(number, _)| of_ours(number) != others).collect()
}

/// Where an interrupt should be that may be on `now`; the `at`th of those that have to be moved.
fn moved(host: &Host, now: &[usize], at: usize) -> Option<Vec<usize>> {
    let rest = without(&host.cores, &host.shard_cores);
    if rest.is_empty() || !now.iter().any(|core| host.shard_cores.contains(core)) {
        return None;
    }
    let kept: Vec<_> = now.iter().copied().filter(|core| rest.contains(core)).collect();
    Some(if kept.is_empty() { vec![rest[at % rest.len()]] } else { kept })
}

fn affinities(host: &Host, others: bool) -> Vec<Finding> {
    let found =
        interrupts(host, others).into_iter().enumerate().filter_map(|(at, (number, name))| {
            let place = place_of(&number);
            let now = match read(host, &place) {
                // It ended meanwhile, or can't be moved on this kernel.
                Err(Cannot::Missing(_)) => return None,
                now => now,
            };
            let cores = now.as_deref().ok().and_then(of_list);
            let wanted = cores.and_then(|cores| moved(host, &cores, at)).map(|cores| list(&cores));
            Some(Finding { place, now, wanted, note: name })
        });
    found.collect()
}

fn to_come(host: &Host) -> Vec<Finding> {
    let now = match read(host, TO_COME) {
        Err(Cannot::Missing(_)) => return Vec::new(),
        now => now,
    };
    let cores = now.as_deref().ok().and_then(of_mask);
    // The kernel keeps cores in it that this host does not have: only the shards' are taken out.
    let wanted = cores.filter(|cores| moved(host, cores, 0).is_some());
    let like = now.as_deref().unwrap_or_default();
    let wanted = wanted.map(|cores| mask(&without(&cores, &host.shard_cores), like));
    vec![Finding { place: TO_COME.to_owned(), now, wanted, note: String::new() }]
}

/// Whether irqbalance runs: it would move interrupts back.
fn balancer(host: &Host) -> Vec<Finding> {
    let processes = names(host, "/proc").into_iter().filter(|name| name.parse::<u32>().is_ok());
    let mut commands =
        processes.filter_map(|process| read(host, &format!("/proc/{process}/comm")).ok());
    let runs = commands.any(|name| name == BALANCER);
    let settings = ["/etc/default/irqbalance", "/etc/sysconfig/irqbalance"];
    let told = settings.iter().filter_map(|path| read(host, path).ok());
    let banned = told.flat_map(|text| {
        let lines =
            text.lines().filter_map(|line| line.trim().strip_prefix("IRQBALANCE_BANNED_CPULIST="));
        lines.filter_map(|line| of_list(line.trim_matches('"'))).collect::<Vec<_>>()
    });
    let banned = banned.last().unwrap_or_default();
    let left = without(&host.shard_cores, &banned);
    let (now, wanted) = match (runs, left.is_empty()) {
        (false, _) => ("does not run".to_owned(), None),
        (true, true) => (format!("leaves {} alone", list(&banned)), None),
        (true, false) => {
            let wanted = format!("leaves {} alone", list(&host.shard_cores));
            ("runs and moves interrupts to any core".to_owned(), Some(wanted))
        }
    };
    vec![Finding { place: BALANCER.to_owned(), now: Ok(now), wanted, note: String::new() }]
}

impl Interrupts {
    /// Whether `place` is one that this unit could give.
    fn check(&self, place: &str) -> Result<(), Cannot> {
        let number =
            place.strip_prefix("/proc/irq/").and_then(|it| it.strip_suffix("/smp_affinity_list"));
        let known = match self.of {
            Which::Device | Which::Others => {
                number.is_some_and(|number| number.parse::<u32>().is_ok())
            }
            Which::ToCome => place == TO_COME,
            Which::Balanced => place == BALANCER,
        };
        if known { Ok(()) } else { Err(Cannot::Missing(place.to_owned())) }
    }
}

impl Knob for Interrupts {
    fn look(&self, host: &Host) -> Vec<Finding> {
        match self.of {
            Which::Device => affinities(host, false),
            Which::Others => affinities(host, true),
            Which::ToCome => to_come(host),
            Which::Balanced => balancer(host),
        }
    }

    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot> {
        self.check(place)?;
        if place == BALANCER {
            return balancer(host).swap_remove(0).now;
        }
        read(host, place)
    }

    fn write(&self, host: &Host, place: &str, value: &str) -> Result<(), Cannot> {
        self.check(place)?;
        self.settable(host, place)?;
        let cores = if place == TO_COME { of_mask(value) } else { of_list(value) };
        if cores.is_none_or(|cores| cores.is_empty()) {
            return Err(Cannot::Refused(format!("{place}: no cores: {value}")));
        }
        write(host, place, value).map_err(|error| match error {
            // EIO. The kernel spreads a managed interrupt itself and lets nobody move it.
            Cannot::Refused(words) if words.contains("os error 5)") => Cannot::Refused(format!(
                "{place}: the kernel keeps this interrupt where it is (managed): start the host with \
                 isolcpus=managed_irq,domain,{} to keep it off {}",
                list(&host.shard_cores),
                spoken(&host.shard_cores)
            )),
            other => other,
        })
    }

    fn settable(&self, host: &Host, place: &str) -> Result<(), Cannot> {
        if place != BALANCER {
            return writable(host, place);
        }
        Err(Cannot::ByHand(format!(
            "irqbalance puts interrupts back on the shards' cores: write IRQBALANCE_BANNED_CPULIST={} into \
             /etc/default/irqbalance and restart it, or stop it",
            list(&host.shard_cores)
        )))
    }
}
