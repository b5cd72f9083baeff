"""Runs the emulator, with two things as AWS does them.

A state that waits for a task token fails at once when the function that it invoked fails, so that `Retry` and `Catch`
see it. The emulator drops that error and waits for an answer that nobody will give, until the state's timeout.

A function whose process ends before it takes its first event fails with `Runtime.ExitError`. The emulator gives it a
name of its own, which no `Retry` of any state machine knows.
"""

import contextvars

from ministack import app
from ministack.services import stepfunctions

_invoke_with_callback = stepfunctions._invoke_with_callback
_call_lambda = stepfunctions._call_lambda
_token = contextvars.ContextVar("token", default=None)


def invoke_with_callback(resource, input_data, token, state_def):
    """Notes for `call_lambda` whose state it works for."""
    noted = _token.set(token)
    try:
        return _invoke_with_callback(resource, input_data, token, state_def)
    finally:
        _token.reset(noted)


def call_lambda(func_ref, event):
    """Answers the state's token with the function's error, if it has no answer yet."""
    try:
        return _call_lambda(func_ref, event)
    except stepfunctions._ExecutionError as error:
        if "bootstrap exited during init" in error.cause:
            error.error = "Runtime.ExitError"
        token = _token.get()
        waiting = stepfunctions._task_tokens.get(token, {}) if token else {}
        if waiting and not waiting["event"].is_set():
            stepfunctions._send_task_failure(
                {"taskToken": token, "error": error.error, "cause": error.cause}
            )
        raise


stepfunctions._invoke_with_callback = invoke_with_callback
stepfunctions._call_lambda = call_lambda
app.main()
