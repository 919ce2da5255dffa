//! What a setting is worth: the differences of pairs, and whether they say anything. Pure.

use serde_json::{Value, json};

use crate::bench::figure::{Figure, Spread, Unit};
use crate::bench::host::Host;
use crate::bench::table::columns;

/// Version of the JSON's shape.
const SCHEMA: u32 = 1;
/// Fewer pairs say nothing: with six of one sign chance is 3 %.
pub const PAIRS_MIN: usize = 6;

/// One figure of both sides, pair by pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Pairs {
    /// What was measured.
    pub name: &'static str,
    /// Of what it is made. Less is better.
    pub unit: Unit,
    /// With the value as it is,
    pub as_is: Vec<i64>,
    /// with the one that is wanted.
    pub wanted: Vec<i64>,
}

/// What pairs say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The wanted value saves something, with 95 % certainty.
    Better,
    /// It costs something, with 95 % certainty.
    Worse,
    /// What there is lies within the noise.
    NoDifference,
    /// There are too few pairs to tell.
    TooFew,
}

impl Verdict {
    /// A word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifference => "no difference shown",
            Self::TooFew => "too few pairs",
        }
    }
}

impl Pairs {
    /// None yet.
    #[must_use]
    pub const fn new(name: &'static str, unit: Unit) -> Self {
        Self { name, unit, as_is: Vec::new(), wanted: Vec::new() }
    }

    /// Adds one.
    pub fn add(&mut self, as_is: i64, wanted: i64) {
        self.as_is.push(as_is);
        self.wanted.push(wanted);
    }

    /// What the wanted value saves, pair by pair.
    #[must_use]
    pub fn saved(&self) -> Figure {
        let pairs = self.as_is.iter().zip(&self.wanted);
        let samples = pairs.map(|(as_is, wanted)| as_is.saturating_sub(*wanted)).collect();
        Figure { samples, ..Figure::new(self.name, self.unit) }
    }

    fn side(&self, samples: &[i64]) -> Option<Spread> {
        Figure { samples: samples.to_vec(), ..Figure::new(self.name, self.unit) }.spread()
    }

    /// Whether the median of the differences is on one side of nothing, with 95 % certainty.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let saved = self.saved();
        match saved.median_range() {
            _ if saved.samples.len() < PAIRS_MIN => Verdict::TooFew,
            Some((low, _)) if low > 0 => Verdict::Better,
            Some((_, high)) if high < 0 => Verdict::Worse,
            _ => Verdict::NoDifference,
        }
    }
}

/// What was measured of one setting.
#[derive(Clone, Debug)]
pub struct Worth {
    /// In which situation.
    pub scene: String,
    /// Both values, for people.
    pub shown: [String; 2],
    /// Its figures.
    pub pairs: Vec<Pairs>,
    /// What there is to know about how it was measured.
    pub notes: Vec<String>,
}

/// What there is to tell of one setting.
#[derive(Clone, Debug)]
pub enum Told {
    /// Measured.
    Measured(Worth),
    /// Why not.
    NotMeasured(String),
}

/// One setting.
#[derive(Clone, Debug)]
pub struct UnitTold {
    /// Its name.
    pub unit: &'static str,
    /// What it is.
    pub what: String,
    /// What was found.
    pub told: Told,
}

impl UnitTold {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let told = match &self.told {
            Told::NotMeasured(why) => format!("  not measured: {why}\n"),
            Told::Measured(worth) => measured(worth),
        };
        format!("\n{}: {}\n{told}", self.unit, self.what)
    }
}

