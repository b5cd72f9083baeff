//! `pushway env` and `pushway rollback`: what serves in an environment, who may deploy there, and the way back.

use std::process::ExitCode;

use pushway_core::environment::{Deployed, EnvironmentRecord, Freeze};
use pushway_core::ids::{EnvironmentName, PipelineName, RunId};
use pushway_core::messages::{self, deploys};
use pushway_core::protection::ProtectionRule;
use serde_json::{Value, json};

use crate::client::At;
use crate::output;
use crate::pipelines;
use crate::start::report;

/// What to do with an environment.
#[derive(clap::Subcommand)]
pub(crate) enum Verb {
    /// List all environments: what serves, who deploys or waits, what is frozen.
    Ls(pipelines::Environments),
    /// Show what serves, what was good before, who deploys or waits.
    #[command(after_help = "Example: pushway env show web production")]
    Show(Which),
    /// Let no deploy begin there until further notice; a rollback by hand still may.
    #[command(after_help = "Example: pushway env freeze web production --reason 'sale until Monday'")]
    Freeze {
        #[command(flatten)]
        which: Which,
        /// Why: whoever waits reads it.
        #[arg(long)]
        reason: String,
    },
    /// Let deploys begin again.
    #[command(after_help = "Example: pushway env unfreeze web production")]
    Unfreeze(Which),
    /// Say who must consent to deploys, whatever the pipeline file says; takes the scope admin.
    #[command(
        after_help = "Example: pushway env protect web production --required 2 --approver group:release"
    )]
    Protect {
        #[command(flatten)]
        which: Which,
        /// How many different people, 1 to 10.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10))]
        required: u16,
        /// Who counts: a pattern of names (arn:…, token:…, person:…) or groups (group:…); may be given again, and
        /// without it anyone with the scope approve counts. `*` matches within a part between slashes.
        #[arg(long = "approver", value_name = "PATTERN")]
        approvers: Vec<String>,
    },
    /// Leave it to the pipeline file again who must consent to deploys.
    #[command(after_help = "Example: pushway env unprotect web production")]
    Unprotect(Which),
    /// Free it after a failed rollback, once you have looked at the service; see docs/operations.md.
    #[command(
        after_help = "Example: pushway env unlock web production --reason 'the old version serves again'"
    )]
    Unlock {
        #[command(flatten)]
        which: Which,
        /// Why: what you have found, for the audit list.
        #[arg(long)]
        reason: String,
    },
}

/// An environment.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// Its pipeline.
    pipeline: PipelineName,
    /// Its name.
    environment: EnvironmentName,
}

/// Where to go back to.
#[derive(clap::Args)]
#[command(after_help = "Example: pushway rollback web production --reason 'checkout is broken'")]
pub(crate) struct Rollback {
    #[command(flatten)]
    which: Which,
    /// To the version that this run brought; by default to the good one before what serves.
    #[arg(long, value_name = "RUN")]
    to: Option<RunId>,
    /// Why: it is kept with the run.
    #[arg(long)]
    reason: String,
    /// Also over a deploy that its pipeline file calls irreversible.
    #[arg(long)]
    accept_irreversible: bool,
}

impl Which {
    fn path<'w>(&'w self, verb: Option<&'w str>) -> Vec<&'w str> {
        let path = ["v1", "environments", self.pipeline.as_str(), self.environment.as_str()];
        path.into_iter().chain(verb).collect()
    }
}

