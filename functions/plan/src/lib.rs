//! State `Plan`: puts the push in its place, reads the pipeline files at the commit, validates, filters,
//! fixes the plan in the run.
//!
//! Everything that can be known to fail fails here, before anything is spent. A run that has its plan
//! keeps it: asked again, this function answers from the record. A push that starts several pipelines
//! becomes a run for each: this run is the first one's.

mod definitions;
mod files;
mod output;
mod place;
mod preflight;
mod retry;
mod rollback;
mod subscribe;

use files::{Judged, Verdict, judge, missing_buildspec};
use output::{over, proceed};
use pushway_core::contract::{Failure, PlanOutput, RunInput};
use pushway_core::fact::{Cause, Fact, JobId, JobStage, bounded};
use pushway_core::intake::{Taken, take_part};
use pushway_core::messages;
use pushway_core::plan::{JobPlan, Plan};
use pushway_core::ports::{
    Answer, BranchRecords, Clock, Deliveries, Differences, Fault, Heads, Hooks, PipelineClaims, Plans,
    PullRequests, Random, ReadTargets, RepositoryFiles, Runs, StartExecutions, SubscriptionRecords,
};
use pushway_core::preflight::{Finding, rejection};
use pushway_core::run::{Run, Status};
use pushway_core::settle::{claim_pipeline, load, record};
use pushway_core::source::{Hook, Trigger};

/// Plans a run.
pub async fn handle<P>(ports: &P, input: RunInput) -> Result<PlanOutput, Failure>
where
    P: Runs
        + Plans
        + Hooks
        + BranchRecords
        + RepositoryFiles
        + ReadTargets
        + Differences
        + Heads
        + PullRequests
        + SubscriptionRecords
        + PipelineClaims
        + Deliveries
        + StartExecutions
        + Clock
        + Random,
{
    let run = load(ports, input.run_id).await?;
    if run.status.is_terminal() {
        return Ok(over(&run));
    }
    if run.plan_digest.is_some() {
        let plan = ports.plan(run.id).await?;
        let plan = plan.ok_or_else(|| Fault::Permanent(format!("the plan of run {} is gone", run.id)))?;
        return Ok(proceed(&retry::take_over(ports, run).await?, &plan));
    }
    if run.stop.is_some() {
        let status = Status::Stopped;
        return Ok(over(&record(ports, run.id, Fact::Finished { status }).await?));
    }
    if let Trigger::Rollback { to, environment, by, reason } = &run.source.trigger {
        let plan = rollback::plan(ports, *to, environment).await?;
        let fact =
            planned(&plan, run.source.place.unwrap_or_default(), format!("{by}: {reason}"), Vec::new());
        ports.put_plan(run.id, &plan).await?;
        return Ok(proceed(&record(ports, run.id, fact).await?, &plan));
    }
    let hook = ports.hook(run.source.provider, run.source.hook.as_str()).await?;
    let hook = hook.ok_or_else(|| Fault::Permanent(messages::disconnected(&run.source)))?;
    let outcome = match place::place(ports, &run, &hook).await? {
        Ok(place) if run.continues().is_some() => retry::plan(ports, &run, &hook, place).await?,
        Ok(place) => decide(ports, &run, &hook, place).await?,
        Err(fact) => Outcome::Over(Box::new(fact)),
    };
    tracing::info!(run_id = %run.id, commit = %run.source.commit, "run planned");
    match outcome {
        Outcome::Plan(plan, fact) => {
            ports.put_plan(run.id, &plan).await?;
            let run = record(ports, run.id, *fact).await?;
            Ok(proceed(&retry::take_over(ports, run).await?, &plan))
        }
        Outcome::Over(fact) => Ok(over(&record(ports, run.id, *fact).await?)),
    }
}

enum Outcome {
    Plan(Box<Plan>, Box<Fact>),
    Over(Box<Fact>),
}

async fn decide<P>(ports: &P, run: &Run, hook: &Hook, place: u64) -> Answer<Outcome>
where
    P: BranchRecords
        + RepositoryFiles
        + ReadTargets
        + Differences
        + Hooks
        + SubscriptionRecords
        + PipelineClaims
        + Deliveries
        + StartExecutions
        + Clock
        + Random,
{
    if let Some(rule) = unwanted(run) {
        return Ok(Outcome::Over(Box::new(Fact::Ignored { rule })));
    }
    let judged = judge(ports, run, hook).await?;
    // A retry is no news of what the branch's files ask for.
    let is_news = run.source.parent.is_none() && run.source.retry.is_none();
    let is_push = matches!(run.source.trigger, Trigger::Push | Trigger::Reconciled);
    if is_push && is_news {
        subscribe::subscribe(ports, run, hook, &judged).await?;
    }
    match choose(ports, run, place, judged).await? {
        Ok((mut plan, rule)) => match prepare(ports, run, hook, &mut plan).await? {
            Ok(findings) => {
                let fact = Box::new(planned(&plan, place, rule, findings));
                Ok(Outcome::Plan(plan, fact))
            }
            Err(cause) => Ok(Outcome::Over(Box::new(Fact::Rejected { cause: *cause }))),
        },
        Err(over) => Ok(Outcome::Over(over)),
    }
}

