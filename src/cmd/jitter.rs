//! `broadside jitter`: who else ran on the cores of the shards.

mod print;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::client::ask_engine_at;
use super::run::wanted_cores;
use super::{ConfigArgs, Failure, Outcome};
use crate::bench::jitter::{Seen, WatchedCore, Watching, watch};
use crate::config::{Config, ConfigError};
use crate::limits::{CORE_NUMBER_MAX, JITTER_S_MAX, STATUS_COMMAND_DEADLINE_MS};
use crate::sys::cpu;
use crate::topology::{Cores, plan};

const PATIENCE: Duration = Duration::from_millis(STATUS_COMMAND_DEADLINE_MS);

/// Options of `jitter`.
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    config: ConfigArgs,
    /// How long to watch, in seconds; Ctrl-C ends it sooner
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(JITTER_S_MAX)))]
    seconds: u32,
    /// The cores to watch [default: those of the running engine's shards, else those that its
    /// configuration would give them]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(0..=i64::from(CORE_NUMBER_MAX)))]
    cores: Vec<u32>,
    /// Spin on each core as well and note what the probe was kept from, other tenants of the machine
    /// and firmware included. Not on a core that a running engine needs
    #[arg(long)]
    probe: bool,
    /// Draw how long the single times were
    #[arg(long, conflicts_with = "json")]
    histogram: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command; `out` is standard output.
///
/// # Errors
/// The configuration or the engine's answer can't be used, or a core is not there.
pub fn run(options: &Options, out: &mut impl Write) -> Result<Outcome, Failure> {
    let available = cpu::available();
    let (cores, whence) = choose(options, &available)?;
    let is_busy = cores.iter().any(|it| it.shard.is_some());
    if options.probe && is_busy {
        return Err(Failure(
            "a running engine has its shards there, and a probe would hold them up: stop it first, or \
             name other cores with --cores"
                .to_owned(),
        ));
    }
    let is_watched = |core: &usize| cores.iter().any(|it| it.core == *core);
    let watching = Watching {
        rest: available.into_iter().filter(|core| !is_watched(core)).collect(),
        time: Duration::from_secs(options.seconds.into()),
        probe: options.probe,
        probe_instead: !is_busy,
        cores,
    };
    let names: Vec<_> = watching.cores.iter().map(|it| it.core.to_string()).collect();
    let begun = format!("watching core {} ({whence}) for {} s", names.join(", "), options.seconds);
    let seen = until_stopped(watching, &begun)?;
    if options.json {
        writeln!(out, "{}", print::json(&seen, whence))?;
    } else {
        out.write_all(print::text(&seen, options.histogram).as_bytes())?;
    }
    Ok(Outcome::Done)
}

/// Watches, saying so; Ctrl-C and SIGTERM end it and what was seen until then is told.
fn until_stopped(watching: Watching, begun: &str) -> Result<Seen, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        eprintln!("{begun}");
        let told = Arc::clone(&stop);
        let mut watched = tokio::task::spawn_blocking(move || watch(&watching, &told));
        loop {
            tokio::select! {
                seen = &mut watched => return Ok(seen??),
                _ = interrupt.recv() => stop.store(true, Ordering::Relaxed),
                _ = terminate.recv() => stop.store(true, Ordering::Relaxed),
            }
        }
    })
}

/// Which cores, and by whose word.
fn choose(
    options: &Options,
    available: &[usize],
) -> Result<(Vec<WatchedCore>, &'static str), Failure> {
    let config = match options.config.load() {
        Ok(config) => Some(config),
        // Nobody named one, and none is needed.
        Err(ConfigError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let running = config.as_ref().map(running).transpose()?.flatten().unwrap_or_default();
    if !options.cores.is_empty() {
        let shard = |core| running.iter().find(|it| it.core == core).and_then(|it| it.shard);
        let mut cores: Vec<_> = options.cores.iter().map(|core| *core as usize).collect();
        cores.sort_unstable();
        cores.dedup();
        if let Some(core) = cores.iter().find(|core| !available.contains(core)) {
            let why = format!("there is no core {core} for this process, only {available:?}");
            return Err(Failure(why));
        }
        let watched = cores.into_iter().map(|core| WatchedCore { core, shard: shard(core) });
        return Ok((watched.collect(), "as named"));
    }
    if !running.is_empty() {
        return Ok((running, "the running engine's"));
    }
    let (wanted, whence) = match &config {
        Some(config) => (wanted_cores(config), "as configured; no engine runs"),
        None => (Cores::Auto, "what broadside would choose; no configuration"),
    };
    let shards = plan(available, &wanted)?.shards;
    Ok((shards.into_iter().map(|core| WatchedCore { core, shard: None }).collect(), whence))
}

/// The cores of the engine that runs by `config`; `None`: nobody can be asked.
fn running(config: &Config) -> Result<Option<Vec<WatchedCore>>, Failure> {
    let Some(address) = config.http else { return Ok(None) };
    let Some(answer) = ask_engine_at(config, address, "/broadcaster_stats", PATIENCE)? else {
        return Ok(None);
    };
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let is_shard = |thread: u32| {
        let name = std::fs::read_to_string(format!("/proc/{thread}/comm"));
        name.is_ok_and(|name| name.starts_with("shard-"))
    };
    Ok(Some(shards(&told, is_shard)))
}

/// The cores that `/broadcaster_stats` tells of; `is_shard` says whether a thread can be one of ours:
/// in another process-id namespace its number is somebody else's here.
fn shards(told: &Value, is_shard: impl Fn(u32) -> bool) -> Vec<WatchedCore> {
    let chain = told.as_object().and_then(|chains| chains.values().next());
    let rows = chain.and_then(|chain| chain["shards"].as_array()).into_iter().flatten();
    let watched = rows.enumerate().filter_map(|(shard, row)| {
        let core = usize::try_from(row["core"].as_u64()?).ok()?;
        let thread = row["thread"].as_u64().and_then(|it| u32::try_from(it).ok());
        Some(WatchedCore { core, shard: thread.filter(|it| is_shard(*it)).map(|it| (shard, it)) })
    });
    watched.filter(|it| it.core <= CORE_NUMBER_MAX as usize).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shards_are_where_the_engine_says() {
        let rows = json!([{"core": 3, "thread": 70, "ring": "epoll"}, {"core": null, "thread": 71},
                          {"core": 5, "thread": 72}, {"core": 1e9, "thread": 73}, 7]);
        let told = json!({"any": {"shards": rows}, "other": {}});
        let found = shards(&told, |thread| thread == 70);
        let expected = [(3, Some((0, 70))), (5, None)];
        assert_eq!(found, expected.map(|(core, shard)| WatchedCore { core, shard }));
        assert!(
            shards(&json!([]), |_| true).is_empty() && shards(&Value::Null, |_| true).is_empty()
        );
    }
}
