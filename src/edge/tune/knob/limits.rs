//! Resource limits (`getrlimit(2)`) of the service, of engines that run, and of whoever asks. A process
//! takes its limits from what starts it, so they are for a person to set.

use super::access::{IPC_LOCK, SYSTEMCTL, field, has_capability, names, read};
use super::{Cannot, Finding, Host, Knob};
use crate::edge::tune::how::{Limits, Resource};

const SERVICE: &str = "broadside.service";
const SELF: &str = "self";
const UNLIMITED: &str = "unlimited";
/// Only there while systemd runs the host.
const SYSTEMD: &str = "/run/systemd/system";

/// A limit, in its own unit: files, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    None,
    At(u64),
}

impl Bound {
    fn read(text: &str) -> Option<Self> {
        match text {
            UNLIMITED | "infinity" => Some(Self::None),
            number => number.parse().ok().map(Self::At),
        }
    }

    fn spoken(self) -> String {
        match self {
            Self::None => UNLIMITED.to_owned(),
            Self::At(number) => number.to_string(),
        }
    }

    fn reaches(self, least: u64) -> bool {
        match self {
            Self::None => true,
            Self::At(number) => number >= least,
        }
    }
}

/// The hard limit, which the engine raises itself to, from a row of `/proc/PID/limits`: name, soft, hard,
/// unit.
fn hard(limits: &str, row: &str) -> Option<Bound> {
    let values = field(limits, row)?;
    values.split_whitespace().nth(1).and_then(Bound::read)
}

/// Numbers of the processes that are engines: `broadside run`.
fn engines(host: &Host) -> Vec<String> {
    let own = std::process::id().to_string();
    let mut found = names(host, "/proc");
    found.retain(|name| {
        name.parse::<u32>().is_ok() && *name != own && {
            let line = read(host, &format!("/proc/{name}/cmdline")).unwrap_or_default();
            let mut words = line.split('\0');
            let program = words.next().and_then(|path| path.rsplit('/').next());
            program == Some("broadside") && words.any(|word| word == "run")
        }
    });
    found
}

impl Limits {
    /// Names of the limit: in `/proc`, in systemd.
    fn row(&self) -> (&'static str, &'static str) {
        match self.resource {
            Resource::Nofile => ("Max open files", "LimitNOFILE"),
            Resource::Memlock => ("Max locked memory", "LimitMEMLOCK"),
        }
    }

    fn name(&self) -> &'static str {
        match self.resource {
            Resource::Nofile => "nofile",
            Resource::Memlock => "memlock",
        }
    }

    fn of_process(&self, host: &Host, process: &str) -> Result<Bound, Cannot> {
        let path = format!("/proc/{process}/limits");
        let found = hard(&read(host, &path)?, self.row().0);
        found.ok_or_else(|| Cannot::Refused(format!("{path} tells no {}", self.name())))
    }

    /// `None`: there is no such service here.
    fn of_service(&self, host: &Host) -> Option<Bound> {
        host.path(SYSTEMD).is_dir().then_some(())?;
        let property = self.row().1;
        let words = ["show", SERVICE, "--property", property, "--property", "LoadState"];
        let said = SYSTEMCTL.run(host, &words).ok()?;
        let is_loaded = field(&said, "LoadState=") == Some("loaded");
        field(&said, property)?.strip_prefix('=').filter(|_| is_loaded).and_then(Bound::read)
    }

    /// What is needed of a process; nothing where it may lock what it wants.
    fn needed(&self, host: &Host, process: &str) -> Option<String> {
        let freed = self.resource == Resource::Memlock
            && has_capability(host, process, IPC_LOCK) == Some(true);
        (!freed).then(|| self.at_least.to_string())
    }

    fn finding(
        &self,
        place: String,
        now: Result<Bound, Cannot>,
        needed: Option<String>,
    ) -> Finding {
        let is_right = now.as_ref().is_ok_and(|now| now.reaches(self.at_least));
        let wanted = needed.filter(|_| !is_right);
        Finding { place, now: now.map(Bound::spoken), wanted, note: String::new() }
    }

    fn place(&self, process: &str) -> String {
        match process {
            SELF => format!("{} of this process", self.name()),
            process => format!("{} of engine {process}", self.name()),
        }
    }
}

impl Knob for Limits {
    fn look(&self, host: &Host) -> Vec<Finding> {
        let engines = engines(host);
        let mut found: Vec<_> = engines
            .iter()
            .map(|process| {
                let now = self.of_process(host, process);
                self.finding(self.place(process), now, self.needed(host, process))
            })
            .collect();
        if let Some(now) = self.of_service(host) {
            let place = format!("{} of {SERVICE}", self.name());
            found.push(self.finding(place, Ok(now), Some(self.at_least.to_string())));
        }
        if found.is_empty() {
            // Nothing better to go by: an engine started from here would have ours.
            let now = self.of_process(host, SELF);
            found.push(self.finding(self.place(SELF), now, self.needed(host, SELF)));
        }
        found
    }

    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot> {
        let found = self.look(host).into_iter().find(|finding| finding.place == place);
        found.map_or_else(|| Err(Cannot::Missing(place.to_owned())), |finding| finding.now)
    }

    fn write(&self, host: &Host, place: &str, _value: &str) -> Result<(), Cannot> {
        self.settable(host, place)
    }

    fn settable(&self, _host: &Host, _place: &str) -> Result<(), Cannot> {
        let (limit, resource) = (self.row().1, self.name());
        let least = self.at_least;
        let (letter, shell) = match self.resource {
            Resource::Nofile => ('n', least),
            Resource::Memlock => ('l', least / 1024),
        };
        Err(Cannot::ByHand(format!(
            "set {limit}={least} in the service (packaging/systemd/{SERVICE} does), or ulimit -H{letter} \
             {shell} before the engine is started, or {resource} in /etc/security/limits.conf"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hard_limit_counts() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
            Max locked memory         8388608              unlimited            bytes\n\
            Max open files            1024                 524288               files\n";
        assert_eq!(hard(limits, "Max open files"), Some(Bound::At(524_288)));
        assert_eq!(hard(limits, "Max locked memory"), Some(Bound::None));
        assert_eq!(hard("Max open files 12", "Max open files"), None);
        assert!(Bound::None.reaches(u64::MAX) && !Bound::At(1).reaches(2));
    }
}
