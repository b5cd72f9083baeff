//! How a pipeline delivers to an environment: the DORA programme's measures with their definitions beside them, then
//! times and money.

use pushway_core::ids::PipelineName;
use pushway_core::insights::{EnvironmentInsights, Insights, Spread, Week};
use pushway_core::messages::money::seconds;
use pushway_core::ports::{Clock, History, InsightSettings, ListPipelines, RunFigures};
use pushway_core::prices::dollars;
use pushway_dashboard::{Bar, Figure, InsightsPage};

use super::Look;
use crate::call::parsed;
use crate::insights::of_pipeline;
use crate::reply::Problem;

/// The span that the page tells of, in days: long enough for a course by weeks.
const DAYS: u16 = 90;
/// Pipelines that can be chosen.
const CHOICE: usize = 100;
const NONE: &str = "no data";

pub(super) async fn page<P>(ports: &P, look: &Look<'_>) -> Result<String, Problem>
where
    P: History + ListPipelines + RunFigures + InsightSettings + Clock,
{
    let claims = ports.pipelines(None, CHOICE).await?.pipelines;
    let names: Vec<String> = claims.iter().map(|claim| claim.pipeline.to_string()).collect();
    let chosen = match look.query.pipeline.as_str() {
        "" => claims.first().map(|claim| claim.pipeline.clone()),
        name => Some(parsed::<PipelineName>(name)?),
    };
    let insights = match &chosen {
        Some(pipeline) => Some(of_pipeline(ports, pipeline, None, DAYS).await?),
        None => None,
    };
    let environments: &[EnvironmentInsights] =
        insights.as_ref().map_or(&[], |insights| insights.environments.as_slice());
    let wanted = environments.iter().find(|found| found.environment.as_str() == look.query.environment);
    let environment = wanted.or(environments.last());
    let figures = insights.as_ref().map_or_else(Vec::new, |insights| figures(insights, environment));
    let pipeline = chosen.map(|name| name.to_string()).unwrap_or_default();
    let title = match environment {
        Some(found) => format!("{pipeline} to {}, the last {DAYS} days", found.environment),
        None => format!("The last {DAYS} days"),
    };
    let page = InsightsPage {
        frame: &look.frame,
        title: &title,
        pipelines: &names,
        pipeline: &pipeline,
        environments: &environments.iter().map(|found| found.environment.to_string()).collect::<Vec<_>>(),
        environment: environment.map_or("", |found| found.environment.as_str()),
        figures: &figures,
    };
    look.show(&page, &page.as_main())
}

fn figures(insights: &Insights, environment: Option<&EnvironmentInsights>) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let Some(found) = environment {
        let values = [
            (
                per_week(found),
                course(insights, |week| (f64::from(week.deployments), week.deployments.to_string())),
            ),
            (spread(found.lead_time), course(insights, lead)),
            (failures(found), course(insights, |week| (f64::from(week.failed), week.failed.to_string()))),
            (recovery(found), Vec::new()),
        ];
        for (definition, ((value, note), bars)) in insights.definitions.iter().zip(values) {
            figures.push(Figure {
                name: definition.name.clone(),
                value,
                definition: format!("{} {}", definition.meaning, definition.measured),
                note,
                bars,
            });
        }
    }
    let times = [
        ("Waiting", insights.queue, "How long runs waited for others and for build machines."),
        ("Jobs", insights.build, "How long the build and test jobs of runs took."),
        ("Deploys", insights.deploy, "How long deploys took, of runs that deployed."),
    ];
    figures.extend(times.map(|(name, times, definition)| {
        let (value, note) = spread(times);
        Figure { name: name.into(), value, definition: definition.into(), note, bars: Vec::new() }
    }));
    figures.push(Figure {
        name: "Money".into(),
        value: dollars(insights.money.nano_dollars),
        definition: format!("What runs cost, {}.", insights.money.basis),
        note: format!(
            "{} runs{}",
            insights.runs,
            if insights.is_cut { ", the oldest ones left out" } else { "" }
        ),
        bars: course(insights, |week| (count(week.nano_dollars / 1_000), dollars(week.nano_dollars))),
    });
    figures
}

fn course(insights: &Insights, of: impl Fn(&Week) -> (f64, String)) -> Vec<Bar> {
    let bar = |week: &Week| {
        let (value, words) = of(week);
        Bar { label: week.from.strftime("%-d %b %Y").to_string(), value, words }
    };
    insights.weeks.iter().map(bar).collect()
}

fn lead(week: &Week) -> (f64, String) {
    week.lead_median_seconds.map_or((0.0, NONE.into()), |median| (f64::from(median), time(median)))
}

fn per_week(found: &EnvironmentInsights) -> (String, String) {
    let value = found.deployments_per_week.map_or_else(|| NONE.into(), |week| format!("{week} a week"));
    (value, format!("{} deployments", found.deployments))
}

fn failures(found: &EnvironmentInsights) -> (String, String) {
    let value = found.change_failure_percent.map_or_else(|| NONE.into(), |percent| format!("{percent} %"));
    (value, format!("{} of {} deployments", found.failed, found.attempts))
}

fn recovery(found: &EnvironmentInsights) -> (String, String) {
    let (value, note) = spread(found.recovery_time);
    let open = format!("{} not recovered yet", found.unrecovered);
    (value, if found.unrecovered > 0 { open } else { note })
}

fn spread(times: Option<Spread>) -> (String, String) {
    times.map_or_else(
        || (NONE.into(), String::new()),
        |times| {
            (
                time(times.median_seconds),
                format!("median of {}; nine of ten within {}", times.count, time(times.p90_seconds)),
            )
        },
    )
}

fn time(of: u32) -> String {
    seconds(u64::from(of) * 1_000)
}

/// A bar is as high as an amount of money allows it to be drawn.
fn count(micro_dollars: u64) -> f64 {
    f64::from(u32::try_from(micro_dollars).unwrap_or(u32::MAX))
}
