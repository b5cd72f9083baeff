//! Insights over figures made by hand, whose answers are known.

use super::*;
use crate::ids::RunId;
use crate::run::Status;

/// Minutes after the beginning of a span of 30 days that ends at `now()`.
fn at(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_hours(30 * 24) + SignedDuration::from_mins(minutes)
}

fn now() -> Timestamp {
    "2026-11-26T00:00:00Z".parse().unwrap()
}

fn name(text: &str) -> EnvironmentName {
    text.parse().unwrap()
}

/// A run that was received then and did this to production within the next ten minutes.
fn run(minutes: i64, outcome: Option<Outcome>, leads: &[u32]) -> Figures {
    let received = at(minutes);
    let environment = |outcome| EnvironmentFigures {
        name: name("production"),
        outcome,
        began_at: at(minutes + 5),
        at: at(minutes + 10),
        leads: leads.to_vec(),
    };
    Figures {
        run: RunId::new(received, [0; 10]),
        pipeline: "web".parse().unwrap(),
        status: if outcome == Some(Outcome::Deployed) { Status::Succeeded } else { Status::Failed },
        git_ref: "refs/heads/main".parse().unwrap(),
        commit: "a".repeat(40).parse().unwrap(),
        is_rollback: false,
        pushed_at: received,
        received_at: received,
        ended_at: at(minutes + 11),
        queue_seconds: 10,
        build_seconds: 60,
        deploy_seconds: 300,
        usage: Usage { build_minutes: [("arm1.small".into(), 2)].into(), ..Usage::default() },
        environments: outcome.map(environment).into_iter().collect(),
    }
}

fn ask(figures: &[Figures], days: u16, environment: Option<&EnvironmentName>) -> Insights {
    let (pipeline, prices) = ("web".parse().unwrap(), Prices::published());
    let question = Question { pipeline: &pipeline, environment, days, now: now(), prices: &prices };
    insights(&question, figures, false)
}

fn production(figures: &[Figures]) -> EnvironmentInsights {
    ask(figures, 30, None).environments.remove(0)
}

#[test]
fn nothing_gives_no_numbers() {
    let none = ask(&[], 7, None);
    assert_eq!((none.runs, none.queue, none.build, none.deploy), (0, None, None, None));
    assert_eq!((none.environments, none.money.nano_dollars), (Vec::new(), 0));
    assert_eq!((none.weeks.len(), none.weeks[0].lead_median_seconds), (1, None));
    assert_eq!(none.definitions.len(), 4);
    // A run that deployed nothing is a run, and no deployment.
    let built = ask(&[run(10, None, &[])], 30, None);
    assert_eq!((built.runs, built.deploy, built.environments), (1, None, Vec::new()));
}

#[test]
fn deployments_their_leads_and_their_frequency() {
    let figures = [
        run(0, Some(Outcome::Deployed), &[600]),
        run(100, Some(Outcome::Deployed), &[300, 900, 1_200]),
        run(200, Some(Outcome::Deployed), &[400]),
    ];
    let found = production(&figures);
    assert_eq!((found.deployments, found.attempts, found.failed), (3, 3, 0));
    assert_eq!(found.deployments_per_week, Some(0.7));
    assert_eq!(found.change_failure_percent, Some(0.0));
    assert_eq!(found.recovery_time, None, "nothing had to be recovered from");
    // Of 300, 400, 600, 900 and 1,200.
    assert_eq!(found.lead_time, Some(Spread { count: 5, median_seconds: 600, p90_seconds: 1_200 }));
}

#[test]
fn a_rollback_by_itself_is_recovered_from_when_the_old_version_is_back() {
    let found = production(&[run(0, Some(Outcome::Deployed), &[1]), run(60, Some(Outcome::RolledBack), &[])]);
    assert_eq!((found.deployments, found.attempts, found.failed, found.unrecovered), (1, 2, 1, 0));
    assert_eq!(found.change_failure_percent, Some(50.0));
    assert_eq!(found.recovery_time.map(|time| time.median_seconds), Some(5 * 60));
}

#[test]
fn what_is_left_broken_is_recovered_from_by_the_next_good_deployment() {
    let broken = run(0, Some(Outcome::Failed), &[]);
    let found = production(std::slice::from_ref(&broken));
    assert_eq!((found.deployments, found.failed, found.unrecovered), (0, 1, 1));
    assert_eq!((found.deployments_per_week, found.change_failure_percent), (None, Some(100.0)));
    assert_eq!(found.recovery_time, None);
    let found = production(&[broken, run(120, Some(Outcome::Deployed), &[1])]);
    assert_eq!((found.failed, found.unrecovered), (1, 0));
    // From minute 5, when it began, to minute 130.
    assert_eq!(found.recovery_time.map(|time| time.median_seconds), Some(125 * 60));
}