/// Completes a plan, or says what keeps it from being carried out. Its pipeline's name is claimed once all
/// else is good, for what can't run needs none, but before a role is assumed in that name.
async fn prepare<P>(
    ports: &P,
    run: &Run,
    hook: &Hook,
    plan: &mut Plan,
) -> Answer<Result<Vec<Finding>, Box<Cause>>>
where
    P: RepositoryFiles + ReadTargets + Hooks + PipelineClaims + Clock,
{
    if let Some(cause) = missing_buildspec(ports, run, hook, plan).await? {
        return Ok(Err(Box::new(cause)));
    }
    if let Err(cause) = definitions::pin(ports, run, hook, plan).await? {
        return Ok(Err(Box::new(cause)));
    }
    if let Err(other) = claim_pipeline(ports, hook, &plan.pipeline).await? {
        return Ok(Err(Box::new(messages::pipeline_name_taken(&other))));
    }
    let findings = preflight::look(ports, plan).await;
    Ok(rejection(&findings).map_or(Ok(findings), |cause| Err(Box::new(cause))))
}

/// Why a run is not even looked at.
fn unwanted(run: &Run) -> Option<String> {
    let source = &run.source;
    match &source.trigger {
        Trigger::Push | Trigger::Reconciled | Trigger::PullRequest(_) => {}
        Trigger::Schedule { .. }
        | Trigger::Image { .. }
        | Trigger::Manual { .. }
        | Trigger::Rollback { .. } => return None,
    }
    if let Some(marker) = &source.skip {
        return Some(messages::skipped(marker));
    }
    let request = source.pull_request().filter(|request| request.is_fork && request.approved_by.is_none())?;
    Some(messages::fork_needs_approval(source, request.number))
}

/// What is chosen: a plan and the rule that starts it, or the run's last fact.
type Chosen = Result<(Box<Plan>, String), Box<Fact>>;

/// This run goes on with the first pipeline that starts; each other one gets a run of its own.
async fn choose<P>(ports: &P, run: &Run, place: u64, judged: Vec<Judged>) -> Answer<Chosen>
where
    P: Deliveries + StartExecutions + Clock + Random,
{
    let rules: Vec<String> = judged.iter().filter_map(Judged::ignored_by).collect();
    let mut wanted: Vec<Judged> =
        judged.into_iter().filter(|file| !matches!(file.verdict, Verdict::Ignore { .. })).collect();
    // One that starts goes before one that is wrong.
    wanted.sort_by_key(|file| matches!(file.verdict, Verdict::Reject { .. }));
    let mut wanted = wanted.into_iter();
    let Some(first) = wanted.next() else {
        return Ok(Err(Box::new(Fact::Ignored { rule: bounded(&rules.join("; "), 2_000) })));
    };
    // The other pipelines' runs were started for the run that is retried.
    for other in wanted.filter(|_| run.source.retry.is_none()) {
        // One that was recorded before is this very run, asked for again.
        if let Taken::New { run: id, not_started } = take_part(ports, run, other.path, place).await? {
            tracing::info!(run_id = %id, parent = %run.id, late = not_started.is_some(), "run received");
        }
    }
    Ok(match first.verdict {
        Verdict::Start { plan, rule } => {
            let rule = std::iter::once(rule).chain(rules).collect::<Vec<_>>().join("; ");
            Ok((plan, bounded(&rule, 2_000)))
        }
        Verdict::Reject { cause } => Err(Box::new(Fact::Rejected { cause: *cause })),
        Verdict::Ignore { rule } => Err(Box::new(Fact::Ignored { rule })),
    })
}

fn jobs(plan: &Plan) -> impl Iterator<Item = (JobStage, &JobPlan)> {
    let stage = |stage| plan.jobs(stage).iter().map(move |job| (stage, job));
    stage(JobStage::Build).chain(stage(JobStage::Test))
}

fn planned(plan: &Plan, place: u64, rule: String, findings: Vec<Finding>) -> Fact {
    Fact::Planned {
        pipeline: plan.pipeline.clone(),
        plan_digest: plan.digest(),
        jobs: jobs(plan).map(|(stage, job)| JobId { stage, name: job.name.clone() }).collect(),
        environments: plan.environments.iter().map(|environment| environment.name.clone()).collect(),
        approvals: plan.asking().map(|environment| environment.name.clone()).collect(),
        place: Some(place),
        rule: Some(rule),
        findings,
        watched: plan.environments.iter().filter(|e| e.watch.is_some()).map(|e| e.name.clone()).collect(),
    }
}
