//! Plays a state machine: tasks, callbacks, retries, catches, maps, in virtual time.
//!
//! An aborted branch is a dropped future: its tokens are taken back with it, as Step Functions does.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use jiff::{SignedDuration, Timestamp};
use pushway_core::contract::{CaughtError, TaskToken};
use pushway_core::ports::Clock as _;
use pushway_core::testing::{TokenState, World};
use serde_json::{Value, json};

use super::asl::{Catcher, Machine, Map, Resource, Retrier, State, Task};
use super::clock::Timers;
use super::data::{Scope, failure, fill, lookup, place};
use super::functions;

/// How a state or an execution failed.
#[derive(Debug, Clone)]
pub(super) struct Error {
    pub(super) name: String,
    pub(super) cause: String,
}

impl From<CaughtError> for Error {
    fn from(caught: CaughtError) -> Self {
        Self { name: caught.error, cause: caught.cause }
    }
}

/// Where an execution runs.
#[derive(Clone)]
pub(super) struct Context {
    world: Arc<World>,
    timers: Timers,
    trace: Rc<RefCell<Vec<String>>>,
    last_call: Rc<Cell<Option<usize>>>,
}

/// What follows a state.
struct Flow<'a> {
    catch: &'a [Catcher],
    result_path: Option<&'a str>,
    output_path: Option<&'a str>,
    next: Option<&'a String>,
    end: bool,
}

impl<'a> Flow<'a> {
    fn of_task(task: &'a Task) -> Self {
        Self {
            catch: &task.catch,
            result_path: task.result_path.as_deref(),
            output_path: task.output_path.as_deref(),
            next: task.next.as_ref(),
            end: task.end,
        }
    }

    fn of_map(map: &'a Map) -> Self {
        Self {
            catch: &map.catch,
            result_path: map.result_path.as_deref(),
            output_path: None,
            next: map.next.as_ref(),
            end: map.end,
        }
    }
}

type Outcome = Result<Value, Error>;

impl Context {
    /// `last_call` is the number of calls after which no state begins any more.
    pub(super) fn new(
        world: Arc<World>,
        timers: Timers,
        trace: Rc<RefCell<Vec<String>>>,
        last_call: Rc<Cell<Option<usize>>>,
    ) -> Self {
        Self { world, timers, trace, last_call }
    }

