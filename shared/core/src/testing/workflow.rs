//! Step Functions in memory, as far as functions see it: executions by name, task tokens.
//!
//! It runs no state machine: a test's driver takes the started executions, opens tokens and reads answers.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::World;
use crate::contract::{CaughtError, TaskToken};
use crate::ids::RunId;
use crate::ports::{Answer, Callbacks, Called, ExecutionView, Heartbeats, ReadExecutions, StartExecutions};

#[derive(Debug, Default)]
pub(super) struct Workflow {
    executions: BTreeMap<RunId, ExecutionView>,
    started: Vec<RunId>,
    tokens: BTreeMap<String, TokenState>,
    opened: usize,
    answered: usize,
}

/// How a task token stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenState {
    /// A state waits on it; the time of the newest heartbeat.
    Open(Timestamp),
    /// It was answered.
    Answered(Result<(), CaughtError>),
    /// Nobody waits on it.
    Gone,
}

impl World {
    /// The executions that were started since this was last asked.
    pub fn take_started(&self) -> Vec<RunId> {
        std::mem::take(&mut self.lock().workflow.started)
    }

    /// Ends an execution.
    pub fn close_execution(&self, id: RunId, succeeded: bool, reason: &str) {
        let view = ExecutionView::Closed { succeeded, reason: reason.to_owned() };
        self.lock().workflow.executions.insert(id, view);
    }

    /// Opens a token for a state that begins to wait.
    pub fn open_token(&self) -> TaskToken {
        let mut state = self.lock();
        state.workflow.opened += 1;
        let token = format!("token-{}", state.workflow.opened);
        let now = state.now;
        state.workflow.tokens.insert(token.clone(), TokenState::Open(now));
        TaskToken::new(token)
    }

    /// How a token stands.
    pub fn token(&self, token: &TaskToken) -> TokenState {
        self.lock().workflow.tokens.get(token.expose()).cloned().unwrap_or(TokenState::Gone)
    }

    /// Takes a token back: its state has ended. Gives how it stood.
    pub fn revoke(&self, token: &TaskToken) -> TokenState {
        let stood = self.lock().workflow.tokens.insert(token.expose().to_owned(), TokenState::Gone);
        stood.unwrap_or(TokenState::Gone)
    }

    /// How many callbacks have found someone waiting.
    pub fn answered(&self) -> usize {
        self.lock().workflow.answered
    }

    /// How many executions were ever started.
    pub fn execution_count(&self) -> usize {
        self.lock().workflow.executions.len()
    }
}

impl Workflow {
    fn answer(&mut self, token: &TaskToken, answer: Result<(), CaughtError>) -> Called {
        match self.tokens.get_mut(token.expose()) {
            Some(state @ TokenState::Open(_)) => {
                *state = TokenState::Answered(answer);
                self.answered += 1;
                Called::Answered
            }
            _ => Called::Gone,
        }
    }
}

impl StartExecutions for World {
    async fn start_execution(&self, id: RunId) -> Answer<()> {
        self.call("start_execution", id, |state| {
            if state.workflow.executions.contains_key(&id) {
                return Ok(());
            }
            state.workflow.executions.insert(id, ExecutionView::Running);
            state.workflow.started.push(id);
            Ok(())
        })
        .await
    }
}

impl ReadExecutions for World {
    async fn execution(&self, id: RunId) -> Answer<ExecutionView> {
        self.call("execution", id, |state| {
            Ok(state.workflow.executions.get(&id).cloned().unwrap_or(ExecutionView::Absent))
        })
        .await
    }
}

impl Callbacks for World {
    async fn succeed(&self, token: &TaskToken) -> Answer<Called> {
        self.call("succeed", token.expose(), |state| Ok(state.workflow.answer(token, Ok(())))).await
    }

    async fn fail(&self, token: &TaskToken, error: &str, cause: &str) -> Answer<Called> {
        let caught = CaughtError { error: error.to_owned(), cause: cause.to_owned() };
        self.call("fail", token.expose(), |state| Ok(state.workflow.answer(token, Err(caught)))).await
    }
}

impl Heartbeats for World {
    async fn heartbeat(&self, token: &TaskToken) -> Answer<Called> {
        self.call("heartbeat", token.expose(), |state| {
            let now = state.now;
            Ok(match state.workflow.tokens.get_mut(token.expose()) {
                Some(TokenState::Open(beat)) => {
                    *beat = now;
                    Called::Answered
                }
                _ => Called::Gone,
            })
        })
        .await
    }
}
