//! The keys of the table, in one place and injective: two different things never share a key, whatever
//! characters their names hold (row A18).
//!
//! Shapes: `pk` names a thing, `sk` a part of it. Indexes serve lists only; see `docs/architecture.md`.

use crate::fact::JobId;
use crate::ids::{CommitSha, DeliveryId, EnvironmentName, HookId, PipelineName, RefName, RunId, TokenName};
use crate::plan::Place;
use crate::source::Provider;
use crate::views::ServiceRef;
use crate::wait::Subject;

/// Partition and sort key of an item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

/// Sort key of a thing's main item.
pub const META: &str = "META";
/// Sort key of a run's plan.
pub const PLAN: &str = "PLAN";
/// Sort key of the files that came with a run's delivery.
pub const FILES: &str = "FILES";
/// Prefix of the sort keys of a run's journal.
pub const FACT_PREFIX: &str = "FACT#";

/// Index partition of the runs that are not over.
pub const OPEN_RUNS: &str = "OPEN#run";
/// Sort key of what was told of a run to forges and sinks.
pub const NOTICE: &str = "NOTICE";
/// Index partition of the notices that have to be tried again.
pub const OPEN_NOTICES: &str = "OPEN#notice";
/// Index partition of all hooks.
pub const OPEN_HOOKS: &str = "OPEN#hook";
/// Index partition of the hooks by when they are to be reconciled.
pub const OPEN_RECONCILIATIONS: &str = "OPEN#reconcile";
/// Index partition of the schedules by when they are due.
pub const OPEN_SCHEDULES: &str = "OPEN#schedule";
/// Index partition of the API tokens.
pub const OPEN_TOKENS: &str = "OPEN#token";
/// Index partition of all environments, by pipeline and name.
pub const LISTED_ENVIRONMENTS: &str = "LIST#environment";
/// Index partition of all pipelines, by name.
pub const LISTED_PIPELINES: &str = "LIST#pipeline";
/// Index partition of the open waits.
pub const OPEN_WAITS: &str = "OPEN#wait";

/// Joins parts by `#`, with `#` and `%` inside a part escaped: the inverse exists, so no two lists of
/// parts give the same text.
fn join(parts: &[&str]) -> String {
    let escape = |part: &&str| part.replace('%', "%25").replace('#', "%23");
    parts.iter().map(escape).collect::<Vec<_>>().join("#")
}

fn meta(parts: &[&str]) -> Key {
    Key { pk: join(parts), sk: META.into() }
}

/// A run's snapshot.
pub fn run(id: RunId) -> Key {
    meta(&["RUN", &id.to_string()])
}

/// The run whose items lie under a partition key; `None` under a key of another kind.
pub fn run_of(pk: &str) -> Option<RunId> {
    pk.strip_prefix("RUN#")?.parse().ok()
}

/// A part of a run.
pub fn run_part(id: RunId, part: &str) -> Key {
    Key { sk: part.into(), ..run(id) }
}

/// A fact of a run's journal; keys sort as their numbers do.
pub fn fact(id: RunId, seq: u64) -> Key {
    Key { sk: format!("{FACT_PREFIX}{seq:05}"), ..run(id) }
}

/// What is known of the tests of an attempt of a job: `None` is the head, numbers are the chunks of its cases.
pub fn tests(id: RunId, job: &JobId, attempt: u32, chunk: Option<u32>) -> Key {
    let part = chunk.map_or_else(|| META.to_owned(), |chunk| format!("{chunk:05}"));
    let parts = ["TESTS", job.stage.as_str(), job.name.as_str(), &attempt.to_string(), &part];
    run_part(id, &join(&parts))
}

/// What a pipeline remembers of its tests.
pub fn pipeline_tests(pipeline: &PipelineName) -> Key {
    meta(&["TESTS", pipeline.as_str()])
}

