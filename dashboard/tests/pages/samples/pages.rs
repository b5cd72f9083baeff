//! Every page, filled from the world.

use std::collections::{BTreeMap, BTreeSet};

use pushway_core::access::{Principal, Scope};
use pushway_core::check_builds::CheckBuild;
use pushway_core::deployments::CommitDeployment;
use pushway_core::fact::Entry;
use pushway_core::forge_pages::ForgePages;
use pushway_core::ids::PipelineName;
use pushway_core::ledger::{Ledger, RunLedger};
use pushway_core::protection::Approvers;
use pushway_core::run::Run;
use pushway_core::usage::Usage;
use pushway_dashboard::{
    ApprovalPage, ApprovalsPage, Asked, Bar, CommitPage, EnvironmentPage, Figure, Frame, InsightsPage,
    Issuer, JobLogPage, LoginPage, OverviewPage, PipelineLine, ProblemPage, RollbackPage, RunFilter, RunPage,
    Section, Template as _, Waiting,
};

use super::stories::{before, parsed, sha};
use super::{World, now};

/// Who looks, and may do this.
fn viewer(world: &World, scope: Scope) -> Principal {
    let (name, scopes) = (world.texts["viewer"].clone(), [scope].into_iter().collect());
    Principal { name, scopes, groups: BTreeSet::new() }
}

/// Who may do everything.
pub(crate) fn owner(world: &World, section: Section) -> Frame {
    let viewer = Some(viewer(world, Scope::Admin));
    Frame { now: now(), viewer, csrf: "csrf-token".into(), waiting: 2, section }
}

/// Who may do everything, and belongs to a group that the rule names.
fn releaser(world: &World) -> Frame {
    let mut frame = owner(world, Section::Elsewhere);
    frame.viewer.as_mut().unwrap().groups = BTreeSet::from(["release".to_owned()]);
    frame
}

/// Who may only look.
fn reader(world: &World) -> Frame {
    Frame { viewer: Some(viewer(world, Scope::Read)), ..owner(world, Section::Elsewhere) }
}

fn waiting(world: &World) -> Vec<Waiting> {
    let of = |run: &Run, asked, until: i64| Waiting {
        run: run.id,
        pipeline: run.pipeline.clone(),
        environment: parsed("production"),
        commit: run.source.commit.clone(),
        message: run.source.message.clone(),
        author: run.source.author.clone(),
        asked,
        since: before(290),
        until: before(-until),
    };
    vec![
        of(&world.paused.0, Asked::Pause { served: 10 }, 2_000),
        of(&world.going.0, Asked::Approval { given: 1, required: 2 }, 80_000),
    ]
}

fn figures(world: &World) -> Vec<Figure> {
    let text = |name: &str| world.texts[name].clone();
    let bars = [4.0, 9.0, 7.0, 12.0, 0.0, 11.0, 15.0, 13.0];
    let bars: Vec<Bar> = bars
        .into_iter()
        .map(|value| Bar { label: text("bar"), value, words: format!("{value} deploys") })
        .collect();
    ["Deployment frequency", "Lead time for changes", "Change failure rate", "Time to restore"]
        .iter()
        .zip(["2.4 a day", "1 h 12 min", "4.1 %", "9 min"])
        .enumerate()
        .map(|(place, (name, value))| Figure {
            name: if place == 0 { text("figure") } else { (*name).to_owned() },
            value: if place == 0 { text("value") } else { value.to_owned() },
            definition: text("definition"),
            note: text("note"),
            bars: bars.clone(),
        })
        .collect()
}

/// Every page by name, whole.
pub(crate) fn pages(world: &World) -> Vec<(&'static str, String)> {
    let mut pages = run_pages(world);
    pages.extend(other_pages(world));
    pages
}

