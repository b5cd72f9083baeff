//! `pushway insights`: how a pipeline delivers, what its runs took and cost.

use std::process::ExitCode;

use pushway_core::ids::{EnvironmentName, PipelineName};
use pushway_core::insights::{Answer, EnvironmentInsights, Insights, MAX_DAYS, Spread, Week};
use pushway_core::messages::money::seconds;
use pushway_core::prices::dollars;

use crate::client::At;
use crate::output;

/// What to look at.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway insights --pipeline web --environment production --days 90")]
pub(crate) struct Args {
    /// Only this pipeline.
    #[arg(long)]
    pipeline: Option<PipelineName>,
    /// Only this environment.
    #[arg(long)]
    environment: Option<EnvironmentName>,
    /// Of the last so many days.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_DAYS)))]
    days: u16,
}

/// Shows insights.
pub(crate) async fn main(at: &At, as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let mut query = vec![("days", args.days.to_string())];
    query.extend(args.pipeline.iter().map(|pipeline| ("pipeline", pipeline.to_string())));
    query.extend(args.environment.iter().map(|environment| ("environment", environment.to_string())));
    let answer: Answer = at.client().await?.get(&["v1", "insights"], &query).await?;
    if as_json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    if answer.pipelines.is_empty() {
        output::note("no pipeline has run yet; push to a connected repository");
    }
    for (n, insights) in answer.pipelines.iter().enumerate() {
        if n > 0 {
            output::line("")?;
        }
        for line in describe(insights) {
            output::line(&line)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(insights: &Insights) -> Vec<String> {
    let Insights { pipeline, days, runs, money, .. } = insights;
    let mut lines =
        vec![format!("{pipeline}, the last {days} days: {runs} runs, {}", dollars(money.nano_dollars))];
    if insights.is_cut {
        lines
            .push(format!("  there were more runs than are looked through: this is since {}", insights.from));
    }
    for (what, spread) in
        [("waiting", insights.queue), ("jobs", insights.build), ("deploys", insights.deploy)]
    {
        lines.push(format!("  {what:<30} {}", spread_words(spread)));
    }
    lines.extend(money.unpriced.iter().map(|what| format!("  not in the money: {what}")));
    lines.extend(insights.environments.iter().flat_map(of_environment));
    if *runs > 0 {
        lines.push("  by week:".to_owned());
        lines.extend(insights.weeks.iter().map(of_week));
    }
    lines.push(format!("  money is {}", money.basis));
    lines
}

fn of_environment(found: &EnvironmentInsights) -> Vec<String> {
    let none = || "none".to_owned();
    let frequency =
        found.deployments_per_week.map_or_else(none, |week| format!("{} ({week} a week)", found.deployments));
    let rate = found
        .change_failure_percent
        .map_or_else(none, |percent| format!("{percent} % ({} of {})", found.failed, found.attempts));
    let recovery = match found.unrecovered {
        0 => spread_words(found.recovery_time),
        open => format!("{}; {open} not yet", spread_words(found.recovery_time)),
    };
    let line = |what: &str, value: String| format!("    {what:<28} {value}");
    vec![
        format!("  environment {}", found.environment),
        line("deployments", frequency),
        line("change lead time", spread_words(found.lead_time)),
        line("change fail rate", rate),
        line("failed deployment recovery", recovery),
    ]
}

fn of_week(week: &Week) -> String {
    let Week { runs, deployments, failed, .. } = week;
    let lead =
        week.lead_median_seconds.map_or_else(String::new, |lead| format!(", lead time {}", time(lead)));
    let day = week.from.strftime("%Y-%m-%d");
    format!(
        "    {day}  {runs} runs, {deployments} deployments, {failed} failed{lead}, {}",
        dollars(week.nano_dollars)
    )
}

fn spread_words(spread: Option<Spread>) -> String {
    spread.map_or_else(
        || "none".to_owned(),
        |spread| {
            format!("median {}, nine of ten within {}", time(spread.median_seconds), time(spread.p90_seconds))
        },
    )
}

fn time(of: u32) -> String {
    seconds(u64::from(of) * 1_000)
}

#[cfg(test)]
mod tests {
    use pushway_core::figures::Figures;
    use pushway_core::insights::{Question, insights};
    use pushway_core::prices::Prices;
    use serde_json::json;

    use super::*;

    /// A run of the day before the end of the span.
    fn figures(number: u8, outcome: &str, leads: &[u32]) -> Figures {
        let at = |minute: u8| format!("2026-11-25T1{number}:{minute:02}:00Z");
        let figures = json!({
            "run": format!("01890a5d-ac96-774b-bcce-b302099a805{number}"), "pipeline": "web", "status": "succeeded",
            "git_ref": "refs/heads/main", "commit": "a".repeat(40), "pushed_at": at(0), "received_at": at(0),
            "ended_at": at(12), "queue_seconds": 20, "build_seconds": 240, "deploy_seconds": 200,
            "usage": {
                "build_minutes": { "arm1.small": 5, "arm1.medium": 2 }, "transitions": 15, "invocations": 40,
                "lambda_gb_milliseconds": 3000, "writes": 300, "requests": 1,
            },
            "environments": [{
                "name": "production", "outcome": outcome, "began_at": at(5), "at": at(10), "leads": leads,
            }],
        });
        serde_json::from_value(figures).unwrap()
    }

    fn described(figures: &[Figures]) -> String {
        let pipeline = "web".parse().unwrap();
        let (now, prices) = ("2026-11-26T00:00:00Z".parse().unwrap(), Prices::published());
        let question = Question { pipeline: &pipeline, environment: None, days: 7, now, prices: &prices };
        describe(&insights(&question, figures, false)).join("\n")
    }

    #[test]
    fn what_a_person_reads_of_a_pipeline() {
        let all = [
            figures(0, "deployed", &[600, 4_000]),
            figures(1, "failed", &[]),
            figures(2, "deployed", &[660]),
        ];
        insta::assert_snapshot!(described(&all), @"
        web, the last 7 days: 3 runs, $0.0528
          waiting                        median 20.0 s, nine of ten within 20.0 s
          jobs                           median 4 min 0 s, nine of ten within 4 min 0 s
          deploys                        median 3 min 20 s, nine of ten within 3 min 20 s
          not in the money: 6 of codebuild.arm1.medium have no price; the parameter Prices gives it one
          environment production
            deployments                  2 (2 a week)
            change lead time             median 11 min 0 s, nine of ten within 1 h 6 min
            change fail rate             33.3 % (1 of 3)
            failed deployment recovery   median 1 h 5 min, nine of ten within 1 h 5 min
          by week:
            2026-11-19  3 runs, 2 deployments, 1 failed, lead time 11 min 0 s, $0.0528
          money is an estimate by published prices for us-east-1, looked up on 2026-11-26
        ");
        insta::assert_snapshot!(described(&[]), @"
        web, the last 7 days: 0 runs, $0.0000
          waiting                        none
          jobs                           none
          deploys                        none
          money is an estimate by published prices for us-east-1, looked up on 2026-11-26
        ");
    }
}
