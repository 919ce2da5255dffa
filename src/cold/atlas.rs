//! Who runs the network an address is in, and where: read from a MaxMind or IPinfo file (`.mmdb`).
//!
//! Addresses of one AS are likely in one hand, or lost together. The file is the operator's; where
//! it can't be used everything goes on without it, and the health says so.

#[cfg(test)]
pub(crate) mod made;

use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use maxminddb::Reader;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::limits::ATLAS_FILE_BYTES_MAX;

/// A country (ISO 3166-1, two letters) or a continent (AF, AN, AS, EU, NA, OC, SA).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region([u8; 2]);

impl Region {
    /// Reads two letters, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters: [u8; 2] = text.as_bytes().try_into().ok()?;
        let letters = letters.map(|letter| letter.to_ascii_uppercase());
        letters.iter().all(u8::is_ascii_uppercase).then_some(Self(letters))
    }
}

impl fmt::Display for Region {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = self.0.map(char::from);
        write!(out, "{a}{b}")
    }
}

/// What is known of the network that an address is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The autonomous system that announces it.
    pub as_number: Option<u32>,
    /// The country that it is in,
    pub country: Option<Region>,
    /// and the continent.
    pub continent: Option<Region>,
}

impl Origin {
    /// The label for it among those that the operator named: the first that is its country or its
    /// continent. Where none is named, its continent, else its country.
    #[must_use]
    pub fn label(&self, named: &[Region]) -> Option<Region> {
        if named.is_empty() {
            return self.continent.or(self.country);
        }
        named.iter().copied().find(|it| Some(*it) == self.country || Some(*it) == self.continent)
    }
}

/// The file in memory, or the lack of it.
#[derive(Default)]
pub struct Atlas {
    reader: Option<Reader<Vec<u8>>>,
    doubt: Option<String>,
}

impl fmt::Debug for Atlas {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Atlas({})", if self.reader.is_some() { "read" } else { "none" })
    }
}

impl Atlas {
    /// Reads the file at `path`. Blocks. What can't be read is said in [`Atlas::doubt`].
    #[must_use]
    pub fn read(path: &Path) -> Self {
        match open(path) {
            Ok(reader) => Self { reader: Some(reader), doubt: None },
            Err(why) => {
                let path = path.display();
                let doubt = format!(
                    "can't use engine.asn_db {path}: {why}; peers are not spread over networks (AS) \
                     and regions until it is replaced and broadside restarted"
                );
                Self { reader: None, doubt: Some(doubt) }
            }
        }
    }

    /// Why there is nothing to be asked, where the operator named a file; one line.
    #[must_use]
    pub fn doubt(&self) -> Option<&str> {
        self.doubt.as_deref()
    }

    /// What the file knows of `ip`; nothing where it has no say.
    #[must_use]
    pub fn origin(&self, ip: IpAddr) -> Origin {
        let found = self.reader.as_ref().and_then(|reader| {
            // A damaged place in the file is a network that nothing is known of.
            reader.lookup(ip.to_canonical()).ok()?.decode::<Record>().ok()?
        });
        found.map_or_else(Origin::default, Record::origin)
    }
}

fn open(path: &Path) -> Result<Reader<Vec<u8>>, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = file.take(ATLAS_FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > ATLAS_FILE_BYTES_MAX {
        return Err(format!("it is over {ATLAS_FILE_BYTES_MAX} bytes"));
    }
    Reader::from_source(bytes).map_err(|error| format!("it is no mmdb file ({error})"))
}

/// What the files say of a network, as far as it is wanted. MaxMind has numbers and objects,
/// IPinfo words.
///
/// Source: <https://dev.maxmind.com/geoip/docs/databases/asn>, IPinfo's "IPinfo Lite" in mmdb.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record {
    autonomous_system_number: Option<Word>,
    asn: Option<Word>,
    country: Option<Word>,
    country_code: Option<Word>,
    continent: Option<Word>,
    continent_code: Option<Word>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Word {
    Number(u32),
    Text(String),
    Place { iso_code: Option<String>, code: Option<String> },
    Other(IgnoredAny),
}

impl Word {
    fn number(&self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim_start_matches("AS").parse().ok(),
            Self::Place { .. } | Self::Other(_) => None,
        }
    }

    fn region(&self) -> Option<Region> {
        match self {
            Self::Text(text) => Region::parse(text),
            Self::Place { iso_code, code } => {
                Region::parse(iso_code.as_deref().or(code.as_deref())?)
            }
            Self::Number(_) | Self::Other(_) => None,
        }
    }
}

