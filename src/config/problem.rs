//! What is wrong with a configuration, said so that it can be mended without a manual.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// One fault: where, which key, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1. `None` where the fault is that something is missing altogether.
    pub line: Option<usize>,
    /// Full name of the key, for example `chain.peers.max`. Empty where the text is no TOML.
    pub key: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// Why there is no configuration to work with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No file was named and none is in the places that are looked at.
    #[error(
        "no configuration found; looked for {}. Name one with --config FILE, or start from \
         `broadside config example`",
        list(.tried)
    )]
    NotFound {
        /// The places, in the order in which they were looked at.
        tried: Vec<PathBuf>,
    },
    /// The file can't be read.
    #[error("{}: can't be read: {source}", .file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is far larger than any configuration.
    #[error("{}: is over {limit} bytes; that is no configuration", .file.display())]
    TooLarge {
        /// Which file.
        file: PathBuf,
        /// Largest size that is read, in bytes.
        limit: u64,
    },
    /// The file was read and is wrong.
    #[error("{}", lines(.file, .problems))]
    Wrong {
        /// Which file.
        file: PathBuf,
        /// Every fault found, in the order of the file.
        problems: Vec<Problem>,
    },
    /// An option on the command line can't go with the file.
    #[error("{option}: {message}")]
    Option {
        /// The option as typed.
        option: &'static str,
        /// What is wrong and what is allowed.
        message: String,
    },
}

impl Problem {
    fn write(&self, file: &Path, out: &mut impl fmt::Write) -> fmt::Result {
        write!(out, "{}:", file.display())?;
        if let Some(line) = self.line {
            write!(out, "{line}:")?;
        }
        match self.key.as_str() {
            "" => write!(out, " {}", self.message),
            key => write!(out, " {key}: {}", self.message),
        }
    }
}

fn lines(file: &Path, problems: &[Problem]) -> String {
    let mut out = String::new();
    for problem in problems {
        if !out.is_empty() {
            out.push('\n');
        }
        // Writing to a String can't fail.
        let _ = problem.write(file, &mut out);
    }
    out
}

fn list(paths: &[PathBuf]) -> String {
    let shown: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    shown.join(", ")
}

/// The one of `known` that `typed` most likely meant. `None` only where `known` is empty.
#[must_use]
pub(super) fn nearest<'k>(typed: &str, known: &[&'k str]) -> Option<&'k str> {
    known.iter().copied().min_by_key(|candidate| distance(typed, candidate))
}

/// Edit distance (insert, remove, replace), on characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.chars().enumerate() {
        let mut corner = i;
        let mut before = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(&right) {
            let replaced = corner + usize::from(from != *to);
            corner = *cell;
            *cell = replaced.min(before + 1).min(corner + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_edit_distances() {
        for (left, right, expected) in [
            ("", "", 0),
            ("max", "max", 0),
            ("mx", "max", 1),
            ("kitten", "sitting", 3),
            ("", "ab", 2),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
            assert_eq!(distance(right, left), expected, "{right} {left}");
        }
        assert_eq!(nearest("boot_strap", &["discover", "bootstrap"]), Some("bootstrap"));
        assert_eq!(nearest("x", &[]), None);
    }

    #[test]
    fn a_problem_names_file_line_and_key() {
        let error = ConfigError::Wrong {
            file: "b.toml".into(),
            problems: vec![
                Problem { line: Some(12), key: "a.b".into(), message: "no".into() },
                Problem { line: None, key: "c".into(), message: "gone".into() },
            ],
        };
        assert_eq!(error.to_string(), "b.toml:12: a.b: no\nb.toml: c: gone");
    }
}
