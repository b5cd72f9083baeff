//! What holds for every order, repetition and loss, over facts, locks, verdicts and checks.
//!
//! The journals come from stories that were really played, so a new fact is tested as soon as one tells it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use pushway_core::environment::{Acquisition, EnvironmentRecord};
use pushway_core::fact::{
    Baseline, Cause, DeployFailure, DeployFailureKind, Entry, Fact, JobStage, Rollout, TestSummary,
};
use pushway_core::ids::{Fence, RunId};
use pushway_core::ledger::Ledger;
use pushway_core::ports::Probed;
use pushway_core::rollout::{
    Progress, RollbackStep, SETTLING, Window, judge_deploy, judge_rollback, rollback_step,
};
use pushway_core::run::{Applied, DeployVerdict, Run, Status};
use pushway_core::service_deployment::{ServiceDeploymentStatus, ServiceDeploymentView};
use pushway_core::testing::{Behaviour, Breaker, BuildScript, Manner, answered};
use pushway_core::views::{RolloutState, RolloutView, ServiceView};
use pushway_tests::sim::people;
use pushway_tests::sim::story::{PIPELINE, Story, old_image, parse};
use serde_json::{Value, json};

/// A played run: its journal and what it came to.
#[derive(Debug)]
struct Played {
    id: RunId,
    journal: Vec<Entry>,
    status: Status,
}

fn played(set: impl FnOnce(&mut Story) -> pushway_core::ids::CommitSha) -> Played {
    let mut story = Story::new();
    let commit = set(&mut story);
    let run = story.play_commit(&commit);
    Played { id: run.id, journal: story.world().stored_journal(run.id), status: run.status }
}

fn image(behaviour: Behaviour) -> Played {
    played(|story| {
        let commit = story.commit();
        story.image_does(&commit, behaviour);
        commit
    })
}

/// A run that asks two people, who say this.
fn asked(answers: [(&str, &str); 2]) -> Played {
    let mut story = Story::new();
    let pipeline = format!("{PIPELINE}    approval: {{ required: 2 }}\n");
    let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
    let id = story.push("main", &commit);
    story.sim.run_until(|world| world.runs()[0].environments.iter().any(|state| state.approval.is_some()));
    let request = story.run(id).environments[0].approval.clone().expect("it asks").request;
    for (name, verb) in answers {
        let body = match verb {
            "approve" => json!({ "digest": request.digest }),
            _ => json!({ "reason": "not today" }),
        };
        people::post(&story.world(), name, &format!("/v1/runs/{id}/environments/staging/{verb}"), &body);
    }
    story.sim.run();
    Played { id, journal: story.world().stored_journal(id), status: story.run(id).status }
}

/// One run of each kind.
static PLAYED: LazyLock<Vec<Played>> = LazyLock::new(|| {
    vec![
        image(Behaviour::Healthy),
        image(Behaviour::Crashes(3)),
        image(Behaviour::Sick(500)),
        played(|story| {
            story.world().set_behaviour(&old_image(), Behaviour::Crashes(1));
            let commit = story.commit();
            story.image_does(&commit, Behaviour::Sick(500));
            commit
        }),
        played(|story| {
            story.world().with_service("demo", "web", |service| {
                (service.breaker, service.manner) = (Breaker::Off, Manner::Emulator);
            });
            let commit = story.commit();
            story.image_does(&commit, Behaviour::NeverStable);
            commit
        }),
        played(|story| {
            let tests = TestSummary {
                passed: 0,
                failed: 1,
                skipped: 0,
                failing: vec!["t".into()],
                ..Default::default()
            };
            story.world().script_build(JobStage::Test, "unit", None, BuildScript::FailsTests(tests));
            story.commit()
        }),
        played(|story| {
            story.world().script_build(JobStage::Build, "image", Some(1), BuildScript::Faults);
            story.commit_with(&[("pushway.yml", &PIPELINE.replace("20m,", "20m, retries: 1,"))])
        }),
        played(|story| story.commit_with(&[("pushway.yml", "version: 2\n")])),
        asked([("ada", "approve"), ("bob", "approve")]),
        asked([("ada", "approve"), ("bob", "reject")]),
        asked_by_ecs(Behaviour::Healthy),
        asked_by_ecs(Behaviour::Sick(500)),
        stopped(|run| run.status == Status::Building),
        stopped(|run| run.environments.iter().any(|state| state.deployment.is_some())),
        retried(),
        paused("continue", &json!({})),
        paused("go-back", &json!({ "reason": "slow" })),
    ]
});

