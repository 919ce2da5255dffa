//! A report as an SVG: one panel a case, the times along its axis, a line for each program.

use std::path::Path;

use plotters::prelude::*;

use super::BenchError;
use super::figure::Unit;
use super::report::{Case, Report};

/// Size of one panel, in pixels.
const PANEL: (u32, u32) = (900, 420);
/// Fractions of a step by which programs stand beside each other.
const SPREAD: f64 = 0.5;

/// Writes it to `path`.
///
/// # Errors
/// There is nothing to draw, or the file can't be written.
pub fn write(report: &Report, path: &Path) -> Result<(), BenchError> {
    let mut text = String::new();
    let failed = |why: String| BenchError::File { path: path.to_owned(), why };
    draw(report, &mut text).map_err(failed)?;
    std::fs::write(path, text).map_err(|error| failed(error.to_string()))
}

fn draw(report: &Report, text: &mut String) -> Result<(), String> {
    let count = report.cases.len().max(1);
    let size = (PANEL.0, PANEL.1 * count as u32);
    let root = SVGBackend::with_string(text, size).into_drawing_area();
    root.fill(&WHITE).map_err(|error| error.to_string())?;
    for (case, panel) in report.cases.iter().zip(root.split_evenly((count, 1))) {
        let title = format!("{}: {}", report.bench, case.name);
        draw_case(&title, case, &panel).map_err(|error| error.to_string())?;
    }
    root.present().map_err(|error| error.to_string())
}

fn draw_case<'a>(
    title: &str,
    case: &Case,
    panel: &DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
) -> Result<(), Box<dyn std::error::Error + 'a>> {
    let mut names: Vec<&str> = Vec::new();
    let figures = case.programs.iter().flat_map(|program| &program.figures);
    for figure in figures.filter(|figure| figure.unit == Unit::Ns) {
        if !names.contains(&figure.name.as_str()) {
            names.push(&figure.name);
        }
    }
    let milliseconds = |ns: i64| (ns as f64 / 1e6).max(0.001);
    let spreads = case.programs.iter().flat_map(|it| names.iter().filter_map(|at| it.spread(at)));
    let all: Vec<f64> =
        spreads.flat_map(|it| [milliseconds(it.least), milliseconds(it.most)]).collect();
    let low = all.iter().copied().fold(f64::MAX, f64::min).min(1e6);
    let high = all.iter().copied().fold(low, f64::max);
    let mut chart = ChartBuilder::on(panel)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(35)
        .y_label_area_size(60)
        .build_cartesian_2d(-0.6..names.len() as f64 + 0.6, (low / 1.5..high * 1.5).log_scale())?;
    let label = |at: &f64| match names.get(at.round() as usize) {
        Some(name) if (at - at.round()).abs() < 1e-6 && *at >= 0.0 => (*name).to_owned(),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(names.len() * 2 + 4)
        .x_label_formatter(&label)
        .y_desc("ms, median and least to most")
        .draw()?;
    let count = case.programs.len().max(1) as f64;
    for (number, program) in case.programs.iter().enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        let shift = (number as f64 + 0.5) / count * SPREAD - SPREAD / 2.0;
        let bars: Vec<_> = (0..)
            .zip(&names)
            .filter_map(|(at, name)| Some((f64::from(at) + shift, program.spread(name)?)))
            .map(|(at, it)| (at, [it.least, it.median, it.most].map(milliseconds)))
            .collect();
        chart
            .draw_series(bars.iter().map(|(at, [least, median, most])| {
                ErrorBar::new_vertical(*at, *least, *median, *most, colour.filled(), 6)
            }))?
            .label(&program.name)
            .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
