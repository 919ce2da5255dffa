//! `broadside config`: checks a file, prints the example.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ConfigArgs, Failure, Outcome};
use crate::config::{Config, ConfigError, EXAMPLE};

/// Options of `config`.
#[derive(Args, Debug)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Checks a configuration file: names file, line, key and what is allowed
    ///
    /// Warnings (what is lost by what was left out, what this version does not do yet) go to
    /// standard error and do not change the exit code: 0 the file is right, 1 it is wrong, 2 it
    /// can't be read.
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        /// The file to check; the same as --config
        #[arg(value_name = "FILE", conflicts_with = "config")]
        file: Option<PathBuf>,
    },
    /// Prints a commented example to start from
    Example,
}

/// Runs the command; `out` is standard output.
///
/// # Errors
/// The file can't be found or read.
pub fn run(options: &Options, out: &mut impl std::io::Write) -> Result<Outcome, Failure> {
    let (config, file) = match &options.what {
        What::Example => {
            out.write_all(EXAMPLE.as_bytes())?;
            return Ok(Outcome::Done);
        }
        What::Check { config, file } => (config, file),
    };
    let file = match file {
        Some(file) => file.clone(),
        None => config.locate()?,
    };
    match Config::load(&file) {
        Ok(config) => {
            for warning in config.warnings() {
                eprintln!("warning: {warning}");
            }
            let chains: Vec<_> = config
                .chains
                .iter()
                .map(|section| format!("{} {}", section.chain.name, section.chain.network.name()))
                .collect();
            writeln!(out, "{}: right ({})", file.display(), chains.join(", "))?;
            Ok(Outcome::Done)
        }
        Err(wrong @ ConfigError::Wrong { .. }) => {
            eprintln!("{wrong}");
            Ok(Outcome::No)
        }
        Err(error) => Err(error.into()),
    }
}
