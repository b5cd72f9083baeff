//! ECS' lifecycle hook: whether a deployment may move (more) production traffic.
//!
//! ECS asks, and asks again while it is told to. Each check that was made is a fact and is not made again. ECS
//! takes a deployment back whose hook fails or throws, so a fault of the world outside is an answer, too: ask
//! again, for as long as the hook's own time allows.

use jiff::{SignedDuration, Timestamp};
use pushway_core::checkpoint::{ASK_AGAIN_SECONDS, Asked, HookAnswer, HookEvent, asked, is_pause};
use pushway_core::fact::{CheckResult, Fact, Rollout};
use pushway_core::ids::EnvironmentName;
use pushway_core::messages::{self, checkpoints::not_made};
use pushway_core::plan::{Check, EcsTarget, EnvironmentPlan, Target};
use pushway_core::ports::{
    Answer, Clock, Fault, Plans, Probes, ReadAlarms, ReadMetrics, ReadRuns, ReadServices, ReadTargetHealth,
    Runs,
};
use pushway_core::run::{CheckpointEnd, CheckpointFailure, CheckpointState, EnvironmentState, Run};
use pushway_core::settle::{load, load_planned, state_of, try_record};

use crate::looks;

/// After this time an invocation begins no further check: what it has made is kept, and ECS asks again.
const INVOCATION: SignedDuration = SignedDuration::from_secs(60);
/// When ECS asks again where only an invocation's time was over.
const AT_ONCE_SECONDS: u32 = 1;

/// Answers ECS.
pub(crate) async fn answer<P>(ports: &P, event: &HookEvent) -> HookAnswer
where
    P: Runs + Plans + ReadServices + ReadAlarms + ReadMetrics + ReadTargetHealth + Probes + Clock,
{
    match decide(ports, event).await {
        Ok(answer) => answer,
        Err(fault) => {
            tracing::warn!(deployment = event.resource_arn, %fault, "ECS is told to ask again");
            HookAnswer::ask_again(event, ASK_AGAIN_SECONDS)
        }
    }
}

async fn decide<P>(ports: &P, event: &HookEvent) -> Answer<HookAnswer>
where
    P: Runs + Plans + ReadServices + ReadAlarms + ReadMetrics + ReadTargetHealth + Probes + Clock,
{
    let Some((run, environment, rollout)) = find(ports, event).await? else {
        tracing::info!(deployment = event.resource_arn, "ECS asks about a deployment of no run");
        return Ok(HookAnswer::go_on());
    };
    let deployment = ports.service_deployment(&rollout.at(), &rollout.task_definition).await?;
    let asked = asked(event, &run, state_of(&run, &environment)?, deployment.as_ref());
    tracing::info!(run_id = %run.id, %environment, ?asked, "ECS asks whether its deployment may go on");
    match asked {
        Asked::NotOurs => Ok(HookAnswer::go_on()),
        Asked::Lost => Ok(HookAnswer::go_back()),
        Asked::Unclear => Ok(HookAnswer::ask_again(event, ASK_AGAIN_SECONDS)),
        Asked::MayGoOn(served) => {
            let (_, planned) = load_planned(ports, run.id, &environment).await?;
            // Whoever stopped the run, the state machine takes the deployment back: one owner at a time.
            if run.stop_in(&planned).is_some() {
                return Ok(HookAnswer::ask_again(event, ASK_AGAIN_SECONDS));
            }
            let checkpoint = Checkpoint { ports, run: &run, planned: &planned, rollout: &rollout, served };
            Ok(match checkpoint.settle().await? {
                Settled::Over(None) => HookAnswer::go_on(),
                Settled::Over(Some(_)) => HookAnswer::go_back(),
                Settled::Open(seconds) => HookAnswer::ask_again(event, seconds),
            })
        }
    }
}

/// The run and environment that the hook names, if that run has a deploy there.
async fn find<P: ReadRuns>(ports: &P, event: &HookEvent) -> Answer<Option<(Run, EnvironmentName, Rollout)>> {
    let Some((id, environment)) = event.about() else { return Ok(None) };
    let Some(run) = ports.load(id).await? else { return Ok(None) };
    let rollout = run.environment(&environment).and_then(|state| state.rollout.clone());
    // A scheduled task has no deployment that could be asked about.
    Ok(rollout.filter(|rollout| rollout.scheduled.is_none()).map(|rollout| (run, environment, rollout)))
}

/// How a checkpoint stands.
enum Settled {
    /// It is over; where it failed, why.
    Over(Option<CheckpointFailure>),
    /// ECS is to ask again in so many seconds.
    Open(u32),
}

/// One checkpoint of a deployment of a run.
struct Checkpoint<'a, P> {
    ports: &'a P,
    run: &'a Run,
    planned: &'a EnvironmentPlan,
    rollout: &'a Rollout,
    served: u8,
}