#[test]
fn a_rollback_by_hand_says_that_the_deployment_before_it_failed_and_is_none_itself() {
    let back = Figures { is_rollback: true, ..run(500, Some(Outcome::Deployed), &[60]) };
    let good = run(0, Some(Outcome::Deployed), &[600]);
    let found = production(&[back.clone(), run(100, Some(Outcome::Deployed), &[700]), good]);
    assert_eq!((found.deployments, found.attempts, found.failed), (2, 2, 1));
    assert_eq!(found.recovery_time.map(|time| (time.count, time.median_seconds)), Some((1, 10 * 60)));
    assert_eq!(found.lead_time.map(|time| time.count), Some(2), "what comes back was brought before");
    // One that goes back from nothing that is known says nothing.
    assert_eq!(ask(&[back], 30, None).environments, Vec::new());
}

#[test]
fn a_rollback_by_hand_that_mends_what_was_left_broken_undoes_nothing_else() {
    let good = run(0, Some(Outcome::Deployed), &[600]);
    // It was held as it was, or could not be rolled back.
    let broken = run(100, Some(Outcome::Failed), &[]);
    let back = Figures { is_rollback: true, ..run(500, Some(Outcome::Deployed), &[]) };
    let found = production(&[good.clone(), broken, back.clone()]);
    assert_eq!((found.deployments, found.attempts, found.failed, found.unrecovered), (1, 2, 1, 0));
    // From minute 105, when the broken one began, to minute 510.
    assert_eq!(found.recovery_time.map(|time| (time.count, time.median_seconds)), Some((1, 405 * 60)));
    // One that went back by itself left the good one serving: it is that one which is undone.
    let undone = production(&[good, run(100, Some(Outcome::RolledBack), &[]), back]);
    assert_eq!((undone.failed, undone.recovery_time.map(|time| time.count)), (2, Some(2)));
}

#[test]
fn where_there_are_too_many_runs_a_span_begins_with_the_oldest_of_them() {
    // Four in the last two weeks; what was before is not known, and is not zero.
    let days = [16, 20, 24, 29];
    let figures: Vec<Figures> =
        days.map(|day| run(day * 24 * 60, Some(Outcome::Deployed), &[60])).into_iter().rev().collect();
    let (pipeline, prices) = ("web".parse().unwrap(), Prices::published());
    let question = Question { pipeline: &pipeline, environment: None, days: 30, now: now(), prices: &prices };
    let found = insights(&question, &figures, true);
    assert_eq!((found.from, found.days, found.is_cut), (at(16 * 24 * 60), 30, true));
    assert_eq!((found.weeks.len(), found.weeks[0].from), (2, found.from));
    assert_eq!(found.weeks.iter().map(|week| week.deployments).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(found.environments[0].deployments_per_week, Some(2.0));
    assert_eq!(insights(&question, &figures, false).weeks.len(), 5);
}

#[test]
fn a_span_holds_what_happened_in_it_and_weeks_add_up_to_it() {
    let early = run(-15, Some(Outcome::Deployed), &[1]);
    let late = run(29 * 24 * 60, Some(Outcome::Deployed), &[50]);
    let figures =
        [early, run(5, Some(Outcome::RolledBack), &[]), run(10, Some(Outcome::Deployed), &[40]), late];
    let found = ask(&figures, 30, None);
    assert_eq!((found.runs, found.environments[0].attempts), (3, 3));
    // 30 days are four weeks and two days, the shorter one first.
    let weeks: Vec<_> = found.weeks.iter().map(|week| (week.runs, week.deployments, week.failed)).collect();
    assert_eq!(weeks, [(2, 1, 1), (0, 0, 0), (0, 0, 0), (0, 0, 0), (1, 1, 0)]);
    assert_eq!(found.weeks[0].to.duration_since(found.weeks[0].from), SignedDuration::from_hours(48));
    assert!(found.weeks.windows(2).all(|pair| pair[0].to == pair[1].from));
    let money: u64 = found.weeks.iter().map(|week| week.nano_dollars).sum();
    assert_eq!((money, found.money.nano_dollars), (3 * 2 * 3_400_000, 3 * 2 * 3_400_000));
    assert_eq!(found.weeks[4].lead_median_seconds, Some(50));
    assert_eq!(ask(&figures, 30, Some(&name("staging"))).environments, Vec::new());
    assert_eq!(ask(&figures, 7, None).environments[0].deployments, 1);
}

#[test]
fn the_definitions_name_the_four_measures_and_how_they_are_taken() {
    let names: Vec<String> =
        ask(&[], 7, None).definitions.into_iter().map(|definition| definition.name).collect();
    let expected =
        ["Deployment frequency", "Change lead time", "Change fail rate", "Failed deployment recovery time"];
    assert_eq!(names, expected);
}
