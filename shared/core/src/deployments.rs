//! Where things serve: a commit's deployments, and environments in short.
//!
//! Read from the environments' records, which know what serves now and the last twenty versions before it. What is
//! older is told by the runs themselves.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::environment::{Deployed, EnvironmentRecord, Freeze, Holder};
use crate::ids::{CommitSha, EnvironmentName, ImageDigestRef, PipelineName, RefName, RunId};
use crate::protection::ProtectionRule;
use crate::source::Provider;
use crate::summary::RunSummary;

/// What is known of a commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommitView {
    /// The commit.
    pub commit: CommitSha,
    /// Its runs, newest first, at most 100; pushes that started nothing are among them.
    pub runs: Vec<RunSummary>,
    /// Where it was deployed and found good, what serves now first.
    pub deployments: Vec<CommitDeployment>,
}

/// A commit's place in an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommitDeployment {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The run that brought it.
    pub run: RunId,
    /// Since when it served.
    pub since: Timestamp,
    /// Container name to image.
    pub images: BTreeMap<String, ImageDigestRef>,
    /// What took its place; `None`: it is the newest good version there.
    pub replaced: Option<Replaced>,
    /// The run of a later deploy that failed and was not undone: what serves is not certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_broken_by: Option<RunId>,
}

/// What took a version's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replaced {
    /// The run that did.
    pub by: RunId,
    /// Its commit.
    pub commit: CommitSha,
    /// When.
    pub at: Timestamp,
}

/// Where a commit was deployed, by the records of the environments that its runs may have deployed to.
pub fn of_commit(records: &[EnvironmentRecord], commit: &CommitSha) -> Vec<CommitDeployment> {
    let mut found: Vec<CommitDeployment> =
        records.iter().flat_map(|record| in_record(record, commit)).collect();
    found.sort_by_key(|deployment| (deployment.replaced.is_some(), std::cmp::Reverse(deployment.since)));
    found
}

fn in_record(record: &EnvironmentRecord, commit: &CommitSha) -> Vec<CommitDeployment> {
    let versions: Vec<&Deployed> = record.current.iter().chain(&record.earlier).collect();
    let newer = |place: usize| place.checked_sub(1).and_then(|place| versions.get(place));
    let deployment = |(place, version): (usize, &&Deployed)| CommitDeployment {
        pipeline: record.pipeline.clone(),
        environment: record.name.clone(),
        run: version.run,
        since: version.at,
        images: version.images.clone(),
        replaced: newer(place).map(|by| Replaced { by: by.run, commit: by.commit.clone(), at: by.at }),
        left_broken_by: record.left.as_ref().filter(|_| place == 0).map(|left| left.run),
    };
    versions.iter().enumerate().filter(|(_, version)| version.commit == *commit).map(deployment).collect()
}

/// An environment as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentSummary {
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// Its name.
    pub name: EnvironmentName,
    /// What serves.
    pub current: Option<Serves>,
    /// The run whose deploy failed and was not undone, where that was the last: it serves instead, or nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_broken_by: Option<RunId>,
    /// Who holds the lock.
    pub lock: Option<Holder>,
    /// Who waits for it, first come first served.
    pub queue: Vec<RunId>,
    /// Runs that wait for people's consent or a better time.
    pub asking: Vec<RunId>,
    /// Why it takes no deploys for now.
    pub freeze: Option<Freeze>,
    /// Who must consent to deploys, by an administrator's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<ProtectionRule>,
}

/// A version that serves, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Serves {
    /// The run that brought it.
    pub run: RunId,
    /// The ref that was pushed.
    pub git_ref: RefName,
    /// Its commit.
    pub commit: CommitSha,
    /// Container name to image.
    pub images: BTreeMap<String, ImageDigestRef>,
    /// Since when.
    pub since: Timestamp,
}

impl From<&EnvironmentRecord> for EnvironmentSummary {
    fn from(record: &EnvironmentRecord) -> Self {
        let serves = |current: &Deployed| {
            let Deployed { run, git_ref, commit, images, at: since, .. } = current.clone();
            Serves { run, git_ref, commit, images, since }
        };
        Self {
            pipeline: record.pipeline.clone(),
            name: record.name.clone(),
            current: record.current.as_ref().map(serves),
            left_broken_by: record.left.as_ref().map(|left| left.run),
            lock: record.holder.clone(),
            queue: record.queue.clone(),
            asking: record.asking.iter().map(|asking| asking.push.run).collect(),
            freeze: record.freeze.clone(),
            protection: record.protection.clone(),
        }
    }
}

/// A pipeline as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineSummary {
    /// Its name.
    pub name: PipelineName,
    /// Its repository's provider.
    pub provider: Provider,
    /// Its repository.
    pub repository: String,
    /// Its newest run.
    pub last_run: Option<RunSummary>,
    /// Its environments, by name.
    pub environments: Vec<EnvironmentName>,
}

/// A pipeline with what serves where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineView {
    /// Its name.
    pub name: PipelineName,
    /// Its repository's provider.
    pub provider: Provider,
    /// Its repository.
    pub repository: String,
    /// Its newest runs, newest first.
    pub runs: Vec<RunSummary>,
    /// Its environments, by name.
    pub environments: Vec<EnvironmentSummary>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Left;

    fn run(n: u8) -> RunId {
        RunId::new(Timestamp::from_second(1_800_000_000 + i64::from(n)).unwrap(), [n; 10])
    }

    fn version(n: u8, commit: char) -> Deployed {
        Deployed {
            run: run(n),
            git_ref: "refs/heads/main".parse().unwrap(),
            commit: String::from(commit).repeat(40).parse().unwrap(),
            place: None,
            irreversible: false,
            task_definition: "arn".into(),
            images: BTreeMap::new(),
            at: Timestamp::from_second(1_800_000_000 + i64::from(n)).unwrap(),
            over: None,
        }
    }

    fn record(name: &str, versions: &[Deployed]) -> EnvironmentRecord {
        let mut record = EnvironmentRecord::new("web".parse().unwrap(), name.parse().unwrap());
        record.current = versions.first().cloned();
        record.earlier = versions.get(1..).unwrap_or_default().to_vec();
        record
    }

    #[test]
    fn a_commit_tells_where_it_serves_and_what_took_its_place_where_it_does_not() {
        let staging = record("staging", &[version(9, 'b'), version(5, 'a'), version(1, 'b')]);
        let mut production = record("production", &[version(6, 'a'), version(2, 'c')]);
        let records = [staging, production.clone(), record("empty", &[])];
        let found = of_commit(&records, &"a".repeat(40).parse().unwrap());
        let told: Vec<_> = found
            .iter()
            .map(|it| (it.environment.as_str(), it.run, it.replaced.as_ref().map(|r| r.by)))
            .collect();
        assert_eq!(told, [("production", run(6), None), ("staging", run(5), Some(run(9)))]);
        assert_eq!(found[1].replaced.as_ref().unwrap().at, version(9, 'b').at);
        // A commit that came back is told of twice.
        assert_eq!(of_commit(&records, &"b".repeat(40).parse().unwrap()).len(), 2);
        production.left = Some(Left { run: run(7), irreversible: false });
        let found = of_commit(&[production], &"a".repeat(40).parse().unwrap());
        assert_eq!(found[0].left_broken_by, Some(run(7)), "nobody knows what serves");
    }
}