/// The failing cases of the newest run of a ref.
pub fn test_base(pipeline: &PipelineName, git_ref: &RefName, job: &JobId) -> Key {
    let sk = join(&["BASE", git_ref.as_str(), job.stage.as_str(), job.name.as_str()]);
    Key { sk, ..pipeline_tests(pipeline) }
}

/// Which builds have tested a commit with a job.
pub fn tested_commit(pipeline: &PipelineName, commit: &CommitSha, job: &JobId) -> Key {
    let sk = join(&["COMMIT", commit.as_str(), job.stage.as_str(), job.name.as_str()]);
    Key { sk, ..pipeline_tests(pipeline) }
}

/// An environment's record.
pub fn environment(pipeline: &PipelineName, name: &EnvironmentName) -> Key {
    meta(&["ENV", pipeline.as_str(), name.as_str()])
}

/// Where an environment stands among all: in the order of pipelines and names.
pub fn environment_place(pipeline: &PipelineName, name: &EnvironmentName) -> String {
    join(&[pipeline.as_str(), name.as_str()])
}

/// The environment whose record lies under a partition key; `None` under a key of another kind.
pub fn environment_of(pk: &str) -> Option<(PipelineName, EnvironmentName)> {
    // Neither name holds a character that keys escape.
    let (pipeline, name) = pk.strip_prefix("ENV#")?.split_once('#')?;
    Some((pipeline.parse().ok()?, name.parse().ok()?))
}

/// The key that seals cursors.
pub fn cursor_key() -> Key {
    meta(&["KEY", "cursor"])
}

/// Which environment's lock stands for a service.
pub fn service_claim(at: &ServiceRef) -> Key {
    let Place { role, region, .. } = &at.place;
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    meta(&["SERVICE", &text(role), &text(region), &at.cluster, &at.service])
}

/// Who has a pipeline's name.
pub fn pipeline_claim(pipeline: &PipelineName) -> Key {
    meta(&["PIPELINE", pipeline.as_str()])
}

/// The figures of a pipeline's run; within the pipeline they sort by time.
pub fn figures(pipeline: &PipelineName, run: RunId) -> Key {
    Key { pk: figures_of(pipeline), sk: run.to_string() }
}

/// The partition of the figures of a pipeline's runs.
pub fn figures_of(pipeline: &PipelineName) -> String {
    join(&["STATS", pipeline.as_str()])
}

/// A hook.
pub fn hook(provider: Provider, id: &str) -> Key {
    meta(&["HOOK", provider.as_str(), id])
}

/// A branch's record.
pub fn branch(provider: Provider, hook: &HookId, git_ref: &RefName) -> Key {
    meta(&["BRANCH", provider.as_str(), hook.as_str(), git_ref.as_str()])
}

/// What is known of a hook's reconciliation with its forge.
pub fn reconciliation(provider: Provider, hook: &HookId) -> Key {
    meta(&["RECONCILE", provider.as_str(), hook.as_str()])
}

/// What the pipeline files of a hook's default branch start besides pushes.
pub fn subscriptions(provider: Provider, hook: &HookId) -> Key {
    meta(&["SUBSCRIBE", provider.as_str(), hook.as_str()])
}

/// That a hook's pipeline files ask for pushes of an ECR repository.
pub fn image_subscription(repository: &str, provider: Provider, hook: &HookId) -> Key {
    Key { pk: image_subscribers(repository), sk: join(&[provider.as_str(), hook.as_str()]) }
}

/// The partition of those who ask for pushes of an ECR repository.
pub fn image_subscribers(repository: &str) -> String {
    join(&["IMAGE", repository])
}

/// An API token.
pub fn token(name: &TokenName) -> Key {
    meta(&["TOKEN", name.as_str()])
}

/// A session, by the digest of its secret.
pub fn session(digest: &str) -> Key {
    meta(&["SESSION", digest])
}

