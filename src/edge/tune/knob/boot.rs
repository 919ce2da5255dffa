//! Words of the kernel's command line. They take a new start of the host, so they are for a person to set:
//! `tuning/boot.conf` has them all.

use super::access::read;
use super::cores::{list, of_list, without};
use super::{Cannot, Finding, Host, Knob};
use crate::edge::tune::how::Boot;

const COMMAND_LINE: &str = "/proc/cmdline";
const SHARD_CORES: &str = "{shard_cores}";
const ABSENT: &str = "not given";
/// Below so many cores for everything else, a shard's core is not worth taking away from it.
const REST_CORES_MIN: usize = 2;

/// What the kernel made of the words that name cores, whoever said so.
fn shown_by(parameter: &str) -> Option<&'static str> {
    match parameter {
        "isolcpus" => Some("/sys/devices/system/cpu/isolated"),
        "nohz_full" => Some("/sys/devices/system/cpu/nohz_full"),
        _ => None,
    }
}

/// What `parameter` is given as on the command line; the last one counts. What stands behind `--` is for
/// the first process.
fn given<'a>(line: &'a str, parameter: &str) -> Option<&'a str> {
    let words = line.split_whitespace().take_while(|word| *word != "--");
    let found = words.filter_map(|word| {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        (name == parameter).then_some(value)
    });
    found.last()
}

impl Boot {
    fn of_cores(&self) -> bool {
        self.want.as_deref().is_some_and(|want| want.contains(SHARD_CORES))
    }

    /// The word to add to the command line.
    fn word(&self, host: &Host) -> String {
        let cores = list(&host.shard_cores);
        let value = self.want.as_deref().map(|want| want.replace(SHARD_CORES, &cores));
        value.map_or(self.parameter.clone(), |value| format!("{}={value}", self.parameter))
    }

    fn value(&self, host: &Host) -> Result<String, Cannot> {
        let line = read(host, COMMAND_LINE)?;
        Ok(given(&line, &self.parameter).unwrap_or(ABSENT).to_owned())
    }

    /// Whether the shards' cores are covered, by this word or in effect.
    fn covers(&self, host: &Host, now: &str) -> Result<bool, Cannot> {
        let mut lists = vec![now.to_owned()];
        if let Some(path) = shown_by(&self.parameter) {
            // What the kernel did counts, not what it was asked for.
            lists = vec![read(host, path).map_err(|error| match error {
                Cannot::Missing(_) => Cannot::Missing(format!("{} in this kernel", self.parameter)),
                other => other,
            })?];
        } else if self.parameter == "rcu_nocbs" {
            // A core without ticks has no callbacks either.
            lists.extend(shown_by("nohz_full").and_then(|path| read(host, path).ok()));
        }
        let covered = |text: &String| {
            text == "all"
                || of_list(text).is_some_and(|cores| without(&host.shard_cores, &cores).is_empty())
        };
        Ok(lists.iter().any(covered))
    }

    fn finding(&self, host: &Host) -> Result<Finding, Cannot> {
        let now = self.value(host)?;
        let place = self.parameter.clone();
        let right = |note: &str| {
            let (now, note) = (Ok(now.clone()), note.to_owned());
            Ok(Finding { place: place.clone(), now, wanted: None, note })
        };
        let wanted = self.word(host);
        if !self.of_cores() {
            let is_right = now == self.want.as_deref().unwrap_or_default();
            let wanted = (!is_right).then_some(wanted);
            return Ok(Finding { place, now: Ok(now), wanted, note: String::new() });
        }
        if host.shard_cores.is_empty() || self.covers(host, &now)? {
            return right("");
        }
        if without(&host.cores, &host.shard_cores).len() < REST_CORES_MIN {
            return right("too few cores to keep one for the shards alone");
        }
        Ok(Finding { place, now: Ok(now), wanted: Some(wanted), note: String::new() })
    }
}

impl Knob for Boot {
    fn look(&self, host: &Host) -> Vec<Finding> {
        let failed = |error| {
            let (place, note) = (self.parameter.clone(), String::new());
            Finding { place, now: Err(error), wanted: None, note }
        };
        vec![self.finding(host).unwrap_or_else(failed)]
    }

    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot> {
        if place != self.parameter {
            return Err(Cannot::Missing(place.to_owned()));
        }
        self.value(host)
    }

    fn write(&self, host: &Host, place: &str, _value: &str) -> Result<(), Cannot> {
        self.settable(host, place)
    }

    fn settable(&self, host: &Host, _place: &str) -> Result<(), Cannot> {
        let word = self.word(host);
        Err(Cannot::ByHand(format!(
            "add {word} to the kernel's command line and start the host anew (tuning/boot.conf)"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_before_the_dashes_counts() {
        let line = "quiet isolcpus=1 nohz isolcpus=managed_irq,2-3 -- isolcpus=9 idle=poll";
        assert_eq!(given(line, "isolcpus"), Some("managed_irq,2-3"));
        assert_eq!(given(line, "nohz"), Some(""));
        assert_eq!((given(line, "idle"), given("", "idle")), (None, None));
    }
}
