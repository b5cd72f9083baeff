//! `CodeBuild` in memory: builds that end as a test scripted them, when their time has come.
//!
//! A build is known by run, job and attempt. The same request within five minutes gives the same build, as
//! `CodeBuild`'s idempotency token does; later it would build again, which is what a test must see.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Event, World};
use crate::fact::{BuildPhase, JobStage, LogPointer, TestSummary};
use crate::ids::CommitSha;
use crate::plan::Arch;
use crate::ports::{Answer, Fault, ReadBuilds, StartBuilds, StopBuilds};
use crate::test_case::{CaseStatus, TestCase, TestResults};
use crate::views::{BuildRequest, BuildStatus, BuildView};

/// How long `CodeBuild` knows a request again (API Reference, `StartBuild`, `idempotencyToken`).
const TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(5);
/// How long a scripted build waits for its machine.
const PROVISIONING: SignedDuration = SignedDuration::from_secs(8);
/// How long a scripted build takes.
const DURATION: SignedDuration = SignedDuration::from_secs(40);

/// What the ARN of a build's report begins with; the build's id follows.
const REPORT: &str = "arn:aws:codebuild:eu-central-1:000000000000:report/pushway-unit:";

/// The digest of the image that a build of this commit makes: another for each commit.
pub fn digest_of(commit: &CommitSha) -> String {
    use sha2::Digest as _;
    format!("sha256:{}", hex::encode(sha2::Sha256::digest(commit.as_str())))
}

/// How a build goes.
#[derive(Debug, Clone, PartialEq)]
pub enum BuildScript {
    /// It succeeds and exports these variables; `{digest}` in a value stands for `digest_of` the commit.
    Succeeds(BTreeMap<String, String>),
    /// It succeeds and leaves these files behind, if it was told to leave any; `{digest}` stands for `digest_of`
    /// the commit, `{commit}` for the commit.
    Leaves(BTreeMap<String, String>),
    /// It succeeds with a test report.
    Passes(TestSummary),
    /// Its tests fail.
    FailsTests(TestSummary),
    /// It reports these cases, and fails if one of them does.
    Tests(TestResults),
    /// A phase fails, by name and message.
    FailsIn(String, String),
    /// It never ends by itself.
    Hangs,
    /// `CodeBuild` ends it for its timeout.
    TimesOut,
    /// Someone stops it.
    IsStopped,
    /// `CodeBuild` itself fails.
    Faults,
    /// `CodeBuild` forgets it.
    Vanishes,
}

/// A build that was started.
#[derive(Debug, Clone, PartialEq)]
pub struct Build {
    /// Its id.
    pub id: String,
    /// What it was started with.
    pub request: BuildRequest,
    /// How it goes.
    pub script: BuildScript,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it ends or has ended.
    pub ends_at: Option<Timestamp>,
    /// Whether Pushway stopped it.
    pub was_stopped: bool,
}

#[derive(Debug, Default)]
pub(super) struct Builds {
    started: Vec<Build>,
    scripts: BTreeMap<(JobStage, String, Option<u32>), BuildScript>,
}

impl World {
    /// Scripts every build of a job, or that of one attempt.
    pub fn script_build(&self, stage: JobStage, job: &str, attempt: Option<u32>, script: BuildScript) {
        self.lock().builds.scripts.insert((stage, job.to_owned(), attempt), script);
    }

    /// Every build that was ever started.
    pub fn builds(&self) -> Vec<Build> {
        self.lock().builds.started.clone()
    }
}

impl Builds {
    pub(super) fn started(&self) -> &[Build] {
        &self.started
    }

    pub(super) fn next_change(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        self.started.iter().filter_map(|build| build.ends_at).filter(move |at| *at > now)
    }

    fn script(&self, request: &BuildRequest) -> BuildScript {
        let key = |attempt| (request.job.stage, request.job.name.to_string(), attempt);
        let script = self.scripts.get(&key(Some(request.attempt))).or_else(|| self.scripts.get(&key(None)));
        script.cloned().unwrap_or(BuildScript::Succeeds(BTreeMap::new()))
    }
}

impl Build {
    /// What its report says, where it makes one.
    fn results(&self) -> Option<TestResults> {
        match &self.script {
            BuildScript::Tests(results) => Some(results.clone()),
            BuildScript::Passes(tests) | BuildScript::FailsTests(tests) => {
                let failing = tests.failing.iter();
                let cases = failing.map(|name| TestCase::new("", name, CaseStatus::Failed, 1_000, ""));
                let TestSummary { passed, failed, skipped, .. } = *tests;
                Some(TestResults { passed, failed, skipped, cases: cases.collect(), ..Default::default() })
            }
            _ => None,
        }
    }

    fn view(&self, now: Timestamp) -> Option<BuildView> {
        let is_over = self.ends_at.is_some_and(|ends_at| ends_at <= now);
        let mut view = BuildView {
            run: Some(self.request.run),
            status: BuildStatus::InProgress,
            phase: "BUILD".into(),
            failed_phase: None,
            started_at: Some(self.started_at),
            ended_at: self.ends_at.filter(|_| is_over),
            phases: self.phases(now),
            machine: Some(self.machine()),
            exported: BTreeMap::new(),
            reports: Vec::new(),
            log: Some(LogPointer { group: "/pushway/builds".into(), stream: self.id.clone() }),
        };
        if self.script == BuildScript::Vanishes && is_over {
            return None;
        }
        if is_over {
            self.end(&mut view);
        }
        Some(view)
    }