impl Record {
    fn origin(self) -> Origin {
        let number = |word: &Option<Word>| word.as_ref().and_then(Word::number);
        let region = |word: &Option<Word>| word.as_ref().and_then(Word::region);
        let as_number = number(&self.autonomous_system_number).or_else(|| number(&self.asn));
        Origin {
            as_number: as_number.filter(|number| *number != 0),
            country: region(&self.country_code).or_else(|| region(&self.country)),
            continent: region(&self.continent_code).or_else(|| region(&self.continent)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::made::{Value, database};
    use super::*;

    fn region(text: &str) -> Option<Region> {
        Region::parse(text)
    }

    fn text(word: &str) -> Value {
        Value::Text(word.into())
    }

    fn atlas(bytes: &[u8]) -> Atlas {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Atlas::read(file.path())
    }

    fn sample() -> Vec<u8> {
        let place = |key: &str, code: &str| Value::Map(vec![(key.into(), text(code))]);
        database(&[
            (
                "203.0.113.0/24",
                Value::Map(vec![("autonomous_system_number".into(), Value::Number(64_500))]),
            ),
            (
                "198.51.100.0/25",
                Value::Map(vec![
                    ("asn".into(), text("AS64501")),
                    ("country".into(), text("Germany")),
                    ("country_code".into(), text("DE")),
                    ("continent_code".into(), text("EU")),
                ]),
            ),
            (
                "2001:db8::/32",
                Value::Map(vec![
                    ("continent".into(), place("code", "NA")),
                    ("country".into(), place("iso_code", "US")),
                ]),
            ),
            ("192.0.2.0/24", text("no record at all")),
        ])
    }

    #[test]
    fn both_makers_files_are_understood() {
        let atlas = atlas(&sample());
        assert_eq!(atlas.doubt(), None);
        let origin = |ip: &str| atlas.origin(ip.parse().unwrap());
        assert_eq!(origin("203.0.113.9").as_number, Some(64_500));
        assert_eq!(origin("::ffff:203.0.113.9").as_number, Some(64_500));
        let germany =
            Origin { as_number: Some(64_501), country: region("DE"), continent: region("EU") };
        assert_eq!(origin("198.51.100.3"), germany);
        assert_eq!(origin("198.51.100.200"), Origin::default(), "the other half");
        let america = Origin { as_number: None, country: region("US"), continent: region("NA") };
        assert_eq!(origin("2001:db8:7::1"), america);
        assert_eq!(origin("192.0.2.1"), Origin::default());
        assert_eq!(Atlas::default().origin("203.0.113.9".parse().unwrap()), Origin::default());
    }

    #[test]
    fn labels_are_those_that_were_named() {
        let named: Vec<_> = ["NA", "de", "EU"].iter().filter_map(|it| Region::parse(it)).collect();
        let of = |country: &str, continent: &str| Origin {
            as_number: None,
            country: region(country),
            continent: region(continent),
        };
        assert_eq!(of("DE", "EU").label(&named), region("DE"));
        assert_eq!(of("FR", "EU").label(&named), region("EU"));
        assert_eq!(of("JP", "AS").label(&named), None);
        assert_eq!(of("JP", "AS").label(&[]), region("AS"));
        assert_eq!(region("AS").unwrap().to_string(), "AS");
        assert!(region("A1").is_none() && region("EUR").is_none() && region("é").is_none());
    }

    #[test]
    fn what_is_no_such_file_is_one_line() {
        let missing = Atlas::read(Path::new("/nowhere/at-all.mmdb"));
        for atlas in
            [missing, atlas(b""), atlas(b"PK\x03\x04 something else"), atlas(&sample()[..90])]
        {
            let doubt = atlas.doubt().unwrap();
            assert!(
                doubt.starts_with("can't use engine.asn_db ") && !doubt.contains('\n'),
                "{doubt}"
            );
            assert_eq!(atlas.origin("203.0.113.9".parse().unwrap()), Origin::default());
        }
    }

    /// Goal: whatever is in the file, asking it neither panics nor ends.
    #[test]
    fn a_spoilt_file_is_survived() {
        let whole = sample();
        let mut dice = crate::sim::dice::Dice::new(7);
        for _ in 0..3_000 {
            let mut spoilt = whole.clone();
            for _ in 0..=dice.below(4) {
                let at = dice.below(whole.len() as u64) as usize;
                spoilt[at] = dice.below(256) as u8;
            }
            let Ok(reader) = Reader::from_source(spoilt) else { continue };
            let atlas = Atlas { reader: Some(reader), doubt: None };
            for ip in ["203.0.113.9", "198.51.100.3", "2001:db8::1", "192.0.2.1", "8.8.8.8", "::"] {
                let _ = atlas.origin(ip.parse().unwrap());
            }
        }
    }
}
