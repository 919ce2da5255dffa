//! Files below `/proc/sys` and `/sys`: one value each, read and written as text.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::{Cannot, Finding, Host, Knob};
use crate::edge::tune::how::{File, Want};
use crate::limits::{TUNE_FILE_BYTES_MAX, TUNE_PLACES_MAX, TUNE_VALUE_BYTES_MAX};

/// Where such files are. Nothing else is ever read or written, whatever a record says.
const BELOW: [&str; 2] = ["/proc/sys/", "/sys/"];

impl Knob for File {
    fn look(&self, host: &Host) -> Vec<Finding> {
        let mut places = vec![String::new()];
        for part in self.path.split('/').skip(1) {
            places = places.iter().flat_map(|above| below(host, above, part)).collect();
            places.truncate(TUNE_PLACES_MAX);
        }
        places.retain(|place| host.path(place).exists() && self.applies(host, place));
        if places.is_empty() {
            let why = self.missing.clone().unwrap_or_else(|| self.path.clone());
            let (place, now) = (self.path.clone(), Err(Cannot::Missing(why)));
            return vec![Finding { place, now, wanted: None, note: String::new() }];
        }
        let finding = |place: String| {
            let judged = self.read(host, &place).and_then(|now| {
                // What could not be put back is not changed either.
                self.check_value(&place, &now)?;
                Ok((self.wanted(host, &place, &now)?, now))
            });
            let (wanted, now) = match judged {
                Ok((wanted, now)) => (wanted, Ok(now)),
                Err(why) => (None, Err(why)),
            };
            Finding { place, now, wanted, note: String::new() }
        };
        places.into_iter().map(finding).collect()
    }

    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot> {
        self.check_place(place)?;
        let text = contents(&host.path(place), place)?;
        let shows_all = matches!(&self.want, Want::OneOf(of) if of.offered_by.is_none());
        Ok(bracketed(&text).filter(|_| shows_all).map_or(text.clone(), str::to_owned))
    }

    fn write(&self, host: &Host, place: &str, value: &str) -> Result<(), Cannot> {
        self.check_place(place)?;
        self.check_value(place, value)?;
        let path = host.path(place);
        // Never made: what is not there is no setting of this host.
        let open = OpenOptions::new().write(true).truncate(true).open(&path);
        let mut file = open.map_err(|error| cannot_write(place, &error))?;
        // In one write: the kernel takes each for a value of its own.
        file.write_all(format!("{value}\n").as_bytes()).map_err(|error| match error.kind() {
            ErrorKind::NotFound => refused(place, value, &error),
            _ if error.raw_os_error() == Some(libc::EINVAL) => refused(place, value, &error),
            _ => cannot_write(place, &error),
        })
    }

    fn settable(&self, host: &Host, place: &str) -> Result<(), Cannot> {
        self.check_place(place)?;
        accessat(CWD, host.path(place), Access::WRITE_OK, AtFlags::EACCESS)
            .map_err(|error| cannot_write(place, &error.into()))?;
        let Want::OneOf(of) = &self.want else { return Ok(()) };
        let Some(offered) = offered(host, place, of.offered_by.as_deref())? else { return Ok(()) };
        if of.words.iter().any(|word| offered.split(' ').any(|it| it == word)) {
            return Ok(());
        }
        let (words, offered) = (of.words.join(" or "), offered.trim());
        Err(Cannot::NotFromHere(format!("{place}: {words} is not offered here, only {offered}")))
    }
}

impl File {
    /// What `place` is to hold instead of `now`; none where that is right.
    fn wanted(&self, host: &Host, place: &str, now: &str) -> Result<Option<String>, Cannot> {
        let numbers = || -> Result<Vec<u64>, Cannot> {
            let read = now.split(' ').map(str::parse).collect::<Result<_, _>>();
            read.map_err(|_| Cannot::Refused(format!("{place}: holds no numbers: {now}")))
        };
        Ok(match &self.want {
            Want::Exactly(right) => (now != right).then(|| right.clone()),
            Want::AtMost(most) => {
                numbers()?.iter().any(|number| number > most).then(|| most.to_string())
            }
            Want::AtLeast(least) => {
                let mut numbers = numbers()?;
                if numbers.len() != least.len() {
                    let count = least.len();
                    return Err(Cannot::Refused(format!("{place}: not {count} numbers: {now}")));
                }
                numbers.iter_mut().zip(least).for_each(|(now, least)| *now = (*now).max(*least));
                let raised: Vec<_> = numbers.iter().map(ToString::to_string).collect();
                Some(raised.join(" ")).filter(|raised| raised != now)
            }
            Want::OneOf(of) if of.words.iter().any(|word| word == now) => None,
            Want::OneOf(of) => {
                let offered = offered(host, place, of.offered_by.as_deref()).ok().flatten();
                let is_offered = |word: &&String| {
                    offered.as_ref().is_none_or(|all| all.split(' ').any(|it| it == *word))
                };
                of.words.iter().find(is_offered).or(of.words.first()).cloned()
            }
        })
    }

    /// Whether the setting at `place` is one that is meant.
    fn applies(&self, host: &Host, place: &str) -> bool {
        let Some(name) = &self.where_beside else { return true };
        let number = contents(&host.path(&beside(place, name)), place).ok();
        let number = number.and_then(|text| text.parse::<u64>().ok());
        number.is_some_and(|number| self.above.is_none_or(|above| number > above))
    }

