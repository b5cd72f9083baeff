//! What is said of time and money.

use crate::ledger::{Kind, Ledger};
use crate::prices::{AS_OF, Listed, REGION};

/// What an amount does not hold.
pub const LEFT_OUT: [&str; 5] = [
    "free tiers and discounts",
    "what the deployed service itself costs, such as ECS tasks and load balancers",
    "logs, traces, metrics and alarms: how much a build writes is not known",
    "files in S3, images in ECR, keys, secrets and data transfer",
    "reads of the table, and the sweep that looks on every minute whatever runs",
];

/// Whose prices an amount is made of.
pub(crate) fn basis(own: usize) -> String {
    let own = match own {
        0 => String::new(),
        1 => "; 1 of them is the installation's own".to_owned(),
        own => format!("; {own} of them are the installation's own"),
    };
    format!("an estimate by published prices for {REGION}, looked up on {AS_OF}{own}")
}

pub(crate) fn not_prices(error: &serde_json::Error) -> String {
    format!(
        "it is not a JSON object of names and texts ({error}); write dollars for a unit as texts, such as \
         {{\"codebuild.arm1.small\": \"0.0034\"}}"
    )
}

pub(crate) fn unknown_price(name: &str, listed: &[Listed]) -> String {
    let names: Vec<&str> = listed.iter().map(|listed| listed.name).collect();
    let name = crate::fact::bounded(name, 80);
    format!("there is no price {name:?}; the names are {}", names.join(", "))
}

pub(crate) fn not_dollars(name: &str, dollars: &str) -> String {
    let dollars = crate::fact::bounded(dollars, 40);
    format!(
        "{name} is {dollars:?}, which is no price; write dollars for one unit, below 100 and with at most 12 decimals, \
         such as \"0.0034\""
    )
}

pub(crate) fn unpriced(name: &str, quantity: u64) -> String {
    format!("{quantity} of {name} have no price; the parameter Prices gives it one")
}

pub(crate) fn unknown_machine(minutes: u32) -> String {
    format!("{minutes} build minutes on a machine that nothing names")
}

/// Where a run's time went, in one line, the longest first.
pub(crate) fn where_time_went(ledger: &Ledger) -> String {
    let mut totals = ledger.totals.clone();
    totals.sort_by_key(|total| std::cmp::Reverse(total.milliseconds));
    let parts = totals.iter().map(|total| format!("{} {}", words(total.kind), seconds(total.milliseconds)));
    let parts = parts.collect::<Vec<_>>().join(", ");
    let all = seconds(ledger.milliseconds);
    if parts.is_empty() { format!("{all} in all") } else { format!("{all} in all: {parts}") }
}

/// A kind of time as a person says it.
pub fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Delivery => "delivery",
        Kind::Queue => "waiting for other runs",
        Kind::Provisioning => "waiting for a build machine",
        Kind::Work => "jobs and tasks",
        Kind::Approval => "waiting for people",
        Kind::Window => "waiting for its time",
        Kind::Health => "rollout",
        Kind::Drain => "draining connections",
        Kind::Bake => "pauses of the strategy",
        Kind::Checks => "checks",
        Kind::Watch => "watch",
        Kind::Rollback => "rollback",
        Kind::Own => "Pushway itself",
    }
}

/// From when to when a kind of time goes, for whoever meets its name for the first time.
pub fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Delivery => "from the push until it was recorded here",
        Kind::Queue => "older pushes of the branch, or an environment that another run had",
        Kind::Provisioning => "until CodeBuild had one",
        Kind::Work => "building, testing, tasks before a deploy",
        Kind::Approval => "before a deploy, or in the middle of one",
        Kind::Window => "a deploy window, or the end of a freeze",
        Kind::Health => "until the service had moved, or was lost",
        Kind::Drain => "until connections to old tasks had ended",
        Kind::Bake => "between steps of the traffic, and after the last",
        Kind::Checks => "while traffic moved, and after the deploy",
        Kind::Watch => "the new version serves, and is looked at",
        Kind::Rollback => "until the old version served again, or could not",
        Kind::Own => "planning, handing over, noticing that something is over",
    }
}

/// A length of time as a person says it.
pub fn seconds(milliseconds: u64) -> String {
    let (hours, minutes) = (milliseconds / 3_600_000, milliseconds / 60_000 % 60);
    let (seconds, tenth) = (milliseconds / 1_000 % 60, milliseconds / 100 % 10);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}.{tenth} s"),
        (0, _) => format!("{minutes} min {seconds} s"),
        _ => format!("{hours} h {minutes} min"),
    }
}
