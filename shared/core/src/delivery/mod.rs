//! Deliveries: what a forge says about a push, parsed at the edge into one shape.
//!
//! Each provider has a file that knows its payloads. An answer is always one of four: pushes, a pull request
//! that the forge must be asked about, something that is not ours with the reason, or malformed. Nothing
//! here believes a delivery: the signature is checked before, the repository compared after.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sha2::Digest as _;

use crate::fact::bounded;
use crate::forge::PullRequestView;
use crate::ids::{CommitSha, DeliveryId, RefName, RepositoryId, RepositoryPath};
use crate::pipeline_file::skip_marker;
use crate::source::{Hook, Provider, PullRequest, Source, Trigger};

mod alike;
pub mod bitbucket;
pub mod codecommit;
pub mod ecr;
pub mod git;
pub mod git_hook;
pub mod gitea;
pub mod github;
pub mod gitlab;

pub use git::Carried;

/// The most refs of one delivery that are looked at: they must be recorded in the 10 s that forges wait.
/// What is beyond, the sweep finds.
pub const MAX_PUSHES: usize = 100;

/// A push as a delivery tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The delivery's id.
    pub delivery: DeliveryId,
    /// The repository's id at its forge.
    pub repository_id: RepositoryId,
    /// The repository's name.
    pub repository: String,
    /// The full ref that moved.
    pub git_ref: RefName,
    /// Where it points now.
    pub commit: CommitSha,
    /// Where it pointed before; `None` for a new ref.
    pub before: Option<CommitSha>,
    /// The commit's message.
    pub message: String,
    /// Who wrote the commit.
    pub author: String,
    /// What happened: a push, or a pull request's.
    pub trigger: Trigger,
    /// When the forge says that it happened.
    pub pushed_at: Option<Timestamp>,
    /// Files that came with the delivery.
    pub files: BTreeMap<RepositoryPath, String>,
    /// What the commits before it changed, newest first, where the delivery tells.
    pub history: Vec<Carried>,
}

/// What a delivery is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Pushes to look at: at least one, at most `MAX_PUSHES`, each with an id of its own.
    Pushes(Vec<Push>),
    /// A pull request that the event tells only in part: the forge is asked for the rest.
    PullRequest(Box<Claim>),
    /// Well-formed and not for us.
    Ignored {
        /// The delivery's id.
        delivery: DeliveryId,
        /// The rule that says so.
        rule: String,
    },
}

/// What an event says of a pull request, where it names no full commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The delivery's id.
    pub delivery: DeliveryId,
    /// The repository's id at its forge.
    pub repository_id: RepositoryId,
    /// The repository's name.
    pub repository: String,
    /// The request's number.
    pub number: u64,
    /// The ref under which the forge shows the request's head.
    pub git_ref: RefName,
    /// How the id of its head commit begins: 12 hex digits or more.
    pub head: String,
    /// Where its head was before, where told.
    pub before: Option<CommitSha>,
    /// The head commit's message, or else the request's title.
    pub message: String,
    /// Who wrote the commit, or else who opened the request.
    pub author: String,
}

impl Claim {
    /// The push that the claim tells of, if the forge bears it out; otherwise the rule that says why not.
    pub fn compare(&self, view: Option<PullRequestView>) -> Result<Push, String> {
        let number = self.number;
        let Some(view) = view else { return Err(format!("the forge knows no pull request {number}")) };
        if !view.is_open {
            return Err(format!("pull request {number} is closed by now"));
        }
        if !view.head.as_str().starts_with(&self.head) {
            return Err(format!("pull request {number} is at {} by now, not at {}", view.head, self.head));
        }
        Ok(Push {
            delivery: self.delivery.clone(),
            repository_id: self.repository_id.clone(),
            repository: self.repository.clone(),
            git_ref: self.git_ref.clone(),
            commit: view.head,
            before: self.before.clone(),
            message: self.message.clone(),
            author: self.author.clone(),
            trigger: Trigger::PullRequest(view.request),
            pushed_at: None,
            files: BTreeMap::new(),
            history: Vec::new(),
        })
    }
}

/// The delivery can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Malformed {
    fn json(error: &serde_json::Error) -> Self {
        Self(format!("the body is not the JSON that its event promises: {error}"))
    }
}

impl Push {
    /// The run's source, if the push is of the hook's own repository (row A8).
    pub fn into_source(self, hook: &Hook) -> Result<Source, Malformed> {
        is_of(hook, &self.repository_id, &self.repository)?;
        Ok(Source {
            provider: hook.provider,
            hook: hook.id.clone(),
            delivery: self.delivery,
            repository_id: self.repository_id,
            repository: self.repository,
            git_ref: self.git_ref,
            commit: self.commit,
            before: self.before,
            message: Source::title_of(&self.message),
            author: bounded(&self.author, 100),
            trigger: self.trigger,
            skip: skip_marker(&self.message).map(str::to_owned),
            retry: None,
            pushed_at: self.pushed_at,
            file: None,
            parent: None,
            carried_by: None,
            place: None,
        })
    }
}

