//! What several knobs share: reading and writing small files, devices, rights, other programs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::{Cannot, Host};
use crate::limits::{TUNE_DEVICES_MAX, TUNE_PROGRAM_TEXT_BYTES};

/// `CAP_NET_ADMIN` and `CAP_IPC_LOCK` of `capabilities(7)`.
const NET_ADMIN: u32 = 12;
pub(super) const IPC_LOCK: u32 = 14;
/// Where programs for the administrator are, which an ordinary user's PATH may not name.
const PROGRAM_FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The file's text without the line end.
pub(super) fn read(host: &Host, path: &str) -> Result<String, Cannot> {
    let text = fs::read_to_string(host.path(path)).map_err(|error| cannot(path, &error))?;
    Ok(text.trim().to_owned())
}

/// Writes the file at once, as `/proc` and `/sys` want it. It has to exist.
pub(super) fn write(host: &Host, path: &str, text: &str) -> Result<(), Cannot> {
    let file = fs::OpenOptions::new().write(true).truncate(true).open(host.path(path));
    let written = file.and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|error| cannot(path, &error))
}

/// Whether the file can be written, as far as its mode and file system tell.
pub(super) fn writable(host: &Host, path: &str) -> Result<(), Cannot> {
    accessat(CWD, host.path(path), Access::WRITE_OK, AtFlags::EACCESS)
        .map_err(|error| cannot(path, &io::Error::from(error)))
}

/// What became of a file, in words that tell what to do.
pub(super) fn cannot(path: &str, error: &io::Error) -> Cannot {
    match error.kind() {
        io::ErrorKind::NotFound => Cannot::Missing(path.to_owned()),
        io::ErrorKind::PermissionDenied => not_allowed(path),
        io::ErrorKind::ReadOnlyFilesystem => Cannot::NotFromHere(format!(
            "{path} is read-only here, as in a container: set it on the host itself"
        )),
        _ => Cannot::Refused(format!("{path}: {error}")),
    }
}

/// Root is told something else than others: more rights than it has here are found elsewhere alone.
fn not_allowed(what: &str) -> Cannot {
    if !rustix::process::geteuid().is_root() {
        return Cannot::NotAllowed(what.to_owned());
    }
    Cannot::NotFromHere(format!(
        "{what}: not allowed here, not even to root, as inside of a container: set it on the host itself"
    ))
}

/// Whether this process may change devices and routes of its network.
pub(super) fn may_change_network(host: &Host, what: &str) -> Result<(), Cannot> {
    match has_capability(host, "self", NET_ADMIN) {
        Some(false) => Err(not_allowed(what)),
        _ => Ok(()),
    }
}

/// Whether `process` (of `/proc`) has this capability; `None`: it can't be told.
pub(super) fn has_capability(host: &Host, process: &str, number: u32) -> Option<bool> {
    let status = read(host, &format!("/proc/{process}/status")).ok()?;
    let set = u64::from_str_radix(field(&status, "CapEff:")?, 16).ok()?;
    Some(set >> number & 1 == 1)
}

/// What stands behind `name` at the beginning of a line of `text`.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim_start().strip_prefix(name)).map(str::trim)
}

/// The devices whose queues hold the packets: those below a bond, a bridge or a VLAN in its place.
pub(super) fn devices(host: &Host) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut waiting: Vec<_> = host.devices.iter().rev().cloned().collect();
    while let Some(device) = waiting.pop() {
        if found.len() >= TUNE_DEVICES_MAX || !is_device(&device) || found.contains(&device) {
            continue;
        }
        let below: Vec<_> = names(host, &format!("/sys/class/net/{device}"))
            .iter()
            .filter_map(|name| name.strip_prefix("lower_").map(str::to_owned))
            .collect();
        if below.is_empty() {
            found.push(device);
        } else if waiting.len() < TUNE_DEVICES_MAX {
            waiting.extend(below.into_iter().rev());
        }
    }
    found
}

/// Whether the kernel would take this as a device's name (`dev_valid_name`).
pub(super) fn is_device(name: &str) -> bool {
    let banned = |c: char| c == '/' || c == ':' || c.is_whitespace();
    (1..libc::IFNAMSIZ).contains(&name.len())
        && !name.contains(banned)
        && !name.starts_with(['.', '-'])
}

/// The names in a folder, those that are numbers in their order; none where it can't be read.
pub(super) fn names(host: &Host, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(host.path(folder)).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let number =
        |name: &str| name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().ok();
    names.sort_by(|a, b| number(a).cmp(&number(b)).then_with(|| a.cmp(b)));
    names
}

/// A program of the system that knows how to set something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Program {
    name: &'static str,
    package: &'static str,
}

pub(super) const IP: Program = Program { name: "ip", package: "iproute2" };
pub(super) const TC: Program = Program { name: "tc", package: "iproute2" };
pub(super) const ETHTOOL: Program = Program { name: "ethtool", package: "ethtool" };
pub(super) const SYSTEMCTL: Program = Program { name: "systemctl", package: "systemd" };

impl Program {
    /// Runs it and returns what it says. On a made-up host only a program of that host is run.
    pub(super) fn run(&self, host: &Host, arguments: &[&str]) -> Result<String, Cannot> {
        let missing = Cannot::NoProgram { program: self.name, package: self.package };
        let path = self.find(host).ok_or(missing)?;
        let run = Command::new(path)
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Cannot::Refused(format!("{} can't be run: {error}", self.name)))?;
        let said = |bytes: &[u8]| {
            let bytes = bytes.get(..TUNE_PROGRAM_TEXT_BYTES).unwrap_or(bytes);
            String::from_utf8_lossy(bytes).into_owned()
        };
        if run.status.success() {
            return Ok(said(&run.stdout));
        }
        let words = said(&run.stderr);
        let words =
            words.lines().find(|line| !line.trim().is_empty()).unwrap_or("it does not say why");
        let command = format!("{} {}", self.name, arguments.join(" "));
        Err(if words.contains("not permitted") || words.contains("ermission denied") {
            not_allowed(&command)
        } else {
            Cannot::Refused(format!("{command}: {}", words.trim()))
        })
    }

    fn find(&self, host: &Host) -> Option<PathBuf> {
        let usual = PROGRAM_FOLDERS.iter().map(|folder| host.path(folder));
        let own = std::env::var_os("PATH").filter(|_| host.root == Path::new("/"));
        // A relative folder would be whatever this is run in.
        let own = own.iter().flat_map(std::env::split_paths).filter(|folder| folder.is_absolute());
        own.chain(usual).map(|folder| folder.join(self.name)).find(|path| path.is_file())
    }
}
