//! How far a long run is: a bar on a terminal, a few plain lines elsewhere. On standard error.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::BenchError;
use super::plan::{self, case_name};
use super::report;

/// Plain lines of a whole run.
const LINES: u64 = 10;

/// The bar.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    done: u64,
    total: u64,
}

impl Progress {
    /// Nothing done of `total` things that are called `what`.
    #[must_use]
    pub fn start(total: u64, what: &'static str) -> Self {
        let style = format!("{{bar:40}} {{pos}}/{{len}} {what}, {{eta}} left {{msg}}");
        let style = ProgressStyle::with_template(&style);
        let bar = std::io::stderr().is_terminal().then(|| {
            ProgressBar::new(total)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, what, done: 0, total }
    }

    /// One more is done.
    pub fn step(&mut self) {
        self.done += 1;
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None if self.done.is_multiple_of(self.total.div_ceil(LINES).max(1)) => {
                eprintln!("{} of {} {}", self.done, self.total, self.what);
            }
            None => {}
        }
    }

    /// Says what is being done now.
    pub fn say(&self, now: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("({now})")),
            None => eprintln!("{now}"),
        }
    }
}

/// Measures case by case by `one`, and tells how far it is: a case has `steps`, which are called
/// `what`.
///
/// # Errors
/// The first of `one`.
pub fn each_case(
    cases: &[plan::Case],
    what: &'static str,
    steps: impl Fn(&plan::Case) -> usize,
    mut one: impl FnMut(&plan::Case, &mut Progress) -> Result<report::Case, BenchError>,
) -> Result<Vec<report::Case>, BenchError> {
    let mut progress = Progress::start(cases.iter().map(steps).sum::<usize>() as u64, what);
    let measure = |case: &plan::Case| {
        progress.say(&case_name(case.peers, case.bytes));
        one(case, &mut progress)
    };
    cases.iter().map(measure).collect()
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
