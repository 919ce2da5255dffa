//! SIGHUP: the configuration read anew, and what of it can be changed while blocks go out.
//!
//! That is who is fixed, how many peers are wanted, how often they are looked over, and the log
//! level. All else is said to need a restart, and stays as it is. A file that is wrong changes
//! nothing. Bans and imports need no signal: `broadside peers` hands them over by itself.

use super::{Options, SetLog, settings};
use crate::config::{Config, Peers};
use crate::edge::engine::Engine;

/// What a reload needs to know of the start.
pub(super) struct Reload<'a> {
    options: &'a Options,
    config: Config,
    set_log: Option<SetLog>,
}

impl<'a> Reload<'a> {
    /// `config` is what runs. `set_log`: `None` where RUST_LOG has said what is logged.
    pub(super) const fn new(options: &'a Options, config: Config, set_log: Option<SetLog>) -> Self {
        Self { options, config, set_log }
    }

    /// Reads the file and changes what can be changed, with a line on each.
    pub(super) fn run(&mut self, engine: &Engine) {
        let fresh = match self.read() {
            Ok(fresh) => fresh,
            Err(why) => {
                tracing::error!("SIGHUP: {why}\nnothing was changed: mend it and try again");
                return;
            }
        };
        let stays = restarts(&self.config, &fresh);
        if !stays.is_empty() {
            tracing::warn!("SIGHUP: changed, and only read at a start: {}", stays.join(", "));
        }
        let next = merged(&self.config, &fresh);
        let changes = changes(&self.config, &next);
        if changes.is_empty() {
            tracing::info!("SIGHUP: nothing to change");
        }
        for change in &changes {
            tracing::info!("SIGHUP: {change}");
        }
        if next.engine.log != self.config.engine.log {
            match &self.set_log {
                Some(set) if set(next.engine.log.word()) => {}
                _ => tracing::warn!("SIGHUP: RUST_LOG goes before engine.log; it stays as it is"),
            }
        }
        if next.chains != self.config.chains {
            engine.change(&settings(&next, Vec::new()));
        }
        self.config = next;
    }

    fn read(&self) -> Result<Config, String> {
        let mut fresh = self.options.config.load().map_err(|error| error.to_string())?;
        let overrides = self.options.forks.overrides();
        overrides.apply(&mut fresh).map_err(|error| error.to_string())?;
        Ok(fresh)
    }
}

/// `old` with that of `fresh` which can be changed.
fn merged(old: &Config, fresh: &Config) -> Config {
    let mut merged = old.clone();
    merged.engine.log = fresh.engine.log;
    for chain in &mut merged.chains {
        if let Some(fresh) = fresh.chains.iter().find(|it| it.chain == chain.chain) {
            chain.peers = changed_peers(&chain.peers, &fresh.peers);
        }
    }
    merged
}

fn changed_peers(old: &Peers, fresh: &Peers) -> Peers {
    let Peers { max, min, refresh, .. } = *fresh;
    Peers { max, min, refresh, fixed: fresh.fixed.clone(), ..old.clone() }
}

/// One line on each thing that changes from `old` to `next`.
fn changes(old: &Config, next: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |key: String, old: String, next: String| {
        if old != next {
            lines.push(format!("{key} is {next} now, it was {old}"));
        }
    };
    let (was, is) = (old.engine.log.word(), next.engine.log.word());
    say("engine.log".to_owned(), was.to_owned(), is.to_owned());
    for (old, next) in old.chains.iter().zip(&next.chains) {
        let key = |key| format!("{}: chain.peers.{key}", old.chain.name);
        let (was, is) = (&old.peers, &next.peers);
        say(key("max"), was.max.to_string(), is.max.to_string());
        say(key("min"), was.min.to_string(), is.min.to_string());
        say(key("refresh_s"), was.refresh.as_secs().to_string(), is.refresh.as_secs().to_string());
        say(key("fixed"), format!("{:?}", was.fixed), format!("{:?}", is.fixed));
    }
    lines
}

/// The sections and keys in which `fresh` differs from `old` and that only a start reads.
fn restarts(old: &Config, fresh: &Config) -> Vec<String> {
    let mut names = Vec::new();
    let mut compare = |name: &str, same: bool| {
        if !same {
            names.push(name.to_owned());
        }
    };
    let next = merged(old, fresh);
    compare("[engine]", next.engine == fresh.engine);
    compare("[intake]", next.intake == fresh.intake);
    compare("[alerts]", next.alerts == fresh.alerts);
    compare("[history]", next.history == fresh.history);
    compare("[trace]", next.trace == fresh.trace);
    let http = next.http == fresh.http && next.http_login == fresh.http_login;
    compare("[http]", http);
    let of = |config: &Config| config.chains.iter().map(|it| it.chain).collect::<Vec<_>>();
    compare("which [[chain]] there are", of(&next) == of(fresh));
    for chain in &next.chains {
        let Some(fresh) = fresh.chains.iter().find(|it| it.chain == chain.chain) else {
            continue;
        };
        let name = chain.chain.name;
        let node = chain.node == fresh.node && chain.node_p2p == fresh.node_p2p;
        compare(&format!("{name}: [chain.node]"), node);
        compare(&format!("{name}: [[chain.submit]]"), chain.submit == fresh.submit);
        compare(&format!("{name}: other keys of [chain.peers]"), chain.peers == fresh.peers);
    }
    names
}
