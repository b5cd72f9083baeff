//! Tasks of ECS that belong to no service: they are started once, take their time, and end as a test says.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Event, State, World};
use crate::plan::Place;
use crate::ports::{Answer, Fault, ReadTasks, RunTasks};
use crate::scheduled::StarterRef;
use crate::views::{ContainerView, ServiceRef, TaskRef, TaskRequest, TaskView};

/// How long a task takes that was not told otherwise.
const USUAL: SignedDuration = SignedDuration::from_secs(20);

/// What becomes of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskScript {
    /// Its container exits with a code after a while.
    Exits(i32, SignedDuration),
    /// It goes on until it is stopped.
    NeverEnds,
    /// Its image can't be pulled.
    CannotStart,
}

/// A task that was started.
#[derive(Debug, Clone, PartialEq)]
pub struct FakeTask {
    /// Its ARN.
    pub arn: String,
    /// What it was started with.
    pub request: TaskRequest,
    /// Why it was told to stop.
    pub told_to_stop: Option<String>,
    script: TaskScript,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub(super) struct Tasks {
    started: Vec<FakeTask>,
    scripts: VecDeque<TaskScript>,
}

impl Tasks {
    fn ends_at(task: &FakeTask) -> Option<Timestamp> {
        match task.script {
            _ if task.ended_at.is_some() => None,
            TaskScript::Exits(_, after) => Some(task.started_at + after),
            TaskScript::CannotStart => Some(task.started_at + SignedDuration::from_secs(5)),
            TaskScript::NeverEnds => None,
        }
    }

    pub(super) fn knows(&self, place: &Place, arn: &str) -> bool {
        self.started.iter().any(|task| task.arn == arn && task.request.service.place == *place)
    }

    pub(super) fn next_change(&self) -> impl Iterator<Item = Timestamp> {
        self.started.iter().filter_map(Self::ends_at)
    }

    /// Lets pass what happens until `now`; gives the events that ECS sends of it.
    pub(super) fn pass(&mut self, now: Timestamp) -> Vec<Event> {
        let mut events = Vec::new();
        for task in &mut self.started {
            if let Some(at) = Self::ends_at(task).filter(|at| *at <= now) {
                task.ended_at = Some(at);
                events.push(event(task, at));
            }
        }
        events
    }
}

fn event(task: &FakeTask, at: Timestamp) -> Event {
    let payload = json!({
        "source": "aws.ecs",
        "detail-type": "ECS Task State Change",
        "time": at.to_string(),
        "resources": [task.arn],
        "detail": {
            "clusterArn": format!("arn:aws:ecs:eu-central-1:000000000000:cluster/{}", task.request.service.cluster),
            "group": "family:web",
            "lastStatus": "STOPPED",
            "taskArn": task.arn,
        },
    });
    Event { at, function: "deploy-progress", payload }
}

fn view(task: &FakeTask) -> TaskView {
    let is_stopped = task.ended_at.is_some();
    let (exit_code, stopped_reason) = match task.script {
        _ if !is_stopped => (None, ""),
        TaskScript::Exits(code, _) if task.told_to_stop.is_none() => {
            (Some(code), "Essential container in task exited")
        }
        TaskScript::CannotStart => (None, "CannotPullContainerError: manifest unknown"),
        _ => (Some(137), "Task stopped by request"),
    };
    TaskView {
        arn: task.arn.clone(),
        task_definition: task.request.task_definition.clone(),
        is_running: !is_stopped,
        is_stopped,
        stop_code: String::new(),
        stopped_reason: stopped_reason.into(),
        containers: vec![ContainerView {
            name: task.request.container.clone(),
            digest: None,
            exit_code,
            reason: String::new(),
            is_unhealthy: false,
        }],
    }
}

impl World {
    /// Says what becomes of the next tasks.
    pub fn script_tasks(&self, scripts: impl IntoIterator<Item = TaskScript>) {
        self.lock().tasks.scripts.extend(scripts);
    }

    /// The tasks that were started, in order.
    pub fn fake_tasks(&self) -> Vec<FakeTask> {
        self.lock().tasks.started.clone()
    }
}

impl World {
    /// Lets a rule or schedule start its first task now, as it does when its time has come.
    pub fn start_scheduled(&self, at: &StarterRef, script: TaskScript) {
        let mut state = self.lock();
        let Some(view) = state.started_by(at).and_then(|tasks| tasks.into_iter().next()) else { return };
        let service =
            ServiceRef { place: at.place.clone(), cluster: view.cluster, service: at.starter.to_string() };
        let number = state.tasks.started.len() + 1;
        let task = FakeTask {
            arn: format!("arn:aws:ecs:eu-central-1:000000000000:task/demo/scheduled-{number}"),
            request: TaskRequest {
                service,
                definition: None,
                scheduled: None,
                task_definition: view.revision,
                container: "web".into(),
                command: Vec::new(),
                mark: format!("events-rule-{number}"),
            },
            told_to_stop: None,
            script,
            started_at: state.now,
            ended_at: None,
        };
        state.tasks.started.push(task);
    }
}

impl Tasks {
    /// Those of a revision.
    pub(super) fn of(&self, place: &Place, cluster: &str, task_definition: &str) -> Vec<TaskView> {
        let is_of = |task: &&FakeTask| {
            let service = &task.request.service;
            task.request.task_definition == task_definition
                && service.cluster == cluster
                && service.place == *place
        };
        self.started.iter().filter(is_of).map(view).collect()
    }
}

fn find<'s>(state: &'s mut State, task: &TaskRef) -> Option<&'s mut FakeTask> {
    let is_it = |known: &&mut FakeTask| {
        let service = &known.request.service;
        known.arn == task.arn && service.place == task.place && service.cluster == task.cluster
    };
    state.tasks.started.iter_mut().find(is_it)
}

impl RunTasks for World {
    async fn started_task(&self, request: &TaskRequest) -> Answer<Option<String>> {
        self.call("started_task", &request.mark, |state| {
            let known = state.tasks.started.iter().find(|task| task.request.mark == request.mark);
            Ok(known.map(|task| task.arn.clone()))
        })
        .await
    }

    async fn run_task(&self, request: &TaskRequest) -> Answer<String> {
        self.call("run_task", &request.mark, |state| {
            if !state.ecs.definitions.contains_key(&request.task_definition) {
                return Err(Fault::Permanent(format!("there is no revision {}", request.task_definition)));
            }
            // Whoever starts it looks for it first: a second one with the mark is a mistake.
            let number = state.tasks.started.len() + 1;
            let arn = format!(
                "arn:aws:ecs:eu-central-1:000000000000:task/{}/one-off-{number}",
                request.service.cluster
            );
            let script = state.tasks.scripts.pop_front().unwrap_or(TaskScript::Exits(0, USUAL));
            state.tasks.started.push(FakeTask {
                arn: arn.clone(),
                request: request.clone(),
                told_to_stop: None,
                script,
                started_at: state.now,
                ended_at: None,
            });
            Ok(arn)
        })
        .await
    }

    async fn stop_task(&self, task: &TaskRef, reason: &str) -> Answer<()> {
        self.call("stop_task", &task.arn, |state| {
            let now = state.now;
            if let Some(task) = find(state, task).filter(|task| task.ended_at.is_none()) {
                (task.told_to_stop, task.ended_at) = (Some(reason.to_owned()), Some(now));
            }
            Ok(())
        })
        .await
    }
}

impl ReadTasks for World {
    async fn task(&self, task: &TaskRef) -> Answer<Option<TaskView>> {
        self.call("task", &task.arn, |state| Ok(find(state, task).map(|task| view(task)))).await
    }
}
