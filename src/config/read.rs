//! Reading one section of the file: every value with its line, every fault collected.
//!
//! A faulty value is reported and then treated as absent, so that one look shows all faults.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{known_keys, owner_of};
use super::problem::{Problem, nearest};
use crate::limits::{CONFIG_FAULTS_MAX, CONFIG_QUOTED_CHARS_MAX};

/// What reading one file brings to light.
pub(super) struct Report<'t> {
    text: &'t str,
    problems: RefCell<Vec<Problem>>,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, problems: RefCell::default() }
    }

    /// Line of the byte at `offset`, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    pub(super) fn fault(&self, line: Option<usize>, key: impl Into<String>, message: String) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < CONFIG_FAULTS_MAX {
            problems.push(Problem { line, key: key.into(), message });
        }
    }

    /// All faults in the order of the file.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        problems
    }
}

/// One value and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Found<'r, 't> {
    pub(super) value: &'r DeValue<'t>,
    pub(super) line: usize,
}

/// One table of the file, or the lack of it: then every key is absent.
pub(super) struct Section<'r, 't> {
    report: &'r Report<'t>,
    /// Full name, for example `chain.peers`; empty for the whole file.
    name: &'static str,
    table: Option<&'r DeTable<'t>>,
    /// Where the table begins.
    pub(super) line: Option<usize>,
}

impl<'r, 't> Section<'r, 't> {
    /// Takes up a table and reports the keys that nothing reads.
    pub(super) fn new(
        report: &'r Report<'t>,
        name: &'static str,
        table: Option<&'r DeTable<'t>>,
        line: Option<usize>,
    ) -> Self {
        let section = Self { report, name, table, line };
        section.report_unknown();
        section
    }

    /// The section `key` below this one. Absent where the file has none.
    pub(super) fn below(&self, key: &'static str, name: &'static str) -> Section<'r, 't> {
        let found = self.find(key);
        let table = found.and_then(|found| match found.value {
            DeValue::Table(table) => Some(table),
            other => {
                let message = format!("{} is not a section; write [{name}]", kind(other));
                self.fault(found.line, key, message);
                None
            }
        });
        Section::new(self.report, name, table, found.map(|found| found.line))
    }

    /// The sections `[[key]]` below this one.
    pub(super) fn each(&self, key: &'static str, name: &'static str) -> Vec<Section<'r, 't>> {
        let Some(found) = self.find(key) else {
            return Vec::new();
        };
        let entries: Option<Vec<_>> = found.value.as_array().and_then(|array| {
            array.iter().map(|entry| Some((entry.get_ref().as_table()?, entry.span()))).collect()
        });
        let Some(entries) = entries else {
            let message = format!("needs two pairs of brackets: [[{name}]], one for each entry");
            self.fault(found.line, key, message);
            return Vec::new();
        };
        let section = |(table, span): (_, std::ops::Range<usize>)| {
            let line = Some(self.report.line(span.start));
            Section::new(self.report, name, Some(table), line)
        };
        entries.into_iter().map(section).collect()
    }

    /// The value of `key` with its line.
    pub(super) fn find(&self, key: &'static str) -> Option<Found<'r, 't>> {
        debug_assert!(known_keys(self.name).contains(&key), "{} lacks {key}", self.name);
        let (_, value) = self.table?.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(Found { value: value.get_ref(), line: self.report.line(value.span().start) })
    }

    /// Reports a fault of `key`.
    pub(super) fn fault(&self, line: usize, key: &str, message: String) {
        self.report.fault(Some(line), self.full(key), message);
    }

    /// Reports that `key` is missing.
    pub(super) fn missing(&self, key: &str, message: &str) {
        self.report.fault(self.line, self.full(key), format!("is missing; {message}"));
    }

    /// Text of any content.
    pub(super) fn text(&self, key: &'static str) -> Option<(&'r str, usize)> {
        let found = self.find(key)?;
        let Some(text) = found.value.as_str() else {
            let message = format!("{} is not allowed; give text in quotes", kind(found.value));
            self.fault(found.line, key, message);
            return None;
        };
        Some((text, found.line))
    }

