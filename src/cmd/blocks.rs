//! `broadside blocks`: what became of the blocks, from a running engine or from a stopped one's file.

mod print;

use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client;
use super::{ConfigArgs, Failure, Outcome};
use crate::cold::history::{self, Found, HistoryFile, Place};
use crate::cold::stats::BlockStory;
use crate::config::Config;
use crate::limits::{BLOCKS_LISTED_MAX, HASH_DIGITS_MIN, STATUS_COMMAND_DEADLINE_MS};
use crate::wire::hash::BlockHash;

const PATIENCE: Duration = Duration::from_millis(STATUS_COMMAND_DEADLINE_MS);

/// Options of `blocks`.
#[derive(Args, Debug)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Shows the newest blocks, one in a line
    ///
    /// Asks the running engine; where none runs, its history is read from data_dir.
    List {
        #[command(flatten)]
        config: ConfigArgs,
        /// Only blocks of this chain
        #[arg(long, value_name = "NAME")]
        chain: Option<String>,
        /// At most so many, newest first
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Shows one block: its stages, what the nodes said, every peer's part, who announced it, what
    /// became of it
    ///
    /// Exit codes: 0 shown, 1 there is no such block, 2 not done.
    Show {
        #[command(flatten)]
        config: ConfigArgs,
        /// Its hash, or 8 or more of its first or last digits where they fit one block alone
        #[arg(value_name = "HASH")]
        hash: String,
        /// Print what the engine answers at /blocks/HASH
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command; `out` is standard output.
///
/// # Errors
/// The configuration can't be used, or neither engine nor history can be read.
pub fn run(options: &Options, out: &mut impl Write) -> Result<Outcome, Failure> {
    match &options.what {
        What::List { config, chain, limit, json } => {
            let blocks = list(&config.load()?, chain.as_deref(), *limit)?;
            match json {
                true => writeln!(out, "{}", json!({"blocks": blocks}))?,
                false => out.write_all(print::list(&blocks).as_bytes())?,
            }
            Ok(Outcome::Done)
        }
        What::Show { config, hash, json } => {
            let Some(block) = show(&config.load()?, hash)? else {
                eprintln!("broadside: there is no block {hash} in the history");
                return Ok(Outcome::No);
            };
            match json {
                true => writeln!(out, "{block}")?,
                false => out.write_all(print::block(&block).as_bytes())?,
            }
            Ok(Outcome::Done)
        }
    }
}

/// At most `limit` blocks, newest first.
fn list(config: &Config, chain: Option<&str>, limit: usize) -> Result<Vec<Value>, Failure> {
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if let Some(name) = chain.filter(|name| !is_name(name)) {
        return Err(Failure(format!("--chain {name:?}: that is no chain's name")));
    }
    let (mut blocks, mut before, mut file) = (Vec::new(), String::new(), None);
    while blocks.len() < limit {
        let count = (limit - blocks.len()).min(BLOCKS_LISTED_MAX);
        let mut path = format!("/blocks?limit={count}");
        path += &chain.map_or_else(String::new, |name| format!("&chain={name}"));
        path += &if before.is_empty() { String::new() } else { format!("&before={before}") };
        let asked = if file.is_none() { ask(config, &path)? } else { None };
        let mut page = match asked {
            Some((200, page)) => page,
            Some((status, _)) => return Err(odd(config, status)),
            None => {
                let file = match &file {
                    Some(file) => file,
                    None => file.insert(open(config)?),
                };
                page_of(file, chain, &before, count)?
            }
        };
        let more = page["blocks"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let is_end = more.is_empty();
        blocks.extend(more);
        match page["next"].as_str().and_then(Place::parse) {
            Some(next) if !is_end => before = next.to_string(),
            _ => break,
        }
    }
    blocks.truncate(limit);
    Ok(blocks)
}

/// A page as the engine would answer it.
fn page_of(
    file: &HistoryFile,
    chain: Option<&str>,
    before: &str,
    count: usize,
) -> Result<Value, Failure> {
    let newest = Place { run: i64::MAX, image: u64::MAX };
    let page = file.page(chain, Place::parse(before).unwrap_or(newest), count)?;
    let next = page.last().filter(|_| page.len() >= count).map(|(place, _)| place.to_string());
    let blocks: Vec<_> = page.iter().map(|(_, story)| story.summary_json()).collect();
    Ok(json!({"blocks": blocks, "next": next}))
}

/// One block's whole story; `None`: there is none.
fn show(config: &Config, hash: &str) -> Result<Option<Value>, Failure> {
    let is_hex = hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || !(HASH_DIGITS_MIN..=64).contains(&hash.len()) {
        return Err(Failure(format!(
            "a block's hash is 64 hexadecimal digits; its first or last {HASH_DIGITS_MIN} or more do \
             where they fit one block alone"
        )));
    }
    match ask(config, &format!("/blocks/{hash}"))? {
        Some((200, block)) => return Ok(Some(block)),
        Some((404, _)) => return Ok(None),
        Some((409, _)) => return Err(several(hash, &[])),
        Some((status, _)) => return Err(odd(config, status)),
        None => {}
    }
    let file = open(config)?;
    let found = match BlockHash::from_hex(&hash.to_ascii_lowercase()) {
        Some(hash) => file.find(&hash)?.map_or(Found::None, Found::One),
        None => file.find_like(hash)?,
    };
    match found {
        Found::One(story) => Ok(Some(BlockStory::to_json(&story))),
        Found::None => Ok(None),
        Found::Several(hashes) => Err(several(hash, &hashes)),
    }
}

fn several(digits: &str, hashes: &[BlockHash]) -> Failure {
    let named: String = hashes.iter().map(|hash| format!("\n{hash}")).collect();
    Failure(format!("{digits} fits several blocks: give more digits{named}"))
}

fn odd(config: &Config, status: u16) -> Failure {
    let address = config.http.map_or_else(String::new, |address| address.to_string());
    Failure(format!("{address} answers HTTP {status}, which is not broadside's"))
}

/// Asks the running engine: status, and the answer where that is JSON. `None`: none runs, or it is not
/// to be asked.
fn ask(config: &Config, path: &str) -> Result<Option<(u16, Value)>, Failure> {
    let Some(address) = config.http else {
        return Ok(None);
    };
    let answer = client::ask_engine_at(config, address, path, PATIENCE)?;
    Ok(answer.map(|it| (it.status, serde_json::from_slice(&it.body).unwrap_or(Value::Null))))
}

fn open(config: &Config) -> Result<HistoryFile, Failure> {
    let file = history::file(&config.engine.data_dir);
    let path = file.display();
    if matches!(file.try_exists(), Ok(false)) {
        return Err(Failure(format!(
            "no engine answers, and there is no history at {path}: is this the right \
             configuration, and is [history] on?"
        )));
    }
    HistoryFile::open(&file).map_err(|fault| Failure(format!("{path}: {fault}")))
}
