//! The tasks that run to their end before the service moves: a database migration.
//!
//! The state is tried again whenever one is over, and finds here where it stood: what was started is not
//! started again, what has ended is not judged again. A task that fails ends the deploy, and the service is
//! never touched.

use jiff::SignedDuration;
use pushway_core::contract::EnvironmentTask;
use pushway_core::definition_file;
use pushway_core::fact::{Fact, Rollout, TaskEnd};
use pushway_core::messages;
use pushway_core::one_off::{self, Standing, judge};
use pushway_core::plan::{EcsTask, EnvironmentPlan, OneOff};
use pushway_core::ports::{
    Answer, Callbacks, Clock, Fault, MoveServices, ReadServices, ReadTasks, RunTasks, Runs, Waits, Written,
};
use pushway_core::run::{EnvironmentState, Run, TaskState};
use pushway_core::settle::{record, settle_task};
use pushway_core::views::{TaskRef, TaskRequest, TaskView};
use pushway_core::wait::{Subject, Wait, Work};

use crate::{Stopped, create};

/// How far the tasks are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// All have ended well.
    Done,
    /// One runs, and the state waits for it.
    Waiting,
}

/// One task and what it is about.
struct One<'a> {
    run: &'a Run,
    rollout: &'a Rollout,
    wanted: &'a EcsTask,
    definition: Option<&'a serde_json::Value>,
    known: TaskState,
    number: usize,
    task: &'a EnvironmentTask,
}

/// Runs the tasks of an environment, as far as that goes without waiting.
pub(crate) async fn before<P>(
    ports: &P,
    run: &Run,
    state: &EnvironmentState,
    planned: &EnvironmentPlan,
    rollout: &Rollout,
    task: &EnvironmentTask,
) -> Result<Before, Stopped>
where
    P: Runs + Waits + ReadServices + MoveServices + RunTasks + ReadTasks + Callbacks + Clock,
{
    let stop = || run.stop_in(planned).map(|stop| Stopped::ByPerson(messages::stopped_by(stop)));
    for (number, OneOff::EcsTask(wanted)) in planned.before.iter().enumerate() {
        let known = state.task(number).cloned().unwrap_or_default();
        if known.arn.is_none()
            && let Some(stop) = stop()
        {
            return Err(stop);
        }
        let definition = create::definition(planned);
        let one = One { run, rollout, wanted, definition, known, number, task };
        match one.go_on(ports).await? {
            Some(TaskEnd { failure: None, .. }) => {}
            Some(end) => {
                let failure = one_off::failure(&planned.name, number, &end);
                return Err(Stopped::Failed(Box::new(failure)));
            }
            None => return Ok(Before::Waiting),
        }
    }
    stop().map_or(Ok(Before::Done), Err)
}

impl One<'_> {
    /// Gives the task's end, or none where it goes on and the state waits.
    async fn go_on<P>(&self, ports: &P) -> Answer<Option<TaskEnd>>
    where
        P: Runs + Waits + ReadServices + MoveServices + RunTasks + ReadTasks + Callbacks + Clock,
    {
        if let Some(end) = &self.known.end {
            return Ok(Some(end.clone()));
        }
        let (arn, deadline) = match (&self.known.arn, self.known.deadline) {
            (Some(arn), Some(deadline)) => (arn.clone(), deadline),
            _ => self.start(ports).await?,
        };
        let (place, cluster) = (self.rollout.place.clone(), self.rollout.cluster.clone());
        let at = TaskRef { place, cluster, arn: arn.clone() };
        let view = ports.task(&at).await?;
        let end = match judge(self.wanted, view.as_ref(), deadline, ports.now()) {
            Standing::Ended(end) => end,
            Standing::Overdue => {
                let why = messages::task_overdue(self.wanted.timeout_seconds);
                ports.stop_task(&at, &why).await?;
                TaskEnd { failure: Some(why), exit_code: None, log: Vec::new() }
            }
            Standing::Running => {
                let wait = Wait {
                    subject: Subject::Task(arn),
                    run: self.run.id,
                    work: Work::Task { environment: self.task.environment.clone(), task: self.number },
                    token: self.task.task_token.clone(),
                    opened_at: ports.now(),
                    deadline,
                };
                if ports.open(&wait).await? == Written::Conflict {
                    return Err(Fault::Permanent(messages::task_of_another_run(&at.arn)));
                }
                settle_task(ports, &wait).await?;
                return Ok(None);
            }
        };
        let end = end.with_log(&self.log(ports, view.as_ref()).await);
        tracing::info!(run_id = %self.run.id, task = at.arn, exit_code = end.exit_code, "task ended");
        let environment = self.task.environment.clone();
        record(ports, self.run.id, Fact::TaskEnded { environment, task: self.number, end: end.clone() })
            .await?;
        Ok(Some(end))
    }

    /// A log that can't be read must not hold the task's end back.
    async fn log<P: ReadServices>(&self, ports: &P, view: Option<&TaskView>) -> Vec<String> {
        let Some(view) = view else { return Vec::new() };
        ports.task_log(&self.rollout.place, view, &self.wanted.container).await.unwrap_or_default()
    }

    async fn start<P>(&self, ports: &P) -> Answer<(String, jiff::Timestamp)>
    where
        P: Runs + MoveServices + RunTasks + Clock,
    {
        let request = TaskRequest {
            service: self.rollout.at(),
            definition: self.definition.cloned(),
            scheduled: self.rollout.scheduled.clone(),
            task_definition: self.revision(ports).await?,
            container: self.wanted.container.clone(),
            command: self.wanted.command.clone(),
            mark: one_off::mark(self.run.id, &self.task.environment, self.number),
        };
        let arn = match ports.started_task(&request).await? {
            Some(arn) => arn,
            None => ports.run_task(&request).await?,
        };
        let deadline = ports.now() + SignedDuration::from_secs(self.wanted.timeout_seconds.into());
        tracing::info!(run_id = %self.run.id, task = arn, "task started");
        let environment = self.task.environment.clone();
        let fact = Fact::TaskStarted { environment, task: self.number, arn: arn.clone(), deadline };
        record(ports, self.run.id, fact).await?;
        Ok((arn, deadline))
    }

    /// The revision to run: the one that the service is about to run, or one of its own, registered once.
    async fn revision<P: Runs + MoveServices + Clock>(&self, ports: &P) -> Answer<String> {
        if let Some(revision) = &self.known.revision {
            return Ok(revision.clone());
        }
        let file = self.wanted.task_definition.as_ref().and_then(|file| file.content.as_ref());
        let Some(file) = file else { return Ok(self.rollout.task_definition.clone()) };
        let containers = definition_file::containers(file);
        let mut images = self.rollout.images.clone();
        images.retain(|container, _| containers.contains(container));
        let revision = ports.register_file(&self.rollout.place, self.run.id, file, &images).await?;
        let environment = self.task.environment.clone();
        let fact = Fact::TaskPrepared { environment, task: self.number, revision: revision.clone() };
        record(ports, self.run.id, fact).await?;
        Ok(revision)
    }
}
