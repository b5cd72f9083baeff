//! Deliveries as each provider sends them: its headers around a body, signed with the hook's secret.
//!
//! The bodies are the samples in `events/<provider>/`; nothing here looks into them.

use jiff::Timestamp;
use pushway_core::delivery::comes_by_webhook;
use pushway_core::forge::PullRequestView;
use pushway_core::ports::Clock as _;
use pushway_core::signature::{Secret, sign_github, sign_standard};
use pushway_core::source::{Hook, Provider, PullRequest};
use pushway_core::testing::World;

use crate::repository::text;
use crate::sim::story::{self, Post, SECRET, parse};

/// The delivery of an event (in the provider's own name) to the hook of an id.
///
/// # Panics
/// When the secret is empty, or the provider sends no webhooks.
pub fn post(
    provider: Provider,
    hook: &str,
    event: &str,
    delivery: &str,
    secret: &str,
    body: &str,
    now: Timestamp,
) -> Post {
    Post {
        provider: provider.to_string(),
        hook: hook.to_owned(),
        headers: headers(provider, event, delivery, secret, body, now),
        body: body.to_owned(),
        is_base64: false,
    }
}

/// The headers of a delivery, lower case.
///
/// # Panics
/// When the secret is empty, or the provider sends no webhooks.
pub fn headers(
    provider: Provider,
    event: &str,
    delivery: &str,
    secret: &str,
    body: &str,
    now: Timestamp,
) -> Vec<(String, String)> {
    let key = Secret::new(secret).unwrap_or_else(|| panic!("a secret is never empty"));
    let signature = sign_github(&key, body.as_bytes());
    let digits = signature.trim_start_matches("sha256=");
    let seconds = now.as_second().to_string();
    let pairs: Vec<(&str, &str)> = match provider {
        Provider::Github => vec![
            ("x-github-event", event),
            ("x-github-delivery", delivery),
            ("x-hub-signature-256", &signature),
        ],
        Provider::Gitlab => vec![
            ("x-gitlab-event", event),
            ("x-gitlab-event-uuid", delivery),
            ("x-gitlab-webhook-uuid", "6b0e9d0b-5c62-4d5d-9a52-0c6d1f7e2a11"),
            ("x-gitlab-instance", "https://gitlab.com"),
            ("idempotency-key", delivery),
            ("webhook-id", delivery),
            ("webhook-timestamp", &seconds),
            ("x-gitlab-token", secret),
        ],
        Provider::Bitbucket => vec![
            ("x-event-key", event),
            ("x-hook-uuid", "{6b0e9d0b-5c62-4d5d-9a52-0c6d1f7e2a11}"),
            ("x-request-uuid", delivery),
            ("x-attempt-number", "1"),
            ("x-hub-signature", &signature),
        ],
        Provider::Gitea => vec![
            ("x-gitea-event", event),
            ("x-gitea-event-type", event),
            ("x-gitea-delivery", delivery),
            ("x-gitea-signature", digits),
            ("x-github-event", event),
            ("x-github-delivery", delivery),
            ("x-hub-signature-256", &signature),
        ],
        Provider::Git => {
            let signed = sign_standard(&key, delivery, &seconds, body.as_bytes());
            return [
                ("webhook-id", delivery),
                ("webhook-timestamp", &seconds),
                ("webhook-signature", &signed),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        }
        Provider::Codecommit => panic!("CodeCommit sends no webhooks"),
    };
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A sample body in `events/<provider>/` and what comes of it.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Whose it is.
    pub provider: Provider,
    /// The file's name without its extension.
    pub name: &'static str,
    /// What the event is called in its header.
    pub event: &'static str,
    /// The refs that runs are started for, in order; none where it is ignored.
    pub starts: &'static [&'static str],
}

const fn sample(
    provider: Provider,
    name: &'static str,
    event: &'static str,
    starts: &'static [&'static str],
) -> Sample {
    Sample { provider, name, event, starts }
}

const MAIN: &[&str] = &["refs/heads/main"];
const TAG: &[&str] = &["refs/tags/v1.2.0"];
const PULL: &[&str] = &["refs/pull/12/head"];
const MERGE: &[&str] = &["refs/merge-requests/12/head"];

