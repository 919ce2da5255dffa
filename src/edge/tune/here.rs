//! Where we are: which boot, which network namespace, inside of which container.

use std::fs;
use std::path::Path;

use super::knob::Host;
use super::record::Entry;
use super::unit::Scope;
use crate::sys::namespace;

/// The boot and the network namespace that values belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Here {
    /// The kernel's name for this boot; empty where it tells none.
    pub boot: String,
    /// The calling thread's network namespace: what its link is called, then, behind a `#`, a number that
    /// no other of this boot will have, where the kernel gives one.
    pub network: String,
}

/// Where a recorded value is, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// Here and now.
    Here,
    /// In an earlier boot: it is gone.
    EarlierBoot,
    /// In another network namespace of this boot.
    OtherNetwork,
}

impl Here {
    /// Looks where the calling thread is.
    #[must_use]
    pub fn look(host: &Host) -> Self {
        let link = |of: &str| fs::read_link(host.path(&format!("/proc/{of}/ns/net"))).ok();
        let link = link("thread-self").or_else(|| link("self")).unwrap_or_default();
        // The kernel gives the names of links anew as soon as they are free.
        let cookie = namespace::cookie().map_or_else(String::new, |cookie| format!("#{cookie}"));
        Self {
            boot: host.text("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
            network: format!("{}{cookie}", link.to_string_lossy()),
        }
    }

    /// The network that a value of this scope belongs to.
    #[must_use]
    pub fn network_of(&self, scope: Scope) -> Option<String> {
        (scope == Scope::Network).then(|| self.network.clone())
    }

    /// Where that value is.
    #[must_use]
    pub fn belongs(&self, entry: &Entry) -> Belongs {
        if entry.boot != self.boot {
            Belongs::EarlierBoot
        } else if entry.network.as_ref().is_some_and(|network| *network != self.network) {
            Belongs::OtherNetwork
        } else {
            Belongs::Here
        }
    }
}

/// Whether the network namespace of `entry`, which is not this one, may still be there: a thread is in it,
/// or a descriptor or a mount holds it. Also where too little can be seen from here.
#[must_use]
pub fn may_be_alive(host: &Host, here: &Here, network: &str) -> bool {
    let link = |network: &str| network.split('#').next().unwrap_or_default().to_owned();
    let wanted = link(network);
    if wanted == link(&here.network) {
        // Its name was given to this one, so it is gone.
        return false;
    }
    let sees_all = fs::read_link(host.path("/proc/self/ns/pid"));
    if !sees_all.is_ok_and(|link| link.to_string_lossy() == FIRST_PROCESSES) {
        return true;
    }
    let mounts = host.text("/proc/self/mountinfo").unwrap_or_default();
    if mounts.split_whitespace().any(|word| word == wanted) {
        return true;
    }
    let is_it = |path: &Path| match fs::read_link(path) {
        Ok(link) => link.to_string_lossy() == wanted,
        // Not ours to see. What has just ended is not there.
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    };
    let numbered = |folder: &Path| -> Vec<_> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| is_number(path)).collect()
    };
    numbered(&host.path("/proc")).iter().any(|process| {
        numbered(&process.join("task")).iter().any(|thread| is_it(&thread.join("ns/net")))
            || numbered(&process.join("fd")).iter().any(|file| is_it(file))
    })
}

/// How the link to the host's own process namespace is called (`PROC_PID_INIT_INO`).
const FIRST_PROCESSES: &str = "pid:[4026531836]";

fn is_number(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether this process is root, or has at least one of its rights (`capabilities(7)`). Else nothing that
/// matters can be set by it.
#[must_use]
pub fn has_any_right() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    is_root || rustix::thread::capabilities(None).is_ok_and(|sets| !sets.effective.is_empty())
}

/// The network devices that the calling thread's network has, as the kernel lists them.
#[must_use]
pub fn devices(host: &Host) -> Vec<String> {
    let own = host.text("/proc/thread-self/net/dev").or_else(|| host.text("/proc/net/dev"));
    let lines = own.unwrap_or_default();
    // Two lines of heads.
    let names = lines.lines().skip(2).filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| name.trim().to_owned()).collect()
}

/// What is different here from a bare host, each in words for the operator; empty on one.
#[must_use]
pub fn surroundings(host: &Host) -> Vec<String> {
    let mut told = Vec::new();
    if let Some((kind, sign)) = container(host) {
        told.push(format!("looks like a container: {kind} ({sign})"));
    }
    let map = host.text("/proc/self/uid_map").unwrap_or_default();
    let words: Vec<_> = map.split_whitespace().collect();
    if !words.is_empty() && words != ["0", "0", "4294967295"] {
        told.push("a user namespace: root here is not root of the host".to_owned());
    }
    let first = fs::read_link(host.path("/proc/1/ns/net"));
    let own = Here::look(host).network;
    if first.is_ok_and(|first| own.split('#').next() != first.to_str()) {
        told.push("a network namespace of its own: what the host has there is not seen".to_owned());
    }
    for (folder, what) in [("/proc/sys", "kernel settings"), ("/sys", "devices and memory")] {
        if is_read_only(&host.path(folder)) {
            told.push(format!("{folder} is read-only: {what} are set on the host itself"));
        }
    }
    told
}

