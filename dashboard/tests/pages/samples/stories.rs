//! Runs, told fact by fact.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use pushway_core::approval::{ApprovalRequest, PushLine, Serving};
use pushway_core::commits::{CommitLine, CommitList, CommitRange};
use pushway_core::fact::{
    Baseline, Cause, CheckResult, DeployFailure, DeployFailureKind, Entry, Fact, JobEnd, JobId, JobStage,
    LogPointer, RollbackOutcome, RollbackOwner, Rollout, TestSummary,
};
use pushway_core::failure_card::{FailureCard, StoppedContainer, StoppedTask};
use pushway_core::ids::{EnvironmentName, ImageDigestRef, RunId};
use pushway_core::plan::Place;
use pushway_core::preflight::{Finding, Level};
use pushway_core::prices::{Money, Prices};
use pushway_core::protection::ProtectionRule;
use pushway_core::run::{Applied, JobState, Run, Status, WatchEnd, WatchStart};
use pushway_core::source::{Provider, Source, Trigger};
use pushway_core::test_history::JobTests;
use pushway_core::usage::Usage;

use super::now;

pub(super) fn before(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

pub(super) fn id(number: u8, seconds: i64) -> RunId {
    RunId::new(before(seconds), [number; 10])
}

pub(super) fn parsed<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

pub(super) fn sha(digit: char) -> pushway_core::ids::CommitSha {
    parsed(&format!("{digit}{}", "3f2a91c07be4d58a6".repeat(3)[..39].to_owned()))
}

pub(super) fn image(digit: char) -> ImageDigestRef {
    let digest: String = digit.to_string().repeat(64);
    parsed(&format!("123456789012.dkr.ecr.eu-central-1.amazonaws.com/web@sha256:{digest}"))
}

pub(super) fn source(commit: char, message: &str, author: &str, at: i64) -> Source {
    Source {
        provider: Provider::Github,
        hook: parsed("shop"),
        delivery: parsed("72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        repository_id: parsed("1296269"),
        repository: "acme/shop".into(),
        git_ref: parsed("refs/heads/main"),
        commit: sha(commit),
        before: None,
        message: message.into(),
        author: author.into(),
        trigger: Trigger::Push,
        skip: None,
        pushed_at: Some(before(at + 2)),
        file: None,
        parent: None,
        carried_by: None,
        place: None,
        retry: None,
    }
}

/// A run that grows fact by fact.
pub(super) struct Story {
    run: Run,
    journal: Vec<Entry>,
}

impl Story {
    fn new(id: RunId, source: Source, at: i64) -> Self {
        let (run, entry) = Run::receive(id, source, before(at));
        Self { run, journal: vec![entry] }
    }

    fn then(mut self, at: i64, fact: Fact) -> Self {
        match self.run.apply(fact, before(at)) {
            Ok(Applied::Changed(run, entry)) => {
                self.run = *run;
                self.journal.push(*entry);
            }
            other => panic!("{other:?}"),
        }
        self
    }

    fn planned(self, at: i64, approvals: &[&str], watched: &[&str]) -> Self {
        let names = |list: &[&str]| list.iter().map(|name| parsed(name)).collect();
        self.then(
            at,
            Fact::Planned {
                pipeline: parsed("shop"),
                plan_digest: "sha256:1".into(),
                jobs: vec![
                    job(JobStage::Build, "image"),
                    job(JobStage::Test, "unit"),
                    job(JobStage::Test, "e2e"),
                ],
                environments: names(&["staging", "production"]),
                approvals: names(approvals),
                place: Some(7),
                rule: Some("branch main matches on.push.branches".into()),
                findings: vec![Finding {
                    level: Level::Warning,
                    environment: parsed("production"),
                    text: "the load balancer drains connections for 300 s; set deregistration_delay to 30"
                        .into(),
                }],
                watched: names(watched),
            },
        )
    }

    fn job(self, from: i64, to: i64, id: JobId, end: JobEnd) -> Self {
        let build = format!("pushway-builds:{}", id.name);
        let started = Fact::JobStarted { job: id.clone(), attempt: 1, build };
        let end = JobEnd { started_at: Some(before(from - 14)), ended_at: Some(before(to + 1)), ..end };
        self.then(from, started).then(to, Fact::JobEnded { job: id, attempt: 1, end })
    }

    fn deploying(self, from: i64, name: &str, fence: u64, digit: char) -> Self {
        let environment: EnvironmentName = parsed(name);
        let fence = serde_json::from_value(serde_json::json!(fence)).unwrap();
        self.then(from, Fact::LockTaken { environment: environment.clone(), fence })
            .then(
                from - 4,
                Fact::DeployPrepared {
                    environment: environment.clone(),
                    rollout: rollout(name, fence, digit),
                },
            )
            .then(from - 6, Fact::DeployStarted { environment, deployment: format!("ecs-svc/80{name}") })
    }

    pub(super) fn done(self) -> (Run, Vec<Entry>) {
        (self.run, self.journal)
    }
}

pub(super) fn job(stage: JobStage, name: &str) -> JobId {
    JobId { stage, name: parsed(name) }
}

pub(super) fn rollout(name: &str, fence: pushway_core::ids::Fence, digit: char) -> Rollout {
    let arn = |rest: String| format!("arn:aws:ecs:eu-central-1:123456789012:{rest}");
    Rollout {
        cluster: "demo".into(),
        service: arn(format!("service/demo/shop-{name}")),
        place: Place::default(),
        fence,
        task_definition: arn(format!("task-definition/shop-{name}:42")),
        images: BTreeMap::from([("web".to_owned(), image(digit))]),
        baseline: Some(Baseline { task_definition: arn(format!("task-definition/shop-{name}:41")) }),
        asks: 0,
        out_of_band: None,
        scheduled: None,
    }
}

pub(super) fn built(digit: char) -> JobEnd {
    JobEnd { outputs: BTreeMap::from([(parsed("IMAGE"), image(digit).to_string())]), ..JobEnd::default() }
}

pub(super) fn tested(passed: u32) -> JobEnd {
    JobEnd { tests: Some(TestSummary { passed, skipped: 2, ..TestSummary::default() }), ..JobEnd::default() }
}

/// Its reports are there, and no test report.
fn unread() -> JobEnd {
    let unread = Some("junit/e2e.xml is no XML".into());
    JobEnd { tests: Some(TestSummary { unread, ..TestSummary::default() }), ..JobEnd::default() }
}

pub(super) fn check(passed: bool) -> CheckResult {
    CheckResult {
        check: "https://staging.shop.example/healthz answers 200".into(),
        passed,
        detail: if passed { "200 in 41 ms" } else { "503 with the body no database" }.into(),
        samples: 10,
        good: if passed { 10 } else { 2 },
        evidence: if passed { vec![] } else { vec!["HTTP/1.1 503 Service Unavailable".into()] },
    }
}

pub(super) fn live(story: Story, from: i64) -> Story {
    let environment: EnvironmentName = parsed("staging");
    let ended = Fact::DeployEnded {
        environment: environment.clone(),
        failure: None,
        ended_at: Some(before(from - 70)),
        draining_since: None,
    };
    let start = WatchStart { at: before(from - 92), ends_at: before(from - 152), stopped: vec![] };
    story
        .deploying(from, "staging", 11, 'b')
        .then(from - 71, ended)
        .then(from - 92, Fact::Validated { environment: environment.clone(), checks: vec![check(true)] })
        .then(from - 92, Fact::WatchStarted { environment: environment.clone(), start })
        .then(
            from - 152,
            Fact::WatchEnded { environment, end: WatchEnd { failure: None, checks: vec![check(true)] } },
        )
}

pub(super) fn card() -> FailureCard {
    FailureCard {
        tasks: vec![StoppedTask {
            task: "1f4c9d".into(),
            reason: "Essential container in task exited".into(),
            containers: vec![StoppedContainer {
                name: "web".into(),
                exit_code: Some(137),
                reason: "OutOfMemory".into(),
            }],
        }],
        unhealthy: vec!["container web fails its health check".into()],
        said: vec!["(service shop-production) has started 2 tasks".into()],
        changes: vec!["container web: memory 1024 → 256".into()],
        log: vec![
            "2026-11-26T11:40:01Z starting on port 8080".into(),
            "\u{1b}[31mthread 'main' panicked at src/db.rs:41: connection refused\u{1b}[0m".into(),
        ],
    }
}

/// It built and tested, served in staging, and broke in production, which went back.
pub(super) fn failed() -> Story {
    let t = 1_900;
    let production: EnvironmentName = parsed("production");
    let cause = Cause::new(
        "environment production",
        "the new version's tasks keep exiting: container web ended with code 137 three times (out of memory)",
        "give the container more memory than 256 MiB in its task definition, then push",
    )
    .with_evidence(card().log);
    let failure =
        DeployFailure { kind: DeployFailureKind::KeepsExiting, cause, card: Some(Box::new(card())) };
    let story = Story::new(id(1, t), source('a', "Keep carts of guests for a week", "Ada Lovelace", t), t)
        .planned(t - 3, &[], &["staging"])
        .job(t - 4, t - 130, job(JobStage::Build, "image"), built('b'))
        .job(t - 131, t - 205, job(JobStage::Test, "unit"), tested(412))
        .job(t - 131, t - 260, job(JobStage::Test, "e2e"), tested(38));
    live(story, t - 262)
        .deploying(t - 420, "production", 31, 'b')
        .then(
            t - 540,
            Fact::DeployEnded {
                environment: production.clone(),
                failure: Some(failure),
                ended_at: None,
                draining_since: None,
            },
        )
        .then(
            t - 542,
            Fact::RollbackStarted {
                environment: production.clone(),
                deployment: "ecs-svc/9000".into(),
                by: RollbackOwner::Pushway,
            },
        )
        .then(
            t - 600,
            Fact::RollbackEnded {
                environment: production,
                outcome: RollbackOutcome::Restored { by: RollbackOwner::Pushway },
            },
        )
        .then(t - 601, Fact::Finished { status: Status::RolledBack })
}

/// Who must consent before production.
pub(crate) fn rule() -> ProtectionRule {
    let approvers = vec!["group:release".into(), "arn:aws:iam::123456789012:user/*".into()];
    ProtectionRule::new(2, approvers, "alan@acme.example".into(), before(500_000)).unwrap()
}

pub(super) fn request() -> ApprovalRequest {
    let line = |digit, text: &str, author: &str| CommitLine::new(sha(digit), text, author);
    ApprovalRequest {
        digest: "0f".repeat(32),
        required: 2,
        rule: Some(rule()),
        rule_as_of: 1,
        by_file: 1,
        deadline: before(-80_000),
        images: BTreeMap::from([("web".to_owned(), image('c'))]),
        serving: Some(Serving {
            run: id(9, 90_000),
            commit: sha('e'),
            at: before(89_000),
            images: BTreeMap::from([("web".to_owned(), image('e'))]),
        }),
        pushes: vec![PushLine {
            run: id(2, 700),
            commit: sha('c'),
            message: "Show stock beside sizes".into(),
            author: "Grace Hopper".into(),
        }],
        has_more: false,
        commits: CommitRange::between(
            CommitList::of([
                line('c', "Show stock beside sizes", "Grace Hopper"),
                line('d', "Cache the size table", "Ada Lovelace"),
            ]),
            CommitList::default(),
        ),
        changes: Some(vec![
            "container web: image …e → …c".into(),
            "container web: variable CACHE added".into(),
        ]),
        notes: vec!["the forge could not be asked for more than 20 commits".into()],
    }
}

/// It waits for people before production.
pub(super) fn going() -> Story {
    let t = 700;
    let story = Story::new(id(2, t), source('c', "Show stock beside sizes", "Grace Hopper", t), t)
        .planned(t - 3, &["production"], &["staging"])
        .job(t - 4, t - 118, job(JobStage::Build, "image"), built('b'))
        .job(t - 119, t - 190, job(JobStage::Test, "unit"), tested(415))
        .job(t - 119, t - 250, job(JobStage::Test, "e2e"), tested(38));
    let production: EnvironmentName = parsed("production");
    live(story, t - 252)
        .then(t - 410, Fact::ApprovalAsked { environment: production.clone(), request: Box::new(request()) })
        .then(
            t - 500,
            Fact::Approved {
                environment: production,
                digest: "0f".repeat(32),
                consent: serde_json::from_value(serde_json::json!({ "by": "arn:aws:iam::123456789012:user/grace", "comment": "looked at staging" })).unwrap(),
            },
        )
}

/// A canary that waits in the middle, with a test job that is still at it nowhere.
pub(super) fn paused() -> Story {
    let t = 1_200;
    let production: EnvironmentName = parsed("production");
    let reached =
        |served, at| Fact::CheckpointReached { environment: parsed("production"), served, at: before(at) };
    let story = Story::new(id(3, t), source('d', "Speak French at the till", "Margaret Hamilton", t), t)
        .planned(t - 3, &[], &["staging"])
        .job(t - 4, t - 118, job(JobStage::Build, "image"), built('d'))
        .job(t - 119, t - 190, job(JobStage::Test, "unit"), tested(415))
        .job(t - 119, t - 250, job(JobStage::Test, "e2e"), unread());
    live(story, t - 252)
        .deploying(t - 420, "production", 33, 'd')
        .then(t - 500, reached(0, t - 500))
        .then(
            t - 501,
            Fact::CheckpointEnded {
                environment: production.clone(),
                served: 0,
                end: serde_json::from_value(serde_json::json!({ "at": before(t - 501), "made": 0 })).unwrap(),
            },
        )
        .then(t - 600, reached(10, t - 600))
        .then(t - 601, Fact::CheckpointPaused { environment: production, served: 10, until: before(-2_000) })
}

/// Its unit tests fail twice; nothing is deployed.
pub(super) fn broken() -> Story {
    let t = 3_000;
    let unit = job(JobStage::Test, "unit");
    let cause = Cause::new("test/unit", "3 of 415 tests failed", "mend them, then push; or retry the job")
        .with_evidence(["FAIL src/till.test.ts".into()]);
    let failing = vec!["till › speaks French › counts to seventy".into(), "till › prints the sum".into()];
    let tests = TestSummary { passed: 412, failed: 3, failing, ..TestSummary::default() };
    let end = |will_retry| JobEnd {
        failure: Some(cause.clone()),
        will_retry,
        tests: Some(tests.clone()),
        ..JobEnd::default()
    };
    let again = Fact::JobStarted { job: unit.clone(), attempt: 2, build: "pushway-builds:again".into() };
    Story::new(id(7, t), source('f', "Try the new bundler", "Ada Lovelace", t), t)
        .planned(t - 3, &[], &[])
        .job(t - 4, t - 130, job(JobStage::Build, "image"), built('b'))
        .job(t - 131, t - 205, unit.clone(), end(true))
        .then(t - 206, again)
        .then(t - 300, Fact::JobEnded { job: unit, attempt: 2, end: end(false) })
        .then(t - 301, Fact::Finished { status: Status::Failed })
}

/// The tests of the job that broke it.
pub(super) fn tests() -> JobTests {
    serde_json::from_value(serde_json::json!({
        "job": { "stage": "test", "name": "unit" }, "attempt": 2, "passed": 412, "failed": 3, "skipped": 0,
        "failing": [], "new": 1, "flaky": 1, "base": id(1, 90_000), "chunks": 1,
        "failures": [
            {
                "suite": "till › speaks French", "name": "counts to seventy", "status": "failed", "standing": "new",
                "message": "expected \"soixante-dix\"\nreceived \"septante\"",
            },
            { "suite": "till", "name": "prints the sum", "status": "failed", "standing": "known" },
            {
                "suite": "net", "name": "reconnects", "status": "error", "standing": "flaky",
                "message": "timed out after 5 s",
            },
        ],
        "slowest": [
            { "case": "net › reconnects", "duration_us": 5_002_000 },
            { "case": "till › prints the sum", "duration_us": 840_000 },
        ],
    }))
    .unwrap()
}

/// What a run costs, with one thing that has no price.
pub(super) fn money() -> Money {
    let usage = Usage {
        build_minutes: [("arm1.small".into(), 7), ("arm1.medium".into(), 3)].into(),
        transitions: 14,
        invocations: 30,
        writes: 200,
        requests: 1,
        ..Usage::default()
    };
    Prices::published().money(&usage)
}

/// The build of a check, which was tried twice.
pub(super) fn smoke() -> JobState {
    let cause = Cause::new("check/0-1-smoke", "2 of 9 tests failed", "read its log");
    let log = LogPointer { group: "/pushway/builds".into(), stream: "smoke".into() };
    JobState {
        job: job(JobStage::Check, "0-1-smoke"),
        attempt: 2,
        build: Some("pushway-builds:smoke".into()),
        started_at: Some(before(1_500)),
        end: Some(JobEnd { failure: Some(cause), log: Some(log), ..JobEnd::default() }),
        taken_from: None,
    }
}

/// Its pipeline file is wrong.
pub(super) fn rejected() -> Story {
    let t = 5_000;
    let cause = Cause::new(
        "plan",
        "pushway.yml:7:5: unknown key \"enviroments\"",
        "write environments, as docs/pipeline-file.md has it, then push",
    );
    Story::new(id(8, t), source('9', "", "Ada Lovelace", t), t).then(t - 2, Fact::Rejected { cause })
}
