//! The phases that have commands: install, `pre_build`, build, `post_build`.
//!
//! A phase stops at its first failing command, its `finally` always runs, and a failure leads on as in the
//! user guide's "Build phase transitions" or as `on-failure` says. It decides what runs next, and leaves
//! how to the shell.

use super::{
    buildspec::{Buildspec, OnFailure, PHASES, PhaseSpec},
    record::{Context, Exported, PhaseType, Status},
    runner::Run,
    shell::Shell,
};

/// The longest command that a message repeats.
const COMMAND_BYTES: usize = 1_000;
/// The longest value of an exported variable.
const EXPORTED_BYTES: usize = 10_000;
/// Tells the commands that something has failed.
const NOT_SUCCEEDING: &str = "export CODEBUILD_BUILD_SUCCEEDING=0\n";

/// What became of the phases with commands.
pub(super) struct Outcome {
    pub(super) has_failed: bool,
    /// Whether `BUILD` was tried, and with it the upload of what it made.
    pub(super) was_built: bool,
}

/// Runs the phases of `spec`. Errors: the build was stopped or timed out.
pub(super) async fn run_all(run: &Run, spec: &Buildspec, shell: &mut Shell) -> Result<Outcome, Status> {
    let mut outcome = Outcome { has_failed: false, was_built: false };
    let empty = PhaseSpec::default();
    for (name, kind) in PHASES {
        let phase = spec.phases.get(name).unwrap_or(&empty);
        outcome.was_built |= kind == PhaseType::Build;
        match run.phase(kind, run_one(run, phase, shell)).await {
            Ok(()) => {}
            Err(Status::Failed) => {
                outcome.has_failed = true;
                let goes_on = match phase.on_failure {
                    Some(OnFailure::Continue) => true,
                    Some(OnFailure::Abort) => false,
                    // What the build made or broke can still be looked at after it.
                    None => kind == PhaseType::Build,
                };
                if !goes_on {
                    break;
                }
            }
            Err(cut) => return Err(cut),
        }
    }
    Ok(outcome)
}

async fn run_one(run: &Run, phase: &PhaseSpec, shell: &mut Shell) -> Result<(), Context> {
    let mut result = all_of(run, &phase.commands, shell).await;
    if result.is_err() {
        script(shell, NOT_SUCCEEDING).await?;
    }
    if let Err(context) = all_of(run, &phase.finally, shell).await {
        if result.is_ok() {
            script(shell, NOT_SUCCEEDING).await?;
        }
        // The first failure is the one to look at.
        result = result.and(Err(context));
    }
    result
}

async fn all_of(run: &Run, commands: &[String], shell: &mut Shell) -> Result<(), Context> {
    for command in commands {
        run.log.say(&format!("Running command {command}"));
        let status = script(shell, command).await?;
        if status != 0 {
            let cut = command.floor_char_boundary(COMMAND_BYTES);
            run.log
                .say(&format!("Command did not exit successfully {} exit status {status}", &command[..cut]));
            let message =
                format!("Error while executing command: {}. Reason: exit status {status}", &command[..cut]);
            return Err(Context::new("COMMAND_EXECUTION_ERROR", message));
        }
    }
    Ok(())
}

async fn script(shell: &mut Shell, script: &str) -> Result<i32, Context> {
    shell.run(script).await.map_err(|error| Context::new("COMMAND_EXECUTION_ERROR", format!("{error:#}")))
}

/// The values of `names` in the shell as it is now; an unset variable is empty.
pub(super) async fn exported(names: &[String], shell: &mut Shell) -> Vec<Exported> {
    let mut exported = Vec::new();
    for name in names {
        // The buildspec's reader has let through nothing but variable names.
        let script = format!("printf '%s' \"${{{name}-}}\" >\"$__codebuild/value-{name}\"\n");
        let value = match shell.run(&script).await {
            Ok(0) => tokio::fs::read(shell.control().join(format!("value-{name}"))).await.unwrap_or_default(),
            _ => Vec::new(),
        };
        let value = String::from_utf8_lossy(&value);
        let value = value[..value.floor_char_boundary(EXPORTED_BYTES)].to_owned();
        exported.push(Exported { name: name.clone(), value });
    }
    exported
}
