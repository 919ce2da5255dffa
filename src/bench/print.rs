//! A report as people read it.

use super::figure::Figure;
use super::report::{Case, Report};
use super::table::columns;

/// The whole report: host, one table a case, goals.
#[must_use]
pub fn report(report: &Report) -> String {
    let mut text = format!("{}: {}\n", report.bench, report.host.line());
    for case in &report.cases {
        text += &format!("\n{}", table(case));
    }
    if report.goals.is_empty() {
        text += "\nno goal was judged: none is set for these cases, or they were quick\n";
        return text;
    }
    let mut rows = vec![["goal", "", "figure", "is to be", ""].map(str::to_owned).to_vec()];
    for goal in &report.goals {
        let reached = if goal.reached { "reached" } else { "NOT reached" };
        let figure = format!("{:.2}", goal.figure);
        let cells = [&goal.goal, &goal.text, &figure, &goal.bound, reached];
        rows.push(cells.map(ToString::to_string).to_vec());
    }
    // The text begins at the left, so it shares the first column with the goal's name.
    let rows: Vec<_> =
        rows.iter().map(|row| [&[row[..2].join("  ")], &row[2..]].concat()).collect();
    text + "\n" + &columns(&rows)
}

/// One case: programs as rows, medians in the first line of each, the range in the second.
fn table(case: &Case) -> String {
    let mut names: Vec<(&str, &'static str)> = Vec::new();
    for figure in case.programs.iter().flat_map(|program| &program.figures) {
        let heading = (figure.name.as_str(), figure.unit.shown());
        if !names.contains(&heading) {
            names.push(heading);
        }
    }
    let first = case.programs.first().and_then(|program| program.figures.first());
    let headings = names.iter().map(|(name, unit)| format!("{name} {unit}").trim_end().to_owned());
    let title = format!("{}, {} runs", case.name, first.map_or(0, |figure| figure.samples.len()));
    let mut rows = vec![[title].into_iter().chain(headings).collect::<Vec<_>>()];
    for program in &case.programs {
        let found = |name: &str| program.figures.iter().find(|figure| figure.name == name);
        let cells = |show: fn(&Figure) -> String| {
            let figures = names.iter().map(move |(name, _)| found(name));
            figures.map(move |figure| figure.map_or("-".to_owned(), show)).collect::<Vec<_>>()
        };
        rows.push([vec![program.name.clone()], cells(middle)].concat());
        rows.push([vec!["  least..most".to_owned()], cells(range)].concat());
    }
    let notes = case.notes.iter().map(|note| format!("  {note}\n"));
    columns(&rows) + &notes.collect::<String>()
}

fn middle(figure: &Figure) -> String {
    figure.spread().map_or("-".to_owned(), |spread| figure.unit.show(spread.median))
}

fn range(figure: &Figure) -> String {
    figure.spread().map_or("-".to_owned(), |spread| {
        format!("{}..{}", figure.unit.show(spread.least), figure.unit.show(spread.most))
    })
}
