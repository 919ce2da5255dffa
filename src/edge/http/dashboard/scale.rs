//! Where a time stands on a drawing. Places are per cents of its width, so that it fits any page.

/// Least width of a scale, in us: a block that took no time at all is drawn too.
const WIDTH_US_MIN: i64 = 100;
/// Room at both ends for the marks that stand there, in per cent.
const MARGIN: f64 = 1.0;

/// A straight scale of times, in us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    from_us: i64,
    to_us: i64,
}

impl Scale {
    /// From the first to the last moment that is to be seen.
    pub(super) fn new(from_us: i64, to_us: i64) -> Self {
        Self { from_us, to_us: to_us.max(from_us.saturating_add(WIDTH_US_MIN)) }
    }

    /// The place of a moment, 0 to 100; those beyond an end stand at it.
    pub(super) fn place(self, at_us: i64) -> f64 {
        let width = (self.to_us - self.from_us) as f64;
        let share = (at_us.saturating_sub(self.from_us) as f64 / width).clamp(0.0, 1.0);
        MARGIN + share * (100.0 - 2.0 * MARGIN)
    }

    /// Whether a moment is beyond the right end.
    pub(super) const fn is_beyond(self, at_us: i64) -> bool {
        at_us > self.to_us
    }

    /// Round moments to name along it: at most about six.
    pub(super) fn ticks(self) -> Vec<i64> {
        let width = (self.to_us - self.from_us) as f64;
        let rough = width / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|it| it * power);
        let step = step.into_iter().find(|step| *step >= rough).unwrap_or(power).max(1.0) as i64;
        let first = self.from_us.div_euclid(step) + i64::from(self.from_us.rem_euclid(step) != 0);
        (first..).map(|at| at * step).take_while(|at| *at <= self.to_us).take(12).collect()
    }
}

/// A per cent as it stands in a drawing.
pub(super) fn percent(place: f64) -> String {
    format!("{}%", rounded(place))
}

/// A number with at most two digits behind the point, and no more than needed.
pub(super) fn rounded(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A scale on which each factor takes the same room, for times from microseconds to minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LogScale {
    from: f64,
    to: f64,
}

impl LogScale {
    /// Whole decades around all of `times_us`; `None` where there are none.
    pub(super) fn around(times_us: impl Iterator<Item = i64>) -> Option<Self> {
        let logs = times_us.map(|us| (us.max(1) as f64).log10());
        let (low, high) =
            logs.fold((f64::MAX, f64::MIN), |(low, high), it| (low.min(it), high.max(it)));
        (low <= high).then(|| {
            let from = low.floor();
            Self { from, to: (high + 0.02).ceil().max(from + 1.0) }
        })
    }

    /// The place of a time, 0 at the low end to 1 at the high one.
    pub(super) fn place(self, time_us: i64) -> f64 {
        (((time_us.max(1) as f64).log10() - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    /// The decades, in us.
    pub(super) fn ticks(self) -> Vec<i64> {
        (self.from as i32..=self.to as i32)
            .map(|power| 10_i64.saturating_pow(power.max(0) as u32))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_find_their_places() {
        let scale = Scale::new(-2_000, 8_000);
        assert_eq!(
            [-9_000, -2_000, 3_000, 8_000, 99_999].map(|at| scale.place(at)),
            [1.0, 1.0, 50.0, 99.0, 99.0]
        );
        assert_eq!(scale.ticks(), [-2_000, 0, 2_000, 4_000, 6_000, 8_000]);
        assert!(scale.is_beyond(8_001) && !scale.is_beyond(8_000));
        assert_eq!(Scale::new(0, 0).ticks(), [0, 20, 40, 60, 80, 100]);
        for to_us in [1, 7, 333, 12_345, 600_000_000, i64::MAX / 4] {
            let ticks = Scale::new(-to_us / 3, to_us).ticks().len();
            assert!((3..=9).contains(&ticks), "{to_us}: {ticks}");
        }
        assert_eq!([0.0, 1.5, 33.333, 100.0].map(percent), ["0%", "1.5%", "33.33%", "100%"]);
    }

    #[test]
    fn decades_surround_all_times() {
        let scale = LogScale::around([120, 45_000].into_iter()).expect("there are times");
        assert_eq!(scale.ticks(), [100, 1_000, 10_000, 100_000]);
        assert!((scale.place(1_000) - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!((scale.place(1), scale.place(10_000_000)), (0.0, 1.0));
        assert_eq!(LogScale::around(std::iter::empty()), None);
        assert_eq!(LogScale::around([0].into_iter()).map(LogScale::ticks), Some(vec![1, 10]));
    }
}
