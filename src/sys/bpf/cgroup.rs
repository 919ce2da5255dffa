//! Where this process's control group is in the file system (`cgroups(7)`, version 2).

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::BpfError;

/// Opens the version 2 control group of this process.
///
/// # Errors
/// There is none, or it can't be seen from here.
pub(super) fn own() -> Result<File, BpfError> {
    let failed = |why: String| BpfError::Failed { doing: "looking for the control group", why };
    let read = |path: &str| fs::read_to_string(path).map_err(|e| failed(format!("{path}: {e}")));
    let groups = read("/proc/self/cgroup")?;
    let mounts = read("/proc/self/mountinfo")?;
    let Some(group) = group_of(&groups) else {
        return Err(BpfError::NotSupported {
            what: "control groups of version 2",
            needs: "Linux 4.10, CONFIG_CGROUPS",
        });
    };
    let Some(folder) = folder_of(group, &mounts) else {
        return Err(failed(format!(
            "{group} is not below any cgroup2 mount: mount -t cgroup2 none /sys/fs/cgroup, or give the \
             container its own control group namespace"
        )));
    };
    File::open(&folder).map_err(|error| failed(format!("{}: {error}", folder.display())))
}

/// The group's path, of `/proc/self/cgroup`: the line of hierarchy 0. A hybrid system has others too.
fn group_of(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| line.strip_prefix("0::"))
}

/// Where `group` is mounted, of `/proc/self/mountinfo`: `id parent device root point options [..] - type ..`.
fn folder_of(group: &str, mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        if back.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = front.split(' ').skip(3);
        let (root, point) = (plain(fields.next()?), plain(fields.next()?));
        // A path that climbs out of the namespace's root is no place that we can see.
        let below = Path::new(group).strip_prefix(&root).ok()?;
        let climbs = below.components().any(|part| part.as_os_str() == "..");
        (!climbs).then(|| Path::new(&point).join(below))
    })
}

/// Undoes the kernel's `\040` for a space and the like.
fn plain(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((front, back)) = rest.split_once('\\') {
        plain.push_str(front);
        let octal = back.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal {
            Some(byte) => plain.push(char::from(byte)),
            None => plain.push('\\'),
        }
        rest = if octal.is_some() { &back[3..] } else { back };
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
";

    fn found(group: &str, mounts: &str) -> Option<String> {
        folder_of(group, mounts).map(|folder| folder.to_string_lossy().into_owned())
    }

    #[test]
    fn the_group_of_version_2_is_found_among_others() {
        assert_eq!(group_of("9:name=systemd:/a\n4:memory:/b\n0::/c/d\n"), Some("/c/d"));
        assert_eq!(group_of("4:memory:/b\n"), None);
    }

    #[test]
    fn its_folder_is_below_the_mount_that_holds_it() {
        assert_eq!(found("/", HYBRID).as_deref(), Some("/sys/fs/cgroup/unified/"));
        let deep = found("/system.slice/a b.service", HYBRID);
        assert_eq!(deep.as_deref(), Some("/sys/fs/cgroup/unified/system.slice/a b.service"));
        // A container that sees its own group as the top of the mount, under a name with a space.
        let bound = "1 0 0:3 /pods/x /my\\040groups rw - cgroup2 cgroup2 rw\n";
        assert_eq!(found("/pods/x/y", bound).as_deref(), Some("/my groups/y"));
        assert_eq!(found("/pods/z", bound), None);
        assert_eq!(found("/../z", HYBRID), None, "outside of the namespace");
        assert_eq!(found("/", ""), None);
        assert_eq!(plain("a\\04"), "a\\04");
    }

    #[test]
    fn this_process_has_one_or_is_told_why_not() {
        match own() {
            Ok(folder) => assert!(folder.metadata().unwrap().is_dir()),
            Err(error) => eprintln!("SKIPPED: {error}"),
        }
    }
}