    /// A build waits for its machine first, and then works until it ends.
    fn phases(&self, now: Timestamp) -> Vec<BuildPhase> {
        let Some(to) = self.ends_at.filter(|ends_at| *ends_at <= now) else { return Vec::new() };
        let ready = (self.started_at + PROVISIONING).min(to);
        let phase = |name: &str, from, to| BuildPhase { name: name.to_owned(), from, to };
        vec![phase("PROVISIONING", self.started_at, ready), phase("BUILD", ready, to)]
    }

    fn machine(&self) -> String {
        crate::prices::machine(self.request.plan.compute, self.request.plan.arch.unwrap_or(Arch::Arm64))
    }

    fn end(&self, view: &mut BuildView) {
        "COMPLETED".clone_into(&mut view.phase);
        if self.results().is_some() {
            view.reports = vec![format!("{REPORT}{}", self.id)];
        }
        let failed = |phase: &str, message: &str| Some((phase.to_owned(), message.to_owned()));
        if self.was_stopped {
            view.status = BuildStatus::Stopped;
            return;
        }
        view.status = match &self.script {
            BuildScript::Succeeds(exported) => {
                let digest = digest_of(&self.request.commit);
                let exported = exported.iter();
                view.exported = exported.map(|(k, v)| (k.clone(), v.replace("{digest}", &digest))).collect();
                BuildStatus::Succeeded
            }
            BuildScript::Leaves(_) | BuildScript::Passes(_) => BuildStatus::Succeeded,
            BuildScript::Tests(results) if results.failed == 0 => BuildStatus::Succeeded,
            BuildScript::FailsTests(_) | BuildScript::Tests(_) => {
                view.failed_phase = failed("BUILD", "COMMAND_EXECUTION_ERROR: exit status 1");
                BuildStatus::Failed
            }
            BuildScript::FailsIn(phase, message) => {
                view.failed_phase = failed(phase, message);
                BuildStatus::Failed
            }
            BuildScript::TimesOut => {
                "BUILD".clone_into(&mut view.phase);
                BuildStatus::TimedOut
            }
            BuildScript::IsStopped => BuildStatus::Stopped,
            BuildScript::Faults => BuildStatus::Fault,
            BuildScript::Hangs | BuildScript::Vanishes => BuildStatus::InProgress,
        };
    }
}

fn ended_event(build: &str, at: Timestamp) -> Event {
    let arn = format!("arn:aws:codebuild:eu-central-1:000000000000:build/{build}");
    let payload = json!({
        "source": "aws.codebuild",
        "detail-type": "CodeBuild Build State Change",
        "time": at.to_string(),
        "detail": { "build-id": arn, "build-status": "SUCCEEDED", "project-name": "pushway" },
    });
    Event { at, function: "build-completed", payload }
}

fn same(build: &Build, request: &BuildRequest) -> bool {
    let known = &build.request;
    known.run == request.run && known.job == request.job && known.attempt == request.attempt
}

impl StartBuilds for World {
    async fn start_build(&self, request: &BuildRequest) -> Answer<String> {
        self.call("start_build", format!("{} {}", request.job, request.attempt), |state| {
            let now = state.now;
            let fresh = |build: &&Build| same(build, request) && now < build.started_at + TOKEN_LIFE;
            if let Some(build) = state.builds.started.iter().find(fresh) {
                return Ok(build.id.clone());
            }
            let script = state.builds.script(request);
            let id = format!("pushway:{:08}", state.builds.started.len() + 1);
            let ends_at = (script != BuildScript::Hangs).then_some(now + DURATION);
            if let Some(at) = ends_at {
                state.events.push(ended_event(&id, at));
            }
            let build = Build {
                id: id.clone(),
                request: request.clone(),
                script,
                started_at: now,
                ends_at,
                was_stopped: false,
            };
            state.builds.started.push(build);
            Ok(id)
        })
        .await
    }

    async fn started_build(&self, request: &BuildRequest) -> Answer<Option<String>> {
        self.call("started_build", &request.job, |state| {
            let build = state.builds.started.iter().find(|build| same(build, request));
            Ok(build.map(|build| build.id.clone()))
        })
        .await
    }
}

impl ReadBuilds for World {
    async fn build(&self, id: &str) -> Answer<Option<BuildView>> {
        self.call("build", id, |state| {
            let now = state.now;
            let build = state.builds.started.iter().find(|build| build.id == id);
            Ok(build.and_then(|build| build.view(now)))
        })
        .await
    }

    async fn test_results(&self, reports: &[String]) -> Answer<Option<TestResults>> {
        self.call("test_results", reports.join(" "), |state| {
            let id = reports.first().and_then(|report| report.strip_prefix(REPORT));
            let build = state.builds.started.iter().find(|build| Some(build.id.as_str()) == id);
            Ok(build.and_then(Build::results))
        })
        .await
    }
}

impl StopBuilds for World {
    async fn stop_build(&self, id: &str) -> Answer<()> {
        self.call("stop_build", id, |state| {
            let now = state.now;
            let Some(build) = state.builds.started.iter_mut().find(|build| build.id == id) else {
                return Err(Fault::Permanent(format!("there is no build {id}")));
            };
            if build.ends_at.is_none_or(|ends_at| ends_at > now) {
                build.ends_at = Some(now);
                build.was_stopped = true;
                state.events.push(ended_event(id, now));
            }
            Ok(())
        })
        .await
    }
}
