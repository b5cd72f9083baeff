//! The `pushway` command: one file per verb.
//!
//! Data goes to standard output, everything else to standard error. Exit codes: 0 good, 1 the answer is
//! bad or the work failed, 2 the command line is wrong, 3 how a watched run ends could not be seen.

mod approve;
mod client;
mod commit;
mod connect;
mod deploy;
mod disconnect;
#[cfg(test)]
mod docs;
mod environment;
mod explain;
mod facts;
mod generated;
mod hook;
mod init;
mod insights;
mod installation;
mod live;
mod local;
mod output;
mod pause;
mod pipelines;
mod profile;
mod question;
mod repos;
mod rotate;
mod run;
mod runs;
mod start;
mod steer;
mod test_cases;
mod token;
mod validate;
mod watch;
mod words;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// The exit code of who was asked to watch a run and could not.
const UNSEEN: u8 = 3;

/// What no flag says.
const ENVIRONMENT: &str = "\
PUSHWAY_TOKEN is the API token of machines that keep no profile. Without a token, requests are signed with your AWS \
credentials. What stands on the command line goes before the environment, and that before the profile `default`.

Exit codes: 0 good; 1 the answer is bad, or the work failed; 2 the command line is wrong; 3 how a watched run ends \
could not be seen.";

/// CI/CD that lives in your own AWS account.
#[derive(Parser)]
#[command(version, propagate_version = true, max_term_width = 100, after_help = ENVIRONMENT)]
struct Cli {
    #[command(flatten)]
    at: client::At,
    /// Write JSON for programs instead of text for people.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List runs, newest first.
    Runs(runs::Args),
    /// List the pipelines and what ran last.
    Pipelines(pipelines::Args),
    /// Say which runs a commit had, and where it serves.
    Commit(commit::Args),
    /// Look at one run.
    Run {
        #[command(subcommand)]
        verb: run::Verb,
    },
    /// Show what a pipeline remembers of its tests: flaky, failing lately, slowest.
    Tests(test_cases::OfPipeline),
    /// Write a first pipeline file for a repository.
    Init(init::Args),
    /// Check pipeline files without pushing them.
    Validate(validate::Args),
    /// Look at the targets of a pipeline before anything is pushed.
    Deploy(deploy::Args),
    /// Tie a repository to the installation in your AWS account.
    Connect(Box<connect::Args>),
    /// List the connected repositories and how well they are looked after.
    Repos(repos::Args),
    /// Untie a repository from the installation; its history stays.
    Disconnect(disconnect::Args),
    /// Give a repository's webhook a new secret; the old one is taken for a while.
    RotateSecret(rotate::Args),
    /// Start a run by hand.
    Start(start::Start),
    /// Let one commit of a fork's pull request be built, once you have read it.
    ApproveFork(start::ApproveFork),
    /// List the deploys that wait for approval, and what they would change.
    Approvals(approve::List),
    /// Approve a deploy.
    Approve(approve::Approve),
    /// Reject a deploy; its run ends.
    Reject(approve::Reject),
    /// Let a deployment go on that waits for a person in the middle.
    Continue(pause::Continue),
    /// Let a deployment go back that waits for a person in the middle.
    GoBack(pause::GoBack),
    /// Bring an earlier good version of an environment back.
    Rollback(environment::Rollback),
    /// Say which rule started, ignored, queued or superseded what.
    Explain(explain::Args),
    /// Say how pipelines deliver, and what their runs took and cost.
    Insights(insights::Args),
    /// Look after environments.
    Env {
        #[command(subcommand)]
        verb: environment::Verb,
    },
    /// Keep the address of an installation, and a token for it, as a profile.
    Login(profile::Login),
    /// Say who you are to the installation, and what you may do.
    Whoami(token::WhoAmI),
    /// Look after API tokens.
    Token {
        #[command(subcommand)]
        verb: token::Verb,
    },
    /// Show who has asked for which change.
    Audit(token::Audit),
    /// Print completions for a shell.
    Completions(generated::Completions),
    /// Write man pages.
    Man(generated::Man),
    /// Run from a git server's hook.
    Hook {
        #[command(subcommand)]
        verb: hook::Verb,
    },
    /// Run the whole installation on this machine.
    Local {
        #[command(subcommand)]
        verb: local::Verb,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let words = Cli::command().get_matches();
    let mut cli = Cli::from_arg_matches(&words).unwrap_or_else(|error| error.exit());
    cli.at.note_flags(&words);
    match dispatch(cli).await {
        Ok(code) => code,
        // Whoever closed the pipe has read enough.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&format!("{error:#}"));
            if error.is::<watch::Unseen>() { ExitCode::from(UNSEEN) } else { ExitCode::FAILURE }
        }
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.verb {
        Verb::Runs(args) => runs::main(&cli.at, cli.json, &args).await,
        Verb::Pipelines(args) => pipelines::main(&cli.at, cli.json, &args).await,
        Verb::Commit(args) => commit::main(&cli.at, cli.json, &args).await,
        Verb::Run { verb } => run::main(&cli.at, cli.json, &verb).await,
        Verb::Tests(args) => test_cases::of_pipeline(&cli.at, cli.json, &args).await,
        Verb::Init(args) => init::main(cli.json, &args),
        Verb::Validate(args) => validate::main(cli.json, &args),
        Verb::Deploy(args) => deploy::main(cli.json, &args).await,
        Verb::Connect(args) => connect::main(cli.json, &args).await,
        Verb::Repos(args) => repos::main(&cli.at, cli.json, &args).await,
        Verb::Disconnect(args) => disconnect::main(cli.json, &args).await,
        Verb::RotateSecret(args) => rotate::main(cli.json, &args).await,
        Verb::Start(args) => start::main(&cli.at, cli.json, &args).await,
        Verb::ApproveFork(args) => start::approve(&cli.at, cli.json, &args).await,
        Verb::Explain(args) => explain::main(&cli.at, cli.json, &args).await,
        Verb::Approvals(args) => approve::list(&cli.at, cli.json, &args).await,
        Verb::Approve(args) => approve::approve(&cli.at, cli.json, &args).await,
        Verb::Reject(args) => approve::reject(&cli.at, cli.json, &args).await,
        Verb::Continue(args) => pause::go_on(&cli.at, cli.json, &args).await,
        Verb::GoBack(args) => pause::go_back(&cli.at, cli.json, &args).await,
        Verb::Rollback(args) => environment::roll_back(&cli.at, cli.json, &args).await,
        Verb::Insights(args) => insights::main(&cli.at, cli.json, &args).await,
        Verb::Env { verb } => environment::main(&cli.at, cli.json, &verb).await,
        Verb::Login(args) => profile::login(cli.at.profile.as_deref(), cli.at.url.as_ref(), &args),
        Verb::Whoami(_) => token::who_am_i(&cli.at, cli.json).await,
        Verb::Token { verb } => token::main(&cli.at, cli.json, &verb).await,
        Verb::Audit(args) => token::audit(&cli.at, cli.json, &args).await,
        Verb::Completions(args) => Ok(generated::completions(Cli::command(), &args)),
        Verb::Man(args) => generated::man(Cli::command(), &args),
        Verb::Hook { verb } => hook::main(&verb).await,
        Verb::Local { verb } => local::main(cli.json, &verb).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