/// A run whose deployment ECS asks about.
fn asked_by_ecs(behaviour: Behaviour) -> Played {
    let test = r#"[{ http: { url: "http://web.example.com/", attempts: 2, need: 1, interval: 1s } }]"#;
    let strategy = format!("strategy: {{ canary: {{ hold: 1m, bake: 0m, test: {test}, during: {test} }} }}");
    played(|story| {
        let text = PIPELINE.replace("timeout: 10m }\n    validate", &format!("{strategy} }}\n    validate"));
        let commit = story.commit_with(&[("pushway.yml", &text)]);
        story.image_does(&commit, behaviour);
        commit
    })
}

/// A run that a person stops once something holds of it.
fn stopped(wanted: impl Fn(&Run) -> bool) -> Played {
    let mut story = Story::new();
    let commit = story.commit();
    let id = story.push("main", &commit);
    story.sim.run_until(|world| wanted(&world.runs()[0]));
    let body = json!({ "reason": "wrong branch" });
    assert_eq!(people::post(&story.world(), "ada", &format!("/v1/runs/{id}/stop"), &body).0, 202);
    story.sim.run();
    Played { id, journal: story.world().stored_journal(id), status: story.run(id).status }
}

/// A run that goes on where another one failed.
fn retried() -> Played {
    let mut story = Story::new();
    story.world().script_build(JobStage::Test, "unit", None, BuildScript::Faults);
    let run = story.play().id;
    story.world().script_build(JobStage::Test, "unit", None, BuildScript::Succeeds([].into()));
    let path = format!("/v1/runs/{run}/retry");
    let (status, again) = people::post(&story.world(), "ada", &path, &json!({ "from": "failed" }));
    assert_eq!(status, 202, "{again}");
    story.sim.run();
    let id = parse(again["run_id"].as_str().expect("a run"));
    Played { id, journal: story.world().stored_journal(id), status: story.run(id).status }
}

/// A run whose deployment waits for a person, who says so.
fn paused(verb: &str, body: &Value) -> Played {
    let mut story = Story::new();
    let strategy = "strategy: { blue_green: { bake: 0m, pause: 5m } }";
    let text = PIPELINE.replace("timeout: 10m }\n    validate", &format!("{strategy} }}\n    validate"));
    let commit = story.commit_with(&[("pushway.yml", &text)]);
    let id = story.push("main", &commit);
    story.sim.run_until(|world| world.runs()[0].environments.iter().any(|state| state.paused().is_some()));
    let path = format!("/v1/runs/{id}/environments/staging/{verb}");
    assert_eq!(people::post(&story.world(), "ada", &path, body).0, 200);
    story.sim.run();
    let journal = story.world().stored_journal(id);
    Played { id, journal, status: story.run(id).status }
}

fn first(played: &Played) -> Run {
    let Fact::Received { source } = &played.journal[0].fact else { panic!("it begins with received") };
    Run::receive(played.id, (**source).clone(), played.journal[0].at).0
}