    /// A record can say anything: only what the path can stand for is touched.
    fn check_place(&self, place: &str) -> Result<(), Cannot> {
        let is_below = BELOW.iter().any(|start| place.starts_with(start));
        let parts = || self.path.split('/').zip(place.split('/'));
        let same_depth = self.path.split('/').count() == place.split('/').count();
        if is_below && same_depth && parts().all(|(pattern, part)| stands_for(pattern, part)) {
            return Ok(());
        }
        Err(Cannot::Refused(format!("{place}: is not {}; nothing is done there", self.path)))
    }

    /// The same for a value: of the kind that is wanted there.
    fn check_value(&self, place: &str, value: &str) -> Result<(), Cannot> {
        let is_number = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
        let is_word = |it: &str| {
            !it.is_empty()
                && it.bytes().all(|c| c.is_ascii_alphanumeric() || b"_+-.,:".contains(&c))
        };
        let is_right = match &self.want {
            Want::AtLeast(least) => {
                value.split(' ').count() == least.len() && value.split(' ').all(is_number)
            }
            Want::AtMost(_) => is_number(value),
            Want::OneOf(_) => is_word(value),
            Want::Exactly(_) => value.split(' ').all(is_word),
        };
        if is_right && value.len() <= TUNE_VALUE_BYTES_MAX {
            return Ok(());
        }
        Err(Cannot::Refused(format!("{place}: {value:?} is not what such a file holds")))
    }
}

/// What `part` of a path can be below `above`, as names that are there, in the order of their numbers.
fn below(host: &Host, above: &str, part: &str) -> Vec<String> {
    let with = |name: &str| format!("{above}/{name}");
    let each = |mark: &str, names: Vec<String>| {
        names.iter().map(|name| with(&part.replace(mark, name))).collect::<Vec<_>>()
    };
    let numbers = |cores: &[usize]| cores.iter().map(ToString::to_string).collect::<Vec<_>>();
    if part.contains("{core}") {
        return each("{core}", numbers(&host.cores));
    } else if part.contains("{shard_core}") {
        return each("{shard_core}", numbers(&host.shard_cores));
    } else if part.contains("{device}") {
        return each("{device}", host.devices.clone());
    } else if !part.contains('*') {
        return vec![with(part)];
    }
    let Ok(entries) = fs::read_dir(host.path(above)) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| stands_for(part, name)).collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    names.iter().map(|name| with(name)).collect()
}

/// Whether `part` of a path can be what `pattern` stands for.
fn stands_for(pattern: &str, part: &str) -> bool {
    for (mark, is_number) in
        [("{core}", true), ("{shard_core}", true), ("{device}", false), ("*", false)]
    {
        let Some((front, back)) = pattern.split_once(mark) else { continue };
        let inner = part.strip_prefix(front).and_then(|rest| rest.strip_suffix(back));
        return inner.is_some_and(|inner| {
            let is_right = !is_number || inner.bytes().all(|byte| byte.is_ascii_digit());
            !inner.is_empty() && is_right && part != "." && part != ".."
        });
    }
    pattern == part
}

/// The file `name` in the folder of the file at `place`.
fn beside(place: &str, name: &str) -> String {
    place.rsplit_once('/').map_or_else(|| name.to_owned(), |(folder, _)| format!("{folder}/{name}"))
}

/// The words that can be chosen at `place`; none where the kernel tells only when one is written.
fn offered(host: &Host, place: &str, by: Option<&str>) -> Result<Option<String>, Cannot> {
    let place = by.map_or_else(|| place.to_owned(), |name| beside(place, name));
    let text = contents(&host.path(&place), &place)?;
    let is_list = by.is_some() || bracketed(&text).is_some();
    Ok(is_list.then(|| text.replace(['[', ']'], "")))
}

/// The word in brackets.
fn bracketed(text: &str) -> Option<&str> {
    text.split(' ').find_map(|word| word.strip_prefix('[')?.strip_suffix(']'))
}

/// What the file holds, its words parted by single spaces.
fn contents(path: &Path, place: &str) -> Result<String, Cannot> {
    let read = || {
        let mut text = Vec::new();
        fs::File::open(path)?.take(TUNE_FILE_BYTES_MAX).read_to_end(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Cannot::Missing(place.to_owned()),
        ErrorKind::PermissionDenied => Cannot::NotAllowed(place.to_owned()),
        _ => Cannot::Refused(format!("{place}: {error}")),
    })?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn refused(place: &str, value: &str, error: &std::io::Error) -> Cannot {
    Cannot::Refused(format!("{place}: the kernel takes no {value} there: {error}"))
}

fn cannot_write(place: &str, error: &std::io::Error) -> Cannot {
    match error.kind() {
        ErrorKind::NotFound => Cannot::Missing(place.to_owned()),
        ErrorKind::ReadOnlyFilesystem => {
            let name = place.strip_prefix("/proc/sys/net/").map(|rest| rest.replace('/', "."));
            let or = name.map_or_else(String::new, |name| {
                format!(", or start the container with it (docker run --sysctl net.{name}=...)")
            });
            Cannot::NotFromHere(format!(
                "{place}: is read-only here, as inside of a container: set it on the host itself{or}"
            ))
        }
        ErrorKind::PermissionDenied if rustix::process::geteuid().is_root() => {
            Cannot::NotFromHere(format!(
                "{place}: not allowed here, not even to root, as inside of a container or of a \
                 network namespace: set it on the host itself"
            ))
        }
        ErrorKind::PermissionDenied => Cannot::NotAllowed(place.to_owned()),
        _ => Cannot::Refused(format!("{place}: {error}")),
    }
}

#[cfg(test)]
mod tests;
