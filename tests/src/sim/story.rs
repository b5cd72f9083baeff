//! Stories: a repository, its pipeline, its service, and what happens to them.
//!
//! `Story` holds the usual cast, so that a test says only what is unusual, and `check` holds what must be
//! true at the end of every story, whatever happened in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use http::{HeaderMap, HeaderName, HeaderValue};
use pushway_core::contract::CaughtError;
use pushway_core::environment::EnvironmentRecord;
use pushway_core::fact::{Fact, JobStage, RollbackOutcome};
use pushway_core::ids::{CommitSha, ImageDigestRef, RunId};
use pushway_core::ports::{Environments as _, Written};
use pushway_core::run::{Run, Status};
use pushway_core::scheduled::StarterRef;
use pushway_core::signature::{Secret, sign_github};
use pushway_core::source::{Hook, Provider};
use pushway_core::testing::{Behaviour, BuildScript, FakeService, World, digest_of};
use serde_json::{Value, json};

use super::{Sim, functions};

/// The pipeline of the usual repository.
pub const PIPELINE: &str = r#"version: 1
pipeline: web
on:
  push: { branches: [main, "release/**"] }
build:
  image: { buildspec: buildspec.yml, timeout: 20m, outputs: [IMAGE] }
test:
  unit: { buildspec: ci/unit.yml, timeout: 10m }
environments:
  - name: staging
    deploy:
      ecs: { cluster: demo, service: web, images: { web: "${build.image.IMAGE}" }, timeout: 10m }
    validate:
      - http: { url: "http://web.example.com/healthz", attempts: 5, need: 2, interval: 1s }
"#;

/// What the webhook answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// HTTP status.
    pub status: u64,
    /// The body, which is JSON.
    pub body: Value,
}

impl Answered {
    /// The run that the answer names.
    ///
    /// # Panics
    /// When it names none.
    pub fn run(&self) -> RunId {
        let id = self.body["run_id"].as_str().unwrap_or_else(|| panic!("no run in {self:?}"));
        id.parse().unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A delivery on its way to the webhook; GitHub's, unless its parts are changed.
#[derive(Debug, Clone)]
pub struct Post {
    /// The provider in the path.
    pub provider: String,
    /// The hook in the path.
    pub hook: String,
    /// Headers, lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it is sent.
    pub body: String,
    /// Whether API Gateway says that it is base64.
    pub is_base64: bool,
}

impl Post {
    /// A delivery of an event, signed with `secret`.
    ///
    /// # Panics
    /// When the secret is empty.
    pub fn github(event: &str, delivery: &str, body: &str, secret: &str) -> Self {
        let secret = Secret::new(secret).unwrap_or_else(|| panic!("a secret is never empty"));
        let signature = sign_github(&secret, body.as_bytes());
        let headers = [
            ("x-github-event", event),
            ("x-github-delivery", delivery),
            ("x-hub-signature-256", signature.as_str()),
        ];
        Self {
            provider: "github".into(),
            hook: "web".into(),
            headers: headers.map(|(name, value)| (name.into(), value.into())).into(),
            body: body.into(),
            is_base64: false,
        }
    }

    /// The request that API Gateway makes of it.
    ///
    /// # Panics
    /// When a header can't be one.
    pub fn request(&self) -> ApiGatewayV2httpRequest {
        let mut request = ApiGatewayV2httpRequest::default();
        request.path_parameters.insert("provider".into(), self.provider.clone());
        request.path_parameters.insert("hook".into(), self.hook.clone());
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = parse(name);
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|e| panic!("{e}")));
        }
        request.headers = headers;
        request.body = Some(self.body.clone());
        request.is_base64_encoded = self.is_base64;
        request
    }
}

/// The usual cast.
pub struct Story {
    /// What plays it.
    pub sim: Sim,
    commits: u32,
    deliveries: u32,
}