/// Applies facts one after another; gives the run and the journal that was written on the way.
fn apply_all<'a>(
    played: &Played,
    facts: impl IntoIterator<Item = &'a Entry>,
) -> Result<(Run, Vec<Entry>), TestCaseError> {
    let mut run = first(played);
    let mut journal = vec![played.journal[0].clone()];
    for entry in facts {
        let was = run.clone();
        match run.apply(entry.fact.clone(), entry.at) {
            Ok(Applied::Changed(next, written)) => {
                prop_assert!(!was.status.is_terminal(), "a terminal run has changed");
                prop_assert_eq!(next.version, was.version + 1);
                prop_assert_eq!(written.seq, was.version);
                journal.push(*written);
                run = *next;
            }
            Ok(Applied::Unchanged) | Err(_) => {}
        }
    }
    Ok((run, journal))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn f10_f36_any_order_repetition_and_loss_of_a_runs_facts_leads_to_its_one_outcome_or_none(
        which in any::<Index>(), picks in proptest::collection::vec(any::<Index>(), 0..60),
    ) {
        let played = which.get(&PLAYED);
        let (run, journal) = apply_all(played, picks.iter().map(|pick| pick.get(&played.journal)))?;
        if run.status.is_terminal() {
            prop_assert_eq!(run.status, played.status);
        }
        if run.status == Status::Succeeded {
            prop_assert_eq!(journal.len(), played.journal.len(), "it succeeded without all of its facts");
        }
        let replayed = Run::replay(played.id, &journal);
        prop_assert_eq!(replayed.as_ref(), Ok(&run));
    }

    #[test]
    fn f10_a_shuffled_journal_that_is_told_again_comes_to_the_same_end_unless_a_fact_is_lost(
        which in any::<Index>(), keys in proptest::collection::vec(any::<u32>(), 40), lost in proptest::option::of(any::<Index>()),
    ) {
        let played = which.get(&PLAYED);
        let mut shuffled: Vec<&Entry> = played.journal.iter().collect();
        shuffled.sort_by_key(|entry| keys[usize::try_from(entry.seq).unwrap_or(0) % keys.len()]);
        if let Some(lost) = lost {
            // The first fact is what makes it a run.
            let lost = 1 + lost.index(played.journal.len() - 1);
            shuffled.retain(|entry| entry.seq != lost as u64);
        }
        // What comes too early is refused and told again, as callers do who try again.
        let rounds = shuffled.len();
        let told = std::iter::repeat_n(shuffled, rounds).flatten();
        let (run, _) = apply_all(played, told)?;
        match lost {
            None => prop_assert_eq!(run.status, played.status),
            Some(_) if played.status == Status::Succeeded => {
                prop_assert!(!run.status.is_terminal(), "it is {} without all of its facts", run.status);
            }
            Some(_) => prop_assert!(!run.status.is_terminal() || run.status == played.status),
        }
    }

    #[test]
    fn f36_facts_of_other_runs_never_make_a_success(
        which in any::<Index>(),
        picks in proptest::collection::vec((any::<Index>(), any::<Index>()), 0..80),
    ) {
        let base = which.get(&PLAYED);
        let facts = picks.iter().map(|(from, pick)| pick.get(&from.get(&PLAYED).journal));
        let (run, journal) = apply_all(base, facts)?;
        if run.status == Status::Succeeded {
            prop_assert!(run.environments.iter().all(|state| state.is_live() && state.rollback.is_none()));
            prop_assert!(!run.environments.is_empty() && run.cause.is_none());
        }
        let replayed = Run::replay(base.id, &journal);
        prop_assert_eq!(replayed.as_ref(), Ok(&run));
        // Stored and read back, it is the same.
        let json = serde_json::to_string(&run).unwrap_or_default();
        prop_assert_eq!(serde_json::from_str::<Run>(&json).ok(), Some(run));
    }

    #[test]
    fn f27_a_lock_has_one_holder_its_fences_grow_and_nobody_is_forgotten(
        steps in proptest::collection::vec((0u8..5, any::<bool>()), 0..80),
    ) {
        let now = Timestamp::UNIX_EPOCH;
        let id = |n: u8| RunId::new(now, [n; 10]);
        let mut record = EnvironmentRecord::new(parse("web"), parse("staging"));
        let (mut asked, mut fence) = (Vec::<RunId>::new(), Fence::default());
        for (who, acquires) in steps {
            let (who, was) = (id(who), record.holder.clone());
            if acquires {
                let acquired = record.acquire(who, now);
                if !asked.contains(&who) {
                    asked.push(who);
                }
                prop_assert_eq!(matches!(acquired, Acquisition::Held(_)), record.is_held_by(who));
            } else {
                let next = record.release(who, now);
                asked.retain(|run| *run != who);
                let passed_on = record.holder.as_ref().map(|holder| holder.run);
                prop_assert!(next.is_none() || next == passed_on);
            }
            if record.holder != was && let Some(holder) = &record.holder {
                prop_assert!(holder.fence > fence, "a fence was given twice");
                fence = holder.fence;
            }
            // Who asked holds it or waits, in the order in which they asked; nobody else does.
            let known: Vec<RunId> = record.holder.iter().map(|holder| holder.run).chain(record.queue.clone()).collect();
            prop_assert_eq!(&known, &asked);
        }
    }

    #[test]
    fn f32_a_verdict_says_serving_only_of_a_completed_primary_that_brings_what_was_wanted(
        service in service(), deployment in select(IDS), late in any::<bool>(), baseline in any::<bool>(),
        record in record(),
    ) {
        let now = Timestamp::UNIX_EPOCH + SETTLING;
        let deadline = if late { now } else { now + SignedDuration::from_secs(1) };
        let window = Window { since: now - SETTLING, now, deadline };
        let rollout = rollout(baseline);
        let deploy = judge_deploy(&rollout, deployment, &service, record.as_ref(), window);
        let rollback = judge_rollback(&rollout, "record", &service, record.as_ref(), window);
        if matches!(deploy, Progress::Serving { .. }) {
            // Our deployment, by id, and complete by the service's word or by ECS' own record of it.
            let primary = service.primary().expect("somebody serves");
            prop_assert_eq!(primary.id.as_str(), deployment);
            let status = record.as_ref().map(|record| record.status);
            let complete = primary.state == RolloutState::Completed;
            prop_assert!(complete || status == Some(ServiceDeploymentStatus::Successful));
            let shifts = record.as_ref().is_some_and(|record| !record.is_rolling);
            prop_assert!(!shifts || status == Some(ServiceDeploymentStatus::Successful), "traffic still shifts");
            prop_assert!(!record.as_ref().is_some_and(ServiceDeploymentView::goes_back), "it goes back");
        }
        if matches!(rollback, Progress::Serving { .. }) {
            let primary = service.primary().expect("somebody serves");
            prop_assert_eq!((primary.task_definition.as_str(), primary.state), ("old", RolloutState::Completed));
        }
        if late {
            prop_assert!(deploy != Progress::Moving && rollback != Progress::Moving, "past its deadline nothing moves");
        }
    }

    #[test]
    fn a_view_of_the_time_before_the_move_decides_nothing(
        service in service(), deployment in select(IDS), baseline in any::<bool>(), age in 0_i64..60,
    ) {
        let since = Timestamp::UNIX_EPOCH;
        let window = Window { since, now: since + SignedDuration::from_secs(age), deadline: since + SETTLING };
        if service.rollouts.iter().all(|view| view.id != deployment) {
            prop_assert_eq!(judge_deploy(&rollout(baseline), deployment, &service, None, window), Progress::Moving);
        }
        if service.primary().is_none_or(|primary| !baseline || primary.task_definition != "old") {
            prop_assert_eq!(judge_rollback(&rollout(baseline), "a", &service, None, window), Progress::Moving);
        }
    }

    #[test]
    fn a_deploy_that_was_refused_has_nothing_to_roll_back(service in service(), baseline in any::<bool>()) {
        let played = &PLAYED[0];
        let run = Run::replay(played.id, &played.journal).unwrap();
        let mut state = run.environments[0].clone();
        let cause = Cause::new("environment staging", "another run is moving the service", "push again");
        let failure = DeployFailure { kind: DeployFailureKind::Refused, cause, card: None };
        state.rollout = Some(rollout(baseline));
        (state.deployment, state.rollback) = (None, None);
        state.deploy = Some(DeployVerdict { failure: Some(failure), ended_at: None });
        prop_assert!(matches!(rollback_step(&state, &service, None), RollbackStep::NotNeeded(_)));
    }

    #[test]
    fn f32_a_rollback_only_ever_moves_to_the_baseline_and_never_over_someone_else(
        service in service(), which in any::<Index>(), baseline in any::<bool>(), record in record(),
    ) {
        // A run in the middle of a deploy, with or without a baseline.
        let played = which.get(&PLAYED[..5]);
        let until = played.journal.iter().take_while(|entry| !matches!(entry.fact, Fact::RollbackStarted { .. }));
        let (run, _) = apply_all(played, until)?;
        let mut state = run.environments[0].clone();
        state.rollout = Some(rollout(baseline));
        state.deployment = Some("a".into());
        match rollback_step(&state, &service, record.as_ref()) {
            RollbackStep::Stop { deployment } => {
                prop_assert!(baseline && record.is_some_and(|record| record.is_under_way()));
                prop_assert_eq!(deployment, "record");
            }
            RollbackStep::Follow { deployment, .. } if deployment == "record" => {
                prop_assert!(baseline && record.is_some_and(|record| record.goes_back()));
            }
            RollbackStep::Move { task_definition } => {
                prop_assert!(baseline);
                prop_assert_eq!(&task_definition, "old");
                let primary = service.primary();
                prop_assert!(primary.is_none_or(|primary| primary.task_definition != "theirs" || primary.id == "a"));
            }
            RollbackStep::Follow { deployment, .. } => {
                let primary = service.primary().expect("someone to follow");
                prop_assert_eq!((&primary.id, primary.task_definition.as_str()), (&deployment, "old"));
            }
            RollbackStep::NoBaseline => prop_assert!(!baseline),
            RollbackStep::NotNeeded(_) => {}
        }
    }
}

