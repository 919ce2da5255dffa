//! What every kind of setting can do. One file for each kind stands below.

mod access;
mod boot;
mod clock;
mod cores;
mod ethtool;
mod file;
mod interrupts;
mod limits;
mod numa;
mod pinning;
mod qdisc;
mod route;
mod smt;
mod steering;

use std::path::{Path, PathBuf};

use crate::sys::cpu;

/// The host that is looked at, or a made-up one.
#[derive(Clone, Debug)]
pub struct Host {
    /// `/` but in tests: `proc`, `sys` and `etc` are found below it.
    pub root: PathBuf,
    /// The cores of the shards; tuning keeps everything else off them.
    pub shard_cores: Vec<usize>,
    /// All cores of the host that are online.
    pub cores: Vec<usize>,
    /// Network devices that blocks leave by: those of the default routes, or those that the user named.
    pub devices: Vec<String>,
}

impl Host {
    /// The host below `root`; blocks leave by the devices of its default routes unless others are named.
    #[must_use]
    pub fn look(root: &Path, shard_cores: &[usize], named: &[String]) -> Self {
        let (root, shard_cores) = (root.to_owned(), shard_cores.to_vec());
        let mut host = Self { root, shard_cores, cores: Vec::new(), devices: named.to_vec() };
        let online = host.text("/sys/devices/system/cpu/online").unwrap_or_default();
        host.cores = cores_of(&online);
        if host.cores.is_empty() {
            host.cores = cpu::available();
        }
        if named.is_empty() {
            host.devices = host.default_devices();
        }
        host
    }

    /// What the file at `path`, which begins with `/`, holds, without the white space around it.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        let text = std::fs::read(self.path(path)).ok()?;
        Some(String::from_utf8_lossy(&text).trim().to_owned())
    }

    /// The devices of the default routes of both protocols, as the kernel shows them (`proc(5)`).
    fn default_devices(&self) -> Vec<String> {
        // Of the calling thread's network: a process can have several.
        let table = |name: &str| {
            let of = |folder: &str| self.text(&format!("/proc/{folder}/net/{name}"));
            of("thread-self")
                .or_else(|| self.text(&format!("/proc/net/{name}")))
                .unwrap_or_default()
        };
        let mut devices = Vec::new();
        let mut take = |device: Option<&&str>, flags: Option<&&str>| {
            let flags = flags.and_then(|flags| u32::from_str_radix(flags, 16).ok()).unwrap_or(0);
            let is_used = flags & ROUTE_UP != 0 && flags & ROUTE_REJECT == 0;
            if let Some(device) = device.filter(|device| is_used && **device != "lo")
                && !devices.contains(&(*device).to_owned())
            {
                devices.push((*device).to_owned());
            }
        };
        for line in table("route").lines().skip(1) {
            let words: Vec<_> = line.split_whitespace().collect();
            if words.get(1) == Some(&"00000000") && words.get(7) == Some(&"00000000") {
                take(words.first(), words.get(3));
            }
        }
        for line in table("ipv6_route").lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let is_any = words.first().is_some_and(|it| it.bytes().all(|byte| byte == b'0'));
            if is_any && words.get(1) == Some(&"00") {
                take(words.get(9), words.get(8));
            }
        }
        devices
    }

    /// `path`, which begins with `/`, on this host.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(Path::new(path.trim_start_matches('/')))
    }
}

/// `RTF_UP` and `RTF_REJECT` of a route's flags.
const ROUTE_UP: u32 = 0x1;
const ROUTE_REJECT: u32 = 0x200;

/// The cores of a list as the kernel writes it: `0-3,8`; none of what is no such list.
#[must_use]
pub fn cores_of(list: &str) -> Vec<usize> {
    cores::of_list(list).unwrap_or_default()
}