/// The partition of a day's part of the audit list.
pub fn audit_day(day: jiff::civil::Date) -> String {
    join(&["AUDIT", &day.to_string()])
}

/// What an order under an idempotency key came to, by the hash of who gave it and their key.
pub fn order(key: &str) -> Key {
    meta(&["ORDER", key])
}

/// A delivery.
pub fn delivery(provider: Provider, hook: &HookId, id: &DeliveryId) -> Key {
    meta(&["DLV", provider.as_str(), hook.as_str(), id.as_str()])
}

/// What deliveries of one push have in common, by its content key.
pub fn push(content_key: &str) -> Key {
    meta(&["PUSH", content_key])
}

/// An open wait.
pub fn wait(subject: &Subject) -> Key {
    match subject {
        Subject::Build(build) => meta(&["WAIT", "build", build]),
        Subject::Service(arn) => meta(&["WAIT", "service", arn]),
        Subject::Task(arn) => meta(&["WAIT", "task", arn]),
        Subject::Lock { pipeline, environment, run } => {
            meta(&["WAIT", "lock", pipeline.as_str(), environment.as_str(), &run.to_string()])
        }
        Subject::Approval { run, environment } => {
            meta(&["WAIT", "approval", &run.to_string(), environment.as_str()])
        }
        Subject::Watch { run, environment } => {
            meta(&["WAIT", "watch", &run.to_string(), environment.as_str()])
        }
        Subject::Turn(run) => meta(&["WAIT", "turn", &run.to_string()]),
        Subject::Needs { run, job } => {
            meta(&["WAIT", "needs", &run.to_string(), job.stage.as_str(), job.name.as_str()])
        }
    }
}

/// Index partition of a pipeline's runs.
pub fn pipeline_index(pipeline: &PipelineName) -> String {
    join(&["PIPE", pipeline.as_str()])
}

/// Index partition of a pipeline's runs of a ref. A ref may be long, and lies in every item of the index: its hash
/// stands for it, of which no two are known that are alike.
pub fn ref_index(pipeline: &PipelineName, git_ref: &RefName) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(git_ref.as_str().as_bytes());
    join(&["REF", pipeline.as_str(), &hex::encode(&hash[..16])])
}

/// Index partition of a hook's branches by when their records last changed.
pub fn touched_branches(provider: Provider, hook: &HookId) -> String {
    join(&["BRANCHES", provider.as_str(), hook.as_str()])
}

/// Index partition of all runs of a day (UTC).
pub fn day_index(day: jiff::civil::Date) -> String {
    join(&["DAY", &day.to_string()])
}

/// Index partition of a commit's runs.
pub fn commit_index(commit: &CommitSha) -> String {
    join(&["COMMIT", commit.as_str()])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a18_no_two_lists_of_parts_share_a_key(
            a in proptest::collection::vec("[ab#%23]{0,4}", 0..4), b in proptest::collection::vec("[ab#%23]{0,4}", 0..4),
        ) {
            let key = |parts: &[String]| join(&std::iter::once("X").chain(parts.iter().map(String::as_str)).collect::<Vec<_>>());
            prop_assert_eq!(key(&a) == key(&b), a == b);
        }
    }

    #[test]
    fn an_environments_key_tells_its_names_and_its_place_goes_by_them() {
        let (web, one): (PipelineName, EnvironmentName) = ("web".parse().unwrap(), "1".parse().unwrap());
        assert_eq!(environment_of(&environment(&web, &one).pk), Some((web.clone(), one.clone())));
        assert_eq!(environment_of("RUN#web#1"), None);
        let longer: PipelineName = "web-2".parse().unwrap();
        assert!(environment_place(&web, &"z".parse().unwrap()) < environment_place(&longer, &one));
    }

    #[test]
    fn facts_sort_as_their_numbers() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        assert!(fact(id, 9).sk < fact(id, 10).sk && fact(id, 999).sk < fact(id, 1000).sk);
    }
}
