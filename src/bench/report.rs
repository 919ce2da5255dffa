//! A bench's result: what was measured on which host, as it is kept in a file.
//!
//! # Shape
//!
//! `{schema, bench, broadside, unix_s, seed, host, cases[], goals[]}`. A case has `name, peers,
//! bytes, programs[]` and `notes[]` where there are any, a program `name, product, what, figures[]`, a figure `name, unit, samples[]`
//! (raw, one per run) and in the file also `percentiles {p50, p90, p99, max}` of its histogram.
//! Whoever changes a name raises [`SCHEMA`].

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::BenchError;
use super::figure::{Figure, Spread};
use super::host::Host;
use crate::limits::BENCH_FILE_BYTES_MAX;

/// Version of the file's shape.
pub const SCHEMA: u32 = 1;

/// Everything that one call of a bench has found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The bench's name.
    pub bench: String,
    /// Version of the program.
    pub broadside: String,
    /// When it began, in s since 1970.
    pub unix_s: u64,
    /// Seed of blocks and order.
    pub seed: u64,
    /// Where it ran.
    pub host: Host,
    /// What was measured.
    pub cases: Vec<Case>,
    /// What that means for the goals.
    pub goals: Vec<Goal>,
}

/// One case: programs that were given the same blocks in turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// What it is called, the same in every file.
    pub name: String,
    /// Peers that each program has.
    pub peers: usize,
    /// Size of each block, in bytes.
    pub bytes: u32,
    /// What each program did.
    pub programs: Vec<Measured>,
    /// What there is to know about how it was measured, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One program's figures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Whether it is the engine and not a baseline.
    pub product: bool,
    /// What it is.
    pub what: String,
    /// Its figures.
    pub figures: Vec<Figure>,
}

/// One goal and the figure beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// Its name: L1 to L10.
    pub goal: String,
    /// What was measured, against what.
    pub text: String,
    /// The figure.
    pub figure: f64,
    /// What it is to be.
    pub bound: String,
    /// Whether it is.
    pub reached: bool,
}

impl Measured {
    /// A program without figures.
    #[must_use]
    pub fn new(name: &str, product: bool, what: &str) -> Self {
        Self { name: name.to_owned(), product, what: what.to_owned(), figures: Vec::new() }
    }

    /// What the figure `name` says.
    #[must_use]
    pub fn spread(&self, name: &str) -> Option<Spread> {
        self.figures.iter().find(|figure| figure.name == name)?.spread()
    }

    /// Adds a sample to the figure `name`, which is made where there is none.
    pub fn add(&mut self, name: &str, unit: super::figure::Unit, sample: i64) {
        if let Some(figure) = self.figures.iter_mut().find(|figure| figure.name == name) {
            figure.samples.push(sample);
            return;
        }
        let samples = vec![sample];
        self.figures.push(Figure { samples, ..Figure::new(name, unit) });
    }
}

impl Report {
    /// Writes it to `path`.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write(&self, path: &Path) -> Result<(), BenchError> {
        let mut value = serde_json::to_value(self).map_err(std::io::Error::from)?;
        for (case, told) in self.cases.iter().zip(elements(&mut value["cases"])) {
            for (program, told) in case.programs.iter().zip(elements(&mut told["programs"])) {
                for (figure, told) in program.figures.iter().zip(elements(&mut told["figures"])) {
                    told["percentiles"] = percentiles(figure);
                }
            }
        }
        let mut text = serde_json::to_vec_pretty(&value).map_err(std::io::Error::from)?;
        text.push(b'\n');
        let written = File::create(path).and_then(|mut file| file.write_all(&text));
        written.map_err(|error| BenchError::File { path: path.to_owned(), why: error.to_string() })
    }

    /// Reads one.
    ///
    /// # Errors
    /// The file can't be read, or is no result of this version.
    pub fn read(path: &Path) -> Result<Self, BenchError> {
        let failed = |why: String| BenchError::File { path: path.to_owned(), why };
        let mut text = Vec::new();
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let taken = file.take(BENCH_FILE_BYTES_MAX + 1).read_to_end(&mut text);
        taken.map_err(|error| failed(error.to_string()))?;
        if text.len() as u64 > BENCH_FILE_BYTES_MAX {
            return Err(failed(format!("longer than {BENCH_FILE_BYTES_MAX} bytes: not a result")));
        }
        let no_result = |error| format!("not a result of `broadside bench --json`: {error}");
        let value: Value = serde_json::from_slice(&text).map_err(|it| failed(no_result(it)))?;
        if value["schema"] != SCHEMA && value["schema"].is_u64() {
            let found = &value["schema"];
            return Err(failed(format!("schema {found}, this broadside reads {SCHEMA}")));
        }
        serde_json::from_value(value).map_err(|it| failed(no_result(it)))
    }
}

fn elements(value: &mut Value) -> &mut [Value] {
    value.as_array_mut().map(Vec::as_mut_slice).unwrap_or_default()
}

fn percentiles(figure: &Figure) -> Value {
    let Some(histogram) = figure.histogram().filter(|histogram| !histogram.is_empty()) else {
        return Value::Null;
    };
    let at = |quantile| histogram.value_at_quantile(quantile);
    json!({"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": histogram.max()})
}