const IDS: &[&str] = &["a", "b", "c"];

fn service() -> impl Strategy<Value = ServiceView> {
    let states = select(&[RolloutState::InProgress, RolloutState::Completed, RolloutState::Failed]);
    let rollout = (select(IDS), select(&["ours", "old", "theirs"]), states, 0u32..3);
    (proptest::collection::vec(rollout, 0..4), any::<Index>()).prop_map(|(rollouts, primary)| {
        // Ids are unique, and at most one rollout is the primary one.
        let mut seen = BTreeSet::new();
        let mut rollouts: Vec<RolloutView> = rollouts
            .into_iter()
            .filter(|(id, ..)| seen.insert(*id))
            .map(|(id, definition, state, running)| RolloutView {
                id: (*id).into(),
                is_primary: false,
                state,
                reason: String::new(),
                task_definition: (*definition).into(),
                desired: 1,
                running,
                failed: 0,
                updated_at: None,
            })
            .collect();
        if !rollouts.is_empty() {
            let primary = primary.index(rollouts.len() + 1);
            if let Some(rollout) = rollouts.get_mut(primary) {
                rollout.is_primary = true;
            }
        }
        ServiceView {
            arn: "arn".into(),
            is_active: true,
            desired: 1,
            containers: vec!["web".into()],
            settings: pushway_core::strategy::DeploymentSettings::default(),
            rollouts,
            messages: Vec::new(),
        }
    })
}