impl Story {
    /// The service `web` in cluster `demo` runs an old image; repository `acme/web` is connected.
    pub fn new() -> Self {
        let story = Self { sim: Sim::new(), commits: 0, deliveries: 0 };
        let world = story.world();
        world.add_secret("pushway/web", SECRET);
        world.add_hook(hook());
        world.add_service("demo", "web", &old_image());
        world.add_url("web.example.com", "demo", "web");
        let exported = BTreeMap::from([("IMAGE".to_owned(), "registry/web@{digest}".to_owned())]);
        world.script_build(JobStage::Build, "image", None, BuildScript::Succeeds(exported));
        story
    }

    /// The world it plays in.
    pub fn world(&self) -> Arc<World> {
        Arc::clone(&self.sim.world)
    }

    /// Makes a commit with the usual files.
    pub fn commit(&mut self) -> CommitSha {
        self.commit_with(&[("pushway.yml", PIPELINE)])
    }

    /// Makes a commit with these files and the usual buildspecs.
    pub fn commit_with(&mut self, files: &[(&str, &str)]) -> CommitSha {
        self.commits += 1;
        let commit = parse::<CommitSha>(&format!("{:040x}", 0xc0_0000 + self.commits));
        let buildspecs = [("buildspec.yml", "version: 0.2"), ("ci/unit.yml", "version: 0.2")];
        for (path, text) in buildspecs.iter().chain(files) {
            self.sim.world.add_file(&commit, &parse(path), text);
        }
        commit
    }

    /// Says what the image of a commit does once it runs.
    pub fn image_does(&self, commit: &CommitSha, behaviour: Behaviour) {
        self.sim.world.set_behaviour(&image_of(commit), behaviour);
    }

    /// The signed delivery of a push of `commit` to `branch`, under a new delivery id.
    pub fn post_of(&mut self, branch: &str, commit: &CommitSha) -> Post {
        self.deliveries += 1;
        let delivery = format!("delivery-{}", self.deliveries);
        Post::github("push", &delivery, &push_body(branch, commit).to_string(), SECRET)
    }

    /// Sends a delivery.
    ///
    /// # Panics
    /// When the webhook answers with something other than JSON.
    pub fn send(&self, post: &Post) -> Result<Answered, CaughtError> {
        send(&self.sim.world, post)
    }

    /// Pushes a commit to a branch; gives the run.
    ///
    /// # Panics
    /// When the webhook does not take it.
    pub fn push(&mut self, branch: &str, commit: &CommitSha) -> RunId {
        let post = self.post_of(branch, commit);
        self.send(&post).unwrap_or_else(|error| panic!("{error:?}")).run()
    }

    /// Lets the environment be one that was heard of before.
    ///
    /// # Panics
    /// When it is.
    pub fn know_staging(&self) {
        let record =
            EnvironmentRecord { version: 1, ..EnvironmentRecord::new(parse("web"), parse("staging")) };
        let written = functions::block_on(self.world().put_environment(&record));
        assert_eq!(written, Ok(Written::Stored));
    }

    /// Pushes the usual commit to main and plays to the end.
    pub fn play(&mut self) -> Run {
        let commit = self.commit();
        self.play_commit(&commit)
    }

    /// Pushes this commit to main and plays to the end.
    pub fn play_commit(&mut self, commit: &CommitSha) -> Run {
        let id = self.push("main", commit);
        self.sim.run();
        self.check();
        self.run(id)
    }

    /// A run as it is.
    ///
    /// # Panics
    /// When there is none.
    pub fn run(&self, id: RunId) -> Run {
        self.sim.world.stored_run(id).unwrap_or_else(|| panic!("there is no run {id}"))
    }

    /// The service `web`.
    ///
    /// # Panics
    /// When it is gone.
    pub fn service(&self) -> FakeService {
        self.sim.world.fake_service("demo", "web").unwrap_or_else(|| panic!("service web is gone"))
    }

    /// The images that the service's running tasks have.
    pub fn serving(&self) -> Vec<String> {
        let digests = |service: &mut FakeService| {
            let running = service.tasks.iter().filter(|task| task.is_running);
            let containers = running.flat_map(|task| &task.containers);
            containers.filter_map(|container| Some(container.digest.clone()?.to_string())).collect()
        };
        self.sim.world.with_service("demo", "web", digests).unwrap_or_default()
    }

