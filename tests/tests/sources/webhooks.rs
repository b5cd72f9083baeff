//! One forge from `pushway connect` to the statuses at its commits, with the troubles that a forge makes.

use http::Method;
use jiff::Timestamp;
use pushway_core::source::{Hook, Provider};
use pushway_tests::forges::deliveries::{
    self, SAMPLE_BASE, SAMPLE_BEFORE, SAMPLE_COMMIT, SAMPLE_FORK, SAMPLES,
};
use pushway_tests::forges::{FakeForge, FakeRepository, Misbehaviour};
use serde_json::Value;

use crate::git::Git;
use crate::installation::{Installation, until};

const TOKEN: &str = "hunter2-token";
const BUILDSPEC: &str = r#"version: 0.2
phases:
  build:
    commands:
      - test "$(git rev-parse HEAD)" = "$PUSHWAY_COMMIT"
"#;

/// A connected repository.
struct Forge<'a> {
    at: &'a Installation,
    provider: Provider,
    fake: FakeForge,
    git: Git,
    hook: Hook,
    /// Where the forge delivers to, and what it signs with, as it was told.
    url: String,
    secret: String,
}

pub(crate) async fn story(at: &Installation, provider: Provider) {
    let forge = connect(at, provider).await;
    let before = forge.git.head("refs/heads/main");
    let head = forge.git.push(&before, &["refs/heads/main"], "Greet by name", &[("src/main.rs", "greet")]);
    let theirs = forge.propose(&head);
    forge.fake.serve_git(&forge.git.bare());
    forge.fake.with(|repository| {
        let commit = repository.commits.keys().find(|known| known.as_str() == theirs).cloned();
        repository.open_pull(12, "feature/greet", &commit.expect("imported"), provider == Provider::Gitea);
    });
    forge.misbehave();

    let push = forge.push(&before, &head).await;
    let request = forge.pull_request(&head, &theirs).await;
    forge.check_push(&push, &head).await;
    forge.check_pull_request(&request, &theirs).await;
    assert!(forge.fake.is_played_out(), "{provider} was not asked for what it fails");
    if provider == Provider::Github {
        forge.lose_a_push(&head).await;
    }
}

async fn connect(at: &Installation, provider: Provider) -> Forge<'_> {
    let id = deliveries::hook(provider).repository_id.expect("the samples' repository");
    let fake = FakeForge::start(provider, TOKEN, FakeRepository::new(id.as_str(), &[])).await;
    let pipeline = pipeline(provider.as_str(), "test:\n  unit: { buildspec: ci/unit.yml, timeout: 5m }\n");
    let release = pipeline_of_release(provider);
    let git = Git::new(&[
        ("pushway.yml", &pipeline),
        (".pushway/release.yml", &release),
        ("ci/unit.yml", BUILDSPEC),
    ]);
    fake.serve_git(&git.bare());
    let api = fake.api_url();
    let args = ["connect", provider.as_str(), "octo/web", "--api-url", &api, "--token-stdin"];
    let told = at.pushway_with(&args, &[], TOKEN);
    assert_eq!(told["webhook_is_made"], true, "{told:#}");
    assert!(!told.to_string().contains(TOKEN), "{told:#}");
    let made = fake.with(|repository| repository.hooks.clone());
    let [made] = &made[..] else { panic!("not one webhook at {provider}: {made:?}") };
    assert_eq!(told["url"], made.url);
    let (url, secret) = (made.url.clone(), made.secret.clone().expect("the webhook has a secret"));
    let hook = serde_json::from_value(told["hook"].clone()).expect("a hook");
    Forge { at, provider, fake, git, hook, url, secret }
}

fn pipeline(name: &str, rest: &str) -> String {
    let on = "on:\n  push: { branches: [main] }\n  pull_request: { branches: [main] }\n";
    format!("version: 1\npipeline: {name}\n{on}{rest}")
}

/// Deploys what is merged: nothing of it is for pull requests.
fn pipeline_of_release(provider: Provider) -> String {
    let image = format!("111122223333.dkr.ecr.eu-central-1.amazonaws.com/web@sha256:{}", "a".repeat(64));
    let deploy = format!("ecs: {{ cluster: demo, service: web, images: {{ web: \"{image}\" }} }}");
    let environments = format!("environments:\n  - name: production\n    deploy: {{ {deploy} }}\n");
    let file = pipeline(&format!("{provider}-release"), &environments);
    file.replace("push: { branches: [main] }", "push: { tags: [\"v*\"] }")
}

