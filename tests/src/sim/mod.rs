//! The simulation: the real state machine over the real handlers over the world in memory.
//!
//! `Sim` owns a world and a virtual clock. It runs executions by interpreting
//! `statemachine/pipeline.asl.json`, delivers the events that AWS would send, sweeps every minute, and
//! moves the clock to the next moment at which something can happen. No step waits for real time.

mod asl;
mod clock;
mod data;
pub mod every_call;
pub(crate) mod functions;
mod interpreter;
pub mod people;
pub mod pull_request;
pub mod race;
pub mod story;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use jiff::{SignedDuration, Timestamp};
use pushway_core::ids::RunId;
use pushway_core::ports::Clock as _;
use pushway_core::testing::{Event, World};
use serde_json::{Value, json};

use clock::Timers;
pub use functions::{Invoked, block_on, invoke};

/// The sweep's period, as `template.yaml` has it.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_secs(60);
/// No story of a run lasts longer; one that does hangs.
const LONGEST: SignedDuration = SignedDuration::from_hours(72);
/// Lambda's waits before its two retries of an asynchronous invocation.
const ASYNC_RETRIES: [SignedDuration; 2] = [SignedDuration::from_secs(60), SignedDuration::from_secs(120)];

/// How events reach the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// Each once, in time.
    Once,
    /// Each this many times.
    Times(u32),
    /// None at all.
    Lost,
}

/// A simulation.
pub struct Sim {
    /// The world it acts in.
    pub world: Arc<World>,
    /// How events arrive.
    pub events: Events,
    /// Whether the sweep runs.
    pub sweeps: bool,
    /// What went wrong in functions that nobody waits for: they are logged and alarmed on.
    pub troubles: Vec<String>,
    machine: Rc<asl::Machine>,
    timers: Timers,
    executions: Vec<Execution>,
    deliveries: Vec<(Timestamp, Event, usize)>,
    next_sweep: Timestamp,
    trace: Rc<RefCell<Vec<String>>>,
    last_call: Rc<Cell<Option<usize>>>,
}

struct Execution {
    run: RunId,
    future: Pin<Box<dyn Future<Output = Result<Value, interpreter::Error>>>>,
}

impl Sim {
    /// A simulation over an empty world, with the state machine of this repository.
    pub fn new() -> Self {
        Self::over(Arc::new(World::new()))
    }

    /// A simulation over a world.
    pub fn over(world: Arc<World>) -> Self {
        let next_sweep = world.now() + SWEEP_EVERY;
        Self {
            events: Events::Once,
            sweeps: true,
            troubles: Vec::new(),
            last_call: Rc::default(),
            machine: asl::of_this_repository(),
            timers: Timers::default(),
            executions: Vec::new(),
            deliveries: Vec::new(),
            next_sweep,
            trace: Rc::default(),
            world,
        }
    }

    /// Runs until nothing is left to do.
    ///
    /// # Panics
    /// When that takes longer than any run may, which is a hang.
    pub fn run(&mut self) {
        let limit = self.world.now() + LONGEST;
        while !self.is_quiet() {
            self.step();
            assert!(self.world.now() < limit, "hangs: {}", self.describe());
        }
    }

    /// Runs for some time.
    pub fn run_for(&mut self, time: SignedDuration) {
        let end = self.world.now() + time;
        while self.world.now() < end {
            self.settle();
            let next = self.next_moment().unwrap_or(end).min(end);
            self.world.set_now(next);
        }
        self.settle();
    }

    /// Runs until something holds.
    ///
    /// # Panics
    /// When all is quiet and it never held.
    pub fn run_until(&mut self, wanted: impl Fn(&World) -> bool) {
        self.settle();
        while !wanted(&self.world) {
            assert!(!self.is_quiet(), "all is quiet, and it never came: {}", self.describe());
            self.step();
        }
    }

    /// Kills the executions there are as soon as so many calls were made: no state begins after that.
    pub fn kill_after_call(&mut self, number: usize) {
        self.last_call.set(Some(number));
    }

    /// Ends all executions without a word, as an abort does.
    pub fn kill_executions(&mut self) {
        for execution in std::mem::take(&mut self.executions) {
            drop(execution.future);
            self.world.close_execution(execution.run, false, "States.Aborted: by hand");
        }
    }

    /// The states that were entered, as `state` or `state!error`.
    pub fn trace(&self) -> Vec<String> {
        self.trace.borrow().clone()
    }

    fn is_quiet(&self) -> bool {
        self.executions.is_empty()
            && self.deliveries.is_empty()
            && self.world.all_over()
            && (self.world.open_waits().is_empty() || !self.sweeps)
            && self.world.next_change().is_none()
    }