    pub(super) fn execute<'a>(
        &'a self,
        machine: &'a Machine,
        input: Value,
    ) -> Pin<Box<dyn Future<Output = Outcome> + 'a>> {
        Box::pin(async move {
            let (mut name, mut data) = (machine.start_at.clone(), input);
            loop {
                let state = machine.states.get(&name).unwrap_or_else(|| panic!("there is no state {name}"));
                self.trace.borrow_mut().push(name.clone());
                let step = match state {
                    State::Succeed { .. } => return Ok(data),
                    State::Fail(fail) => return Err(failure(fail, &data)),
                    State::Choice(choice) => {
                        let wanted = |rule: &&super::asl::Rule| {
                            lookup(&rule.variable, &data) == Value::Bool(rule.boolean_equals)
                        };
                        let next = choice.choices.iter().find(wanted);
                        (Some(next.map_or(&choice.default, |rule| &rule.next).clone()), data)
                    }
                    State::Task(task) => {
                        let outcome = self.task(task, &data).await;
                        self.follow(&name, outcome, data, &Flow::of_task(task))?
                    }
                    State::Map(map) => {
                        let outcome = self.map(map, &data).await;
                        self.follow(&name, outcome, data, &Flow::of_map(map))?
                    }
                };
                data = step.1;
                match step.0 {
                    Some(next) => name = next,
                    None => return Ok(data),
                }
            }
        })
    }

    /// Where a state leads to, with what data.
    fn follow(
        &self,
        name: &str,
        outcome: Outcome,
        data: Value,
        flow: &Flow<'_>,
    ) -> Result<(Option<String>, Value), Error> {
        match outcome {
            Ok(result) => {
                assert!(flow.next.is_some() != flow.end, "state {name} must have Next or End");
                let data = place(flow.result_path, data, result);
                let data = flow.output_path.map_or_else(|| data.clone(), |path| lookup(path, &data));
                Ok((flow.next.cloned(), data))
            }
            Err(error) => {
                self.trace.borrow_mut().push(format!("{name}!{}", error.name));
                let Some(catcher) =
                    flow.catch.iter().find(|catcher| matches(&catcher.error_equals, &error.name))
                else {
                    return Err(error);
                };
                let caught = json!({ "Error": error.name, "Cause": error.cause });
                Ok((Some(catcher.next.clone()), place(catcher.result_path.as_deref(), data, caught)))
            }
        }
    }

    async fn task(&self, task: &Task, data: &Value) -> Outcome {
        let mut tries = vec![0; task.retry.len()];
        let mut retries = 0;
        loop {
            let error = match self.try_task(task, data, retries).await {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            let fits = |retrier: &Retrier| matches(&retrier.error_equals, &error.name);
            let Some(which) = task
                .retry
                .iter()
                .position(fits)
                .filter(|which| tries[*which] < task.retry[*which].max_attempts)
            else {
                return Err(error);
            };
            let pause = pause(&task.retry[which], tries[which]);
            tries[which] += 1;
            retries += 1;
            self.timers.sleep_until(&self.world, self.world.now() + pause).await;
        }
    }

    async fn try_task(&self, task: &Task, data: &Value, retries: u32) -> Outcome {
        if self.last_call.get().is_some_and(|last| self.world.call_count() >= last) {
            // Stands still until the simulation has killed it.
            std::future::pending::<()>().await;
        }
        let function = function_name(&task.parameters.function_name);
        if task.resource == Resource::Invoke {
            let scope = Scope { token: None, retries, item: None };
            let payload = fill(&task.parameters.payload, data, &scope);
            let result = functions::invoke(&self.world, &function, payload)?;
            return Ok(json!({ "Payload": result, "StatusCode": 200 }));
        }
        let begun = self.world.now();
        let token = OpenToken { world: Arc::clone(&self.world), token: self.world.open_token() };
        let scope = Scope { token: Some(&token.token), retries, item: None };
        let payload = fill(&task.parameters.payload, data, &scope);
        let invoked = functions::invoke(&self.world, &function, payload);
        // An answer that came while the function ran counts, whatever the function says afterwards.
        if let (Err(error), TokenState::Open(_)) = (invoked, self.world.token(&token.token)) {
            return Err(error.into());
        }
        self.answer(&token.token, begun, task).await
    }

    async fn answer(&self, token: &TaskToken, begun: Timestamp, task: &Task) -> Outcome {
        let seconds = |seconds: u32| SignedDuration::from_secs(i64::from(seconds));
        let deadline = begun + seconds(task.timeout_seconds);
        // Held until the next look.
        let mut noted = Vec::new();
        poll_fn(|_| {
            let beat = match self.world.token(token) {
                TokenState::Answered(Ok(())) => return Poll::Ready(Ok(json!({}))),
                TokenState::Answered(Err(caught)) => return Poll::Ready(Err(caught.into())),
                TokenState::Open(beat) => beat,
                TokenState::Gone => panic!("a token can't vanish while its state waits"),
            };
            let timed_out = |name: &str| Poll::Ready(Err(Error { name: name.into(), cause: String::new() }));
            let silent = task.heartbeat_seconds.map(|heartbeat| beat + seconds(heartbeat));
            if self.world.now() >= deadline {
                return timed_out("States.Timeout");
            }
            if silent.is_some_and(|silent| self.world.now() >= silent) {
                return timed_out("States.HeartbeatTimeout");
            }
            noted = vec![self.timers.note(silent.unwrap_or(deadline).min(deadline))];
            Poll::Pending
        })
        .await
    }

    async fn map(&self, map: &Map, data: &Value) -> Outcome {
        let items = lookup(&map.items_path, data);
        let items = items.as_array().unwrap_or_else(|| panic!("{} is no list", map.items_path)).clone();
        let inputs = items.iter().map(|item| {
            let scope = Scope { token: None, retries: 0, item: Some(item) };
            fill(&map.item_selector, data, &scope)
        });
        let mut waiting: Vec<Value> = inputs.collect();
        waiting.reverse();
        let mut active: Vec<Pin<Box<dyn Future<Output = Outcome> + '_>>> = Vec::new();
        poll_fn(move |task| {
            loop {
                while active.len() < map.max_concurrency.max(1)
                    && let Some(input) = waiting.pop()
                {
                    active.push(self.execute(&map.item_processor, input));
                }
                let (mut failed, mut ended) = (None, false);
                active.retain_mut(|branch| match branch.as_mut().poll(task) {
                    Poll::Pending => true,
                    Poll::Ready(outcome) => {
                        failed = failed.take().or(outcome.err());
                        ended = true;
                        false
                    }
                });
                if let Some(error) = failed {
                    // The other branches are aborted.
                    active.clear();
                    return Poll::Ready(Err(error));
                }
                if active.is_empty() && waiting.is_empty() {
                    return Poll::Ready(Ok(json!([])));
                }
                if !ended {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

/// A token that nobody waits on any more once this is dropped.
struct OpenToken {
    world: Arc<World>,
    token: TaskToken,
}

impl Drop for OpenToken {
    fn drop(&mut self) {
        self.world.revoke(&self.token);
    }
}

fn function_name(substitution: &str) -> String {
    let name = substitution.strip_prefix("${").and_then(|text| text.strip_suffix("FunctionArn}"));
    let name = name.unwrap_or_else(|| panic!("{substitution} names no function"));
    let mut folder = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !folder.is_empty() {
            folder.push('-');
        }
        folder.push(c.to_ascii_lowercase());
    }
    folder
}

fn matches(names: &[String], error: &str) -> bool {
    names.iter().any(|name| {
        name == error
            || name == "States.ALL"
            || (name == "States.Timeout" && error == "States.HeartbeatTimeout")
    })
}

/// The longest that jitter allows: what comes late is the harder case.
fn pause(retrier: &Retrier, tried: u32) -> SignedDuration {
    let seconds = f64::from(retrier.interval_seconds) * retrier.backoff_rate.powf(f64::from(tried));
    SignedDuration::from_secs_f64(seconds.min(f64::from(retrier.max_delay_seconds)))
}
