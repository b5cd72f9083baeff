//! Insights: what the figures of a pipeline's runs say of how it delivers.
//!
//! Pure. The four measures of the DORA programme stand with their definitions (`messages/delivery.rs`) and with how
//! they are measured here; none is judged, and where nothing happened there is no number. What a span holds: a run by
//! when it ended, a deployment by when it was live or undone.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::figures::{EnvironmentFigures, Figures, Outcome};
use crate::ids::{EnvironmentName, PipelineName};
use crate::messages::delivery as messages;
use crate::prices::{Money, Prices};
use crate::usage::Usage;

mod environment;
mod spread;
#[cfg(test)]
mod tests;

use environment::deployments;
pub use spread::Spread;

/// The spans that are asked for, in days.
pub const SPANS: [u16; 3] = [7, 30, 90];
/// The longest span, in days.
pub const MAX_DAYS: u16 = 366;
/// How much longer than a span figures reach back: a run may wait so long for people (`statemachine/README.md`).
pub const REACH: SignedDuration = SignedDuration::from_hours(8 * 24);
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What is known of how a pipeline delivers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Insights {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The span that was asked for, in days.
    pub days: u16,
    /// Its beginning; where it is cut, when the oldest run was received that was looked at.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// Runs that ended in it.
    pub runs: u32,
    /// Whether there were more runs than are looked through, so that the span is shorter than was asked for.
    pub is_cut: bool,
    /// How long runs waited for others and for build machines; none where no run ended.
    pub queue: Option<Spread>,
    /// How long their jobs took.
    pub build: Option<Spread>,
    /// How long their deploys took, of runs that deployed.
    pub deploy: Option<Spread>,
    /// What they cost in all.
    pub money: Money,
    /// The environments that were deployed to, in the order of their names.
    pub environments: Vec<EnvironmentInsights>,
    /// By week, oldest first.
    pub weeks: Vec<Week>,
    /// What the four measures are, and how they are measured.
    pub definitions: Vec<Definition>,
}

/// What is answered of several pipelines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The one that was asked for; else those that ran lately, in the order of their names.
    pub pipelines: Vec<Insights>,
}

/// How a pipeline delivers to an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentInsights {
    /// The environment.
    pub environment: EnvironmentName,
    /// Deployments that came live.
    pub deployments: u32,
    /// The same for a week, to two decimals; none where there were none.
    pub deployments_per_week: Option<f64>,
    /// From a push until it was live, over all pushes that were brought.
    pub lead_time: Option<Spread>,
    /// Deployments that touched the environment, for good or ill; rollbacks by hand apart.
    pub attempts: u32,
    /// How many of them failed, or were rolled back later.
    pub failed: u32,
    /// The same in per cent, to one decimal; none where there were none.
    pub change_failure_percent: Option<f64>,
    /// From a failed deployment until a good version served again.
    pub recovery_time: Option<Spread>,
    /// Failed deployments after which nothing good serves yet.
    pub unrecovered: u32,
}

/// A week of a span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Week {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end; the first one of a span may be shorter than seven days.
    pub to: Timestamp,
    /// Runs that ended.
    pub runs: u32,
    /// Deployments that came live, in all environments asked for.
    pub deployments: u32,
    /// Deployments that failed, or were rolled back later.
    pub failed: u32,
    /// The median of the lead times, in seconds; none where nothing came live.
    pub lead_median_seconds: Option<u32>,
    /// What the runs cost, in nanodollars.
    pub nano_dollars: u64,
}

/// What a measure is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Definition {
    /// Its name at the DORA programme (dora.dev).
    pub name: String,
    /// What it means there, in our words.
    pub meaning: String,
    /// How it is measured here.
    pub measured: String,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question<'q> {
    /// Of which pipeline.
    pub pipeline: &'q PipelineName,
    /// Only of this environment.
    pub environment: Option<&'q EnvironmentName>,
    /// Of the last so many days.
    pub days: u16,
    /// The end of the span.
    pub now: Timestamp,
    /// What things cost.
    pub prices: &'q Prices,
}

