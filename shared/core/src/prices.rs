//! What AWS charges for what a run uses: published prices, and an account's own in their place.
//!
//! Prices are whole picodollars (10⁻¹² $) for a unit, amounts whole nanodollars (10⁻⁹ $): never floats. The table holds
//! only what was confirmed; what was not has no price, and is told as unpriced until the installation's parameter
//! `Prices` gives it one. Free tiers and discounts are not counted.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::messages::money as messages;
use crate::plan::{Arch, Compute};
use crate::usage::Usage;

/// The region whose prices these are.
pub const REGION: &str = "us-east-1";
/// When they were looked up.
pub const AS_OF: &str = "2026-11-26";
/// Decimals of a dollar that a price may have.
const DECIMALS: usize = 12;
/// More than this a unit costs nowhere: a price in cents, or one of a million units, was meant.
const MOST_DOLLARS: u64 = 100;
/// Picodollars of a nanodollar.
const PICO_OF_NANO: u128 = 1_000;

/// A price that is known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its name in `Prices`.
    pub name: &'static str,
    /// What it is the price of.
    pub unit: &'static str,
    /// Picodollars; `None` where it could not be confirmed.
    pub pico_dollars: Option<u64>,
    /// The title of the AWS page that it comes from.
    pub page: &'static str,
}

const fn listed(name: &'static str, unit: &'static str, pico_dollars: u64, page: &'static str) -> Listed {
    Listed { name, unit, pico_dollars: Some(pico_dollars), page }
}

const fn unconfirmed(name: &'static str) -> Listed {
    Listed { name, unit: MINUTE, pico_dollars: None, page: CODEBUILD }
}

const MINUTE: &str = "minute";
const CODEBUILD: &str = "AWS CodeBuild pricing";

/// The published prices. `CodeBuild` counts from submitting a build to its end and rounds up to whole minutes
/// ("AWS CodeBuild pricing", "Build duration").
pub const LISTED: [Listed; 13] = [
    listed("codebuild.general1.small", MINUTE, 5_000_000_000, CODEBUILD),
    listed("codebuild.general1.medium", MINUTE, 10_000_000_000, CODEBUILD),
    listed("codebuild.general1.large", MINUTE, 20_000_000_000, CODEBUILD),
    unconfirmed("codebuild.general1.xlarge"),
    listed("codebuild.arm1.small", MINUTE, 3_400_000_000, CODEBUILD),
    unconfirmed("codebuild.arm1.medium"),
    listed("codebuild.arm1.large", MINUTE, 15_000_000_000, CODEBUILD),
    unconfirmed("codebuild.arm1.xlarge"),
    listed("stepfunctions.transition", "state transition", 25_000_000, "AWS Step Functions pricing"),
    listed("lambda.request", "request", 200_000, "AWS Lambda pricing"),
    // Graviton, which the functions run on unless the installation says otherwise.
    listed("lambda.gb_second", "GB-second", 13_333_400, "AWS Lambda pricing"),
    listed("dynamodb.write", "write request unit", 625_000, "Amazon DynamoDB pricing for on-demand capacity"),
    listed("apigateway.request", "HTTP API request", 1_000_000, "Amazon API Gateway pricing"),
];

/// The name of a build machine in price lists.
pub fn machine(compute: Compute, arch: Arch) -> String {
    let family = match arch {
        Arch::Arm64 => "arm1",
        Arch::X86_64 => "general1",
    };
    let size = match compute {
        Compute::Small => "small",
        Compute::Medium => "medium",
        Compute::Large => "large",
        Compute::Xlarge => "xlarge",
    };
    format!("{family}.{size}")
}

/// Prices that count: an account's own where it has given any, else the published ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prices {
    pico_dollars: BTreeMap<&'static str, u64>,
    own: usize,
}

/// Prices that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadPrices(String);

impl Prices {
    /// The published ones.
    pub fn published() -> Self {
        let known = LISTED.iter().filter_map(|listed| Some((listed.name, listed.pico_dollars?)));
        Self { pico_dollars: known.collect(), own: 0 }
    }

