//! The units of `tuning/`: one file for each setting, part of the program.

use serde::{Deserialize, Serialize};

use super::how::{How, knob_of};
use super::knob::Knob;

/// The groups: folders of `tuning/`.
pub const GROUPS: [&str; 6] = ["cpu", "queues", "irq", "memory", "tcp", "limits"];

macro_rules! texts {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../tuning/", $name, ".toml")))),*]
    };
}

/// Name and text of every unit, in the order in which they are shown and set.
const TEXTS: &[(&str, &str)] = texts![
    "cpu/pinning",
    "cpu/isolcpus",
    "cpu/nohz_full",
    "cpu/rcu_nocbs",
    "cpu/smt",
    "cpu/numa",
    "cpu/governor",
    "cpu/idle_states",
    "cpu/clock_source",
    "cpu/clock_synchronised",
    // Before the interrupts: new queues bring new ones.
    "queues/channels",
    "queues/rings",
    "queues/coalescing",
    "queues/offloads",
    "queues/rps",
    "queues/rfs",
    "queues/xps",
    // Before the default kind, and so put back after it: the kernel then chooses as it did before.
    "queues/qdisc",
    "queues/default_qdisc",
    "irq/to_come",
    "irq/device",
    "irq/others",
    "irq/balanced",
    "memory/huge_pages",
    "memory/shared_huge_pages",
    "memory/transparent_huge_pages",
    "memory/swappiness",
    "memory/numa_balancing",
    "memory/compaction",
    "memory/stat_interval",
    "tcp/slow_start_after_idle",
    "tcp/initcwnd",
    "tcp/initrwnd",
    "tcp/window_scaling",
    "tcp/sack",
    "tcp/send_buffer_max",
    "tcp/no_metrics_save",
    "tcp/congestion_control",
    "tcp/send_memory",
    "tcp/receive_memory",
    "tcp/notsent_lowat",
    "tcp/mtu_probing",
    "limits/nofile",
    "limits/memlock",
    "limits/io_uring",
];

/// One setting: what `tuning/GROUP/NAME.toml` says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// `group/name`, as its file is called.
    pub name: &'static str,
    /// What stands in the file.
    pub text: Text,
}

/// What a file in `tuning/` holds. A key that is not here is refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The setting in a few words.
    pub what: String,
    /// Why it is to be as it is wanted, in a sentence or two.
    pub why: String,
    /// Where that is documented or was measured.
    pub source: String,
    /// What it is worth, with the figures of `bench`.
    pub worth: String,
    /// The command that shows it. Without it: nothing here can measure it.
    pub bench: Option<String>,
    /// What it takes in exchange: power, memory, processor time.
    pub costs: Option<String>,
    /// Whether a host without it is not ready: `check` then says no.
    pub matters: bool,
    /// Whether `apply` sets it without being told to by name.
    #[serde(default = "yes")]
    pub by_default: bool,
    /// Of what there is one value.
    pub scope: Scope,
    /// How it is read and set.
    pub how: How,
}

fn yes() -> bool {
    true
}

/// Of what a setting has one value (or one for each core, device, route).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The whole host, whatever is isolated.
    Host,
    /// Each network namespace.
    Network,
}

/// A unit that can't be read: a fault of this program, which its tests find.
#[derive(Debug, thiserror::Error)]
#[error("tuning/{name}.toml: {why}")]
pub struct UnitError {
    name: String,
    why: String,
}

/// A word that names no unit.
#[derive(Debug, thiserror::Error)]
#[error("there is no setting and no group \"{word}\"; `broadside tune check` shows them all")]
pub struct NoSuchUnit {
    word: String,
}

impl Unit {
    /// Reads the text of the unit `name`.
    ///
    /// # Errors
    /// A key is missing, unknown or wrong.
    pub fn parse(name: &'static str, text: &str) -> Result<Self, UnitError> {
        let text = toml::from_str(text)
            .map_err(|error| UnitError { name: name.to_owned(), why: error.to_string() })?;
        Ok(Self { name, text })
    }

    /// The part of its name before the slash.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.name.split('/').next().unwrap_or(self.name)
    }

    /// What reads and sets it.
    #[must_use]
    pub fn knob(&self) -> Box<dyn Knob> {
        knob_of(&self.text.how)
    }

    /// Whether `word` means this unit: its name, with or without the group, or the group.
    #[must_use]
    pub fn is_meant(&self, word: &str) -> bool {
        let word = word.strip_suffix(".toml").unwrap_or(word);
        word == self.name || self.name.split('/').any(|part| part == word)
    }
}

/// All units, in the order in which they are shown and set.
///
/// # Errors
/// One of them is faulty: so is this program.
pub fn units() -> Result<Vec<Unit>, UnitError> {
    TEXTS.iter().map(|(name, text)| Unit::parse(name, text)).collect()
}