fn run_pages(world: &World) -> Vec<(&'static str, String)> {
    let (owner, reader) = (owner(world, Section::Elsewhere), reader(world));
    let address = Some(world.texts["forge"].clone());
    let forge = &ForgePages { commit: address.clone(), git_ref: address.clone(), pull_request: address };
    let checks =
        [CheckBuild { environment: parsed("staging"), name: parsed("smoke"), state: world.check.clone() }];
    let run_for = |frame, (run, journal): &(Run, Vec<Entry>), may_continue: &Approvers| {
        let time = Ledger::so_far(now(), journal, None);
        let ledger = &RunLedger { time, money: world.money.clone(), usage: Usage::default() };
        let (is_failed, is_broken) = (run.id == world.failed.0.id, run.id == world.broken.0.id);
        let checks = if is_failed { &checks[..] } else { &[] };
        let tests = if is_broken { &world.tests[..] } else { &[] };
        RunPage { frame, run, journal, forge, ledger, tests, checks, may_continue }.render().unwrap()
    };
    let run = |frame, story: &(Run, Vec<Entry>)| run_for(frame, story, &Approvers::ANYONE);
    let rule = world.record.protection.as_ref().unwrap();
    let (going, production) = (&world.going.0, parsed("production"));
    let approval = going.environment(&production).and_then(|state| state.approval.as_ref()).unwrap();
    let job = &world.failed.0.jobs[1];
    vec![
        ("run-failed", run(&owner, &world.failed)),
        ("run-going", run(&owner, &world.going)),
        ("run-paused", run(&owner, &world.paused)),
        ("run-paused-other", run_for(&owner, &world.paused, &rule.approvers)),
        ("run-broken", run(&owner, &world.broken)),
        ("run-rejected", run(&owner, &world.rejected)),
        ("run-reader", run(&reader, &world.paused)),
        (
            "approval",
            ApprovalPage { frame: &releaser(world), run: going, environment: &production, approval }
                .render()
                .unwrap(),
        ),
        (
            "approval-other",
            ApprovalPage { frame: &owner, run: going, environment: &production, approval }.render().unwrap(),
        ),
        (
            "log",
            JobLogPage {
                frame: &owner,
                run: &world.failed.0,
                job,
                log: &world.log,
                from: 1,
                cursor: None,
                is_over: false,
            }
            .render()
            .unwrap(),
        ),
    ]
}

fn other_pages(world: &World) -> Vec<(&'static str, String)> {
    let frame = owner(world, Section::Overview);
    let text = |name: &str| world.texts[name].as_str();
    let (record, commit) = (&world.record, sha('c'));
    let deployments = [CommitDeployment {
        pipeline: parsed("shop"),
        environment: parsed("staging"),
        run: world.going.0.id,
        since: before(296),
        images: BTreeMap::new(),
        replaced: None,
        left_broken_by: None,
    }];
    let known = world.runs.iter().map(|run| (run.id, run.clone())).collect();
    let commit_page = CommitPage {
        frame: &frame,
        commit: &commit,
        runs: &world.runs[..1],
        deployments: &deployments,
        forge: Some(text("forge")),
    };
    let rollback = RollbackPage {
        frame: &frame,
        record,
        to: &record.earlier[1],
        message: &world.runs[3].message,
        irreversible: &[record.earlier[0].run],
    };
    let waiting = waiting(world);
    let approvals = ApprovalsPage { frame: &owner(world, Section::Approvals), waiting: &waiting };
    let problem = ProblemPage {
        frame: &frame,
        status: 404,
        title: text("title"),
        detail: text("problem"),
        back: Some(text("problem")),
    };
    vec![
        ("overview", overview(world, &frame, &waiting)),
        ("approvals", approvals.render().unwrap()),
        ("environment", EnvironmentPage { frame: &frame, record, runs: &known }.render().unwrap()),
        (
            "environment-left",
            EnvironmentPage { frame: &frame, record: &world.staging, runs: &known }.render().unwrap(),
        ),
        ("rollback", rollback.render().unwrap()),
        ("commit", commit_page.render().unwrap()),
        ("insights", insights(world)),
        ("login", login(world)),
        ("problem", problem.render().unwrap()),
    ]
}

fn overview(world: &World, frame: &Frame, waiting: &[Waiting]) -> String {
    let text = |name: &str| world.texts[name].as_str();
    let pipelines = [PipelineLine {
        name: parsed::<PipelineName>("shop"),
        repository: world.runs[0].repository.clone(),
        recent: world.runs.clone(),
        environments: vec![world.staging.clone(), world.record.clone()],
    }];
    let filter =
        RunFilter { branch: text("branch").into(), author: text("author").into(), ..RunFilter::default() };
    let page = OverviewPage {
        frame,
        waiting,
        running: &world.runs[..2],
        pipelines: &pipelines,
        more: Some(&pipelines[0].name),
        runs: &world.runs,
        filter: &filter,
        next: Some(text("cursor")),
    };
    page.render().unwrap()
}

fn insights(world: &World) -> String {
    let names = [world.texts["figure"].clone()];
    let page = InsightsPage {
        frame: &owner(world, Section::Insights),
        title: &world.texts["title"],
        pipelines: &names,
        pipeline: &names[0],
        environments: &names,
        environment: "",
        figures: &figures(world),
    };
    page.render().unwrap()
}

fn login(world: &World) -> String {
    let frame = Frame { viewer: None, waiting: 0, ..owner(world, Section::Elsewhere) };
    let issuer = Issuer { name: world.texts["issuer"].clone(), path: "/sign-in/oidc".into() };
    let (next, problem) = (&world.texts["next"], Some(world.texts["problem"].as_str()));
    LoginPage { frame: &frame, issuer: Some(&issuer), next, problem }.render().unwrap()
}