fn measured(worth: &Worth) -> String {
    let Worth { scene, shown: [as_is, wanted], .. } = worth;
    let mut text = format!("  {scene}\n  as is: {as_is}; wanted: {wanted}\n");
    let pairs = worth.pairs.first().map_or(0, |it| it.as_is.len());
    let head = [&format!("  {pairs} pairs"), "as is", "wanted", "saved", "least..most", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for told in &worth.pairs {
        let saved = told.saved();
        let (Some(before), Some(after), Some(spread)) =
            (told.side(&told.as_is), told.side(&told.wanted), saved.spread())
        else {
            continue;
        };
        let show = |value| told.unit.show(value);
        rows.push(vec![
            format!("  {} {}", told.name, told.unit.shown()).trim_end().to_owned(),
            show(before.median),
            show(after.median),
            show(spread.median),
            format!("{}..{}", show(spread.least), show(spread.most)),
            told.verdict().word().to_owned(),
        ]);
    }
    text += &columns(&rows);
    worth.notes.iter().for_each(|note| text += &format!("  {note}\n"));
    text
}

/// All settings, for programs.
///
/// `{schema, bench, broadside, unix_s, seed, host, units[]}`; a unit has `unit, what` and either
/// `not_measured` or `scene, as_is, wanted, notes, figures[]`; a figure `name, unit, as_is[], wanted[]`
/// (raw samples), `saved {median, least, most, low, high}` (of the differences; `low` to `high` holds the
/// true median with 95 % certainty) and `verdict`.
#[must_use]
pub fn json(host: &Host, seed: u64, unix_s: u64, told: &[UnitTold]) -> Value {
    let unit = |unit: &UnitTold| {
        let mut row = json!({"unit": unit.unit, "what": unit.what});
        match &unit.told {
            Told::NotMeasured(why) => row["not_measured"] = json!(why),
            Told::Measured(worth) => {
                row["scene"] = json!(worth.scene);
                row["as_is"] = json!(worth.shown[0]);
                row["wanted"] = json!(worth.shown[1]);
                row["notes"] = json!(worth.notes);
                row["figures"] = worth.pairs.iter().map(figure).collect();
            }
        }
        row
    };
    json!({
        "schema": SCHEMA, "bench": "tune", "broadside": env!("CARGO_PKG_VERSION"), "unix_s": unix_s,
        "seed": seed, "host": host, "units": told.iter().map(unit).collect::<Value>(),
    })
}

fn figure(pairs: &Pairs) -> Value {
    let saved = pairs.saved();
    let range = saved.median_range();
    json!({
        "name": pairs.name, "unit": pairs.unit, "as_is": pairs.as_is, "wanted": pairs.wanted,
        "saved": saved.spread().zip(range).map(|(spread, (low, high))| json!({
            "median": spread.median, "least": spread.least, "most": spread.most,
            "low": low, "high": high,
        })),
        "verdict": pairs.verdict().word(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(differences: &[i64]) -> Pairs {
        let mut pairs = Pairs::new("T(half)", Unit::Ns);
        differences.iter().for_each(|saved| pairs.add(10_000_000 + saved, 10_000_000));
        pairs
    }

    #[test]
    fn only_what_is_sure_is_a_difference() {
        let all = |value| pairs(&[value; 15]).verdict();
        assert_eq!(
            (all(5), all(-5), all(0)),
            (Verdict::Better, Verdict::Worse, Verdict::NoDifference)
        );
        let mut mixed: Vec<i64> = (1..=12).collect();
        mixed.extend([-1, -2, -3]);
        assert_eq!(pairs(&mixed).verdict(), Verdict::Better);
        mixed.extend([-4; 9]);
        assert_eq!(pairs(&mixed).verdict(), Verdict::NoDifference);
        assert_eq!(pairs(&[7; PAIRS_MIN]).verdict(), Verdict::Better);
        assert_eq!(pairs(&[7; PAIRS_MIN - 1]).verdict(), Verdict::TooFew);
        assert_eq!(pairs(&[]).verdict(), Verdict::TooFew);
    }

    fn told() -> Vec<UnitTold> {
        let worth = Worth {
            scene: "20 x 1 MB".to_owned(),
            shown: ["1", "0"].map(str::to_owned),
            pairs: vec![pairs(&[3_000_000; 15])],
            notes: vec!["a note".to_owned()],
        };
        let row = |unit, told| UnitTold { unit, what: "a setting".to_owned(), told };
        let why = "takes a reboot".to_owned();
        vec![row("tcp/x", Told::Measured(worth)), row("cpu/y", Told::NotMeasured(why))]
    }

    #[test]
    fn people_are_told_what_is_saved_and_what_was_not_measured() {
        let text: String = told().iter().map(UnitTold::text).collect();
        let row = text.lines().find(|line| line.starts_with("  T(half) ms")).unwrap();
        let cells: Vec<_> = row.split_whitespace().skip(2).collect();
        assert_eq!(cells, ["13.00", "10.00", "3.000", "3.000..3.000", "better"], "{text}");
        assert!(text.contains("15 pairs") && text.contains("as is: 1; wanted: 0"), "{text}");
        assert!(text.contains("cpu/y: a setting\n  not measured: takes a reboot\n"), "{text}");
    }

    #[test]
    fn programs_are_told_everything() {
        let told = json(&Host::default(), 7, 9, &told());
        let figure = &told["units"][0]["figures"][0];
        assert_eq!(
            (&told["schema"], &told["bench"], &told["seed"]),
            (&json!(1), &json!("tune"), &json!(7))
        );
        assert_eq!(
            (&figure["saved"]["median"], &figure["verdict"]),
            (&json!(3_000_000), &json!("better"))
        );
        assert_eq!(figure["as_is"].as_array().unwrap().len(), 15);
        assert_eq!(told["units"][1]["not_measured"], "takes a reboot");
    }
}