    /// Who moved the service, in order.
    pub fn movers(&self) -> Vec<&'static str> {
        self.service().moves.iter().map(|(_, who)| *who).collect()
    }

    /// What must be true at the end of every story.
    ///
    /// # Panics
    /// When it is not.
    pub fn check(&self) {
        check(&self.sim.world);
    }
}

impl Default for Story {
    fn default() -> Self {
        Self::new()
    }
}

/// The secret of the usual hook.
pub const SECRET: &str = "hunter2";

/// The usual hook.
pub fn hook() -> Hook {
    Hook {
        id: parse("web"),
        provider: Provider::Github,
        repository: "acme/web".into(),
        repository_id: Some(parse("42")),
        clone_url: "https://github.com/acme/web.git".into(),
        secret: Some("pushway/web".into()),
        credentials: None,
        api_url: None,
        forge_hook: None,
        default_branch: None,
        clone_login: None,
        old_secret_until: None,
    }
}

/// The image that the service runs before anything is pushed.
pub fn old_image() -> ImageDigestRef {
    parse(&format!("registry/web@sha256:{}", "0".repeat(64)))
}

/// The image that the build of a commit makes.
pub fn image_of(commit: &CommitSha) -> ImageDigestRef {
    parse(&format!("registry/web@{}", digest_of(commit)))
}

/// GitHub's account of a push.
pub fn push_body(branch: &str, commit: &CommitSha) -> Value {
    json!({
        "ref": format!("refs/heads/{branch}"),
        "before": "0".repeat(40),
        "after": commit,
        "created": true,
        "deleted": false,
        "repository": { "id": 42, "full_name": "acme/web" },
        "head_commit": { "id": commit, "message": "mend it\n\nbody", "author": { "name": "Ada" } },
    })
}

/// Parses a text that is known to be good.
///
/// # Panics
/// When it is not.
pub fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// Sends a delivery to the webhook of a world.
///
/// # Panics
/// When the webhook answers with something other than JSON.
pub fn send(world: &World, post: &Post) -> Result<Answered, CaughtError> {
    let response = functions::invoke_webhook(world, post.request())?;
    let body = response["body"].as_str().unwrap_or_default();
    Ok(Answered {
        status: response["statusCode"].as_u64().unwrap_or_default(),
        body: serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}")),
    })
}

/// What must be true at the end of every story.
///
/// # Panics
/// When it is not.
pub fn check(world: &World) {
    let mut started = std::collections::BTreeSet::new();
    for build in world.builds() {
        let what = (build.request.run, build.request.job.to_string(), build.request.attempt);
        assert!(started.insert(what.clone()), "{what:?} was built twice");
    }
    assert_eq!(world.open_waits(), [], "waits are left");
    let runs = world.runs();
    for run in &runs {
        check_run(world, run);
    }
    for record in world.environment_records() {
        assert!(record.queue.is_empty(), "the queue of {} is left: {:?}", record.name, record.queue);
        if let Some(holder) = &record.holder {
            let run = world.stored_run(holder.run).unwrap_or_else(|| panic!("a holder must be a run"));
            assert_eq!(run.status, Status::RollbackFailed, "a lock is left by a run that needs nobody");
        }
    }
}

