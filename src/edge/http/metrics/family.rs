//! What a family of metrics is, and how it is written.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::Format;
use super::chain::CHAIN;
use super::engine::ENGINE;
use super::now::{ChainNow, Now};
use crate::cold::stats::Times;
use crate::limits::HISTOGRAM_BOUNDS_US;
use crate::metrics::Counter;

/// Labels that every family of a chain has.
pub(super) const CHAIN_LABELS: [&str; 2] = ["chain", "network"];

/// Labels of the families of shards.
pub(super) const SHARD_LABELS: Labels = &["shard"];

/// What is read for one scrape, and how it is to be written.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) now: Now,
    pub(super) format: Format,
}

/// What a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only rises. Its name ends in `_total`, and no other's does.
    Counter,
    /// May fall.
    Gauge,
    /// Times, counted by [`HISTOGRAM_BOUNDS_US`].
    Histogram,
}

/// A family of metrics, read from a `T` at each scrape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family<T: 'static> {
    /// Its name, unit and all, as queries spell it.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Its labels, those of the chain not among them.
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
    read: Read<T>,
}

pub(super) type Labels = &'static [&'static str];
type Read<T> = fn(&T, &mut Samples<'_>);

impl<T> Family<T> {
    pub(super) const fn counter(
        name: &'static str,
        labels: Labels,
        help: &'static str,
        read: Read<T>,
    ) -> Self {
        Self { name, kind: Kind::Counter, labels, help, read }
    }

    pub(super) const fn gauge(
        name: &'static str,
        labels: Labels,
        help: &'static str,
        read: Read<T>,
    ) -> Self {
        Self { name, kind: Kind::Gauge, labels, help, read }
    }

    pub(super) const fn histogram(
        name: &'static str,
        labels: Labels,
        help: &'static str,
        read: Read<T>,
    ) -> Self {
        Self { name, kind: Kind::Histogram, labels, help, read }
    }
}

/// The unit at the end of a name that has no `_total` any more, and what stands before it.
pub(super) fn unit_of(name: &str) -> Option<(&str, &str)> {
    let units = ["seconds", "bytes", "ratio"];
    let (stem, unit) = name.rsplit_once('_')?;
    let is_other = stem.ends_with("_per") || stem.ends_with("_of");
    (units.contains(&unit) && !is_other).then_some((stem, unit))
}

impl Scrape {
    fn chains(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        family: &Family<ChainNow>,
    ) -> fmt::Result {
        let Family { name, kind, labels, help, read } = *family;
        self.family(encoder, (name, kind, labels, help), |samples| {
            for chain in &self.now.chains {
                samples.of = CHAIN_LABELS.into_iter().zip([chain.name, chain.network]).collect();
                read(chain, samples);
            }
        })
    }

    fn shards(&self, encoder: &mut DescriptorEncoder<'_>, counter: Counter) -> fmt::Result {
        let (name, divisor) = shard_counter(counter);
        self.family(encoder, (&name, Kind::Counter, SHARD_LABELS, counter.help()), |samples| {
            for link in &self.now.shards {
                let value = link.counters.get(counter);
                let shard = link.shard.to_string();
                match divisor {
                    1 => samples.put(&[&shard], value),
                    _ => samples.put(&[&shard], value as f64 / divisor as f64),
                }
            }
        })
    }

    /// Writes one family: its description, then the samples that `fill` puts in.
    fn family(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, kind, labels, help): (&str, Kind, Labels, &str),
        fill: impl FnOnce(&mut Samples<'_>),
    ) -> fmt::Result {
        let metric_type = match kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        // OpenMetrics wants `_total` at the samples alone, and the unit told apart.
        let bare = name.strip_suffix("_total").unwrap_or(name);
        let unit = unit_of(bare).filter(|_| self.format == Format::OpenMetrics);
        let stem = match (self.format, unit) {
            (Format::Text, _) => name,
            (_, Some((stem, _))) => stem,
            (_, None) => bare,
        };
        let unit = unit.map(|(_, unit)| Unit::Other(unit.to_owned()));
        let encoder = encoder.encode_descriptor(stem, help, unit.as_ref(), metric_type)?;
        let suffixed = kind == Kind::Counter && self.format == Format::OpenMetrics;
        let mut samples = Samples { encoder, suffixed, of: Vec::new(), labels, result: Ok(()) };
        fill(&mut samples);
        samples.result
    }
}

/// The family of a shard's counter, and by what its value is divided to be in a base unit.
pub(super) fn shard_counter(counter: Counter) -> (String, u64) {
    match counter.name().strip_suffix("_us") {
        Some(name) => (format!("broadside_shard_{name}_seconds_total"), 1_000_000),
        None => (format!("broadside_shard_{}_total", counter.name()), 1),
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in CHAIN.iter().copied().flatten() {
            self.chains(&mut encoder, family)?;
        }
        for family in ENGINE.iter().copied().flatten() {
            let Family { name, kind, labels, help, read } = *family;
            let told = (name, kind, labels, help);
            self.family(&mut encoder, told, |samples| read(&self.now, samples))?;
        }
        Counter::ALL.iter().try_for_each(|counter| self.shards(&mut encoder, *counter))
    }
}

/// A value as it is written: whole numbers without a point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Whole(u64),
    Real(f64),
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self::Whole(value.into())
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Self::Whole(value as u64)
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

/// Takes the samples of one family.
pub(super) struct Samples<'a> {
    encoder: MetricEncoder<'a>,
    /// Whether the encoder writes `_total` itself.
    suffixed: bool,
    /// Labels that all samples have.
    of: Vec<(&'static str, &'static str)>,
    /// Labels that each has by itself.
    labels: Labels,
    result: fmt::Result,
}