/// All samples of deliveries that come by webhook.
pub const SAMPLES: [Sample; 31] = [
    sample(Provider::Github, "push", "push", MAIN),
    sample(Provider::Github, "tag", "push", TAG),
    sample(Provider::Github, "branch_deleted", "push", &[]),
    sample(Provider::Github, "pull_request", "pull_request", PULL),
    sample(Provider::Github, "pull_request_fork", "pull_request", PULL),
    sample(Provider::Github, "pull_request_labeled", "pull_request", &[]),
    sample(Provider::Github, "ping", "ping", &[]),
    sample(Provider::Gitlab, "push", "Push Hook", MAIN),
    sample(Provider::Gitlab, "tag", "Tag Push Hook", TAG),
    sample(Provider::Gitlab, "branch_deleted", "Push Hook", &[]),
    sample(Provider::Gitlab, "merge_request", "Merge Request Hook", MERGE),
    sample(Provider::Gitlab, "merge_request_fork", "Merge Request Hook", MERGE),
    sample(Provider::Gitlab, "merge_request_approved", "Merge Request Hook", &[]),
    sample(Provider::Gitlab, "pipeline", "Pipeline Hook", &[]),
    sample(Provider::Bitbucket, "push", "repo:push", MAIN),
    sample(
        Provider::Bitbucket,
        "push_several",
        "repo:push",
        &["refs/heads/main", "refs/heads/release/1.2", "refs/tags/v1.2.0"],
    ),
    sample(Provider::Bitbucket, "tag", "repo:push", TAG),
    sample(Provider::Bitbucket, "branch_deleted", "repo:push", &[]),
    sample(Provider::Bitbucket, "pull_request", "pullrequest:updated", PULL),
    sample(Provider::Bitbucket, "pull_request_fork", "pullrequest:created", PULL),
    sample(Provider::Bitbucket, "commit_status", "repo:commit_status_updated", &[]),
    sample(Provider::Gitea, "push", "push", MAIN),
    sample(Provider::Gitea, "tag", "push", TAG),
    sample(Provider::Gitea, "branch_deleted", "delete", &[]),
    sample(Provider::Gitea, "pull_request", "pull_request", PULL),
    sample(Provider::Gitea, "pull_request_fork", "pull_request", PULL),
    sample(Provider::Gitea, "pull_request_closed", "pull_request", &[]),
    sample(Provider::Git, "push", "", MAIN),
    sample(Provider::Git, "tag", "", TAG),
    sample(Provider::Git, "branch_deleted", "", &[]),
    sample(Provider::Gitlab, "push", "System Hook", &[]),
];

/// The commit that the samples' refs come to.
pub const SAMPLE_COMMIT: &str = "4f0c6a1d9be27735c8e1fa02b6d3949e0a7c5581";
/// The commit of the samples' pull requests from forks.
pub const SAMPLE_FORK: &str = "77aa88bb99cc00dd11ee22ff33aa44bb55cc66dd";
/// Where the samples' refs were before.
pub const SAMPLE_BEFORE: &str = "b3d1e0f29c48a7765e0d1c2b3a4958677869504f";
/// Where the samples' target branch is.
pub const SAMPLE_BASE: &str = "9a1b7c3d5e6f708192a3b4c5d6e7f8091a2b3c4d";

impl Sample {
    /// The samples that start runs.
    pub fn starting() -> impl Iterator<Item = &'static Self> {
        SAMPLES.iter().filter(|sample| !sample.starts.is_empty())
    }

    /// The body.
    pub fn body(&self) -> String {
        text(format!("events/{}/{}.json", self.provider, self.name))
    }

    /// Its delivery to the usual hook of its provider, and what the forge says of its pull request.
    pub fn post(&self, world: &World, delivery: &str) -> Post {
        let is_fork = self.name.ends_with("_fork");
        let request = PullRequest {
            number: 12,
            base: "main".into(),
            base_commit: parse(SAMPLE_BASE),
            is_fork,
            approved_by: None,
        };
        world.set_pull_request(PullRequestView {
            request,
            head: parse(if is_fork { SAMPLE_FORK } else { SAMPLE_COMMIT }),
            is_open: true,
            title: "Greet by name".into(),
            author: "ada".into(),
        });
        post(self.provider, "web", self.event, delivery, SECRET, &self.body(), world.now())
    }
}

/// The usual hook of a provider, for the repository that the samples tell of.
pub fn hook(provider: Provider) -> Hook {
    let id = match provider {
        Provider::Github => "186853002",
        Provider::Gitlab => "15",
        Provider::Bitbucket => "{673a6070-3421-46c9-9d48-90745f7bfe8e}",
        Provider::Gitea => "140",
        Provider::Git | Provider::Codecommit => "octo/web",
    };
    Hook {
        provider,
        repository: "octo/web".into(),
        repository_id: Some(parse(id)),
        clone_url: "https://git.example.com/octo/web.git".into(),
        ..story::hook()
    }
}

/// The providers whose deliveries come by webhook.
pub fn providers() -> impl Iterator<Item = Provider> {
    Provider::ALL.into_iter().filter(|provider| comes_by_webhook(*provider))
}

/// A world in which the samples' repository is connected once for each provider, and nothing else is there.
pub fn world() -> World {
    let world = World::new();
    world.add_secret("pushway/web", SECRET);
    providers().for_each(|provider| world.add_hook(hook(provider)));
    world
}