    fn step(&mut self) {
        self.settle();
        if self.is_quiet() {
            return;
        }
        match self.next_moment() {
            Some(at) => self.world.set_now(at),
            None => panic!("nothing will ever happen: {}", self.describe()),
        }
    }

    /// The next moment at which anything can happen, always later than now.
    fn next_moment(&self) -> Option<Timestamp> {
        let now = self.world.now();
        let deliveries = self.deliveries.iter().map(|(at, ..)| *at);
        let sweep = self.sweeps.then_some(self.next_sweep);
        let moments = deliveries.chain(self.world.next_change()).chain(self.timers.next()).chain(sweep);
        moments.map(|at| if at <= now { now + SignedDuration::from_millis(1) } else { at }).min()
    }

    /// Does all that can be done without time passing.
    fn settle(&mut self) {
        loop {
            let before = (self.world.call_count(), self.executions.len(), self.world.answered());
            self.take_started();
            self.poll_executions();
            self.deliver();
            self.answer_hooks();
            self.sweep();
            self.kill();
            if before == (self.world.call_count(), self.executions.len(), self.world.answered()) {
                return;
            }
        }
    }

    fn kill(&mut self) {
        if self.last_call.get().is_some_and(|last| self.world.call_count() >= last)
            && !self.executions.is_empty()
        {
            self.last_call.set(None);
            self.kill_executions();
        }
    }

    fn take_started(&mut self) {
        for run in self.world.take_started() {
            let context = interpreter::Context::new(
                Arc::clone(&self.world),
                self.timers.clone(),
                Rc::clone(&self.trace),
                Rc::clone(&self.last_call),
            );
            let machine = Rc::clone(&self.machine);
            let input = json!({ "run_id": run });
            let future = Box::pin(async move { context.execute(&machine, input).await });
            self.executions.push(Execution { run, future });
        }
    }

    fn poll_executions(&mut self) {
        let world = Arc::clone(&self.world);
        self.executions.retain_mut(|execution| {
            match execution.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => true,
                Poll::Ready(Ok(_)) => {
                    world.close_execution(execution.run, true, "");
                    false
                }
                Poll::Ready(Err(error)) => {
                    world.close_execution(execution.run, false, &format!("{}: {}", error.name, error.cause));
                    false
                }
            }
        });
    }

    fn deliver(&mut self) {
        for event in self.world.take_events() {
            let times = match self.events {
                Events::Once => 1,
                Events::Times(times) => times,
                Events::Lost => 0,
            };
            for _ in 0..times {
                self.deliveries.push((event.at, event.clone(), 0));
            }
        }
        let now = self.world.now();
        let (due, later) = std::mem::take(&mut self.deliveries).into_iter().partition(|(at, ..)| *at <= now);
        self.deliveries = later;
        for (_, event, tries) in Vec::from_iter::<Vec<(Timestamp, Event, usize)>>(due) {
            let invoked = functions::invoke(&self.world, event.function, event.payload.clone());
            let Err(error) = invoked else { continue };
            self.troubles.push(format!("{}: {}", event.function, error.cause));
            if let Some(pause) = ASYNC_RETRIES.get(tries) {
                self.deliveries.push((self.world.now() + *pause, event, tries + 1));
            }
        }
    }

    /// ECS invokes the hooks of deployments itself, and waits for their answers.
    fn answer_hooks(&mut self) {
        for call in self.world.take_hook_calls() {
            let answered = functions::invoke(&self.world, "validate", call.payload.clone());
            if let Err(error) = &answered {
                self.troubles.push(format!("validate: {}", error.cause));
            }
            self.world.answer_hook(&call, answered.ok());
        }
    }

    fn sweep(&mut self) {
        if self.sweeps && self.world.now() >= self.next_sweep {
            self.next_sweep = self.world.now() + SWEEP_EVERY;
            // One that fails is made up for by the next.
            match functions::invoke(&self.world, "sweep", json!({})) {
                Ok(swept) if swept["failed"] == 0 => {}
                Ok(swept) => self.troubles.push(format!("sweep: {swept}")),
                Err(error) => self.troubles.push(format!("sweep: {}", error.cause)),
            }
        }
    }

    fn describe(&self) -> String {
        let runs: Vec<_> = self.world.runs().iter().map(|run| (run.id, run.status)).collect();
        let calls = self.world.calls();
        let last: Vec<String> = calls[calls.len().saturating_sub(30)..]
            .iter()
            .map(|call| format!("{} {}", call.verb, call.about))
            .collect();
        format!(
            "runs {runs:?}, {} executions, waits {:?}, states {:?}, last calls {last:#?}",
            self.executions.len(),
            self.world.open_waits(),
            self.trace.borrow().iter().rev().take(20).collect::<Vec<_>>(),
        )
    }
}

impl Default for Sim {
    fn default() -> Self {
        Self::new()
    }
}