    /// Text that `parse` understands; `allowed` says what that is.
    pub(super) fn parsed<T>(
        &self,
        key: &'static str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let found = self.find(key)?;
        let value = found.value.as_str().and_then(parse);
        if value.is_none() {
            self.refuse(key, found, allowed);
        }
        value
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let allowed = format!("one of {}", names.join(", "));
        let find =
            |text: &str| words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        self.parsed(key, &allowed, find)
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let found = self.find(key)?;
        let value = found.value.as_bool();
        if value.is_none() {
            self.refuse(key, found, "true or false");
        }
        value
    }

    /// A whole number within `range`.
    pub(super) fn whole(&self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let found = self.find(key)?;
        let value = whole(found.value).filter(|value| range.contains(value));
        if value.is_none() {
            let allowed = format!("a whole number from {} to {}", range.start(), range.end());
            self.refuse(key, found, &allowed);
        }
        value
    }

    /// An address to listen on: `Some(None)` where it is "off".
    pub(super) fn listen(&self, key: &'static str) -> Option<Option<SocketAddr>> {
        const ALLOWED: &str =
            "IP:PORT, for example \"127.0.0.1:9331\" or \"[::1]:9331\", or \"off\"";
        self.parsed(key, ALLOWED, |text| match text {
            "off" => Some(None),
            address => address.parse().ok().map(Some),
        })
    }

    /// A list, each entry read by `parse`; `allowed` says what one entry may be.
    pub(super) fn list<T>(
        &self,
        key: &'static str,
        allowed: &str,
        parse: impl Fn(&DeValue<'t>) -> Option<T>,
    ) -> Option<Vec<(T, usize)>> {
        let found = self.find(key)?;
        let Some(array) = found.value.as_array() else {
            self.refuse(key, found, &format!("a list in brackets, of {allowed}"));
            return None;
        };
        let read = |entry: &'r Spanned<DeValue<'t>>| {
            let line = self.report.line(entry.span().start);
            let value = parse(entry.get_ref());
            if value.is_none() {
                self.refuse(key, Found { value: entry.get_ref(), line }, allowed);
            }
            Some((value?, line))
        };
        Some(array.iter().filter_map(read).collect())
    }

    /// Where an entry of a list stands.
    pub(super) fn line_of(&self, entry: &Spanned<DeValue<'_>>) -> usize {
        self.report.line(entry.span().start)
    }

    /// Reports that the value of `key` is not what is allowed.
    pub(super) fn refuse(&self, key: &str, found: Found<'_, '_>, allowed: &str) {
        let message = format!("{} is not allowed; give {allowed}", shown(found.value));
        self.fault(found.line, key, message);
    }

    fn full(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn report_unknown(&self) {
        let known = known_keys(self.name);
        for (key, _) in self.table.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let advice = match owner_of(name) {
                Some(section) => format!("it belongs in [{section}]"),
                None => nearest(name, known)
                    .map_or_else(String::new, |it| format!("did you mean {it}?")),
            };
            let name: String = printable(name);
            let line = self.report.line(key.span().start);
            self.fault(line, &name, format!("there is no such key here; {advice}"));
        }
    }
}

/// The value as a whole number, where it is one that fits.
pub(super) fn whole(value: &DeValue<'_>) -> Option<u32> {
    let integer = value.as_integer()?;
    u32::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The value as it may be repeated in a message.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", printable(text)),
        DeValue::Integer(number) => printable(&number.to_string()),
        DeValue::Boolean(flag) => flag.to_string(),
        other => kind(other).to_owned(),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

fn printable(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '?' } else { c };
    let mut out: String = text.chars().take(CONFIG_QUOTED_CHARS_MAX).map(clean).collect();
    if text.chars().nth(CONFIG_QUOTED_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}
