//! The pipeline files at the commit that counts, and what each makes of the occasion.

use std::collections::BTreeSet;

use pushway_core::fact::{Cause, JobId};
use pushway_core::ids::{PipelineName, RepositoryPath};
use pushway_core::messages;
use pushway_core::pipeline_file::{
    self, Decision, PipelineFile, Problems, is_in_directory, parse, parse_for,
};
use pushway_core::plan::Plan;
use pushway_core::ports::{Answer, BranchRecords, Differences, Fault, RepositoryFiles};
use pushway_core::run::Run;
use pushway_core::settle::decide;
use pushway_core::source::{Hook, Source, Trigger, Zone};

/// Pipeline files of one repository that are looked at; a push to one with more is refused.
const MAX_FILES: usize = 20;

/// A pipeline file and what it makes of the occasion.
pub(crate) struct Judged {
    pub(crate) path: RepositoryPath,
    /// The file itself, where it could be read.
    pub(crate) file: Option<PipelineFile>,
    /// Whether there is no pipeline file at all.
    pub(crate) is_absent: bool,
    pub(crate) verdict: Verdict,
}

pub(crate) enum Verdict {
    Start { plan: Box<Plan>, rule: String },
    Ignore { rule: String },
    Reject { cause: Box<Cause> },
}

impl Judged {
    pub(crate) fn ignored_by(&self) -> Option<String> {
        match &self.verdict {
            Verdict::Ignore { rule } => Some(rule.clone()),
            Verdict::Start { .. } | Verdict::Reject { .. } => None,
        }
    }
}

/// Reads the files and asks each. At least one is given: a repository without any is a rejected one.
pub(crate) async fn judge<P>(ports: &P, run: &Run, hook: &Hook) -> Answer<Vec<Judged>>
where
    P: BranchRecords + RepositoryFiles + Differences,
{
    let files = read(ports, run, hook).await?;
    let rejected = |path: RepositoryPath, cause| {
        vec![Judged {
            path,
            file: None,
            is_absent: false,
            verdict: Verdict::Reject { cause: Box::new(cause) },
        }]
    };
    let named_twice = |path: RepositoryPath, words: String| {
        let cause = messages::bad_pipeline_file(path.as_str(), &[words]);
        rejected(path, cause)
    };
    let Some((first, _)) = files.first() else {
        let paths = [&pipeline_file::PATHS[..], &[pipeline_file::DIRECTORY]].concat();
        let mut none =
            rejected(path(pipeline_file::PATHS[0])?, messages::no_pipeline_file(&run.source, &paths));
        for one in &mut none {
            one.is_absent = true;
        }
        return Ok(none);
    };
    if files.len() > MAX_FILES {
        return Ok(rejected(first.clone(), messages::too_many_pipeline_files(files.len(), MAX_FILES)));
    }
    let mut judged: Vec<Judged> = Vec::with_capacity(files.len());
    for (path, text) in files {
        let one = match readable(run, &path, &text) {
            // Neither of the two may run: which one is meant nobody can tell.
            Ok(file) if twin(&judged, &file.plan.pipeline).is_some() => {
                let other = twin(&judged, &file.plan.pipeline).unwrap_or_default();
                let words = pipeline_file::duplicate_pipeline(&file.plan.pipeline, other, path.as_str());
                return Ok(named_twice(path, words));
            }
            Ok(file) => {
                let verdict = ask(ports, run, hook, &file).await?;
                Judged { path, file: Some(file), is_absent: false, verdict }
            }
            Err(problems) => {
                let cause = Box::new(messages::bad_pipeline_file(path.as_str(), &problems));
                Judged { path, file: None, is_absent: false, verdict: Verdict::Reject { cause } }
            }
        };
        judged.push(one);
    }
    Ok(of_chosen_pipeline(&run.source, judged))
}

/// The file as it reads for the run, or what is wrong with it. What the run has no value for is wrong only
/// where the file is meant: an image's digest is no matter of a push.
fn readable(run: &Run, path: &RepositoryPath, text: &str) -> Result<PipelineFile, Vec<String>> {
    let words = |wrong: Problems| wrong.problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let file = parse(path.as_str(), text).map_err(words)?;
    let is_another = chosen(&run.source).is_some_and(|chosen| *chosen != file.plan.pipeline);
    if is_another || matches!(file.on.decide(&run.source.occasion()), Decision::Ignore { .. }) {
        return Ok(file);
    }
    parse_for(path.as_str(), text, &run.context()).map_err(words)
}

