//! What reads cost, counted where someone measures, and never asked for where nobody does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};

/// Counts of queries on indexes of runs and of the read units that they took.
#[derive(Debug, Default)]
pub struct Meter {
    queries: AtomicU64,
    /// In hundredths of a unit: an eventually consistent read takes halves.
    hundredths: AtomicU64,
}

impl Meter {
    /// Queries, and read units as the server tells them, since the last time.
    pub fn take(&self) -> (u64, f64) {
        let queries = self.queries.swap(0, Ordering::Relaxed);
        let hundredths = u32::try_from(self.hundredths.swap(0, Ordering::Relaxed)).unwrap_or(u32::MAX);
        (queries, f64::from(hundredths) / 100.0)
    }
}

/// A meter, or none: then nothing is asked for and nothing counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metered(Option<Arc<Meter>>);

impl Metered {
    /// A meter that counts from now on.
    pub(crate) fn start() -> (Self, Arc<Meter>) {
        let meter = Arc::<Meter>::default();
        (Self(Some(Arc::clone(&meter))), meter)
    }

    /// What to ask of the server.
    pub(crate) fn wanted(&self) -> Option<ReturnConsumedCapacity> {
        self.0.as_ref().map(|_| ReturnConsumedCapacity::Total)
    }

    /// Counts an answer.
    pub(crate) fn count(&self, consumed: Option<&ConsumedCapacity>) {
        let Some(meter) = &self.0 else { return };
        meter.queries.fetch_add(1, Ordering::Relaxed);
        let units = consumed.and_then(ConsumedCapacity::capacity_units).unwrap_or_default();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "units are small and positive"
        )]
        meter.hundredths.fetch_add((units * 100.0).round() as u64, Ordering::Relaxed);
    }
}