/// Why a value can't be read or set, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cannot {
    /// The host has no such thing: not this kernel, processor or device.
    #[error("not on this host: {0}")]
    Missing(String),
    /// Not allowed to this user.
    #[error("{0}: not allowed; run as root")]
    NotAllowed(String),
    /// It can't be changed from here: read-only, inside of a container.
    #[error("{0}")]
    NotFromHere(String),
    /// No command can set it, or none should: it takes a person, and says what that one has to do.
    #[error("{0}")]
    ByHand(String),
    /// A program that it takes is not installed.
    #[error("{program} is missing: install it (Debian: apt-get install {package})")]
    NoProgram {
        /// Its name.
        program: &'static str,
        /// Debian's package that has it.
        package: &'static str,
    },
    /// Refused by kernel, driver or program, in its words.
    #[error("{0}")]
    Refused(String),
}

/// One value of a setting: many settings have one per core, interrupt, queue, device or route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it is, in the knob's own words, the same from run to run: a path, `eth0 rx-usecs`. Recorded,
    /// and given back to [`Knob::read`] and [`Knob::write`].
    pub place: String,
    /// As it is now, in the form in which it is compared and put back.
    pub now: Result<String, Cannot>,
    /// As it should be. `None`: it is right as it is. Where it can't be set from here it is given all the
    /// same, and [`Knob::settable`] says why not.
    pub wanted: Option<String>,
    /// What a person should know of this value; may be empty.
    pub note: String,
}

/// A kind of setting: reads, sets and puts back. Holds nothing that changes.
pub trait Knob {
    /// Every value of the setting on this host. Never writes. Empty: it does not apply here.
    fn look(&self, host: &Host) -> Vec<Finding>;

    /// The value at `place` now, in the form of [`Finding::now`]. `place` may come from a file: one that
    /// [`Knob::look`] could never give is refused.
    ///
    /// # Errors
    /// See [`Cannot`].
    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot>;

    /// Makes the value at `place` this one: [`Finding::wanted`] to set it, an earlier [`Finding::now`] to
    /// put it back. `place` and `value` may come from a file, as for [`Knob::read`].
    ///
    /// # Errors
    /// See [`Cannot`].
    fn write(&self, host: &Host, place: &str, value: &str) -> Result<(), Cannot>;

    /// Whether [`Knob::write`] could set the value at `place` from here, as far as that can be told without
    /// doing it. [`Cannot::ByHand`] where it is for a person to set.
    ///
    /// # Errors
    /// See [`Cannot`].
    fn settable(&self, _host: &Host, _place: &str) -> Result<(), Cannot> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_list_of_cores_is_read() {
        assert_eq!(cores_of("0-2,8,10-11\n"), [0, 1, 2, 8, 10, 11]);
        assert!(cores_of("").is_empty() && cores_of("x-y,-,0-99999999999").is_empty());
        assert!(cores_of("0-4294967295").is_empty(), "no such core");
    }

    #[test]
    fn a_host_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("sys/devices/system/cpu/online", "0,2-3\n");
        put(
            "proc/net/route",
            "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
             eth0 0000A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n\
             eth1 00000000 0101A8C0 0003 0 0 0 00000000 0 0 0\n\
             eth2 00000000 0101A8C0 0200 0 0 0 00000000 0 0 0\n",
        );
        let zeros = "0".repeat(32);
        put(
            "proc/net/ipv6_route",
            &format!(
                "{zeros} 00 {zeros} 00 fe80 00000400 1 0 00000003 wlan0\n\
                 {zeros} 00 {zeros} 00 {zeros} ffffffff 1 0 00200200 lo\n\
                 {zeros} 40 {zeros} 00 {zeros} 00000400 1 0 00000001 eth5\n"
            ),
        );
        let host = Host::look(folder.path(), &[3], &[]);
        assert_eq!((host.cores, host.shard_cores), (vec![0, 2, 3], vec![3]));
        assert_eq!(host.devices, ["eth1", "wlan0"]);
        let named = Host::look(folder.path(), &[3], &["eth9".to_owned()]);
        assert_eq!(named.devices, ["eth9"]);
    }
}
