//! A strict reader of Prometheus' text: what it takes, Prometheus takes too.

use std::collections::{BTreeMap, BTreeSet};

/// One family: what is said of it, and its samples.
#[derive(Clone, Debug, Default)]
pub struct Family {
    /// What `# HELP` says.
    pub help: String,
    /// What `# TYPE` says.
    pub kind: String,
    /// All samples: name with suffix, labels, value.
    pub samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// A whole page, by the family's name.
#[derive(Clone, Debug, Default)]
pub struct Page(pub BTreeMap<String, Family>);

impl Page {
    /// Reads a page.
    ///
    /// # Panics
    /// Anything is not as the format has it: a sample outside its family, a family without help or
    /// type or there twice, a label or a value that is none, a histogram that falls or does not add up.
    pub fn read(text: &str) -> Self {
        let (mut page, mut name) = (Self::default(), String::new());
        let mut seen = BTreeSet::new();
        assert!(text.ends_with('\n') && !text.contains("\r"), "the page's end");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (next, help) = rest.split_once(' ').expect("a help text");
                assert!(is_name(next) && help.ends_with(['.', ';']), "{line}");
                assert!(!page.0.contains_key(next), "{next} is there twice");
                name = next.to_owned();
                page.0.insert(name.clone(), Family { help: help.to_owned(), ..Family::default() });
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (of, kind) = rest.split_once(' ').expect("a type");
                assert!(of == name && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
                page.0.get_mut(of).expect("help comes first").kind = kind.to_owned();
            } else {
                assert!(!line.starts_with('#') && !line.is_empty(), "{line}");
                assert!(seen.insert(line.rsplit_once(' ').expect("a value").0), "twice: {line}");
                let sample = sample(line);
                let family = page.0.get_mut(&name).expect("a family comes first");
                assert!(!family.kind.is_empty(), "{name} has no type");
                let suffix = sample.0.strip_prefix(name.as_str());
                let fits = match family.kind.as_str() {
                    "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix.unwrap_or("?")),
                    _ => suffix == Some(""),
                };
                assert!(fits, "{line} is not of {name}");
                family.samples.push(sample);
            }
        }
        page.0.iter().for_each(|(name, family)| check(name, family));
        page
    }

    /// The value of the one sample of this name that has these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |own: &BTreeMap<String, String>| {
            labels.iter().all(|(key, value)| own.get(*key).is_some_and(|it| it == value))
        };
        let all = self.0.values().flat_map(|family| &family.samples);
        let mut fit = all.filter(|(own, labels, _)| own == name && has(labels));
        let found = fit.next().map(|(_, _, value)| *value);
        assert!(fit.next().is_none(), "{name} {labels:?} is there several times");
        found
    }

    /// All names that samples have.
    pub fn names(&self) -> BTreeSet<&str> {
        self.0.values().flat_map(|it| &it.samples).map(|(name, _, _)| name.as_str()).collect()
    }

    /// Every label value of the page.
    pub fn label_values(&self) -> BTreeSet<&str> {
        let samples = self.0.values().flat_map(|it| &it.samples);
        samples.flat_map(|(_, labels, _)| labels.values()).map(String::as_str).collect()
    }
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (front, value) = line.rsplit_once(' ').expect("a value");
    let value = match value {
        "+Inf" => f64::INFINITY,
        other => other.parse().unwrap_or_else(|_| panic!("{line}")),
    };
    assert!(value.is_finite(), "{line}");
    let Some((name, labels)) = front.split_once('{') else {
        assert!(is_name(front), "{line}");
        return (front.to_owned(), BTreeMap::new(), value);
    };
    assert!(is_name(name), "{line}");
    let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
    let mut all = BTreeMap::new();
    for label in labels.split(',') {
        let (key, quoted) = label.split_once('=').unwrap_or_else(|| panic!("{line}"));
        let value = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let value = value.unwrap_or_else(|| panic!("{line}"));
        // None of ours needs an escape, so none is read.
        let plain = |c: char| c.is_ascii_graphic() && !['"', '\\', ',', '{', '}'].contains(&c);
        assert!(is_name(key) && value.chars().all(plain), "{line}");
        assert!(all.insert(key.to_owned(), value.to_owned()).is_none(), "{line}");
    }
    (name.to_owned(), all, value)
}

/// What must hold of a whole family.
fn check(name: &str, family: &Family) {
    assert!(!family.help.is_empty() && !family.kind.is_empty(), "{name}");
    assert_eq!(name.ends_with("_total"), family.kind == "counter", "{name} is a {}", family.kind);
    let of = |suffix: &str| {
        let full = format!("{name}{suffix}");
        family.samples.iter().filter(move |(own, _, _)| *own == full)
    };
    if family.kind != "histogram" {
        return assert!(family.kind == "gauge" || family.samples.iter().all(|it| it.2 >= 0.0));
    }
    let mut series: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
    for (_, labels, count) in of("_bucket") {
        let mut labels = labels.clone();
        let bound = labels.remove("le").expect("a bucket has a bound");
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().expect("a bound") };
        series.entry(labels).or_default().push((bound, *count));
    }
    for (labels, buckets) in &series {
        let rises = buckets.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1);
        assert!(rises, "{name} {labels:?}: {buckets:?}");
        let last = buckets.last().expect("one at least");
        let one = |suffix| {
            let mut fit = of(suffix).filter(|(_, own, _)| own == labels).map(|it| it.2);
            let value = fit.next().unwrap_or_else(|| panic!("{name}{suffix} {labels:?}"));
            assert!(fit.next().is_none(), "{name}{suffix} is there twice");
            value
        };
        assert_eq!((last.0, last.1), (f64::INFINITY, one("_count")), "{name} {labels:?}");
        assert!(one("_sum") >= 0.0 && (one("_sum") > 0.0 || last.1 == 0.0), "{name} {labels:?}");
    }
    assert_eq!(series.len(), of("_count").count(), "{name}");
}