fn check_run(world: &World, run: &Run) {
    assert!(run.status.is_terminal(), "run {} is not over: {}", run.id, run.status);
    let journal = world.stored_journal(run.id);
    assert_eq!(Run::replay(run.id, &journal).as_ref(), Ok(run), "the journal tells of another run");
    for (seq, entry) in journal.iter().enumerate() {
        assert_eq!(entry.seq, seq as u64, "the journal has a hole");
    }
    let last = journal.last().map(|entry| &entry.fact);
    let is_last = matches!(last, Some(Fact::Finished { .. } | Fact::Ignored { .. } | Fact::Rejected { .. }));
    assert!(is_last, "the journal does not end as one: {last:?}");
    if run.plan_digest.is_some() {
        assert_eq!(run.conclusion(), Some(run.status), "the status does not follow from the facts");
    }
    match run.status {
        Status::Succeeded | Status::Ignored => {}
        Status::Superseded => {
            let by = run.superseded_by.and_then(|by| world.stored_run(by));
            let by = by.unwrap_or_else(|| panic!("run {} is superseded by nobody", run.id));
            assert!(
                by.place > run.place && by.status == Status::Succeeded,
                "superseded by {}: {}",
                by.id,
                by.status
            );
        }
        _ => assert!(run.cause.is_some(), "run {} failed for no cause", run.id),
    }
    for environment in &run.environments {
        let Some(rollout) = &environment.rollout else { continue };
        // What is live stays so, whatever became of the environments after it.
        let stays = environment.is_live() && run.status != Status::Succeeded;
        if !stays {
            check_rollout(world, run, environment.rollback_outcome(), rollout);
        }
    }
}

/// A rule or schedule was pointed at a run's revision once at most, and names it only if the run came out well.
fn check_starter(
    world: &World,
    run: &Run,
    outcome: Option<&RollbackOutcome>,
    (rollout, at): (&pushway_core::fact::Rollout, &StarterRef),
) {
    let Some(starter) = world.fake_starter(at) else { return };
    let ours = |(who, to): &&(&str, String)| *who == "pushway" && *to == rollout.task_definition;
    let moves = starter.moves.iter().filter(ours).count();
    assert!(moves <= 1, "it was pointed at one revision {moves} times: {:?}", starter.moves);
    let target = rollout.scheduled.as_ref().map(|scheduled| scheduled.target.as_str());
    let names_ours = starter.names(target.unwrap_or_default()) == rollout.task_definition;
    let is_newest = starter.moves.last().is_some_and(|(_, to)| *to == rollout.task_definition);
    match run.status {
        Status::Succeeded => {
            assert_eq!(moves, 1, "it succeeded without pointing anything");
            assert!(names_ours || !is_newest, "it succeeded, but is not named");
        }
        Status::RolledBack | Status::Failed | Status::Stopped if outcome != Some(&RollbackOutcome::Held) => {
            assert!(!names_ours, "{}, but the new version is still named: {:?}", run.status, starter.moves);
        }
        _ => {}
    }
}

fn check_rollout(
    world: &World,
    run: &Run,
    outcome: Option<&RollbackOutcome>,
    rollout: &pushway_core::fact::Rollout,
) {
    if let Some(at) = rollout.starter() {
        return check_starter(world, run, outcome, (rollout, &at));
    }
    let service = world.fake_service(&rollout.cluster, &rollout.service);
    let Some(service) = service else { return };
    let ours =
        |(definition, who): &&(String, &str)| *who == "pushway" && *definition == rollout.task_definition;
    let moves = service.moves.iter().filter(ours).count();
    // A later run may have gone back to what this one brought.
    let is_back = |later: &Run| {
        let environments = later.environments.iter();
        environments
            .filter_map(|state| state.baseline())
            .any(|back| back.task_definition == rollout.task_definition)
    };
    let backs = world.runs().iter().filter(|later| is_back(later)).count();
    assert!(moves <= 1 + backs, "the service was moved {moves} times: {:?}", service.moves);
    let serves_ours = service.running_definitions().contains(&rollout.task_definition.as_str());
    let is_newest =
        service.moves.last().is_some_and(|(definition, _)| *definition == rollout.task_definition);
    match run.status {
        Status::Succeeded => {
            assert!(moves >= 1, "it succeeded without moving the service");
            assert!(serves_ours || !is_newest, "it succeeded, but does not serve");
        }
        Status::RolledBack | Status::Failed | Status::Stopped if outcome != Some(&RollbackOutcome::Held) => {
            assert!(!serves_ours, "{}, but the new version still serves: {:?}", run.status, service.moves);
        }
        _ => {}
    }
}
