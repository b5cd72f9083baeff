//! A run's time by what it was spent on, and its money: numbers that add up as they are shown.
//!
//! Rounded one by one, seconds and percents would not come to the whole that stands below them; so what rounding
//! leaves is given to those that lost most by it. The words are the core's own.

use pushway_core::ledger::{Kind, Ledger};
use pushway_core::messages::money;
use pushway_core::prices::{Item, Money, dollars};

use crate::parts::{Stack, StackPiece, Swatch, WIDTH};
use crate::time::duration;

/// Units of the picture that the shortest piece gets, the gap behind it included.
const LEAST: u64 = 8;

/// Nanodollars of the least amount that is told.
const TOLD: u64 = 100_000;

/// What a part of the time was spent on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) swatch: Swatch,
    pub(crate) name: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) took: String,
    pub(crate) share: String,
}

/// All of the time.
#[derive(Debug)]
pub(crate) struct Spent {
    pub(crate) bar: Stack,
    pub(crate) parts: Vec<Part>,
    pub(crate) whole: String,
}

/// A run's time as it is shown.
pub(crate) fn spent(ledger: &Ledger) -> Spent {
    let sums: Vec<u64> = ledger.totals.iter().map(|total| total.milliseconds).collect();
    let seconds = apportion(&sums, (ledger.milliseconds + 500) / 1_000);
    let percents = apportion(&sums, 100);
    let count = u64::try_from(sums.len()).unwrap_or_default();
    let widths = apportion(&sums, u64::from(WIDTH).saturating_sub(count * LEAST));
    let mut from = 0;
    let (mut parts, mut pieces) = (Vec::new(), Vec::new());
    for (place, total) in ledger.totals.iter().enumerate() {
        let (took, share) = (told(seconds[place]), percent(percents[place]));
        let name = money::words(total.kind);
        pieces.push(StackPiece {
            look: look(total.kind),
            name,
            took: took.clone(),
            from,
            wide: widths[place] + LEAST,
        });
        from += widths[place] + LEAST;
        let (swatch, meaning) = (Swatch(look(total.kind)), money::meaning(total.kind));
        parts.push(Part { swatch, name, meaning, took, share });
    }
    let whole = told(seconds.iter().sum());
    Spent { bar: Stack(pieces), parts, whole }
}

/// The parts of the money, which add up to the whole at the precision at which it is told.
pub(crate) fn amounts(money: &Money) -> Vec<String> {
    let amounts: Vec<u64> = money.items.iter().map(|item| item.nano_dollars).collect();
    let shares = apportion(&amounts, money.nano_dollars.saturating_add(TOLD / 2) / TOLD);
    let told =
        |share: u64| if share == 0 { format!("under {}", dollars(TOLD)) } else { dollars(share * TOLD) };
    shares.into_iter().map(told).collect()
}

/// The unit of an item, for so many of them.
pub(crate) fn units(item: &Item) -> String {
    let is_plural = item.quantity != 1 && !item.unit.contains(" of ");
    if is_plural { format!("{}s", item.unit) } else { item.unit.clone() }
}

fn told(seconds: u64) -> String {
    duration(i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX))
}

fn percent(share: u64) -> String {
    if share == 0 { "under 1 %".to_owned() } else { format!("{share} %") }
}

/// Whole numbers in the proportion of these that come to `whole` (the largest remainders are rounded up).
fn apportion(parts: &[u64], whole: u64) -> Vec<u64> {
    let sum: u128 = parts.iter().map(|part| u128::from(*part)).sum();
    if sum == 0 {
        return vec![0; parts.len()];
    }
    let exact = |part: &u64| u128::from(*part) * u128::from(whole);
    let mut shares: Vec<u64> =
        parts.iter().map(|part| u64::try_from(exact(part) / sum).unwrap_or_default()).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(exact(&parts[*place]) % sum));
    let left = whole - shares.iter().sum::<u64>();
    for place in order.into_iter().take(usize::try_from(left).unwrap_or_default()) {
        shares[place] += 1;
    }
    shares
}

fn look(kind: Kind) -> &'static str {
    match kind {
        Kind::Delivery | Kind::Queue => "queue",
        Kind::Provisioning => "machine",
        Kind::Work => "work",
        Kind::Approval => "people",
        Kind::Window => "window",
        Kind::Health => "health",
        Kind::Drain => "drain",
        Kind::Bake => "bake",
        Kind::Checks => "checks",
        Kind::Watch => "watch",
        Kind::Rollback => "rollback",
        Kind::Own => "own",
    }
}

#[cfg(test)]
mod tests {
    use pushway_core::ledger::Total;
    use pushway_core::prices::Prices;
    use pushway_core::usage::Usage;

    use super::*;

    fn ledger(sums: &[(Kind, u64)]) -> Ledger {
        let totals =
            sums.iter().map(|(kind, milliseconds)| Total { kind: *kind, milliseconds: *milliseconds });
        let milliseconds = sums.iter().map(|(_, milliseconds)| milliseconds).sum();
        Ledger { milliseconds, totals: totals.collect(), ..Ledger::default() }
    }

    #[test]
    fn what_is_shown_adds_up_to_the_whole_that_is_shown() {
        // Each of the three would be rounded down: 0 s three times, of 1 s in all.
        let third = [(Kind::Delivery, 333), (Kind::Work, 334), (Kind::Own, 333)];
        let spent = spent(&ledger(&third));
        let told: Vec<(&str, &str)> =
            spent.parts.iter().map(|part| (part.took.as_str(), part.share.as_str())).collect();
        assert_eq!(told, [("under 1 s", "33 %"), ("1 s", "34 %"), ("under 1 s", "33 %")]);
        assert_eq!(spent.whole, "1 s");
        for sums in [vec![1, 2, 3, 999_999], vec![59_499, 500, 1], vec![7], vec![u64::MAX / 4, 3]] {
            for whole in [0, 1, 100, 1_000] {
                assert_eq!(apportion(&sums, whole).iter().sum::<u64>(), whole, "{sums:?}");
            }
        }
        assert_eq!(apportion(&[0, 0], 100), [0, 0]);
    }

    #[test]
    fn amounts_add_up_to_the_whole_that_is_told() {
        let usage = Usage { transitions: 14, invocations: 30, writes: 200, requests: 1, ..Usage::default() };
        let money = Prices::published().money(&usage);
        // 350,000 + 6,000 + 125,000 + 1,000 nanodollars are told as five times the least amount.
        assert_eq!(dollars(money.nano_dollars), "$0.0005");
        assert_eq!(amounts(&money), ["$0.0004", "under $0.0001", "$0.0001", "under $0.0001"]);
    }

    #[test]
    fn the_bar_is_full_and_its_shortest_piece_can_be_seen() {
        let Spent { bar, parts, .. } =
            spent(&ledger(&[(Kind::Delivery, 40), (Kind::Approval, 86_400_000), (Kind::Own, 1)]));
        let places: Vec<(u64, u64)> = bar.0.iter().map(|piece| (piece.from, piece.wide)).collect();
        assert_eq!(places, [(0, 8), (8, 984), (992, 8)]);
        assert_eq!(parts[0].share, "under 1 %");
        assert!(spent(&Ledger::default()).parts.is_empty());
    }
}
