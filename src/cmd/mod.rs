//! Runs on: the main thread.
//! May import: everything.
//! Must never: hold logic that a test can't reach without a process.
//!
//! One file per command.

pub mod bench;
pub mod blocks;
pub mod client;
pub mod config;
pub mod demo;
pub mod jitter;
mod legs;
pub mod peers;
pub mod run;
pub mod status;
pub mod submit;
mod text;
pub mod tune;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError, locate};

/// Puts a mining pool's block on every connected node of a coin's network at once
///
/// Runs between a pool and its node: the pool changes one port number, broadside hands every block
/// to the node as before and sends it to many peers at the same time, before the node has finished
/// checking it.
///
/// Exit codes: 0 done, 1 the answer is no, 2 it could not be done (the reason is on standard error).
#[derive(Parser, Debug)]
#[command(name = "broadside", version, max_term_width = 100, after_help = START)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

const START: &str = "\
To see it work, with nothing to set up:   broadside demo
To put it between a pool and its node:    broadside config example > broadside.toml
                                          broadside config check --config broadside.toml
                                          broadside run --config broadside.toml";

#[derive(Subcommand, Debug)]
enum Command {
    /// Shows the engine at work: simulated peers in this process, real TCP, latency table
    Demo(demo::Options),
    /// Runs the broadcaster until SIGTERM
    Run(run::Options),
    /// Hands one block to a running broadcaster; prints the node's verdict and a row per peer
    Submit(submit::Options),
    /// Shows a running broadcaster at a glance
    Status(status::Options),
    /// Shows what became of the blocks: list, show
    Blocks(blocks::Options),
    /// Shows and changes the peer database: list, import, export, ban, unban
    Peers(peers::Options),
    /// Makes this host ready, and puts it back: check, apply, undo
    Tune(tune::Options),
    /// Measures latency against named baselines in the same run
    Bench(Box<bench::Options>),
    /// Watches the cores of the shards: who else ran there, how often, for how long
    ///
    /// Asks the kernel by BPF (root, or CAP_BPF and CAP_PERFMON, and a program built with --features
    /// bpf). Without it a probe spins there, or, where an engine runs, /proc's counts are told.
    Jitter(jitter::Options),
    /// One program under test, started by `bench`
    #[command(hide = true)]
    BenchChild,
    /// Checks a configuration file, or prints an example
    Config(config::Options),
}

/// Which configuration file.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    /// Configuration file [default: the first of ./broadside.toml,
    /// $XDG_CONFIG_HOME/broadside/config.toml, /etc/broadside/config.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    /// The file that is meant.
    ///
    /// # Errors
    /// None was named and none is in the usual places.
    pub fn locate(&self) -> Result<PathBuf, ConfigError> {
        locate(self.config.as_deref(), |name| std::env::var_os(name))
    }

    /// The configuration that is meant, read and checked.
    ///
    /// # Errors
    /// There is none, or it is wrong.
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.locate()?)
    }
}

/// How a command that could be carried out has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Done,
    /// Exit code 1: carried out, and the answer is no.
    No,
}

/// A command that could not be carried out: exit code 2, the message on standard error.
#[derive(Debug)]
pub struct Failure(pub String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Parses the command line and runs the command that it names.
#[must_use]
pub fn main() -> ExitCode {
    crate::sys::process::share_one_heap();
    let command = CommandLine::parse().command;
    let mut out = io::stdout().lock();
    let result = match &command {
        Command::Demo(options) => demo::run(options, &mut out),
        Command::Run(options) => run::run(options),
        Command::Submit(options) => submit::run(options, &mut out),
        Command::Status(options) => status::run(options, &mut out),
        Command::Blocks(options) => blocks::run(options, &mut out),
        Command::Peers(options) => peers::run(options, &mut out),
        Command::Jitter(options) => jitter::run(options, &mut out),
        Command::Tune(options) => tune::run(options, &mut out),
        Command::Bench(options) => bench::run(options, &mut out),
        Command::BenchChild => bench::run_child(&mut out),
        Command::Config(options) => config::run(options, &mut out),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(Failure(message)) => {
            eprintln!("broadside: {message}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::CommandLine;

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }

    /// Every option of every command says what it does.
    #[test]
    fn nothing_is_without_help() {
        for command in CommandLine::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {argument}", command.get_name());
            }
        }
    }
}