/// Whether a delivery is of the hook's own repository (row A8).
pub fn is_of(hook: &Hook, id: &RepositoryId, name: &str) -> Result<(), Malformed> {
    if hook.repository == name && hook.repository_id.as_ref().is_none_or(|own| own == id) {
        return Ok(());
    }
    Err(Malformed(format!(
        "the delivery tells of repository {:?}, but this hook is for {:?}; give each repository a hook of its own",
        bounded(name, 200),
        hook.repository
    )))
}

/// The content key of a push: equal for every delivery that tells of the same movement of the same ref,
/// whatever its id (rows F2, A3). Each part is preceded by its length, so that no two pushes share a key.
pub fn content_key(source: &Source) -> String {
    let before = source.before.as_ref().map_or("", CommitSha::as_str);
    let class = match &source.trigger {
        _ if source.retry.is_some() => format!("delivery {}", source.delivery),
        Trigger::Push => "push".to_owned(),
        Trigger::PullRequest(request) if request.approved_by.is_some() => "approved".to_owned(),
        Trigger::PullRequest(_) => "pull_request".to_owned(),
        // What Pushway itself makes has ids that are made of what they stand for.
        Trigger::Reconciled
        | Trigger::Schedule { .. }
        | Trigger::Image { .. }
        | Trigger::Manual { .. }
        | Trigger::Rollback { .. } => {
            format!("delivery {}", source.delivery)
        }
    };
    let file = source.file.as_ref().map_or("", RepositoryPath::as_str);
    let parts = [
        source.provider.as_str(),
        source.repository_id.as_str(),
        source.git_ref.as_str(),
        before,
        source.commit.as_str(),
        &class,
        file,
    ];
    digest(&parts)
}

/// A delivery's id for what no forge delivered: made of what it stands for.
pub fn made_id(kind: &str, parts: &[&str]) -> String {
    format!("{kind}-{}", &digest(parts)[..32])
}

fn digest(parts: &[&str]) -> String {
    let mut hash = sha2::Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

/// Reads a delivery whose signature was checked. `header` gives a header's text, or an empty one.
pub fn read<'h>(
    provider: Provider,
    header: impl Fn(&'static str) -> &'h str,
    body: &[u8],
) -> Result<Delivery, Malformed> {
    // The first of several names under which forks and versions of a forge send the same thing.
    let first = |names: &[&'static str]| {
        let mut texts = names.iter().map(|name| header(name));
        texts.find(|text| !text.is_empty()).unwrap_or_default()
    };
    match provider {
        Provider::Github => {
            github::parse(header(github::headers::EVENT), header(github::headers::DELIVERY), body)
        }
        Provider::Gitlab => {
            gitlab::parse(header(gitlab::headers::EVENT), first(&gitlab::headers::DELIVERY), body)
        }
        Provider::Bitbucket => {
            bitbucket::parse(header(bitbucket::headers::EVENT), header(bitbucket::headers::DELIVERY), body)
        }
        Provider::Gitea => {
            gitea::parse(first(&gitea::headers::EVENT), first(&gitea::headers::DELIVERY), body)
        }
        Provider::Git => git::parse(header(git::headers::ID), body),
        Provider::Codecommit => Err(Malformed("CodeCommit sends no webhooks".into())),
    }
}

/// Reads the commit id that a ref moved to or from; the all-zero id stands for "none".
fn commit_or_none(text: &str) -> Result<Option<CommitSha>, Malformed> {
    let commit: CommitSha = text.parse().map_err(malformed)?;
    Ok((!commit.is_zero()).then_some(commit))
}

/// Reads the commit id of something that is there.
fn commit(text: &str) -> Result<CommitSha, Malformed> {
    commit_or_none(text)?.ok_or_else(|| Malformed("the all-zero commit id is that of no commit".into()))
}

fn malformed(error: impl std::fmt::Display) -> Malformed {
    Malformed(error.to_string())
}

fn ignored(delivery: DeliveryId, rule: impl Into<String>) -> Delivery {
    Delivery::Ignored { delivery, rule: rule.into() }
}

/// An event that is well known to its forge and of no interest here.
fn other_event(delivery: DeliveryId, event: &str) -> Delivery {
    let event = bounded(event, 60);
    ignored(delivery, format!("event {event:?} starts nothing; only pushes and pull requests do"))
}

fn deleted(delivery: DeliveryId, git_ref: &str) -> Delivery {
    ignored(delivery, format!("{} was deleted; there is nothing to run", bounded(git_ref, 200)))
}

/// The part of a pull request that all forges tell alike, once its commits are known.
struct RequestParts<'a> {
    number: u64,
    base: &'a str,
    base_commit: &'a str,
    is_fork: bool,
}

impl RequestParts<'_> {
    fn trigger(&self) -> Result<Trigger, Malformed> {
        Ok(Trigger::PullRequest(PullRequest {
            number: self.number,
            base: branch(self.base)?,
            base_commit: commit(self.base_commit)?,
            is_fork: self.is_fork,
            approved_by: None,
        }))
    }
}

/// The short name of a branch, if a branch may be called so.
fn branch(name: &str) -> Result<String, Malformed> {
    format!("refs/heads/{name}").parse::<RefName>().map_err(malformed)?;
    Ok(name.to_owned())
}

/// Providers whose deliveries come by webhook.
pub fn comes_by_webhook(provider: Provider) -> bool {
    provider != Provider::Codecommit
}