impl<P> Checkpoint<'_, P>
where
    P: Runs + ReadServices + ReadAlarms + ReadMetrics + ReadTargetHealth + Probes + Clock,
{
    /// Makes the checks that are left, then waits for a person where the plan says so.
    async fn settle(&self) -> Answer<Settled> {
        let Target::Ecs(target) = &self.planned.target else {
            return Err(Fault::Permanent(format!("{} is no service", self.planned.name)));
        };
        let (environment, served) = (self.planned.name.clone(), self.served);
        let reached = Fact::CheckpointReached { environment, served, at: self.ports.now() };
        let state = self.note(reached).await?;
        let (began, mut point) = (self.ports.now(), self.point(&state)?);
        let since = self.since(&state);
        for (place, check) in target.checkpoints.checks(served).iter().enumerate().skip(point.checks.len()) {
            if point.end.is_some() || point.checks.iter().any(|result| !result.passed) {
                break;
            }
            if self.ports.now() >= began + INVOCATION {
                return Ok(Settled::Open(AT_ONCE_SECONDS));
            }
            point = self.check(place, check, since).await?;
        }
        if let Some(end) = &point.end {
            return Ok(Settled::Over(end.failure));
        }
        if point.checks.iter().any(|result| !result.passed) {
            return self.end(&point, Some(CheckpointFailure::Check)).await;
        }
        match self.wait_for_people(target, &state, &point).await? {
            Some(outcome) => self.end(&point, outcome).await,
            None => Ok(Settled::Open(ASK_AGAIN_SECONDS)),
        }
    }

    async fn check(&self, place: usize, check: &Check, since: Timestamp) -> Answer<CheckpointState> {
        let result = match looks::make(self.ports, self.rollout, check, since).await {
            Ok(result) => result,
            // What can't be looked at will not be looked at by asking again.
            Err(Fault::Permanent(why)) => unmade(check, &why),
            Err(fault) => return Err(fault),
        };
        let (environment, served) = (self.planned.name.clone(), self.served);
        let check = u16::try_from(place).unwrap_or(u16::MAX);
        self.point(&self.note(Fact::CheckpointChecked { environment, served, check, result }).await?)
    }

    /// What the checkpoint comes to as far as people have a say; `None` while they are waited for.
    async fn wait_for_people(
        &self,
        target: &EcsTarget,
        state: &EnvironmentState,
        point: &CheckpointState,
    ) -> Answer<Option<Option<CheckpointFailure>>> {
        let Some(seconds) = target.checkpoints.pause_seconds else { return Ok(Some(None)) };
        if !is_pause(target.strategy, &state.checkpoints, self.served) {
            return Ok(Some(None));
        }
        let Some(until) = point.paused_until else {
            let until = self.ports.now() + SignedDuration::from_secs(seconds.into());
            let (environment, served) = (self.planned.name.clone(), self.served);
            self.note(Fact::CheckpointPaused { environment, served, until }).await?;
            return Ok(None);
        };
        Ok(match &point.answer {
            Some(answer) if answer.goes_on => Some(None),
            Some(_) => Some(Some(CheckpointFailure::Person)),
            None if self.ports.now() >= until => Some(Some(CheckpointFailure::Nobody)),
            None => None,
        })
    }

    async fn end(&self, point: &CheckpointState, failure: Option<CheckpointFailure>) -> Answer<Settled> {
        let (environment, served) = (self.planned.name.clone(), self.served);
        let made = u16::try_from(point.checks.len()).unwrap_or(u16::MAX);
        let paused = point.paused_until.is_some();
        let end = CheckpointEnd { at: self.ports.now(), made, paused, failure };
        let point = self.point(&self.note(Fact::CheckpointEnded { environment, served, end }).await?)?;
        tracing::info!(run_id = %self.run.id, environment = %self.planned.name, served, ?failure, "checkpoint over");
        // Somebody else may have ended it first, or answered in this very moment.
        Ok(point.end.map_or(Settled::Open(AT_ONCE_SECONDS), |end| Settled::Over(end.failure)))
    }

    /// Records a fact. Where the journal knows better, what it knows counts.
    async fn note(&self, fact: Fact) -> Answer<EnvironmentState> {
        let run = match try_record(self.ports, self.run.id, fact).await? {
            Ok(run) => run,
            Err(illegal) => {
                tracing::info!(run_id = %self.run.id, %illegal, "the journal knows better");
                load(self.ports, self.run.id).await?
            }
        };
        state_of(&run, &self.planned.name).cloned()
    }

    fn point(&self, state: &EnvironmentState) -> Answer<CheckpointState> {
        let point = state.checkpoints.iter().find(|point| point.served == self.served);
        let missing = || Fault::Permanent(format!("there is no checkpoint at {} % yet", self.served));
        point.cloned().ok_or_else(missing)
    }

    /// Values of before this time are not of the traffic that is judged: it began with the last checkpoint.
    fn since(&self, state: &EnvironmentState) -> Timestamp {
        let before = state.checkpoints.iter().rev().find(|point| point.served < self.served);
        let ended = before.and_then(|point| point.end.as_ref()).map(|end| end.at);
        let reached = state.checkpoints.iter().find(|point| point.served == self.served);
        ended.or(reached.map(|point| point.reached_at)).unwrap_or_else(|| self.ports.now())
    }
}

fn unmade(check: &Check, why: &str) -> CheckResult {
    CheckResult {
        check: messages::check_name(check),
        passed: false,
        detail: not_made(why),
        samples: 0,
        good: 0,
        evidence: Vec::new(),
    }
}
