use super::*;
use crate::wire::chain::{self, Network};

fn regtest(at: usize) -> &'static Chain {
    chain::find(chain::names()[at], Network::Regtest).expect("every name has a regtest row")
}

fn hash(byte: u8) -> BlockHash {
    BlockHash([byte; 32])
}

fn names(folder: &Path) -> Vec<String> {
    let items = std::fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<String> = items
        .map(|item| item.expect("readable").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}

#[test]
fn what_was_not_settled_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("tempdir");
    let (one, two) = (regtest(0), regtest(1));
    let spool = Spool::open(folder.path()).expect("opens");
    spool.store(one, &hash(1), 2_000, b"first").expect("stores");
    spool.store(one, &hash(2), 1_000, b"second").expect("stores");
    spool.store(two, &hash(3), 3_000, b"of another chain").expect("stores");
    spool.store(one, &hash(4), 4_000, b"accepted").expect("stores");
    spool
        .settle(&spool.find(one, &hash(4)).expect("stored"), SpoolState::Accepted, 5_000)
        .expect("settles");
    drop(spool);

    let spool = Spool::open(folder.path()).expect("opens again");
    let pending = spool.pending(one);
    let hashes: Vec<_> = pending.iter().map(|entry| entry.hash).collect();
    assert_eq!(hashes, [hash(2), hash(1)], "oldest first");
    assert_eq!(&spool.read(&pending[0]).expect("reads")[..], b"second");
    assert_eq!(spool.pending(two).len(), 1);
    assert_eq!(spool.list(one, SpoolState::Accepted).len(), 1);
    assert_eq!(spool.pending_count(), 3);
}

#[test]
fn damaged_files_are_put_aside_and_the_rest_is_used() {
    let folder = tempfile::tempdir().expect("tempdir");
    let chain = regtest(0);
    let spool = Spool::open(folder.path()).expect("opens");
    for byte in 1..=4 {
        spool.store(chain, &hash(byte), 1_000 + u64::from(byte), &[byte; 100]).expect("stores");
    }
    let path = |byte| spool.path(&spool.pending(chain)[byte]);
    let (cut, garbage, flipped) = (path(0), path(1), path(2));
    let whole = std::fs::read(&cut).expect("reads");
    std::fs::write(&cut, &whole[..whole.len() - 1]).expect("writes");
    std::fs::write(&garbage, b"\xff\xfe not ours").expect("writes");
    let mut bytes = std::fs::read(&flipped).expect("reads");
    *bytes.last_mut().expect("not empty") ^= 1;
    std::fs::write(&flipped, bytes).expect("writes");
    std::fs::write(folder.path().join("half.tmp"), b"half").expect("writes");
    drop(spool);

    let spool = Spool::open(folder.path()).expect("opens again");
    let pending = spool.pending(chain);
    assert_eq!(pending.len(), 2, "cut and garbage are seen at once");
    let damaged = spool.read(&pending[0]);
    assert!(matches!(damaged, Err(SpoolError::Damaged { .. })), "{damaged:?}");
    assert_eq!(&spool.read(&pending[1]).expect("the whole one reads")[..], [4; 100]);
    let names = names(folder.path());
    assert_eq!(names.iter().filter(|name| name.ends_with(".damaged")).count(), 3, "{names:?}");
    assert!(!names.iter().any(|name| name.ends_with(".tmp")), "{names:?}");
}

#[test]
fn accepted_blocks_go_when_old_and_refused_ones_when_many() {
    let folder = tempfile::tempdir().expect("tempdir");
    let chain = regtest(0);
    let spool = Spool::open(folder.path()).expect("opens");
    for byte in 0..3 {
        spool.store(chain, &hash(byte), u64::from(byte), b"block").expect("stores");
        spool
            .settle(&spool.find(chain, &hash(byte)).expect("stored"), SpoolState::Accepted, 10)
            .expect("settles");
    }
    assert_eq!(spool.list(chain, SpoolState::Accepted).len(), 3);
    for byte in 100..100 + REFUSED_KEPT_MAX as u8 + 2 {
        spool.store(chain, &hash(byte), u64::from(byte), b"block").expect("stores");
        spool
            .settle(&spool.find(chain, &hash(byte)).expect("stored"), SpoolState::Refused, 200)
            .expect("settles");
    }
    assert_eq!(spool.list(chain, SpoolState::Refused).len(), REFUSED_KEPT_MAX as usize);
    spool.store(chain, &hash(50), ACCEPTED_KEPT_MS, b"block").expect("stores");
    spool
        .settle(
            &spool.find(chain, &hash(50)).expect("stored"),
            SpoolState::Accepted,
            ACCEPTED_KEPT_MS + 2,
        )
        .expect("settles");
    let left: Vec<_> =
        spool.list(chain, SpoolState::Accepted).iter().map(|entry| entry.hash).collect();
    assert_eq!(left, [hash(2), hash(50)]);
    assert_eq!(names(folder.path()).len(), REFUSED_KEPT_MAX as usize + 2);
}

/// Goal: a chain that somebody watches loses no accepted block to its age, only to its watcher.
#[test]
fn blocks_that_are_watched_go_when_they_are_decided() {
    let folder = tempfile::tempdir().expect("tempdir");
    let chain = regtest(0);
    let spool = Spool::open(folder.path()).expect("opens");
    spool.watch(chain);
    for byte in 1..=2 {
        let entry = spool.store(chain, &hash(byte), u64::from(byte), b"block").expect("stores");
        let late = ACCEPTED_KEPT_MS + 100;
        spool.settle(&entry, SpoolState::Accepted, late).expect("settles");
    }
    assert_eq!(spool.list(chain, SpoolState::Accepted).len(), 2);
    assert_eq!(spool.let_go_of(chain, &hash(2), 1), 0, "it is too young");
    assert_eq!(spool.let_go_of(chain, &hash(2), 2), 1);
    let left = spool.list(chain, SpoolState::Accepted);
    assert_eq!((left.len(), left[0].hash, names(folder.path()).len()), (1, hash(1), 1));
    let waiting = spool.store(chain, &hash(3), 3, b"block").expect("stores");
    assert_eq!(spool.let_go_of(chain, &hash(3), 9), 0, "no verdict yet");
    assert!(spool.read(&waiting).is_ok());
}

#[test]
fn one_header_with_other_transactions_behind_it_is_another_file() {
    let folder = tempfile::tempdir().expect("tempdir");
    let chain = regtest(0);
    let spool = Spool::open(folder.path()).expect("opens");
    let mutilated = spool.store(chain, &hash(1), 1, b"mutilated").expect("stores");
    let whole = spool.store(chain, &hash(1), 2, b"whole").expect("stores");
    spool.settle(&mutilated, SpoolState::Refused, 3).expect("settles");
    assert_eq!(spool.pending(chain), [whole]);
    let pending = spool.find(chain, &hash(1)).expect("still waits");
    assert_eq!(&spool.read(&pending).expect("reads")[..], b"whole");

    // The refused one comes again: it waits for a verdict again.
    spool.store(chain, &hash(1), 4, b"mutilated").expect("stores");
    assert_eq!((spool.pending(chain).len(), names(folder.path()).len()), (2, 2));
}

#[test]
fn a_folder_that_cannot_be_made_is_one_clear_error() {
    let folder = tempfile::tempdir().expect("tempdir");
    let file = folder.path().join("file");
    std::fs::write(&file, b"").expect("writes");
    let error = Spool::open(&file.join("spool")).expect_err("a file is no folder");
    assert!(error.to_string().contains("check data_dir"), "{error}");
}
