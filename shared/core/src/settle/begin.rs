//! Beginning a build: of a job of the stages build and test, or of a check after a deploy.
//!
//! Asked again, it finds the build that it has started: a retry never builds twice.

use std::collections::BTreeMap;

use crate::clone_url;
use crate::fact::{JobId, JobStage};
use crate::messages;
use crate::plan::JobPlan;
use crate::ports::{Answer, Fault, Hooks, RepositoryFiles, StartBuilds};
use crate::run::Run;
use crate::source::{Hook, Provider, Zone};
use crate::views::{BuildRequest, Checkout};

/// How long a build may stay queued (its request says so too) and how much later than its own timeout
/// `CodeBuild` may tell of its end, in seconds.
pub const QUEUE_AND_GRACE_SECONDS: i64 = 3_600 + 300;

/// Starts a build and gives its id, or says why it can't be started. `retry` tells how often the state was tried before; `more` are variables
/// besides those that every build of the run has.
pub async fn begin_build<P>(
    ports: &P,
    run: &Run,
    (job, attempt): (&JobId, u32),
    plan: &JobPlan,
    retry: u32,
    more: BTreeMap<String, String>,
) -> Answer<Result<String, String>>
where
    P: Hooks + RepositoryFiles + StartBuilds,
{
    let hook = ports.hook(run.source.provider, run.source.hook.as_str()).await?;
    let hook = hook.ok_or_else(|| Fault::Permanent(messages::disconnected(&run.source)))?;
    let checkout = match checkout(run, &hook) {
        Ok(checkout) => checkout,
        Err(why) => return Ok(Err(why)),
    };
    let inline = inline(ports, run, job, plan, &hook, &checkout).await?;
    let mut variables = variables(run);
    variables.extend(more);
    let request = BuildRequest {
        run: run.id,
        job: job.clone(),
        attempt,
        plan: plan.clone(),
        commit: run.source.commit.clone(),
        zone: run.source.zone(),
        checkout,
        inline,
        variables,
    };
    // A first try can't have left a build behind; a later one may have lost the answer.
    let found = if retry == 0 { None } else { ports.started_build(&request).await? };
    if let Some(build) = found {
        return Ok(Ok(build));
    }
    match ports.start_build(&request).await {
        Ok(build) => Ok(Ok(build)),
        Err(Fault::Permanent(why)) => Ok(Err(why)),
        Err(fault) => Err(fault),
    }
}

/// Where the build gets its source. The URL was judged when the repository was connected; a record that was
/// written otherwise must not lead git elsewhere (row A15).
fn checkout(run: &Run, hook: &Hook) -> Result<Checkout, String> {
    let url = clone_url::check(&hook.clone_url)
        .map_err(|problem| format!("hook {}: {problem}; connect the repository again", hook.id))?;
    Ok(match hook.provider {
        Provider::Github => {
            Checkout::Github { url, pull_request: run.source.pull_request().map(|request| request.number) }
        }
        Provider::Codecommit => Checkout::Codecommit { url },
        Provider::Git | Provider::Gitlab | Provider::Bitbucket | Provider::Gitea => {
            // A build of code that nobody has merged is given no secret, this one neither (row A19).
            let is_trusted = run.source.zone() == Zone::Trusted;
            Checkout::Clone { url, login: hook.clone_login.clone().filter(|_| is_trusted) }
        }
    })
}

/// The buildspec's text where the build can't take it from its source: there is none yet, the pipeline file
/// adds reports to it, or the source is not trusted with it (row A21).
async fn inline<P: RepositoryFiles>(
    ports: &P,
    run: &Run,
    job: &JobId,
    plan: &JobPlan,
    hook: &Hook,
    checkout: &Checkout,
) -> Answer<Option<String>> {
    let is_trusted = run.source.zone() == Zone::Trusted;
    if !matches!(checkout, Checkout::Clone { .. }) && plan.reports.is_empty() && is_trusted {
        return Ok(None);
    }
    let buildspec = ports.file(run.carrier(), hook, run.source.buildspec_commit(), &plan.buildspec).await?;
    let missing = || Fault::Permanent(messages::no_buildspec(job, plan.buildspec.as_str()).summary);
    buildspec.ok_or_else(missing).map(Some)
}

/// What a build may know of its run: the ref, and what the build stage made, for the tests to use.
fn variables(run: &Run) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([
        ("PUSHWAY_REF".to_owned(), run.source.git_ref.to_string()),
        ("PUSHWAY_BRANCH".to_owned(), run.source.git_ref.short().to_owned()),
    ]);
    let built = run.jobs.iter().filter(|state| state.job.stage == JobStage::Build);
    for (state, end) in built.filter_map(|state| Some((state, state.end.as_ref()?))) {
        let word = |name: &str| name.to_uppercase().replace('-', "_");
        let job = word(state.job.name.as_str());
        for (container, image) in &end.images.definitions {
            variables.insert(format!("PUSHWAY_BUILD_{job}_IMAGE_{}", word(container)), image.to_string());
        }
        if let Some(image) = &end.images.detail {
            variables.insert(format!("PUSHWAY_BUILD_{job}_IMAGE"), image.to_string());
        }
        for (name, value) in &end.outputs {
            variables.insert(format!("PUSHWAY_BUILD_{job}_{name}"), value.clone());
        }
    }
    variables
}
