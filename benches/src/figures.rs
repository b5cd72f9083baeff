//! Figures: what a list of durations comes to, and where it is printed.
//!
//! Data goes to standard output, everything else to standard error.

use std::io::Write as _;
use std::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeStruct as _, Serializer};

/// Percentiles of durations.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    /// How many there are.
    pub(crate) count: usize,
    pub(crate) p50: Duration,
    pub(crate) p95: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
}

impl Figures {
    /// Of a list in any order; an empty one gives zeros.
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        // The nearest rank: the smallest value that so many percent of all do not exceed.
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
            times.get(rank).copied().unwrap_or_default()
        };
        Self { count: times.len(), p50: at(50), p95: at(95), p99: at(99), max: at(100) }
    }

    /// How many times another's figure this one's is.
    pub(crate) fn ratio(&self, other: &Self, figure: fn(&Self) -> Duration) -> f64 {
        figure(self).as_secs_f64() / figure(other).as_secs_f64().max(f64::EPSILON)
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Figures", 5)?;
        fields.serialize_field("count", &self.count)?;
        for (name, value) in [("p50", self.p50), ("p95", self.p95), ("p99", self.p99), ("max", self.max)] {
            fields.serialize_field(name, &ms(value))?;
        }
        fields.end()
    }
}

/// In milliseconds, as people and programs read it here.
pub(crate) fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// Says one line.
pub(crate) fn say(text: &str) {
    let _closed = writeln!(std::io::stderr(), "{text}");
}

/// Writes data.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
