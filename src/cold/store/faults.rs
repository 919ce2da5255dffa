//! What of a file could not be used: named, as far as it leads anywhere, and counted.

use std::fmt;

use crate::limits::{PEER_FAULTS_NAMED_MAX, PEER_QUOTED_CHARS_MAX};

/// One entry or line that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which one: its address, or its line. Printable, cut.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.what, self.why)
    }
}

/// All of them; the first [`PEER_FAULTS_NAMED_MAX`] by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The first ones, in the order of the file.
    pub named: Vec<Fault>,
    /// How many there are in all.
    pub count: usize,
}

impl Faults {
    pub(super) fn add(&mut self, what: &str, why: &str) {
        self.count += 1;
        if self.named.len() < PEER_FAULTS_NAMED_MAX {
            self.named.push(Fault { what: quoted(what), why: quoted(why) });
        }
    }
}

/// `text` as a message may repeat it: nothing that moves a terminal's cursor, no line without end.
pub(super) fn quoted(text: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let mut out: String = text.chars().take(PEER_QUOTED_CHARS_MAX).map(printable).collect();
    if text.chars().nth(PEER_QUOTED_CHARS_MAX).is_some() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_counted_named_and_harmless() {
        let mut faults = Faults::default();
        faults.add(&"\u{1b}[2J".repeat(40), "is\nno address");
        for _ in 0..2 * PEER_FAULTS_NAMED_MAX {
            faults.add("x", "y");
        }
        assert_eq!(faults.count, 2 * PEER_FAULTS_NAMED_MAX + 1);
        assert_eq!(faults.named.len(), PEER_FAULTS_NAMED_MAX);
        let line = faults.named[0].to_string();
        assert!(line.starts_with("?[2J?[2J") && line.ends_with("...: is?no address"), "{line}");
    }
}
