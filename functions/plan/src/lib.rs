//! State `Plan`: reads the pipeline file at the commit, validates, filters, fixes the plan in the run.
//!
//! Everything that can be known to fail fails here, before anything is spent. A run that has its plan
//! keeps it: asked again, this function answers from the record.

use pushway_core::contract::{Failure, PlanOutput, RunInput};
use pushway_core::fact::{Fact, JobId, JobStage};
use pushway_core::ids::RepositoryPath;
use pushway_core::messages;
use pushway_core::pipeline_file::{Decision, parse};
use pushway_core::plan::Plan;
use pushway_core::ports::{Answer, Clock, Fault, Hooks, Plans, RepositoryFiles, Runs};
use pushway_core::run::Run;
use pushway_core::settle::{load, record};
use pushway_core::source::Hook;

/// Where a pipeline file may lie, in the order in which they are looked for.
pub const PATHS: [&str; 2] = ["pushway.yml", ".pushway.yml"];

/// Plans a run.
pub async fn handle<P>(ports: &P, input: RunInput) -> Result<PlanOutput, Failure>
where
    P: Runs + Plans + Hooks + RepositoryFiles + Clock,
{
    let run = load(ports, input.run_id).await?;
    if run.status.is_terminal() {
        return Ok(over(&run));
    }
    if run.plan_digest.is_some() {
        let plan = ports.plan(run.id).await?;
        let plan = plan.ok_or_else(|| Fault::Permanent(format!("the plan of run {} is gone", run.id)))?;
        return Ok(proceed(&run, &plan));
    }
    let fact = decide(ports, &run).await?;
    tracing::info!(run_id = %run.id, commit = %run.source.commit, "run planned");
    match fact {
        Outcome::Plan(plan) => {
            ports.put_plan(run.id, &plan).await?;
            let run = record(ports, run.id, planned(&plan)).await?;
            Ok(proceed(&run, &plan))
        }
        Outcome::Over(fact) => Ok(over(&record(ports, run.id, *fact).await?)),
    }
}

enum Outcome {
    Plan(Box<Plan>),
    Over(Box<Fact>),
}

async fn decide<P: Hooks + RepositoryFiles>(ports: &P, run: &Run) -> Answer<Outcome> {
    let source = &run.source;
    let hook = ports.hook(source.provider, source.hook.as_str()).await?;
    let hook = hook.ok_or_else(|| Fault::Permanent(format!("hook {} was disconnected", source.hook)))?;
    let Some((path, text)) = pipeline_file(ports, run, &hook).await? else {
        return Ok(Outcome::Over(Box::new(Fact::Rejected {
            cause: messages::no_pipeline_file(source, &PATHS),
        })));
    };
    let file = match parse(path, &text) {
        Ok(file) => file,
        Err(problems) => {
            let problems: Vec<String> = problems.problems.iter().map(ToString::to_string).collect();
            return Ok(Outcome::Over(Box::new(Fact::Rejected {
                cause: messages::bad_pipeline_file(path, &problems),
            })));
        }
    };
    if let Decision::Ignore { rule } = file.on.decide(&source.git_ref) {
        return Ok(Outcome::Over(Box::new(Fact::Ignored { rule })));
    }
    for (stage, job) in jobs(&file.plan) {
        if ports.file(run.id, &hook, source, &job.buildspec).await?.is_none() {
            let job_id = JobId { stage, name: job.name.clone() };
            let cause = messages::no_buildspec(&job_id, job.buildspec.as_str());
            return Ok(Outcome::Over(Box::new(Fact::Rejected { cause })));
        }
    }
    Ok(Outcome::Plan(Box::new(file.plan)))
}

async fn pipeline_file<P: RepositoryFiles>(
    ports: &P,
    run: &Run,
    hook: &Hook,
) -> Answer<Option<(&'static str, String)>> {
    for path in PATHS {
        let at: RepositoryPath = path.parse().map_err(|error| Fault::Permanent(format!("{error}")))?;
        if let Some(text) = ports.file(run.id, hook, &run.source, &at).await? {
            return Ok(Some((path, text)));
        }
    }
    Ok(None)
}

fn jobs(plan: &Plan) -> impl Iterator<Item = (JobStage, &pushway_core::plan::JobPlan)> {
    let stage = |stage| plan.jobs(stage).iter().map(move |job| (stage, job));
    stage(JobStage::Build).chain(stage(JobStage::Test))
}

fn planned(plan: &Plan) -> Fact {
    Fact::Planned {
        pipeline: plan.pipeline.clone(),
        plan_digest: plan.digest(),
        jobs: jobs(plan).map(|(stage, job)| JobId { stage, name: job.name.clone() }).collect(),
        environments: plan.environments.iter().map(|environment| environment.name.clone()).collect(),
    }
}

fn proceed(run: &Run, plan: &Plan) -> PlanOutput {
    let names = |stage| plan.jobs(stage).iter().map(|job| job.name.clone()).collect();
    PlanOutput {
        run_id: run.id,
        proceed: true,
        build: names(JobStage::Build),
        test: names(JobStage::Test),
        environments: plan.environments.iter().map(|environment| environment.name.clone()).collect(),
    }
}

fn over(run: &Run) -> PlanOutput {
    PlanOutput {
        run_id: run.id,
        proceed: false,
        build: Vec::new(),
        test: Vec::new(),
        environments: Vec::new(),
    }
}