fn twin<'j>(judged: &'j [Judged], pipeline: &PipelineName) -> Option<&'j str> {
    let named = |one: &&Judged| one.file.as_ref().is_some_and(|file| file.plan.pipeline == *pipeline);
    judged.iter().find(named).map(|one| one.path.as_str())
}

/// A person may have asked for one pipeline only, and a retry is of one.
fn chosen(source: &Source) -> Option<&PipelineName> {
    let retried = source.retry.as_ref().and_then(|retry| retry.pipeline.as_ref());
    match &source.trigger {
        _ if retried.is_some() => retried,
        Trigger::Manual { pipeline, .. } => pipeline.as_ref(),
        _ => None,
    }
}

fn of_chosen_pipeline(source: &Source, mut judged: Vec<Judged>) -> Vec<Judged> {
    let Some(chosen) = chosen(source) else { return judged };
    let names = |one: &Judged| one.file.as_ref().map(|file| file.plan.pipeline.clone());
    let known: Vec<String> = judged.iter().filter_map(names).map(|name| name.to_string()).collect();
    let is_chosen = |one: &Judged| names(one).is_none_or(|name| name == *chosen);
    if !judged.iter().any(|one| names(one).as_ref() == Some(chosen))
        && let Some(first) = judged.first_mut()
    {
        let cause = Box::new(messages::no_such_pipeline(chosen, &known));
        (first.file, first.verdict) = (None, Verdict::Reject { cause });
    }
    judged.retain(is_chosen);
    judged
}

async fn read<P: RepositoryFiles>(
    ports: &P,
    run: &Run,
    hook: &Hook,
) -> Answer<Vec<(RepositoryPath, String)>> {
    let source = &run.source;
    let mut paths = Vec::new();
    if let Some(only) = &source.file {
        paths.push(only.clone());
    }
    let mut files = Vec::new();
    if source.file.is_none() {
        for at in pipeline_file::PATHS {
            let at = path(at)?;
            if let Some(text) = ports.file(run.carrier(), hook, source.file_commit(), &at).await? {
                files.push((at, text));
                break;
            }
        }
        let directory = path(pipeline_file::DIRECTORY)?;
        let listed = ports.folder(run.carrier(), hook, source.file_commit(), &directory).await?;
        paths.extend(listed.into_iter().filter(|file| is_in_directory(file.as_str())));
    }
    for at in paths.into_iter().take(MAX_FILES + 1) {
        if let Some(text) = ports.file(run.carrier(), hook, source.file_commit(), &at).await? {
            files.push((at, text));
        }
    }
    Ok(files)
}

async fn ask<P>(ports: &P, run: &Run, hook: &Hook, file: &PipelineFile) -> Answer<Verdict>
where
    P: BranchRecords + Differences,
{
    let decision = match &run.source.retry {
        // It was wanted before, and a person wants it again.
        Some(retry) if retry.pipeline.is_some() => Decision::Run { rule: messages::retry_rule(retry) },
        _ => decide(ports, run, hook, file).await?,
    };
    let rule = match decision {
        Decision::Run { rule } => rule,
        Decision::Ignore { rule } => return Ok(Verdict::Ignore { rule }),
        Decision::AskPaths => return Err(Fault::Permanent("a path filter was asked twice".into())),
    };
    let source = &run.source;
    let plan = match source.zone() {
        Zone::Trusted => file.plan.clone(),
        Zone::Untrusted => file.plan.clone().for_untrusted(),
    };
    if plan.build.is_empty() && plan.test.is_empty() && plan.environments.is_empty() {
        return Ok(Verdict::Ignore { rule: messages::nothing_untrusted(&plan.pipeline) });
    }
    Ok(Verdict::Start { plan: Box::new(plan), rule })
}

/// What is wrong with a plan's buildspecs: the first that the commit does not have. Each is asked for once.
pub(crate) async fn missing_buildspec<P: RepositoryFiles>(
    ports: &P,
    run: &Run,
    hook: &Hook,
    plan: &Plan,
) -> Answer<Option<Cause>> {
    let mut seen = BTreeSet::new();
    for (stage, job) in plan.every_job() {
        let is_new = seen.insert(&job.buildspec);
        let at = run.source.buildspec_commit();
        if is_new && ports.file(run.carrier(), hook, at, &job.buildspec).await?.is_none() {
            let job_id = JobId { stage, name: job.name.clone() };
            return Ok(Some(messages::no_buildspec(&job_id, job.buildspec.as_str())));
        }
    }
    Ok(None)
}

fn path(text: &str) -> Answer<RepositoryPath> {
    text.parse().map_err(|error| Fault::Permanent(format!("{error}")))
}
