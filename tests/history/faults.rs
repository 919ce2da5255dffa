//! Real trouble with the file: blocks go out as ever, one line tells, and it ends when the trouble does.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;

use super::*;

fn file(daemon: &Daemon) -> PathBuf {
    daemon.data_dir().join("history.sqlite3")
}

fn asides(daemon: &Daemon) -> usize {
    let names = fs::read_dir(daemon.data_dir()).expect("the folder").filter_map(Result::ok);
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| {
            name.contains(".damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm")
        })
        .count()
}

/// Lines that have `part`.
fn lines(daemon: &Daemon, part: &str) -> usize {
    daemon.lines().iter().filter(|line| line.contains(part)).count()
}

/// Waits until the trouble has `part`, or is over where that is empty.
fn wait_for_trouble(daemon: &Daemon, part: &str) -> Value {
    let told = daemon.wait_for_stats("the trouble", |stats| {
        let trouble = &stats["history"]["trouble"];
        if part.is_empty() {
            trouble.is_null()
        } else {
            trouble.as_str().is_some_and(|it| it.contains(part))
        }
    });
    let issues = told["health"]["issues"].to_string();
    assert_eq!(issues.contains("history: "), !part.is_empty(), "{issues}");
    told
}

/// Writes bytes that mean nothing over the file, from `from` on.
fn scribble(file: &Path, from: u64) {
    let open = fs::OpenOptions::new().write(true).open(file).expect("the file");
    let bytes = open.metadata().expect("its size").len();
    assert!(bytes > from, "{bytes}");
    open.write_all_at(&vec![0xa5; (bytes - from) as usize], from).expect("written");
}

#[test]
fn a_damaged_file_is_put_aside_and_a_new_one_begun() {
    let loopback = peers(Vec::new(), 3, Keep::Nothing);
    let mut maker = maker();
    let mut daemon = Daemon::start(&Told { fixed: loopback.addresses(), ..Told::default() });
    broadcast(&daemon, &loopback, &mut maker, 2);
    assert!(daemon.terminate().success());
    scribble(&file(&daemon), 0);
    daemon.restart();
    daemon.wait_for_line("statistics begin at zero");
    let mut known = broadcast(&daemon, &loopback, &mut maker, 2);
    wait_for_history(&daemon, 2);
    assert_eq!((asides(&daemon), lines(&daemon, "was damaged")), (1, 1));
    assert_eq!(daemon.stats()["blocks_sent"], 2);

    // While it runs: whoever reads meets it, and what memory knows is written anew.
    let other = Connection::open(file(&daemon)).expect("it opens");
    let all = "PRAGMA wal_checkpoint(TRUNCATE)";
    other.query_row(all, [], |row| row.get::<_, i64>(0)).expect("written back");
    drop(other);
    scribble(&file(&daemon), 4_096);
    let asked = daemon.get(&format!("/blocks/{}", &known[0][40..]));
    assert_eq!(asked.0, 200, "{asked:?}");
    daemon.wait_for_stats("the look", |_| lines(&daemon, "was damaged") == 2);
    known.extend(broadcast(&daemon, &loopback, &mut maker, 1));
    daemon.wait_for_stats("the new file", |stats| {
        stats["history"]["blocks"] == 3 && stats["history"]["trouble"].is_null()
    });
    assert_eq!(daemon.stats()["blocks_sent"], 3);
    assert!(daemon.terminate().success());
    let (code, out, errors) = daemon.ask(&["blocks", "list"]);
    assert!(code == 0 && known.iter().all(|hash| out.contains(hash)), "{out}{errors}");
    assert_eq!(asides(&daemon), 2);
}

#[test]
fn a_locked_file_is_written_when_it_is_free() {
    let loopback = peers(Vec::new(), 3, Keep::Nothing);
    let mut maker = maker();
    let mut daemon = Daemon::start(&Told { fixed: loopback.addresses(), ..Told::default() });
    broadcast(&daemon, &loopback, &mut maker, 1);
    wait_for_history(&daemon, 1);
    let other = Connection::open(file(&daemon)).expect("it opens");
    other.execute_batch("BEGIN EXCLUSIVE").expect("locked");
    let sent = broadcast(&daemon, &loopback, &mut maker, 2);
    let told = wait_for_trouble(&daemon, "locked");
    assert_eq!((&told["history"]["blocks"], &told["history"]["lost"]), (&1.into(), &0.into()));
    // What is not in the file yet is shown all the same.
    assert_eq!(hashes(&daemon.get("/blocks").1)[..2], [sent[1].clone(), sent[0].clone()]);
    other.execute_batch("ROLLBACK").expect("free");
    drop(other);
    wait_for_history(&daemon, 3);
    wait_for_trouble(&daemon, "");
    assert_eq!((lines(&daemon, "keeps the file locked"), lines(&daemon, "written again")), (1, 1));

    // Locked when the engine starts: the sums of before are added when they can be read or written.
    assert!(daemon.terminate().success());
    let other = Connection::open(file(&daemon)).expect("it opens");
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM runs WHERE 0")
        .expect("locked");
    daemon.restart();
    wait_for_trouble(&daemon, "locked");
    broadcast(&daemon, &loopback, &mut maker, 1);
    assert_eq!(daemon.stats()["blocks_sent"], 1);
    drop(other);
    wait_for_history(&daemon, 4);
    assert_eq!(daemon.stats()["blocks_sent"], 4);
    assert!(daemon.terminate().success());
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let loopback = peers(Vec::new(), 2, Keep::Nothing);
    let mut maker = maker();
    let mut daemon = Daemon::start(&Told { fixed: loopback.addresses(), ..Told::default() });
    broadcast(&daemon, &loopback, &mut maker, 1);
    assert!(daemon.terminate().success());
    let other = Connection::open(file(&daemon)).expect("it opens");
    other.pragma_update(None, "user_version", 99).expect("set");
    drop(other);
    daemon.restart();
    let sent = broadcast(&daemon, &loopback, &mut maker, 1);
    let told = wait_for_trouble(&daemon, "newer broadside");
    assert_eq!(
        (&told["history"]["enabled"], lines(&daemon, "newer broadside")),
        (&false.into(), 1)
    );
    assert_eq!(hashes(&daemon.get("/blocks").1), sent);
    assert!(daemon.terminate().success());
    let (code, _, errors) = daemon.ask(&["blocks", "list"]);
    assert!(code == 2 && errors.contains("newer broadside"), "{errors}");
    let other = Connection::open(file(&daemon)).expect("it opens");
    let count = other.query_row("SELECT count(*) FROM blocks", [], |row| row.get::<_, i64>(0));
    assert_eq!(count.expect("read"), 1);
}