impl Forge<'_> {
    /// A commit that nobody has merged, whose own pipeline files ask for more than they may have.
    fn propose(&self, head: &str) -> String {
        let stolen = pipeline_of_release(self.provider).replace("-release", "-stolen");
        // What the builds of merged code clone with. Fails unless it is refused.
        let secret = format!("build/clone/{}.{}", self.provider, self.hook.id);
        let prying = format!(
            "{BUILDSPEC}      - test -z \"$PUSHWAY_CLONE_TOKEN\"\n      - aws secretsmanager get-secret-value --secret-id {secret} 2>&1 | grep AccessDenied\n"
        );
        let refs = match self.provider {
            Provider::Gitlab => ["refs/heads/feature/greet", "refs/merge-requests/12/head"],
            // The head of a fork lies in no branch here.
            Provider::Gitea => ["refs/pull/12/head", "refs/pull/12/head"],
            _ => ["refs/heads/feature/greet", "refs/pull/12/head"],
        };
        self.git.push(head, &refs, "Take it all", &[("pushway.yml", &stolen), ("ci/unit.yml", &prying)])
    }

    /// What goes wrong once, and must not be seen in any result.
    fn misbehave(&self) {
        let (method, part, does) = match self.provider {
            Provider::Github => (Method::POST, "/statuses/", Misbehaviour::TooManyRequests("1".into())),
            Provider::Gitlab => (Method::GET, "/repository/files/", Misbehaviour::Broken(502)),
            Provider::Bitbucket => (Method::POST, "/statuses/", Misbehaviour::RateLimited(1)),
            _ => (Method::GET, "/raw/", Misbehaviour::Truncated),
        };
        self.fake.script(Some(method), part, 1, does);
    }

    /// Posts a sample with commits of ours in the place of its own.
    async fn deliver(&self, sample: &str, id: &str, secret: &str, commits: &[(&str, &str)]) -> (u16, Value) {
        let sample = SAMPLES.iter().find(|known| known.provider == self.provider && known.name == sample);
        let sample = sample.expect("a sample");
        let mut body = sample.body();
        for (old, new) in commits {
            body = body.replace(old, new);
            // Bitbucket names the heads of pull requests by their first digits.
            body = body.replace(&format!("\"{}\"", &old[..12]), &format!("\"{}\"", &new[..12]));
        }
        let now = Timestamp::now();
        let headers = deliveries::headers(self.provider, sample.event, id, secret, &body, now);
        self.at.post(&self.url, &headers, &body).await
    }

    /// Delivers the push: forged, then as it should be, then once more. Gives its run.
    async fn push(&self, before: &str, head: &str) -> String {
        let commits = [(SAMPLE_COMMIT, head), (SAMPLE_BEFORE, before)];
        let (status, told) = self.deliver("push", "push-1", "a guess", &commits).await;
        assert_eq!(status, 401, "{told}");
        assert_eq!(self.at.explained(head), [] as [Value; 0], "a forged delivery made a run");
        let (status, told) = self.deliver("push", "push-1", &self.secret, &commits).await;
        assert_eq!((status, &told["new"]), (202, &Value::Bool(true)), "{told}");
        let run = told["run_id"].as_str().expect("a run").to_owned();
        for id in ["push-1", "push-2"] {
            let (status, again) = self.deliver("push", id, &self.secret, &commits).await;
            assert_eq!((status, &again["run_id"]), (200, &told["run_id"]), "{again}");
        }
        run
    }

    /// Delivers the pull request; one of a fork is let in by a person. Gives its run.
    async fn pull_request(&self, head: &str, theirs: &str) -> String {
        let commits = [(SAMPLE_COMMIT, theirs), (SAMPLE_FORK, theirs), (SAMPLE_BASE, head)];
        let sample = match self.provider {
            Provider::Gitlab => "merge_request",
            Provider::Gitea => "pull_request_fork",
            _ => "pull_request",
        };
        let (status, told) = self.deliver(sample, "request-1", &self.secret, &commits).await;
        assert_eq!(status, 202, "{told}");
        let run = told["run_id"].as_str().expect("a run").to_owned();
        if self.provider != Provider::Gitea {
            return run;
        }
        let ignored = self.at.ended(&run);
        assert_eq!(ignored["status"], "ignored", "{ignored:#}");
        contains(&ignored["ignored_by"], "pull request 12 comes from a fork");
        let approve = ["approve-fork", "gitea", "octo/web", "--pull-request", "12", "--commit", theirs];
        self.at.pushway(&approve)["run_id"].as_str().expect("a run").to_owned()
    }

    async fn check_push(&self, id: &str, head: &str) {
        let run = self.at.succeeded(id);
        assert_eq!(run["pipeline"], self.provider.as_str());
        assert_eq!(project(&run), "pushway", "{run:#}");
        self.is_told(id, head).await;
        let repository = format!("{}/octo/web", self.provider);
        let told = self.at.pushway(&["explain", "--delivery", "push-1", "--repo", &repository]);
        assert_eq!(told["explanations"][0]["run"], id, "{told:#}");
        contains(&told["explanations"][0]["trigger"], "told by delivery push-1");
    }

    async fn check_pull_request(&self, id: &str, theirs: &str) {
        let run = self.at.succeeded(id);
        assert_eq!(run["pipeline"], self.provider.as_str(), "the file of the base branch counts");
        assert_eq!(project(&run), "pushway-untrusted", "{run:#}");
        assert_eq!(run["environments"], serde_json::json!([]));
        contains(&run["started_by"], "code that is not merged is never deployed");
        self.is_told(id, theirs).await;
    }

    /// Waits for the statuses of a commit whose run has succeeded.
    async fn is_told(&self, run: &str, commit: &str) {
        let word = if self.provider == Provider::Bitbucket { "SUCCESSFUL" } else { "success" };
        let wanted = [format!("pushway/{}", self.provider), format!("pushway/{}/test", self.provider)];
        until(&format!("statuses of {commit} at {}", self.provider), async || {
            self.at.hurry_notice(run).await;
            let shown = |context: &String| {
                self.fake.with(|repository| {
                    let of = |status: &&_| is_of(status, commit, context);
                    repository.statuses.iter().rev().find(of).is_some_and(|status| status.state == word)
                })
            };
            wanted.iter().all(shown).then_some(())
        })
        .await;
    }

    /// A push whose delivery never comes: the sweep finds it.
    async fn lose_a_push(&self, head: &str) {
        let lost = self.git.push(head, &["refs/heads/main"], "Lost on its way", &[("src/main.rs", "hi")]);
        self.fake.serve_git(&self.git.bare());
        let run = until("a run of the lost push", async || {
            self.at.reconcile(&self.hook).await;
            self.at.explained(&lost).pop()
        })
        .await;
        contains(&run["trigger"], "that no delivery told of");
        let id = run["run"].as_str().expect("a run");
        self.at.succeeded(id);
        self.is_told(id, &lost).await;
        let commits = [(SAMPLE_COMMIT, lost.as_str()), (SAMPLE_BEFORE, head)];
        let (status, late) = self.deliver("push", "push-3", &self.secret, &commits).await;
        assert_eq!(status, 202, "{late}");
        let late = self.at.ended(late["run_id"].as_str().expect("a run"));
        assert_eq!(late["status"], "ignored", "{late:#}");
        contains(&late["ignored_by"], id);
        let repositories = self.at.pushway(&["repos"]);
        let known = repositories.as_array().expect("repositories");
        let known = known.iter().find(|known| known["provider"] == "github").expect("the repository");
        // Nor has a delivery told of the branch that the pull request comes from.
        assert_eq!((&known["found"], &known["problem"]), (&2.into(), &Value::Null), "{known:#}");
        assert!(known["reconciled_at"].is_string(), "{known:#}");
    }
}

fn is_of(status: &pushway_tests::forges::FakeStatus, commit: &str, context: &str) -> bool {
    status.commit.as_str() == commit && status.context == context
}

/// The project that a run's only build belongs to.
fn project(run: &Value) -> &str {
    let build = run["jobs"][0]["build"].as_str().unwrap_or_else(|| panic!("no build: {run:#}"));
    build.split(':').next().unwrap_or_default()
}

pub(crate) fn contains(value: &Value, wanted: &str) {
    let whole = value.to_string();
    assert!(whole.contains(wanted), "no {wanted:?} in {whole}");
}
