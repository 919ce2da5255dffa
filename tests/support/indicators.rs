//! The five indicators, wherever they are shown.

use std::collections::BTreeMap;

use serde_json::Value;

use super::daemon::Daemon;
use super::exposition::Page;

/// Indicators that are one number: key in the JSON, name in Prometheus.
const SHARES: [(&str, &str); 3] = [
    ("success_rate", "broadside_indicator_success_ratio"),
    ("peer_availability", "broadside_indicator_peer_availability_ratio"),
    ("orphan_rate", "broadside_indicator_orphan_ratio"),
];
/// Those that are several, in ms and in seconds.
const TIMES: [(&str, &str); 2] = [
    ("broadcast_ms", "broadside_indicator_broadcast_seconds"),
    ("propagation_ms", "broadside_indicator_propagation_seconds"),
];
const STATISTICS: [&str; 5] = ["mean", "p50", "p90", "p99", "max"];

/// All of them by `key` or `key.statistic`, as the JSON has them; `None`: nothing is known yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers(pub BTreeMap<String, Option<f64>>);

impl Numbers {
    /// Of one chain's statistics.
    pub fn of(stats: &Value) -> Self {
        let told = &stats["indicators"];
        assert!(told.is_object(), "{stats}");
        let shares = SHARES.map(|(key, _)| (key.to_owned(), told[key].as_f64()));
        let times = TIMES.iter().flat_map(|(key, _)| {
            STATISTICS.iter().map(move |of| (format!("{key}.{of}"), told[*key][*of].as_f64()))
        });
        Self(shares.into_iter().chain(times).collect())
    }

    /// Holds them against what `look` finds for a name and labels (`{statistic="p50"}`, or none).
    pub fn assert_same(&self, who: &str, look: impl Fn(&str, &str) -> Option<f64>) {
        for (key, name) in SHARES {
            same(who, key, self.0[key], look(name, ""));
        }
        for (key, name) in TIMES {
            for of in STATISTICS {
                let key = format!("{key}.{of}");
                let found_s = look(name, &format!("{{statistic=\"{of}\"}}"));
                same(who, &key, self.0[&key], found_s.map(|seconds| seconds * 1e3));
            }
        }
    }
}

fn same(who: &str, key: &str, wanted: Option<f64>, found: Option<f64>) {
    let is_same = match (wanted, found) {
        // A division by a thousand and back may cost the last bit.
        (Some(wanted), Some(found)) => (wanted - found).abs() <= wanted.abs() * 1e-14,
        (None, None) => true,
        _ => false,
    };
    assert!(is_same, "{key}: {wanted:?} in the JSON, {found:?} in {who}");
}

/// Holds the JSON, `status --json`, `status`, `/metrics` and the dashboard's page against each other,
/// while nothing happens. Returns how many numbers the page showed; `None`: there is no page.
pub fn assert_same_everywhere(daemon: &Daemon) -> Option<usize> {
    let numbers = Numbers::of(&daemon.stats());
    let (code, json, errors) = daemon.ask(&["status", "--json"]);
    assert_eq!(code, 0, "{errors}");
    let told: Value = serde_json::from_str(&json).expect("JSON");
    let chains: Vec<_> = told.as_object().expect("chains").values().collect();
    assert_eq!(Numbers::of(chains[0]), numbers, "status --json");

    let (code, text, errors) = daemon.ask(&["status"]);
    assert_eq!(code, 0, "{errors}");
    let percent = |key: &str| numbers.0[key].map(|share| share * 100.0);
    let time = |key: &str| numbers.0[key];
    for value in [percent("success_rate"), time("broadcast_ms.p50"), time("broadcast_ms.p99")] {
        assert!(value.is_none_or(|value| shows(&text, value)), "{value:?} is not in:\n{text}");
    }

    let page = Page::read(&daemon.page("/metrics").1);
    numbers.assert_same("/metrics", |name, labels| {
        let statistic = labels.split('"').nth(1);
        page.value(name, &statistic.map(|of| ("statistic", of)).into_iter().collect::<Vec<_>>())
    });

    let (status, html) = daemon.page("/");
    if status != 200 {
        println!("the dashboard answers {status}: its numbers are not compared");
        return None;
    }
    let mut seen = 0;
    for (key, value) in &numbers.0 {
        let found = attribute(&html, key).unwrap_or_else(|| panic!("no {key} in:\n{html}"));
        same("the dashboard", key, *value, found.parse().ok());
        seen += 1;
    }
    Some(seen)
}

/// `data-value` of the element whose `data-indicator` is `key`.
fn attribute<'a>(html: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = html.split_once(&format!("data-indicator=\"{key}\""))?;
    let (element, _) = rest.split_once('>')?;
    element.split_once("data-value=\"")?.1.split('"').next()
}

/// Whether a word of the text is this number, as far as it has decimals.
fn shows(text: &str, value: f64) -> bool {
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    let shown = words.map(|word| word.trim_end_matches('.')).filter(|word| word.contains('.'));
    let mut shown = shown.filter_map(|word| {
        let decimals = word.len() - word.find('.')? - 1;
        (format!("{value:.decimals$}") == word).then_some(())
    });
    shown.next().is_some()
}