/// Those of `units` that `words` mean; all of them where there are no words.
///
/// # Errors
/// A word means none.
pub fn chosen(units: Vec<Unit>, words: &[String]) -> Result<Vec<Unit>, NoSuchUnit> {
    if let Some(word) = words.iter().find(|word| !units.iter().any(|unit| unit.is_meant(word))) {
        return Err(NoSuchUnit { word: word.clone() });
    }
    let is_meant = |unit: &Unit| words.is_empty() || words.iter().any(|word| unit.is_meant(word));
    Ok(units.into_iter().filter(is_meant).collect())
}

/// Those of `units` that are to be set: by default, or because a word names them and not just their group.
///
/// # Errors
/// A word means none.
pub fn to_set(units: Vec<Unit>, words: &[String]) -> Result<Vec<Unit>, NoSuchUnit> {
    let mut units = chosen(units, words)?;
    let is_named = |unit: &Unit, word: &String| unit.is_meant(word) && word != unit.group();
    units.retain(|unit| unit.text.by_default || words.iter().any(|word| is_named(unit, word)));
    Ok(units)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::edge::tune::how::{File, Want};
    use crate::limits::{ARENA_BYTES, BLOCK_BYTES_MAX, SEND_BUFFER_BYTES};

    /// Every file is in the list and can be read, and says what a unit has to say.
    #[test]
    fn the_list_is_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tuning");
        let mut files = Vec::new();
        for group in GROUPS {
            let Ok(entries) = std::fs::read_dir(folder.join(group)) else { continue };
            for path in entries.map(|entry| entry.unwrap().path()) {
                assert_eq!(path.extension().unwrap(), "toml", "{}", path.display());
                files.push(format!("{group}/{}", path.file_stem().unwrap().to_str().unwrap()));
            }
        }
        files.sort();
        let units = units().unwrap();
        let mut names: Vec<_> = units.iter().map(|unit| unit.name).collect();
        names.sort_unstable();
        assert_eq!(names, files);
        let groups = units.iter().map(|unit| GROUPS.iter().position(|it| *it == unit.group()));
        assert!(groups.is_sorted_by_key(|at| at.unwrap()), "in the order of the groups");
        for unit in &units {
            let Text { what, why, source, worth, .. } = &unit.text;
            for text in [what, why, source, worth] {
                assert!(!text.trim().is_empty() && text.trim() == text, "{}: {text}", unit.name);
            }
            assert!(what.len() <= 60, "{}: {what} is too long for a list", unit.name);
        }
    }

    /// What is wanted of the host is what the engine uses.
    #[test]
    fn figures_are_those_of_the_limits() {
        let units = units().unwrap();
        let wanted = |name: &str| {
            let unit = units.iter().find(|unit| unit.name == name).unwrap();
            let How::File(File { want: Want::AtLeast(least), .. }) = &unit.text.how else {
                panic!("a file with numbers")
            };
            least.clone()
        };
        assert_eq!(wanted("tcp/send_buffer_max"), [u64::from(SEND_BUFFER_BYTES)]);
        assert_eq!(wanted("memory/huge_pages"), [u64::from(ARENA_BYTES) / (2 << 20)]);
        for window in ["tcp/send_memory", "tcp/receive_memory"] {
            assert!(wanted(window)[2] >= 2 * u64::from(BLOCK_BYTES_MAX));
        }
    }

    #[test]
    fn unknown_keys_and_knobs_are_refused() {
        let right = "what = 'a'\nwhy = 'b'\nsource = 'c'\nworth = 'd'\nmatters = true\n\
                     scope = 'host'\n[how.file]\npath = '/proc/sys/x'\nwant.exactly = '0'\n";
        let unit = Unit::parse("tcp/x", right).unwrap();
        assert!(unit.text.by_default && unit.is_meant("tcp") && unit.is_meant("x"));
        assert!(unit.is_meant("tcp/x") && unit.is_meant("tcp/x.toml") && !unit.is_meant("c"));
        for (from, to) in [
            ("worth", "wroth"),
            ("[how.file]", "[how.fiel]"),
            ("want.exactly", "want.exact"),
            ("'host'", "'hots'"),
            ("path =", "parth = 1\npath ="),
        ] {
            let error = Unit::parse("tcp/x", &right.replace(from, to)).unwrap_err().to_string();
            assert!(error.starts_with("tuning/tcp/x.toml: "), "{error}");
        }
    }

    #[test]
    fn words_choose_units() {
        let of = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            chosen(units().unwrap(), &words).map(|units| units.len())
        };
        assert_eq!(of(&[]).unwrap(), TEXTS.len());
        assert_eq!(of(&["tcp/slow_start_after_idle"]).unwrap(), 1);
        assert_eq!(of(&["slow_start_after_idle"]).unwrap(), 1);
        assert!(of(&["tcp"]).unwrap() >= 10);
        let set = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            to_set(units().unwrap(), &words).unwrap().len()
        };
        assert!(set(&[]) < of(&[]).unwrap(), "some only where they are named");
        assert_eq!((set(&["io_uring"]), set(&["limits/io_uring"])), (1, 1));
        assert!(set(&["limits"]) < of(&["limits"]).unwrap());
        assert!(of(&["tcp", "none"]).unwrap_err().to_string().contains("\"none\""));
    }
}
