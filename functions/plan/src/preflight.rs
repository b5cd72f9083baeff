//! What can be known of the targets before anything is spent.
//!
//! Only a target that was seen can reject a run: a call that fails, for whatever reason, is a warning.

use jiff::SignedDuration;
use pushway_core::messages;
use pushway_core::plan::Plan;
use pushway_core::ports::{Clock, ReadTargets};
use pushway_core::preflight::{self, Finding, Level, kept};

/// How long all targets may take: half of what the function has.
const BUDGET: SignedDuration = SignedDuration::from_secs(30);

/// Looks at the target of each environment.
pub(crate) async fn look<P: ReadTargets + Clock>(ports: &P, plan: &mut Plan) -> Vec<Finding> {
    let until = ports.now() + BUDGET;
    let mut findings = Vec::new();
    for planned in &mut plan.environments {
        let environment = planned.name.clone();
        let warning = |text| Finding { level: Level::Warning, environment, text };
        if ports.now() > until {
            findings.push(warning(messages::no_time_to_look()));
            continue;
        }
        match preflight::look(ports, planned).await {
            Ok(found) => findings.extend(found),
            Err(fault) => {
                tracing::warn!(environment = %planned.name, error = %fault, "target not looked at");
                findings.push(warning(messages::not_looked_at(&fault.to_string())));
            }
        }
    }
    kept(findings)
}