/// A deployment, and what became of it later.
#[derive(Debug, Clone, Copy)]
struct Deployment<'f> {
    figures: &'f EnvironmentFigures,
    has_failed: bool,
    /// From when to when something bad served, where that is over.
    recovery: Option<(Timestamp, Timestamp)>,
}

/// Answers from figures in any order, which may reach back further than the span; `is_cut` says that there are more.
pub fn insights(question: &Question<'_>, figures: &[Figures], is_cut: bool) -> Insights {
    let Question { pipeline, environment, days, now, prices } = question;
    let asked = *now - SignedDuration::from_hours(i64::from(*days) * 24);
    // Of what was before the oldest run that was looked at nothing is known, not even that nothing happened.
    let oldest = figures.iter().map(|figures| figures.received_at).min().filter(|_| is_cut);
    let from = oldest.map_or(asked, |oldest| oldest.clamp(asked, *now));
    let span = Span { from, to: *now };
    let ended: Vec<&Figures> = figures.iter().filter(|figures| span.holds(figures.ended_at)).collect();
    let all = deployments(figures, *environment);
    let weeks_long = now.duration_since(from).as_secs_f64().max(1.0) / WEEK.as_secs_f64();
    let by_environment = all.iter().map(|(name, all)| environment::of(name, &within(all, span), weeks_long));
    Insights {
        pipeline: (*pipeline).clone(),
        days: *days,
        from,
        to: *now,
        runs: count(ended.len()),
        is_cut: from > asked,
        queue: Spread::of(ended.iter().map(|figures| figures.queue_seconds)),
        build: Spread::of(ended.iter().map(|figures| figures.build_seconds).filter(|seconds| *seconds > 0)),
        deploy: Spread::of(
            ended
                .iter()
                .filter(|figures| !figures.environments.is_empty())
                .map(|figures| figures.deploy_seconds),
        ),
        money: prices.money(&used(&ended)),
        environments: by_environment.filter(|found| found.attempts + found.deployments > 0).collect(),
        weeks: weeks(span).map(|week| of_week(week, &ended, &all, prices)).collect(),
        definitions: messages::definitions(),
    }
}

#[derive(Debug, Clone, Copy)]
struct Span {
    from: Timestamp,
    to: Timestamp,
}

impl Span {
    /// Whether it holds a moment: its end is in it, its beginning is not, so that weeks share none.
    fn holds(self, at: Timestamp) -> bool {
        self.from < at && at <= self.to
    }
}

fn within<'d>(deployments: &[Deployment<'d>], span: Span) -> Vec<Deployment<'d>> {
    deployments.iter().filter(|deployment| span.holds(deployment.figures.at)).copied().collect()
}

fn used(figures: &[&Figures]) -> Usage {
    figures.iter().fold(Usage::default(), |mut sum, figures| {
        sum.add(&figures.usage);
        sum
    })
}

/// The weeks of a span, oldest first, counted back from its end.
fn weeks(span: Span) -> impl Iterator<Item = Span> {
    let mut weeks = Vec::new();
    let mut to = span.to;
    while to > span.from {
        let from = (to - WEEK).max(span.from);
        weeks.push(Span { from, to });
        to = from;
    }
    weeks.into_iter().rev()
}

fn of_week(
    week: Span,
    ended: &[&Figures],
    all: &[(&EnvironmentName, Vec<Deployment<'_>>)],
    prices: &Prices,
) -> Week {
    let runs: Vec<&Figures> = ended.iter().filter(|figures| week.holds(figures.ended_at)).copied().collect();
    let deployments: Vec<Deployment<'_>> = all.iter().flat_map(|(_, all)| within(all, week)).collect();
    let live = deployments.iter().filter(|deployment| deployment.figures.outcome == Outcome::Deployed);
    let leads = deployments.iter().flat_map(|deployment| deployment.figures.leads.iter().copied());
    Week {
        from: week.from,
        to: week.to,
        runs: count(runs.len()),
        deployments: count(live.count()),
        failed: count(deployments.iter().filter(|deployment| deployment.has_failed).count()),
        lead_median_seconds: Spread::of(leads).map(|spread| spread.median_seconds),
        nano_dollars: prices.money(&used(&runs)).nano_dollars,
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