    /// The published ones with those in `text` in their place: a JSON object of names and dollars for a unit,
    /// written as texts, so that none of them passes through a float.
    pub fn read(text: &str) -> Result<Self, BadPrices> {
        let bad = |why: String| BadPrices(why);
        let own: BTreeMap<String, String> =
            serde_json::from_str(text).map_err(|error| bad(messages::not_prices(&error)))?;
        let mut prices = Self { own: own.len(), ..Self::published() };
        for (name, dollars) in own {
            let listed = LISTED.iter().find(|listed| listed.name == name);
            let listed = listed.ok_or_else(|| bad(messages::unknown_price(&name, &LISTED)))?;
            let pico = pico_dollars(&dollars).ok_or_else(|| bad(messages::not_dollars(&name, &dollars)))?;
            prices.pico_dollars.insert(listed.name, pico);
        }
        Ok(prices)
    }

    /// What this costs.
    pub fn money(&self, usage: &Usage) -> Money {
        let mut money = Money {
            nano_dollars: 0,
            items: Vec::new(),
            unpriced: Vec::new(),
            basis: messages::basis(self.own),
            left_out: messages::LEFT_OUT.map(str::to_owned).into(),
        };
        for (machine, minutes) in &usage.build_minutes {
            self.add(&mut money, &format!("codebuild.{machine}"), u64::from(*minutes), 1);
        }
        self.add(&mut money, "stepfunctions.transition", u64::from(usage.transitions), 1);
        self.add(&mut money, "lambda.request", u64::from(usage.invocations), 1);
        self.add(&mut money, "lambda.gb_second", usage.lambda_gb_milliseconds, 1_000);
        self.add(&mut money, "dynamodb.write", u64::from(usage.writes), 1);
        self.add(&mut money, "apigateway.request", u64::from(usage.requests), 1);
        if usage.unknown_minutes > 0 {
            money.unpriced.push(messages::unknown_machine(usage.unknown_minutes));
        }
        money
    }

    /// Adds so many parts of a unit, `parts` of which are a whole one.
    fn add(&self, money: &mut Money, name: &str, quantity: u64, parts: u128) {
        if quantity == 0 {
            return;
        }
        let listed = LISTED.iter().find(|listed| listed.name == name);
        let price = listed.and_then(|listed| Some((listed, self.pico_dollars.get(listed.name)?)));
        let Some((listed, pico)) = price else {
            money.unpriced.push(messages::unpriced(name, quantity));
            return;
        };
        let divisor = parts * PICO_OF_NANO;
        let nano = (u128::from(quantity) * u128::from(*pico) + divisor / 2) / divisor;
        let nano_dollars = u64::try_from(nano).unwrap_or(u64::MAX);
        money.nano_dollars = money.nano_dollars.saturating_add(nano_dollars);
        let unit =
            if parts == 1 { listed.unit.to_owned() } else { format!("thousandths of a {}", listed.unit) };
        money.items.push(Item { name: name.to_owned(), quantity, unit, nano_dollars });
    }
}

impl Default for Prices {
    fn default() -> Self {
        Self::published()
    }
}

/// A decimal number of dollars, as picodollars.
fn pico_dollars(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(decimals) || decimals.len() > DECIMALS {
        return None;
    }
    let dollars = whole.parse::<u64>().ok().filter(|dollars| *dollars < MOST_DOLLARS)?;
    Some(dollars * 10_u64.pow(12) + format!("{decimals:0<DECIMALS$}").parse::<u64>().ok()?)
}

/// What a run cost, as an estimate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Money {
    /// All that has a price, in nanodollars (10⁻⁹ $).
    pub nano_dollars: u64,
    /// What it consists of.
    pub items: Vec<Item>,
    /// What was used and has no price.
    pub unpriced: Vec<String>,
    /// Whose prices these are, and of when.
    pub basis: String,
    /// What is not counted.
    pub left_out: Vec<String>,
}

/// A part of the money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    /// The price's name.
    pub name: String,
    /// How many units.
    pub quantity: u64,
    /// Of what.
    pub unit: String,
    /// What they cost, in nanodollars, rounded to the nearest.
    pub nano_dollars: u64,
}

