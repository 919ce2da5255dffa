//! The file's versions, and the steps from each to the next.

use rusqlite::{Connection, TransactionBehavior};

use super::fault::Fault;

/// The first makes a file of version 1, each further one a file of the next version. Steps are never
/// changed once they have shipped.
const STEPS: [&str; 3] =
    [include_str!("steps/1.sql"), include_str!("steps/2.sql"), include_str!("steps/3.sql")];
/// What this program reads and writes.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// The file's version; 0 for one that is new.
///
/// # Errors
/// It is of a newer program ([`Fault::Newer`]), or not a history ([`Fault::Foreign`]), or can't be read.
pub(super) fn version(connection: &Connection) -> Result<i64, Fault> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let find = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = connection.query_row(find, [], |row| row.get(0))?;
    match version {
        0 if tables > 0 => Err(Fault::Foreign),
        0..=VERSION => Ok(version),
        newer => Err(Fault::Newer(newer)),
    }
}

/// Brings the file up to [`VERSION`]; each step is done whole or not at all.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    migrate_to(connection, VERSION)
}

fn migrate_to(connection: &mut Connection, wanted: i64) -> Result<(), Fault> {
    loop {
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Looked up under the lock: another process may have been faster.
        let version = version(&step)?;
        let Some(text) = STEPS.get(version as usize).filter(|_| version < wanted) else {
            return Ok(());
        };
        step.execute_batch(text)?;
        step.pragma_update(None, "user_version", version + 1)?;
        step.commit()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_file_is_brought_up_with_all_that_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.sqlite3");
        let mut old = Connection::open(&file).unwrap();
        migrate_to(&mut old, 1).unwrap();
        // As version 1 of this program wrote it.
        old.execute_batch(include_str!("steps/1.example.sql")).unwrap();
        assert_eq!(version(&old).unwrap(), 1);
        migrate(&mut old).unwrap();
        assert_eq!(version(&old).unwrap(), VERSION);
        let line = "SELECT received, delivered, verdict FROM block_lines";
        let line = old.query_row(line, [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        });
        assert_eq!(line.unwrap(), ("2026-01-02 03:04:05".into(), 2, "accepted".into()));
        let peers: i64 =
            old.query_row("SELECT count(*) FROM peer_lines", [], |r| r.get(0)).unwrap();
        assert_eq!(peers, 2);
        let seen = "SELECT count(wire_ms) + (SELECT count(*) FROM stolen_lines) FROM peer_lines";
        assert_eq!(old.query_row(seen, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
        // Once more changes nothing.
        migrate(&mut old).unwrap();
    }

    #[test]
    fn newer_files_and_those_of_others_are_left_alone() {
        let mut newer = Connection::open_in_memory().unwrap();
        newer.pragma_update(None, "user_version", VERSION + 1).unwrap();
        assert!(matches!(migrate(&mut newer), Err(Fault::Newer(_))));
        let mut other = Connection::open_in_memory().unwrap();
        other.execute_batch("CREATE TABLE wallet (key TEXT)").unwrap();
        assert!(matches!(migrate(&mut other), Err(Fault::Foreign)));
        let negative = Connection::open_in_memory().unwrap();
        negative.pragma_update(None, "user_version", -1).unwrap();
        assert!(matches!(version(&negative), Err(Fault::Newer(_))));
    }
}