/// Runs a verb.
pub(crate) async fn main(at: &At, as_json: bool, verb: &Verb) -> anyhow::Result<ExitCode> {
    let answer: Value = match verb {
        Verb::Ls(args) => return pipelines::environments(at, as_json, args).await,
        Verb::Show(which) => at.client().await?.get(&which.path(None), &[]).await?,
        Verb::Freeze { which, reason } => {
            at.client().await?.post(&which.path(Some("freeze")), &json!({ "reason": reason })).await?
        }
        Verb::Unlock { which, reason } => {
            at.client().await?.post(&which.path(Some("unlock")), &json!({ "reason": reason })).await?
        }
        Verb::Unfreeze(which) => at.client().await?.post(&which.path(Some("unfreeze")), &json!({})).await?,
        Verb::Protect { which, required, approvers } => {
            let order = json!({ "required": required, "approvers": approvers });
            at.client().await?.post(&which.path(Some("protect")), &order).await?
        }
        Verb::Unprotect(which) => at.client().await?.post(&which.path(Some("unprotect")), &json!({})).await?,
    };
    if as_json {
        output::json(&answer)?;
    } else {
        tell(verb, answer)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what an order has come to.
fn tell(verb: &Verb, answer: Value) -> anyhow::Result<()> {
    let freeze = |of: &str| serde_json::from_value::<Option<Freeze>>(answer[of].clone());
    let rule = |of: &str| serde_json::from_value::<Option<ProtectionRule>>(answer[of].clone());
    match verb {
        Verb::Show(_) => {
            for line in describe(&serde_json::from_value(answer)?) {
                output::line(&line)?;
            }
        }
        Verb::Freeze { .. } => {
            if let Some(Freeze { by, reason, .. }) = freeze("freeze")? {
                output::line(&format!("frozen by {by}: {reason}"))?;
            }
        }
        Verb::Unfreeze(_) => match freeze("was")? {
            Some(Freeze { by, reason, .. }) => {
                output::line(&format!("no longer frozen (it was by {by}: {reason})"))?;
                output::note("what waits goes on within a minute");
            }
            None => output::line("it was not frozen")?,
        },
        Verb::Protect { .. } => {
            if let Some(rule) = rule("protection")? {
                output::line(&messages::protection(&rule))?;
                output::note("it holds for runs that wait for approval or the lock, too");
            }
        }
        Verb::Unprotect(_) => match rule("was")? {
            Some(rule) => {
                output::line(&format!(
                    "no longer protected (it was by {}: {})",
                    rule.by,
                    messages::protection(&rule)
                ))?;
                output::note("what waits goes on within a minute");
            }
            None => output::line("it was not protected")?,
        },
        Verb::Unlock { which, .. } => {
            let name = format!("{} of {}", which.environment, which.pipeline);
            match answer["was"].as_str() {
                Some(run) => {
                    output::line(&format!("{name} is free; run {run} had kept it locked"))?;
                    output::note("a run that waits for it goes on within a minute");
                }
                None => output::line(&format!("{name} was not locked"))?,
            }
        }
        Verb::Ls(_) => {}
    }
    Ok(())
}

/// Starts a rollback.
pub(crate) async fn roll_back(at: &At, as_json: bool, args: &Rollback) -> anyhow::Result<ExitCode> {
    let order = json!({
        "to": args.to, "reason": args.reason, "accept_irreversible": args.accept_irreversible,
    });
    let answer: Value = at.client().await?.post(&args.which.path(Some("rollback")), &order).await?;
    report(as_json, &answer)
}

fn describe(record: &EnvironmentRecord) -> Vec<String> {
    let version = |deployed: &Deployed| {
        let images: Vec<String> =
            deployed.images.iter().map(|(name, image)| format!("{name}={image}")).collect();
        let mark = if deployed.irreversible { ", irreversible" } else { "" };
        format!(
            "{}  {} of {}  run {}{mark}  {}",
            deployed.at,
            deployed.commit.short(),
            deployed.git_ref.short(),
            deployed.run,
            images.join(" ")
        )
    };
    let mut lines = vec![format!("{} of {}", record.name, record.pipeline)];
    match (&record.left, &record.current) {
        (Some(left), _) => {
            lines.push(format!("serves   what run {} has left broken; see `pushway run show`", left.run));
        }
        (None, Some(current)) => lines.push(format!("serves   {}", version(current))),
        (None, None) => lines.push("serves   nothing that Pushway has deployed and checked".into()),
    }
    let over = record.current.iter().filter_map(|current| current.over.as_ref());
    lines.extend(over.map(|change| format!("over     {}", deploys::out_of_band(change))));
    let earlier = record.left.iter().flat_map(|_| &record.current).chain(&record.earlier);
    lines.extend(earlier.map(|deployed| format!("was good {}", version(deployed))));
    if let Some(freeze) = &record.freeze {
        lines.push(format!("frozen   since {} by {}: {}", freeze.since, freeze.by, freeze.reason));
    }
    if let Some(rule) = &record.protection {
        lines.push(format!("rule     since {} by {}: {}", rule.since, rule.by, messages::protection(rule)));
    }
    if let Some(holder) = &record.holder {
        lines.push(format!("locked   by run {} since {}", holder.run, holder.since));
    }
    lines.extend(record.queue.iter().map(|run| format!("queued   run {run}")));
    lines.extend(
        record
            .asking
            .iter()
            .map(|asking| format!("waits    run {} for approval or its time", asking.push.run)),
    );
    lines
}
