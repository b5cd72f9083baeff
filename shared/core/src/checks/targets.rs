//! The targets of a service's load balancer: enough of them are healthy, and none is sick.

use super::{Sample, shown};
use crate::views::{TargetGroupView, TargetHealth};

/// Judges one look at a service's target groups.
pub fn judge_targets(healthy: u16, groups: &[TargetGroupView]) -> Sample {
    if groups.is_empty() {
        let why = "the service has no load balancer whose targets could be looked at; remove the check `ecs`";
        return Sample::Bad(why.to_owned());
    }
    let mut all = 0;
    for group in groups {
        if let Some(sick) = group.targets.iter().find(|target| target.health == TargetHealth::Unhealthy) {
            let (id, reason) = (shown(&sick.id), shown(&sick.reason));
            return Sample::Bad(format!("target {id} of {} is unhealthy: {reason}", group.name()));
        }
        let count = group.targets.iter().filter(|target| target.health == TargetHealth::Healthy).count();
        if count < usize::from(healthy) {
            return Sample::Bad(format!("{count} targets of {} are healthy, not {healthy}", group.name()));
        }
        all += count;
    }
    Sample::Good(format!("{all} targets are healthy, and none is sick"))
}