impl Samples<'_> {
    /// One sample, with a value for each label of the family; empty: it has not got this label.
    pub(super) fn put(&mut self, values: &[&str], value: impl Into<Number>) {
        let value = value.into();
        let suffixed = self.suffixed;
        self.write(values, |encoder| match (suffixed, value) {
            (true, Number::Whole(value)) => {
                encoder.encode_counter::<NoLabelSet, u64, u64>(&value, None)
            }
            (true, Number::Real(value)) => {
                encoder.encode_counter::<NoLabelSet, f64, u64>(&value, None)
            }
            (false, Number::Whole(value)) => encoder.encode_gauge(&value),
            (false, Number::Real(value)) => encoder.encode_gauge(&value),
        });
    }

    /// One sample without labels of its own, where the value is known.
    pub(super) fn some(&mut self, value: Option<impl Into<Number>>) {
        if let Some(value) = value {
            self.put(&[], value);
        }
    }

    /// One histogram.
    pub(super) fn times(&mut self, values: &[&str], times: &Times) {
        let at_most = times.at_most(&HISTOGRAM_BOUNDS_US);
        let count = times.count();
        let mut before = 0;
        let bounds = HISTOGRAM_BOUNDS_US.iter().map(|bound_us| *bound_us as f64 / 1e6);
        let rows = bounds.zip(at_most).chain([(f64::INFINITY, count)]);
        let buckets: Vec<(f64, u64)> = rows
            .map(|(bound, upto)| {
                let more = upto.saturating_sub(before);
                before = upto;
                (bound, more)
            })
            .collect();
        let sum_s = times.sum_us() as f64 / 1e6;
        self.write(values, |encoder| {
            encoder.encode_histogram::<NoLabelSet>(sum_s, count, &buckets, None)
        });
    }

    fn write(
        &mut self,
        values: &[&str],
        encode: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
    ) {
        let own = self.labels.iter().copied().zip(values.iter().copied());
        let own = own.filter(|(_, value)| !value.is_empty());
        let all: Vec<(&str, &str)> = self.of.iter().copied().chain(own).collect();
        let written = match all.is_empty() {
            true => encode(&mut self.encoder),
            false => self.encoder.encode_family(&all).and_then(|mut encoder| encode(&mut encoder)),
        };
        self.result = self.result.and(written);
    }
}
