//! Consent by the rule as it stands: an administrator may change it while people are asked, and while a run that
//! has all consent waits for its turn.
//!
//! The rule in the environment's record counts, whatever it was when people were asked. A question follows it by a
//! fact of its own; that no run takes an environment past it is seen to where the lock is taken (`lock.rs`), in the
//! same conditional write.

use std::collections::BTreeSet;

use super::approval::pipeline_of;
use super::lock::update;
use super::{load_planned, state_of, try_record};
use crate::approval::RuleChange;
use crate::environment::EnvironmentRecord;
use crate::fact::Fact;
use crate::ids::{EnvironmentName, PipelineName};
use crate::messages;
use crate::plan::EnvironmentPlan;
use crate::ports::{Answer, Clock, Environments, Plans, Runs};
use crate::protection::{Approvers, ProtectionRule, needed};
use crate::run::Run;
use crate::source::Trigger;

/// Why what someone says is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Declined {
    /// It is not for them to say.
    NotTheirs(String),
    /// It can't be said as things stand.
    Impossible(String),
}

/// Sets who must consent to deploys to an environment; gives the rule that holds now. One that asks for the same
/// stays as it is.
pub async fn protect<P: Environments>(
    ports: &P,
    pipeline: &PipelineName,
    environment: &EnvironmentName,
    rule: ProtectionRule,
) -> Answer<ProtectionRule> {
    let set = |record: &mut EnvironmentRecord| {
        let known = record.protection.take().filter(|known| known.asks_as(&rule));
        record.protection.insert(known.unwrap_or_else(|| rule.clone())).clone()
    };
    update(ports, pipeline, environment, set).await
}

/// Takes the rule of an environment away; gives the one that is over. Who waits for consent by it goes on with the
/// next sweep.
pub async fn unprotect<P: Environments>(
    ports: &P,
    pipeline: &PipelineName,
    environment: &EnvironmentName,
) -> Answer<Option<ProtectionRule>> {
    update(ports, pipeline, environment, |record| record.protection.take()).await
}

/// Whether people must be asked before a run may take an environment, or asked on since its rule has changed; and
/// the run as it is then. A rollback by hand asks nobody.
pub async fn lacks_consent<P>(ports: &P, run: Run, planned: &EnvironmentPlan) -> Answer<(Run, bool)>
where
    P: Runs + Plans + Environments + Clock,
{
    if matches!(run.source.trigger, Trigger::Rollback { .. }) {
        return Ok((run, false));
    }
    let stored = ports.environment(pipeline_of(&run)?, &planned.name).await?;
    let run = by_current_rule(ports, run, &planned.name, &stored).await?;
    let lacks = match &state_of(&run, &planned.name)?.approval {
        Some(approval) => !approval.is_granted(),
        None => needed(planned.approval, stored.protection.as_ref()).is_some(),
    };
    Ok((run, lacks))
}

/// The run, once its question asks for what the environment's rule asks for now.
pub(super) async fn by_current_rule<P: Runs + Plans + Clock>(
    ports: &P,
    run: Run,
    environment: &EnvironmentName,
    stored: &EnvironmentRecord,
) -> Answer<Run> {
    let asked = state_of(&run, environment)?.approval.as_ref();
    let is_old = |rule: &Option<ProtectionRule>, as_of| *rule != stored.protection && as_of < stored.version;
    let asked = asked.filter(|asked| is_old(&asked.request.rule, asked.request.rule_as_of));
    let Some(asked) = asked.filter(|asked| asked.refusal.is_none()) else { return Ok(run) };
    let (_, planned) = load_planned(ports, run.id, environment).await?;
    let rule = needed(planned.approval, stored.protection.as_ref());
    let deadline = match rule {
        // Those who had answered in time are given as much again.
        Some(rule) if asked.is_granted() => {
            ports.now() + jiff::SignedDuration::from_secs(i64::from(rule.timeout_seconds))
        }
        _ => asked.request.deadline,
    };
    let change = Box::new(RuleChange {
        required: rule.map_or(0, |rule| rule.required),
        rule: stored.protection.clone(),
        as_of: stored.version,
        deadline,
    });
    let fact = Fact::ApprovalRuleChanged { environment: environment.clone(), change };
    // One that has taken the environment meanwhile, or is over, is asked for nothing any more.
    Ok(try_record(ports, run.id, fact).await?.unwrap_or(run))
}

/// The groups by which someone may consent, which are kept with what they say; or that they may not.
pub(super) fn admitted(
    environment: &EnvironmentName,
    approvers: &Approvers,
    name: &str,
    groups: &BTreeSet<String>,
) -> Result<BTreeSet<String>, Declined> {
    if approvers.allow(name, groups) {
        return Ok(approvers.named(groups));
    }
    Err(Declined::NotTheirs(messages::may_not_approve(environment, approvers, name, groups)))
}
