//! The tables as an SVG: a panel for each kind of network, a line for each policy.

use std::path::Path;

use plotters::prelude::*;

use super::{Report, Told, median};
use crate::bench::BenchError;

/// Size of one panel, in pixels.
const PANEL: (u32, u32) = (900, 480);
/// Room for the policies' names, in pixels.
const NAMES: u32 = 300;

/// Writes it to `path`.
///
/// # Errors
/// The file can't be written.
pub fn write(report: &Report, path: &Path) -> Result<(), BenchError> {
    let failed = |why: String| BenchError::File { path: path.to_owned(), why };
    let mut text = String::new();
    draw(report, &mut text).map_err(failed)?;
    std::fs::write(path, text).map_err(|error| failed(error.to_string()))
}

fn draw(report: &Report, text: &mut String) -> Result<(), String> {
    let count = report.worlds.len().max(1);
    let size = (PANEL.0, PANEL.1 * count as u32);
    let root = SVGBackend::with_string(text, size).into_drawing_area();
    root.fill(&WHITE).map_err(|error| error.to_string())?;
    for (world, panel) in report.worlds.iter().zip(root.split_evenly((count, 1))) {
        draw_world(world, &panel).map_err(|error| error.to_string())?;
    }
    root.present().map_err(|error| error.to_string())
}

fn draw_world<'a>(
    world: &Told,
    panel: &DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
) -> Result<(), Box<dyn std::error::Error + 'a>> {
    let count = world.policies.len();
    let ninety = world.policies.iter().flat_map(|it| &it.ninety_ms);
    let longest_ms = ninety.copied().fold(1.0, f64::max);
    // The first policy stands at the top.
    let height = |number: usize| (count - number) as f64;
    let mut chart = ChartBuilder::on(panel)
        .caption(format!("network model: {}", world.name), ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(35)
        .y_label_area_size(NAMES)
        .build_cartesian_2d(0.0..longest_ms * 1.05, 0.0..count as f64 + 1.0)?;
    let label = |at: &f64| {
        let number = (0..count).find(|number| (height(*number) - at).abs() < 1e-6);
        let policy = number.and_then(|number| world.policies.get(number));
        policy.map_or(String::new(), |policy| policy.name.to_owned())
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(count + 2)
        .y_label_formatter(&label)
        .x_desc("ms from the submission: median, least and most over the networks")
        .draw()?;
    for (name, colour, shift) in [("T50", BLUE, 0.12), ("T90", RED, -0.12)] {
        let bars = (0..).zip(&world.policies).map(|(number, policy)| {
            let samples = if name == "T50" { &policy.half_ms } else { &policy.ninety_ms };
            let least = samples.iter().copied().fold(f64::MAX, f64::min);
            let most = samples.iter().copied().fold(0.0, f64::max);
            let at = height(number) + shift;
            ErrorBar::new_horizontal(at, least, median(samples), most, colour.filled(), 6)
        });
        chart
            .draw_series(bars)?
            .label(name)
            .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
