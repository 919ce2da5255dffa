//! Who held up the shards, as rows of the table `stolen`, and back.

use rusqlite::{Connection, params};

use super::columns::clamped;
use crate::cold::stats::{StolenTime, Thief, runner, runner_word};
use crate::limits::THIEVES_SHOWN_MAX;

/// The kind of the row that stands for all others,
const REST: &str = "rest";
/// and where something was lost.
const REST_AT_LEAST: &str = "rest-at-least";

/// Writes a block's rows in place of those that are there.
pub(super) fn write(file: &Connection, id: i64, stolen: &StolenTime) -> rusqlite::Result<()> {
    file.prepare_cached("DELETE FROM stolen WHERE block = ?1")?.execute([id])?;
    let put = "INSERT INTO stolen VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let mut put = file.prepare_cached(put)?;
    for (place, thief) in stolen.thieves.iter().enumerate() {
        put.execute(params![
            id,
            place as i64,
            runner_word(thief.runner),
            thief.core,
            thief.number,
            thief.name,
            thief.count as i64,
            thief.total_ns as i64,
            thief.longest_ns as i64,
        ])?;
    }
    let (place, none) = (stolen.thieves.len() as i64, None::<i64>);
    let kind = if stolen.may_lack { REST_AT_LEAST } else { REST };
    let (count, total_ns) = (stolen.rest_count as i64, stolen.rest_ns as i64);
    put.execute(params![id, place, kind, none, none, none, count, total_ns, none])?;
    Ok(())
}

/// Reads a block's rows; `None` where nothing was known.
pub(super) fn read(file: &Connection, id: i64) -> rusqlite::Result<Option<StolenTime>> {
    let find = "SELECT kind, core, number, name, count, total_ns, longest_ns FROM stolen \
                WHERE block = ?1 ORDER BY place LIMIT ?2";
    let mut find = file.prepare_cached(find)?;
    let mut rows = find.query(params![id, THIEVES_SHOWN_MAX as i64 + 1])?;
    let mut stolen: Option<StolenTime> = None;
    while let Some(row) = rows.next()? {
        let told = stolen.get_or_insert_default();
        let whole = |at| -> rusqlite::Result<u64> {
            Ok(row.get::<_, Option<i64>>(at)?.unwrap_or(0).max(0) as u64)
        };
        let (kind, count, total_ns) = (row.get::<_, String>(0)?, whole(4)?, whole(5)?);
        match runner(&kind) {
            Some(runner) => told.thieves.push(Thief {
                core: clamped(row, 1)?,
                runner,
                number: clamped(row, 2)?,
                name: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
                count,
                total_ns,
                longest_ns: whole(6)?,
            }),
            None => {
                (told.rest_count, told.rest_ns) = (count, total_ns);
                told.may_lack = kind == REST_AT_LEAST;
            }
        }
    }
    Ok(stolen)
}
