//! What the state machine is told to do.

use pushway_core::contract::PlanOutput;
use pushway_core::fact::{JobId, JobStage};
use pushway_core::ids::EnvironmentName;
use pushway_core::plan::{Concurrency, JobPlan, Plan};
use pushway_core::run::Run;

/// What is left to do: what a retry takes over is not done again.
pub(crate) fn proceed(run: &Run, plan: &Plan) -> PlanOutput {
    let is_taken = |stage, job: &JobPlan| {
        let state = run.job(&JobId { stage, name: job.name.clone() });
        state.is_some_and(|state| state.taken_from.is_some())
    };
    let of_stage = |stage| {
        let jobs = plan.jobs_in_order(stage).into_iter();
        jobs.filter(|job| !is_taken(stage, job)).map(|job| job.name.clone()).collect()
    };
    let is_kept =
        |name: &EnvironmentName| run.environment(name).is_some_and(|state| state.kept_from.is_some());
    let environments = plan.environments.iter().map(|environment| environment.name.clone());
    PlanOutput {
        run_id: run.id,
        proceed: true,
        turn: plan.concurrency != Concurrency::Parallel,
        build: of_stage(JobStage::Build),
        test: of_stage(JobStage::Test),
        environments: environments.filter(|name| !is_kept(name)).collect(),
    }
}

/// A run that is over already.
pub(crate) fn over(run: &Run) -> PlanOutput {
    PlanOutput {
        run_id: run.id,
        proceed: false,
        turn: false,
        build: Vec::new(),
        test: Vec::new(),
        environments: Vec::new(),
    }
}
