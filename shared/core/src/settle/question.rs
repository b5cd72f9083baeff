//! What an approval shows: what serves, what would come, and what that changes.
//!
//! Evidence is welcome, but a forge or an account that can't be read must not hold the question back: what is
//! missing is said, and the pushes that Pushway knows itself are there in any case.

use std::collections::{BTreeMap, BTreeSet};

use super::approval::pipeline_of;
use crate::approval::{self, ApprovalRequest, MAX_CHANGES, MAX_PUSHES, PushLine, Serving};
use crate::commits::{CommitRange, Commits};
use crate::definition::changes;
use crate::fact::bounded;
use crate::gate::ApprovalRule;
use crate::ids::{CommitSha, ImageDigestRef};
use crate::messages;
use crate::plan::{EnvironmentPlan, Target};
use crate::ports::{
    Answer, Clock, Environments, Fault, History, Hooks, ReadCommits, ReadDefinitions, RunFilter, RunQuery,
};
use crate::protection::needed;
use crate::run::Run;
use crate::summary::{RunSummary, shown_ref};

/// How many runs are looked through for the pushes that an approval shows.
const LOOKED_THROUGH: usize = 100;
/// Characters of a line that tells of a change or of what is missing.
const MAX_LINE: usize = 300;

/// What people are asked about a deploy of these images.
pub(super) async fn request<P>(
    ports: &P,
    run: &Run,
    planned: &EnvironmentPlan,
    images: BTreeMap<String, ImageDigestRef>,
) -> Answer<ApprovalRequest>
where
    P: Environments + History + Hooks + ReadCommits + ReadDefinitions + Clock,
{
    let record = ports.environment(pipeline_of(run)?, &planned.name).await?;
    let serving = record.current.as_ref().map(Serving::from);
    // By this record alone: a rule that the caller has seen may be gone, and then nobody is needed.
    let rule = needed(planned.approval, record.protection.as_ref());
    let rule = rule.unwrap_or(ApprovalRule { required: 0, timeout_seconds: 0 });
    let (pushes, has_more) = pushes(ports, run, serving.as_ref()).await?;
    let mut notes = Vec::new();
    let mut told = |why: String| notes.push(line(&why));
    let commits = match &serving {
        Some(serving) => commits(ports, run, &serving.commit)
            .await
            .map_err(|why| told(messages::commits_unread(&why)))
            .ok(),
        None => None,
    };
    let changes = definition_changes(ports, planned, &images).await.map_err(told).ok();
    let mut request = ApprovalRequest {
        digest: approval::digest(&planned.name, &images),
        required: rule.required,
        rule: record.protection,
        rule_as_of: record.version,
        by_file: planned.approval.map_or(0, |rule| rule.required),
        deadline: ports.now() + jiff::SignedDuration::from_secs(i64::from(rule.timeout_seconds)),
        images,
        serving,
        pushes,
        has_more,
        commits,
        changes,
        notes,
    };
    request.fit();
    Ok(request)
}

/// The pushes since what serves, newest first, the run's own included.
async fn pushes<P: History + Clock>(
    ports: &P,
    run: &Run,
    serving: Option<&Serving>,
) -> Answer<(Vec<PushLine>, bool)> {
    let (pipeline, now) = (Some(pipeline_of(run)?.clone()), ports.now());
    let filter = RunFilter { pipeline, ..RunFilter::default() };
    let query = RunQuery { filter, before: Some(run.id), limit: LOOKED_THROUGH, now };
    let before = ports.list(&query).await?;
    let own = shown_ref(&run.source.git_ref);
    let is_new =
        |other: &&RunSummary| other.git_ref == own && serving.is_none_or(|serving| other.id > serving.run);
    let mut pushes = vec![PushLine::from(&RunSummary::from(run))];
    pushes.extend(before.runs.iter().filter(is_new).map(PushLine::from));
    // Retries and other pipelines' runs of a commit are the same push.
    let mut seen = BTreeSet::new();
    pushes.retain(|push| seen.insert(push.commit.clone()));
    let has_more = pushes.len() > MAX_PUSHES;
    pushes.truncate(MAX_PUSHES);
    Ok((pushes, has_more))
}

/// The commits between the one that serves and the run's, or why they can't be told.
async fn commits<P: Hooks + ReadCommits>(
    ports: &P,
    run: &Run,
    serving: &CommitSha,
) -> Result<CommitRange, String> {
    let source = &run.source;
    if *serving == source.commit {
        return Ok(CommitRange::same());
    }
    let hook = ports.hook(source.provider, source.hook.as_str()).await.map_err(|fault| fault.to_string())?;
    let hook = hook.ok_or_else(messages::repository_gone)?;
    match ports.commits(Some(run.carrier()), &hook, serving, &source.commit).await {
        Ok(Commits::Known(range)) => Ok(range),
        Ok(Commits::Unknown(why)) => Err(why),
        Err(fault) => Err(fault.to_string()),
    }
}

/// What the deploy would change of the task definition that serves, or why that can't be told.
async fn definition_changes<P: ReadDefinitions>(
    ports: &P,
    planned: &EnvironmentPlan,
    images: &BTreeMap<String, ImageDigestRef>,
) -> Result<Vec<String>, String> {
    let unread = |fault: Fault| messages::definitions_unread(&fault.to_string());
    let (serving, name) = match &planned.target {
        Target::Ecs(target) => {
            let serving = ports.serving_definition(&target.at(&planned.place)).await;
            (serving, format!("service {}", target.service))
        }
        Target::EcsScheduledTask(target) => {
            (ports.started_definition(&target.at(&planned.place)).await, target.starter.to_string())
        }
    };
    let serving = serving.map_err(unread)?;
    let serving = serving.ok_or_else(|| messages::nothing_to_compare(&name))?;
    let file = planned.target.task_definition().and_then(|file| file.content.as_ref());
    let coming = match file {
        Some(content) => ports.file_definition(content).await.map_err(unread)?,
        None => serving.clone(),
    };
    let lines = changes(&serving, &coming.with_images(images));
    let more = lines.len().saturating_sub(MAX_CHANGES);
    let mut shown: Vec<String> = lines.iter().take(MAX_CHANGES).map(|text| line(text)).collect();
    shown.extend((more > 0).then(|| messages::more_changes(more)));
    Ok(shown)
}

/// One line of a bounded length: what lies in the repository could else write lines of its own.
fn line(text: &str) -> String {
    bounded(&text.lines().collect::<Vec<_>>().join(" "), MAX_LINE)
}
