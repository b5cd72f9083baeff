//! How numbers lie: their middle, and what nine of ten do not exceed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Times of several things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// How many there are; never 0.
    pub count: u32,
    /// The one in the middle; of two in the middle, what lies between them.
    pub median_seconds: u32,
    /// The least one that nine of ten do not exceed (nearest rank).
    pub p90_seconds: u32,
}

impl Spread {
    /// Of these times; `None` where there are none.
    pub fn of(seconds: impl IntoIterator<Item = u32>) -> Option<Self> {
        let mut sorted: Vec<u32> = seconds.into_iter().collect();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        let (low, high) = (sorted[last / 2], sorted[sorted.len() / 2]);
        let rank = (sorted.len() * 9).div_ceil(10) - 1;
        Some(Self {
            count: super::count(sorted.len()),
            median_seconds: low + (high - low) / 2,
            p90_seconds: sorted[rank],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_nine_of_ten() {
        let of = |seconds: &[u32]| {
            Spread::of(seconds.iter().copied()).map(|spread| (spread.median_seconds, spread.p90_seconds))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some((7, 7)));
        assert_eq!(of(&[10, 4]), Some((7, 10)));
        assert_eq!(of(&[u32::MAX, u32::MAX]), Some((u32::MAX, u32::MAX)));
        assert_eq!(of(&[5, 1, 3, 2, 4, 9, 8, 7, 6, 10]), Some((5, 9)));
        assert_eq!(of(&[5, 1, 3, 2, 4, 9, 8, 7, 6, 10, 11]), Some((6, 10)));
    }
}
