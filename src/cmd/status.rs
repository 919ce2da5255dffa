//! `broadside status`: the running engine at a glance, once or live.

mod live;
mod table;
mod terminal;
mod watch;
mod words;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::client::{self, Answer};
use super::{ConfigArgs, Failure, Outcome};
use crate::config::Config;
use crate::limits::{STATUS_COMMAND_DEADLINE_MS, STATUS_WATCH_S_MAX};

const PATIENCE: Duration = Duration::from_millis(STATUS_COMMAND_DEADLINE_MS);

/// Options of `status`.
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print what the engine answers at /broadcaster_stats, unchanged
    #[arg(long, conflicts_with = "watch")]
    json: bool,
    /// Show it live until Ctrl-C, anew every so many seconds
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(STATUS_WATCH_S_MAX)))]
    watch: Option<u32>,
}

/// Runs the command; `out` is standard output.
///
/// # Errors
/// The engine is not running, or does not serve HTTP.
pub fn run(options: &Options, out: &mut impl Write) -> Result<Outcome, Failure> {
    let engine = Asked(Arc::new(options.config.load()?));
    // Where nobody is to be asked, the question below says so.
    if let (Some(seconds), Some(_)) = (options.watch, engine.0.http) {
        return watch::run(&engine, Duration::from_secs(seconds.into()), out);
    }
    let (answer, stats) = engine.stats()?;
    if options.json {
        out.write_all(&answer.body)?;
        writeln!(out)?;
    } else {
        out.write_all(table::table(&stats).as_bytes())?;
    }
    Ok(Outcome::Done)
}

/// The engine that runs by this configuration.
#[derive(Clone, Debug)]
struct Asked(Arc<Config>);

impl Asked {
    /// Where it is.
    fn address(&self) -> String {
        self.0.http.map(|address| address.to_string()).unwrap_or_default()
    }

    fn get(&self, path: &str) -> Result<(Answer, Value), Failure> {
        let answer = client::ask_engine(&self.0, path, PATIENCE)?;
        match (answer.status, serde_json::from_slice::<Value>(&answer.body)) {
            (200, Ok(told)) if told.is_object() => Ok((answer, told)),
            (status, _) => {
                let address = self.address();
                let message = format!("{address} answers HTTP {status}, which is not broadside's");
                Err(Failure(message))
            }
        }
    }

    fn stats(&self) -> Result<(Answer, Value), Failure> {
        self.get("/broadcaster_stats")
    }

    /// The newest blocks, newest first.
    fn blocks(&self, count: usize) -> Result<Vec<Value>, Failure> {
        let (_, told) = self.get(&format!("/blocks?limit={count}"))?;
        Ok(told["blocks"].as_array().cloned().unwrap_or_default())
    }
}