/// A mount of this test's own, gone with it.
struct Mount(PathBuf);

impl Mount {
    /// `None`: this process may not mount; that is said.
    fn new(arguments: &[&str], at: &Path) -> Option<Self> {
        let done = Command::new("mount").args(arguments).arg(at).output();
        match done {
            Ok(output) if output.status.success() => Some(Self(at.to_owned())),
            other => {
                eprintln!("NOT TESTED: mount {arguments:?} is not allowed here: {other:?}");
                None
            }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_waited_for() {
    let loopback = peers(Vec::new(), 3, Keep::Nothing);
    let mut maker = maker();
    let mut daemon = Daemon::prepare(&Told { fixed: loopback.addresses(), ..Told::default() });
    fs::create_dir_all(daemon.data_dir()).expect("a folder");
    let Some(_mount) = Mount::new(&["-t", "tmpfs", "-o", "size=4m", "none"], &daemon.data_dir())
    else {
        return;
    };
    daemon.restart();
    broadcast(&daemon, &loopback, &mut maker, 1);
    wait_for_history(&daemon, 1);
    let filler = daemon.data_dir().join("filler");
    let filled = fs::write(&filler, vec![1; 8_000_000]);
    assert!(filled.is_err(), "the disk is full");
    broadcast(&daemon, &loopback, &mut maker, 12);
    let told = wait_for_trouble(&daemon, "no space");
    assert_eq!(told["history"]["lost"], 0);
    assert_eq!(told["blocks_sent"], 13);
    fs::remove_file(&filler).expect("removed");
    wait_for_history(&daemon, 13);
    assert_eq!(lines(&daemon, "no space is left on its disk"), 1);
    assert!(daemon.terminate().success());
    let (code, out, errors) = daemon.ask(&["blocks", "list"]);
    assert_eq!((code, out.lines().count(), errors.as_str()), (0, 14, ""), "{out}");
}

#[test]
fn a_file_that_cannot_be_written_is_told_of_once() {
    let loopback = peers(Vec::new(), 2, Keep::Nothing);
    let mut maker = maker();
    let mut daemon = Daemon::start(&Told { fixed: loopback.addresses(), ..Told::default() });
    broadcast(&daemon, &loopback, &mut maker, 1);
    assert!(daemon.terminate().success());
    let path = file(&daemon);
    let own = fs::metadata("/proc/self").expect("this process");
    let is_root = std::os::unix::fs::MetadataExt::uid(&own) == 0;
    // The mode of a file does not hold root back.
    let mount = if is_root {
        let text = path.to_str().expect("text").to_owned();
        let Some(mount) = Mount::new(&["--bind", &text], &path) else {
            return;
        };
        let only_read = Command::new("mount").args(["-o", "remount,bind,ro"]).arg(&path).status();
        assert!(only_read.expect("mount").success());
        Some(mount)
    } else {
        let mut mode = fs::metadata(&path).expect("there").permissions();
        mode.set_readonly(true);
        fs::set_permissions(&path, mode).expect("set");
        None
    };
    daemon.restart();
    broadcast(&daemon, &loopback, &mut maker, 1);
    let told = wait_for_trouble(&daemon, "can't be written");
    assert_eq!(
        (&told["history"]["enabled"], lines(&daemon, "can't be written")),
        (&true.into(), 1)
    );
    assert_eq!(told["blocks_sent"], 1);
    drop(mount);
    #[allow(clippy::permissions_set_readonly_false, reason = "a test's own file")]
    if !is_root {
        let mut mode = fs::metadata(&path).expect("there").permissions();
        mode.set_readonly(false);
        fs::set_permissions(&path, mode).expect("set");
    }
    wait_for_history(&daemon, 2);
    assert_eq!(daemon.stats()["blocks_sent"], 2);
    assert!(daemon.terminate().success());
}