/// Which kind of container, and by what it is known.
fn container(host: &Host) -> Option<(String, &'static str)> {
    if let Some(kind) = host.text("/run/systemd/container").filter(|kind| !kind.is_empty()) {
        return Some((kind, "/run/systemd/container"));
    }
    for (path, kind) in [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")] {
        if host.path(path).exists() {
            return Some((kind.to_owned(), path));
        }
    }
    let groups = host.text("/proc/1/cgroup").unwrap_or_default();
    let kinds = ["kubepods", "docker", "libpod", "containerd", "lxc"];
    let kind = kinds.into_iter().find(|kind| groups.contains(kind))?;
    Some((kind.to_owned(), "/proc/1/cgroup"))
}

fn is_read_only(path: &Path) -> bool {
    use rustix::fs::{StatVfsMountFlags, statvfs};
    statvfs(path).is_ok_and(|facts| facts.f_flag.contains(StatVfsMountFlags::RDONLY))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn made() -> (tempfile::TempDir, Host) {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("proc/sys/kernel/random/boot_id", "boot-1\n");
        put("proc/self/uid_map", "         0          0 4294967295\n");
        put("proc/1/cgroup", "0::/init.scope\n");
        put("proc/self/mountinfo", "1 2 0:4 net:[77] /run/netns/x rw - nsfs nsfs rw\n");
        put("sys/x", "");
        let link = |path: &str, to: &str| {
            let path = folder.path().join("proc").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(to, path).unwrap();
        };
        link("self/ns/net", "net:[1]");
        link("self/ns/pid", FIRST_PROCESSES);
        link("1/ns/net", "net:[1]");
        link("42/task/42/ns/net", "net:[1]");
        link("42/task/43/ns/net", "net:[5]");
        link("42/fd/3", "net:[6]");
        let host = Host::look(folder.path(), &[0], &[]);
        (folder, host)
    }

    #[test]
    fn boot_and_network_are_told_apart() {
        let (_kept, host) = made();
        let here = Here::look(&host);
        assert_eq!(here.boot, "boot-1");
        assert!(here.network.starts_with("net:[1]"), "{}", here.network);
        let entry = |boot: &str, network: Option<&str>| Entry {
            unit: String::new(),
            place: String::new(),
            before: String::new(),
            wanted: String::new(),
            applied: None,
            under_way: false,
            boot: boot.to_owned(),
            network: network.map(str::to_owned),
        };
        assert_eq!(here.belongs(&entry("boot-1", None)), Belongs::Here);
        assert_eq!(here.belongs(&entry("boot-1", Some(&here.network))), Belongs::Here);
        assert_eq!(here.belongs(&entry("boot-1", Some("net:[1]#0"))), Belongs::OtherNetwork);
        assert_eq!(here.belongs(&entry("boot-1", Some("net:[5]"))), Belongs::OtherNetwork);
        assert_eq!(here.belongs(&entry("boot-0", Some("net:[5]"))), Belongs::EarlierBoot);
        let alive = |number: u32| may_be_alive(&host, &here, &format!("net:[{number}]#0"));
        assert!([5, 6, 77].into_iter().all(alive), "a thread, a descriptor, a mount");
        assert!(![1, 9].into_iter().any(alive), "its name is another's, nobody has it");
        fs::remove_file(host.path("/proc/self/ns/pid")).unwrap();
        assert!(alive(9), "who knows");
    }

    #[test]
    fn a_container_is_known_by_its_pieces() {
        let (folder, host) = made();
        assert!(surroundings(&host).is_empty());
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("proc/1/cgroup", "0::/kubepods.slice/x\n");
        put("proc/self/uid_map", "0 100000 65536\n");
        let told = surroundings(&host);
        assert!(told[0].contains("kubepods (/proc/1/cgroup)"), "{told:?}");
        assert!(told[1].contains("user namespace"), "{told:?}");
        put(".dockerenv", "");
        assert!(surroundings(&host)[0].contains("docker (/.dockerenv)"));
        put("run/systemd/container", "systemd-nspawn\n");
        assert!(surroundings(&host)[0].contains("systemd-nspawn"));
        let link = folder.path().join("proc/1/ns/net");
        fs::remove_file(&link).unwrap();
        symlink("net:[6]", link).unwrap();
        assert!(surroundings(&host)[2].contains("network namespace"));
    }
}
