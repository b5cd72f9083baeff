//! Step Functions: starts and reads executions, answers the states that wait.

use aws_sdk_sfn::types::ExecutionStatus;
use pushway_core::contract::{RunInput, TaskToken};
use pushway_core::fact::bounded;
use pushway_core::ids::RunId;
use pushway_core::ports::{
    Answer, Callbacks, Called, ExecutionView, Fault, Heartbeats, ReadExecutions, StartExecutions,
};

use crate::Aws;
use crate::errors::{code, fault};

/// The longest cause that `SendTaskFailure` takes, in bytes.
const MAX_CAUSE_BYTES: usize = 32 * 1024;
/// The longest reason kept of a closed execution, in characters.
const MAX_REASON: usize = 2_000;

impl StartExecutions for Aws {
    async fn start_execution(&self, id: RunId) -> Answer<()> {
        let input = serde_json::to_string(&RunInput { run_id: id })
            .map_err(|error| Fault::Permanent(format!("write the input of {id}'s execution: {error}")))?;
        let started = self
            .sfn
            .start_execution()
            .state_machine_arn(self.settings.state_machine()?)
            .name(id.execution_name())
            .input(input)
            .send()
            .await;
        match started {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == Some("ExecutionAlreadyExists") => Ok(()),
            Err(error) if code(&error) == Some("ExecutionLimitExceeded") => {
                Err(Fault::Retryable("sfn StartExecution: too many executions run at once".into()))
            }
            Err(error) => Err(fault("sfn StartExecution", &error)),
        }
    }
}

impl ReadExecutions for Aws {
    async fn execution(&self, id: RunId) -> Answer<ExecutionView> {
        let arn = execution_arn(self.settings.state_machine()?, id)?;
        let answer = match self.sfn.describe_execution().execution_arn(arn).send().await {
            Ok(answer) => answer,
            Err(error) if code(&error) == Some("ExecutionDoesNotExist") => return Ok(ExecutionView::Absent),
            Err(error) => return Err(fault("sfn DescribeExecution", &error)),
        };
        Ok(match answer.status {
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive => ExecutionView::Running,
            ExecutionStatus::Succeeded => ExecutionView::Closed { succeeded: true, reason: String::new() },
            status => {
                let told = [Some(status.as_str()), answer.error.as_deref(), answer.cause.as_deref()];
                let told: Vec<&str> = told.into_iter().flatten().filter(|part| !part.is_empty()).collect();
                ExecutionView::Closed { succeeded: false, reason: bounded(&told.join(": "), MAX_REASON) }
            }
        })
    }
}

impl Callbacks for Aws {
    async fn succeed(&self, token: &TaskToken) -> Answer<Called> {
        let sent = self.sfn.send_task_success().task_token(token.expose()).output("{}").send().await;
        match sent {
            Ok(_) => Ok(Called::Answered),
            Err(error) if is_gone(code(&error)) => Ok(Called::Gone),
            Err(error) => Err(fault("sfn SendTaskSuccess", &error)),
        }
    }

    async fn fail(&self, token: &TaskToken, error: &str, cause: &str) -> Answer<Called> {
        let sent = self
            .sfn
            .send_task_failure()
            .task_token(token.expose())
            .error(error)
            .cause(&cause[..cause.floor_char_boundary(MAX_CAUSE_BYTES)])
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Called::Answered),
            Err(error) if is_gone(code(&error)) => Ok(Called::Gone),
            Err(error) => Err(fault("sfn SendTaskFailure", &error)),
        }
    }
}

impl Heartbeats for Aws {
    async fn heartbeat(&self, token: &TaskToken) -> Answer<Called> {
        match self.sfn.send_task_heartbeat().task_token(token.expose()).send().await {
            Ok(_) => Ok(Called::Answered),
            Err(error) if is_gone(code(&error)) => Ok(Called::Gone),
            Err(error) => Err(fault("sfn SendTaskHeartbeat", &error)),
        }
    }
}

/// Whether nobody waits on a token any more.
fn is_gone(code: Option<&str>) -> bool {
    matches!(code, Some("TaskTimedOut" | "TaskDoesNotExist" | "InvalidToken"))
}

/// The ARN of a run's execution: the state machine's with the kind and the name exchanged.
fn execution_arn(state_machine: &str, id: RunId) -> Answer<String> {
    let parts: Vec<&str> = state_machine.split(':').collect();
    // A version or an alias may follow the name; executions carry neither.
    let [arn, partition, "states", region, account, "stateMachine", name, ..] = parts[..] else {
        return Err(Fault::Permanent(format!(
            "{state_machine:?} is not a state machine's ARN; mend {} in template.yaml",
            crate::settings::STATE_MACHINE
        )));
    };
    Ok(format!("{arn}:{partition}:states:{region}:{account}:execution:{name}:{}", id.execution_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_is_found_by_its_run() {
        let id: RunId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let name = id.execution_name();
        let expected = format!("arn:aws:states:eu-west-1:1:execution:pushway:{name}");
        for machine in [
            "arn:aws:states:eu-west-1:1:stateMachine:pushway",
            "arn:aws:states:eu-west-1:1:stateMachine:pushway:3",
        ] {
            assert_eq!(execution_arn(machine, id).unwrap(), expected);
        }
        assert!(execution_arn("pushway", id).is_err());
    }
}