/// ECS' record of our deployment, where there is one.
fn record() -> impl Strategy<Value = Option<ServiceDeploymentView>> {
    use ServiceDeploymentStatus::{
        InProgress, Pending, RollbackFailed, RollbackInProgress, RollbackRequested, RollbackSuccessful,
        StopRequested, Stopped, Successful,
    };
    let statuses = select(&[
        Pending,
        InProgress,
        Successful,
        StopRequested,
        Stopped,
        RollbackRequested,
        RollbackInProgress,
        RollbackSuccessful,
        RollbackFailed,
    ]);
    let view = (statuses, any::<bool>(), any::<bool>()).prop_map(|(status, is_rolling, breaker_tripped)| {
        ServiceDeploymentView {
            arn: "record".into(),
            status,
            reason: String::new(),
            is_rolling,
            breaker_tripped,
            alarms: Vec::new(),
            hook_failed: false,
            finished_at: None,
        }
    });
    proptest::option::of(view)
}

fn rollout(baseline: bool) -> Rollout {
    Rollout {
        scheduled: None,
        place: pushway_core::plan::Place::default(),
        cluster: "demo".into(),
        service: "arn".into(),
        fence: Fence::default().next(),
        task_definition: "ours".into(),
        images: [("web".to_owned(), old_image())].into(),
        baseline: baseline.then(|| Baseline { task_definition: "old".into() }),
        asks: 0,
        out_of_band: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn f33_a_check_holds_exactly_if_enough_of_its_samples_are_good(
        answers in proptest::collection::vec(any::<bool>(), 6), attempts in 1usize..=6, need in 1usize..=6,
    ) {
        prop_assume!(need <= attempts);
        let mut story = Story::new();
        let pipeline = PIPELINE.replace("attempts: 5, need: 2", &format!("attempts: {attempts}, need: {need}"));
        story.world().script_probes(answers.iter().map(|good| match good {
            true => answered(200, ""),
            false => Probed::Nothing("connection refused".into()),
        }));
        let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
        let run = story.play_commit(&commit);
        let good = answers[..attempts].iter().filter(|good| **good).count();
        let expected = if good >= need { Status::Succeeded } else { Status::RolledBack };
        prop_assert_eq!(run.status, expected);
        let check = &run.environments[0].checks[1];
        prop_assert!(check.samples >= 1 && check.samples as usize <= attempts, "{:?}", check);
    }

    #[test]
    fn f7_f20_a_run_comes_to_the_same_end_however_its_events_arrive(
        which in 0usize..3, times in 0u32..4,
    ) {
        use pushway_tests::sim::Events;
        let (behaviour, status) = [
            (Behaviour::Healthy, Status::Succeeded),
            (Behaviour::Crashes(3), Status::RolledBack),
            (Behaviour::Sick(500), Status::RolledBack),
        ][which];
        let mut story = Story::new();
        story.sim.events = if times == 0 { Events::Lost } else { Events::Times(times) };
        let commit = story.commit();
        story.image_does(&commit, behaviour);
        prop_assert_eq!(story.play_commit(&commit).status, status);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_ledger_has_neither_gap_nor_overlap_and_adds_up_whatever_the_journal_holds(
        which in any::<Index>(), whole in any::<bool>(), pushed in proptest::option::of(-90_000_i64..90_000),
        picks in proptest::collection::vec((any::<Index>(), any::<Index>(), -5_000_i64..120_000), 0..80),
        late in -5_000_i64..4_000_000,
    ) {
        let played = which.get(&PLAYED);
        let picked = picks.iter().map(|(from, pick, late)| {
            let mut entry = pick.get(&from.get(&PLAYED).journal).clone();
            entry.at += SignedDuration::from_millis(*late);
            entry
        });
        let mut journal: Vec<Entry> = if whole { played.journal.clone() } else { Vec::new() };
        journal.extend(picked);
        let Some(first) = journal.first() else { return Ok(()) };
        let pushed = pushed.map(|early| first.at + SignedDuration::from_millis(early));
        let (record, late) = (Ledger::since(pushed, &journal, None), SignedDuration::from_millis(late));
        let so_far = Ledger::so_far(record.to + late, &journal, None);
        let goes_on = if record.is_over { record.to } else { record.to.max(record.to + late) };
        prop_assert_eq!((so_far.to, so_far.is_over), (goes_on, record.is_over));
        for ledger in [record, so_far] {
            let mut reached = ledger.from;
            for segment in &ledger.segments {
                prop_assert_eq!(segment.from, reached);
                prop_assert!(segment.to > segment.from);
                let length = segment.to.duration_since(segment.from).as_millis();
                prop_assert_eq!(i128::from(segment.milliseconds), length);
                reached = segment.to;
            }
            prop_assert_eq!(reached, ledger.to);
            let sums: [u64; 2] = [
                ledger.segments.iter().map(|segment| segment.milliseconds).sum(),
                ledger.totals.iter().map(|total| total.milliseconds).sum(),
            ];
            prop_assert_eq!(sums, [ledger.milliseconds; 2]);
            prop_assert_eq!(i128::from(ledger.milliseconds), ledger.to.duration_since(ledger.from).as_millis());
            for job in &ledger.jobs {
                let all = u64::try_from(job.to.duration_since(job.from).as_millis()).unwrap();
                prop_assert!(job.provisioning_milliseconds + job.work_milliseconds <= all);
            }
        }
    }
}

#[test]
fn the_played_runs_are_of_every_kind() {
    let statuses: Vec<Status> = PLAYED.iter().map(|played| played.status).collect();
    assert_eq!(
        statuses,
        [
            Status::Succeeded,
            Status::RolledBack,
            Status::RolledBack,
            Status::RollbackFailed,
            Status::RolledBack,
            Status::Failed,
            Status::Succeeded,
            Status::Rejected,
            Status::Succeeded,
            Status::Rejected,
            Status::Succeeded,
            Status::RolledBack,
            Status::Stopped,
            Status::RolledBack,
            Status::Succeeded,
            Status::Succeeded,
            Status::RolledBack,
        ]
    );
    let deadline = PLAYED[4].journal.iter().any(|entry| {
        matches!(&entry.fact, Fact::DeployEnded { failure: Some(failure), .. } if failure.kind == DeployFailureKind::DeadlineReached)
    });
    assert!(deadline);
}
