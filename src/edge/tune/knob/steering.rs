//! Which cores deal with packets behind the interrupt, and which queue a core sends by: RPS, RFS and XPS
//! (Linux `Documentation/networking/scaling.rst`).

use super::access::{devices, names, read, writable, write};
use super::cores::{mask, of_mask, without};
use super::{Cannot, Finding, Host, Knob};
use crate::edge::tune::how::{Steer, Steering};

/// Names of the queues' folders and of the file in them.
fn files(of: Steer) -> (&'static str, &'static str) {
    match of {
        Steer::Rps => ("rx-", "rps_cpus"),
        Steer::Rfs => ("rx-", "rps_flow_cnt"),
        Steer::Xps => ("tx-", "xps_cpus"),
    }
}

/// Which cores each of `queues` queues should be for: a queue of its own for each shard, the others for all
/// other cores; where there are fewer, shards share.
fn shared_out(host: &Host, queues: usize) -> Vec<Vec<usize>> {
    let mut shares = vec![Vec::new(); queues];
    if queues == 0 {
        return shares;
    }
    for (at, core) in host.shard_cores.iter().enumerate() {
        shares[at % queues].push(*core);
    }
    let rest = without(&host.cores, &host.shard_cores);
    let first = if host.shard_cores.len() < queues { host.shard_cores.len() } else { 0 };
    for (at, core) in rest.into_iter().enumerate() {
        shares[first + at % (queues - first)].push(core);
    }
    shares.iter_mut().for_each(|share| share.sort_unstable());
    shares
}

/// Whether each shard has a queue that no other core uses.
fn own_queues(host: &Host, now: &[Option<Vec<usize>>]) -> bool {
    let mut shards = host.shard_cores.iter();
    shards.all(|core| now.iter().flatten().any(|queue| queue == &[*core]))
}

impl Steering {
    fn findings(&self, host: &Host, device: &str) -> Vec<Finding> {
        let folder = format!("/sys/class/net/{device}/queues");
        let (prefix, file) = files(self.of);
        let queues = names(host, &folder).into_iter().filter(|name| name.starts_with(prefix));
        let found = queues.map(|queue| {
            let place = format!("{folder}/{queue}/{file}");
            let now = read(host, &place);
            (place, now)
        });
        // With one queue alone there is nothing to choose: the kernel then has no such file, or no value.
        let missing = |now: &Result<_, _>| matches!(now, Err(Cannot::Missing(_)));
        let found: Vec<_> = found.filter(|(_, now)| !missing(now)).collect();
        let texts: Vec<_> = found.iter().map(|(_, now)| now.as_deref().ok()).collect();
        let both = found.iter().zip(self.wanted(host, &texts));
        both.map(|((place, now), wanted)| {
            let (place, now) = (place.clone(), now.clone());
            Finding { place, now, wanted, note: String::new() }
        })
        .collect()
    }

    /// What should stand in place of each queue's text.
    fn wanted(&self, host: &Host, now: &[Option<&str>]) -> Vec<Option<String>> {
        let cores: Vec<_> = now.iter().map(|now| now.and_then(of_mask)).collect();
        let alone = now.len() < 2 || host.shard_cores.is_empty() || own_queues(host, &cores);
        let shares = shared_out(host, now.len());
        let each = now.iter().zip(&cores).zip(&shares).map(|((now, cores), share)| {
            let (now, cores) = ((*now)?, cores.as_deref());
            match self.of {
                Steer::Rps => {
                    let rest = without(cores?, &host.shard_cores);
                    (rest.len() < cores?.len()).then(|| mask(&rest, now))
                }
                Steer::Rfs => (now != "0").then(|| "0".to_owned()),
                Steer::Xps => (!alone && cores? != share).then(|| mask(share, now)),
            }
        });
        each.collect()
    }

    /// Whether `place` is one that this unit could give.
    fn check(&self, place: &str) -> Result<(), Cannot> {
        let (prefix, file) = files(self.of);
        let known = place.strip_prefix("/sys/class/net/").is_some_and(|rest| {
            let parts: Vec<_> = rest.split('/').collect();
            let [device, "queues", queue, name] = parts.as_slice() else { return false };
            let number = queue.strip_prefix(prefix);
            let number = number.is_some_and(|number| number.parse::<u16>().is_ok());
            super::access::is_device(device) && number && *name == file
        });
        if known { Ok(()) } else { Err(Cannot::Missing(place.to_owned())) }
    }
}

impl Knob for Steering {
    fn look(&self, host: &Host) -> Vec<Finding> {
        devices(host).iter().flat_map(|device| self.findings(host, device)).collect()
    }

    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot> {
        self.check(place)?;
        read(host, place)
    }

    fn write(&self, host: &Host, place: &str, value: &str) -> Result<(), Cannot> {
        self.check(place)?;
        let is_value = if self.of == Steer::Rfs {
            value.parse::<u32>().is_ok()
        } else {
            of_mask(value).is_some()
        };
        if !is_value {
            return Err(Cannot::Refused(format!("{place}: no value of it: {value}")));
        }
        write(host, place, value)
    }

    fn settable(&self, host: &Host, place: &str) -> Result<(), Cannot> {
        writable(host, place)
    }
}
