//! What comes without a webhook: pushes to `CodeCommit`, images, schedules, and people.

use pushway_core::source::{Hook, Provider};
use pushway_tests::forges::deliveries::{SAMPLE_BEFORE, SAMPLE_COMMIT};
use pushway_tests::forges::{FakeForge, FakeRepository};
use pushway_tests::repository::{json, text};
use serde_json::Value;

use crate::git::Git;
use crate::installation::{Installation, until};
use crate::webhooks::contains;

const PUSHED: &str = r#"version: 1
pipeline: codecommit
on: { push: { branches: [main] } }
variables: { REGION: eu-west-1 }
env: { REGION: "${var.REGION}" }
test:
  unit: { buildspec: ci/unit.yml, timeout: 5m }
"#;
const IMAGE: &str = r#"version: 1
pipeline: base
on: { image: { repository: base/rust, tags: ["1.*"] } }
env: { BASE: "${image.uri}" }
test:
  unit: { buildspec: ci/unit.yml, timeout: 5m }
"#;
const NIGHTLY: &str = r#"version: 1
pipeline: nightly
on: { schedule: ["rate(1 minute)"] }
test:
  unit: { buildspec: ci/unit.yml, timeout: 5m }
"#;
const BUILDSPEC: &str = r#"version: 0.2
phases:
  build:
    commands:
      - test "$(git rev-parse HEAD)" = "$PUSHWAY_COMMIT"
      - echo "in $REGION, on $BASE"
"#;

/// The repository `web`, before it is connected.
pub(crate) struct Codecommit {
    fake: FakeForge,
    git: Git,
}

impl Codecommit {
    pub(crate) async fn start() -> Self {
        let id = json("events/push.json")["detail"]["repositoryId"].as_str().expect("an id").to_owned();
        let mut repository = FakeRepository::new(&id, &[]);
        "web".clone_into(&mut repository.name);
        // Each function signs with a role of its own.
        let fake = FakeForge::start(Provider::Codecommit, "", repository).await;
        let git = Git::new(&[("pushway.yml", PUSHED), ("ci/unit.yml", BUILDSPEC)]);
        fake.serve_git(&git.bare());
        Self { fake, git }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.fake.api_url()
    }
}

pub(crate) async fn story(at: &Installation, forge: &Codecommit) {
    let told = at.pushway_with(&["connect", "codecommit", "web"], &at.environment(), "");
    let hook: Hook = serde_json::from_value(told["hook"].clone()).expect("a hook");
    let head = push(at, forge).await;
    image(at).await;
    schedule(at, &hook).await;
    by_hand(at, &head).await;
}

/// Two events of one push are one run; a branch that is deleted is none.
async fn push(at: &Installation, forge: &Codecommit) -> String {
    let before = forge.git.head("refs/heads/main");
    let files = [(".pushway/base.yml", IMAGE), (".pushway/nightly.yml", NIGHTLY)];
    let head = forge.git.push(&before, &["refs/heads/main"], "Build by night", &files);
    forge.fake.serve_git(&forge.git.bare());
    let event = text("events/push.json").replace(SAMPLE_COMMIT, &head).replace(SAMPLE_BEFORE, &before);
    let event: Value = serde_json::from_str(&event).expect("JSON");
    let mut again = event.clone();
    again["id"] = "another-event".into();
    for event in [&event, &again, &event, &json("events/codecommit/branch_deleted.json")] {
        at.event(event).await;
    }
    let run = until("a run of the CodeCommit push", async || at.explained(&head).pop()).await;
    let id = run["run"].as_str().expect("a run");
    assert_eq!(at.succeeded(id)["pipeline"], "codecommit");
    assert!(at.log(id).contains("in eu-west-1"), "{}", at.log(id));
    assert_eq!(at.runs("codecommit").len(), 1);
    until("a comment at CodeCommit", async || {
        let comments = forge.fake.with(|repository| repository.comments.clone());
        comments.values().any(|comment| comment.contains("pushway/codecommit/test")).then_some(())
    })
    .await;
    head
}

/// An image starts the pipeline that asks for it, and gives it the digest.
async fn image(at: &Installation) {
    let event = json("events/ecr/push.json");
    at.event(&event).await;
    let run = until("a run of the image", async || at.runs("base").pop()).await;
    let id = run["id"].as_str().expect("a run");
    let run = at.succeeded(id);
    assert_eq!(run["source"]["trigger"]["kind"], "image", "{run:#}");
    let digest = event["detail"]["image-digest"].as_str().expect("a digest");
    assert!(at.log(id).contains(digest), "{}", at.log(id));
}

async fn schedule(at: &Installation, hook: &Hook) {
    let run = until("a run by schedule", async || {
        assert!(at.start_due(hook).await, "the pipeline's schedule was not noted");
        at.runs("nightly").pop()
    })
    .await;
    let run = at.succeeded(run["id"].as_str().expect("a run"));
    assert_eq!(run["source"]["trigger"]["expression"], "rate(1 minute)", "{run:#}");
}

/// Only who brings a token, or signs as somebody of the account, starts a run by hand.
async fn by_hand(at: &Installation, head: &str) {
    let order = r#"{"provider":"codecommit","hook":"web","ref":"refs/heads/main"}"#;
    for (path, refused) in [("/v1/runs", 401), ("/iam/v1/runs", 403)] {
        let (status, told) = at.post(&at.api(path), &[], order).await;
        assert_eq!(status, refused, "{path}: {told}");
    }
    let args = ["start", "codecommit", "web", "--pipeline", "codecommit", "--var", "REGION=eu-central-1"];
    let told = at.pushway(&args);
    let id = told["run_id"].as_str().expect("a run");
    let run = at.succeeded(id);
    assert_eq!(
        (&run["source"]["trigger"]["kind"], &run["source"]["commit"]),
        (&"manual".into(), &head.into())
    );
    assert!(at.log(id).contains("in eu-central-1"), "{}", at.log(id));
    let told = at.explained(head);
    let this = told.iter().find(|told| told["run"] == id).unwrap_or_else(|| panic!("{told:#?}"));
    contains(&this["trigger"], "arn:aws");
    // Files that ask for an image, or know no variable of that name, are not meant.
    assert!(told.iter().all(|told| told["status"] != "rejected"), "{told:#?}");
}