/// An amount as people read it, to the hundredth of a cent.
pub fn dollars(nano_dollars: u64) -> String {
    let hundredths = nano_dollars.saturating_add(50_000) / 100_000;
    format!("${}.{:04}", hundredths / 10_000, hundredths % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_digit_by_digit() {
        assert_eq!(pico_dollars("0.0000133334"), Some(13_333_400));
        assert_eq!(pico_dollars("0.005"), Some(5_000_000_000));
        assert_eq!((pico_dollars("1"), pico_dollars("0")), (Some(1_000_000_000_000), Some(0)));
        assert_eq!(pico_dollars("99.999999999999"), Some(99_999_999_999_999));
        for bad in ["", ".5", "5.", "-1", "1e-3", "0.0000000000001", "100", "1,5", " 1", "$1", "１"] {
            assert_eq!(pico_dollars(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_accounts_own_prices_stand_in_place_of_the_published_ones() {
        let prices = Prices::read(r#"{ "codebuild.arm1.medium": "0.007", "lambda.request": "0" }"#).unwrap();
        let usage =
            Usage { build_minutes: [("arm1.medium".into(), 3)].into(), invocations: 9, ..Usage::default() };
        let money = prices.money(&usage);
        assert_eq!((money.nano_dollars, money.unpriced.len()), (21_000_000, 0));
        insta::assert_snapshot!(money.basis, @"an estimate by published prices for us-east-1, looked up on 2026-11-26; 2 of them are the installation's own");
        let unpriced = Prices::published().money(&usage);
        assert_eq!(unpriced.nano_dollars, 1_800);
        insta::assert_snapshot!(unpriced.unpriced.join("; "), @"3 of codebuild.arm1.medium have no price; the parameter Prices gives it one");
        insta::assert_snapshot!(unpriced.basis, @"an estimate by published prices for us-east-1, looked up on 2026-11-26");
    }

    #[test]
    fn wrong_prices_are_refused_in_words() {
        let said = |text: &str| Prices::read(text).unwrap_err().to_string();
        insta::assert_snapshot!(said("0.005"), @r#"it is not a JSON object of names and texts (invalid type: floating point `0.005`, expected a map at line 1 column 5); write dollars for a unit as texts, such as {"codebuild.arm1.small": "0.0034"}"#);
        insta::assert_snapshot!(said(r#"{ "lambda.request": 0.2 }"#), @r#"it is not a JSON object of names and texts (invalid type: floating point `0.2`, expected a string at line 1 column 23); write dollars for a unit as texts, such as {"codebuild.arm1.small": "0.0034"}"#);
        insta::assert_snapshot!(said(r#"{ "codebuild.small": "0.005" }"#), @r#"there is no price "codebuild.small"; the names are codebuild.general1.small, codebuild.general1.medium, codebuild.general1.large, codebuild.general1.xlarge, codebuild.arm1.small, codebuild.arm1.medium, codebuild.arm1.large, codebuild.arm1.xlarge, stepfunctions.transition, lambda.request, lambda.gb_second, dynamodb.write, apigateway.request"#);
        insta::assert_snapshot!(said(r#"{ "lambda.request": "2e-7" }"#), @r#"lambda.request is "2e-7", which is no price; write dollars for one unit, below 100 and with at most 12 decimals, such as "0.0034""#);
    }

    #[test]
    fn amounts_are_whole_and_add_up() {
        let usage = Usage {
            build_minutes: [("arm1.small".into(), 7), ("general1.large".into(), 2)].into(),
            unknown_minutes: 1,
            estimated_minutes: 0,
            transitions: 14,
            invocations: 30,
            lambda_gb_milliseconds: 1_501,
            writes: 200,
            requests: 1,
        };
        let money = Prices::published().money(&usage);
        let amounts: Vec<u64> = money.items.iter().map(|item| item.nano_dollars).collect();
        // 1.501 GB-seconds at 13,333.4 nanodollars are 20,013.4 of them.
        assert_eq!(amounts, [23_800_000, 40_000_000, 350_000, 6_000, 20_013, 125_000, 1_000]);
        assert_eq!(money.nano_dollars, amounts.iter().sum::<u64>());
        assert_eq!(dollars(money.nano_dollars), "$0.0643");
        assert_eq!(
            (dollars(0), dollars(49_999), dollars(12_345_678_900)),
            ("$0.0000".into(), "$0.0000".into(), "$12.3457".into())
        );
        assert_eq!(money.unpriced.len(), 1);
    }

    #[test]
    fn every_price_names_its_page_once() {
        let names: std::collections::BTreeSet<&str> = LISTED.iter().map(|listed| listed.name).collect();
        assert_eq!(names.len(), LISTED.len());
        assert!(LISTED.iter().all(|listed| listed.page.contains("pricing")));
        for (compute, arch) in [(Compute::Small, Arch::Arm64), (Compute::Xlarge, Arch::X86_64)] {
            let name = format!("codebuild.{}", machine(compute, arch));
            assert!(names.contains(name.as_str()), "{name}");
        }
    }
}
