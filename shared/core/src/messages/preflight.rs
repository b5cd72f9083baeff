//! Sentences of the preflight.

use crate::preflight::BalancerFacts;

/// A cluster that is not there or takes no tasks.
pub fn no_cluster(cluster: &str, status: Option<&str>) -> String {
    match status {
        None => format!("there is no cluster {cluster:?}; create it, or mend `cluster` in pushway.yml"),
        Some(status) => {
            format!("cluster {cluster:?} is {status}; bring it back, or mend `cluster` in pushway.yml")
        }
    }
}

/// A service that takes no deployments.
pub fn service_not_active(service: &str, status: &str) -> String {
    format!("service {service:?} is {status} and takes no deployment; create it anew, or name another")
}

/// A service that something else moves.
pub fn moved_by_another(service: &str, controller: &str) -> String {
    format!(
        "service {service:?} has the deployment controller {controller}; only ECS's own can be told to move: \
         change it to ECS (UpdateService takes `deploymentController`), or create the service anew"
    )
}

/// A role in a task definition that the deploy may not pass on.
pub fn role_not_passable(role: &str) -> String {
    format!(
        "the deploy may not give {role} to tasks; add it to the parameter TaskRoleArns of the installation"
    )
}

/// A service without a circuit breaker.
pub fn no_breaker(service: &str, timeout_seconds: u32) -> String {
    format!(
        "service {service:?} has its deployment circuit breaker off, so a bad version is only given up when the \
         deploy's `timeout` of {timeout_seconds} s is over; turn the breaker on with rollback"
    )
}

/// A service on which nothing has ever completed.
pub fn never_completed(service: &str) -> String {
    format!(
        "no deployment of service {service:?} has ever completed, so there is nothing to go back to if this one \
         fails; watch it"
    )
}

/// A target group that makes deploys slow.
pub fn slow_balancer(balancer: &BalancerFacts, timeout_seconds: u32) -> String {
    let BalancerFacts { name, interval_seconds, healthy_threshold, deregistration_seconds } = balancer;
    let least = balancer.least_seconds();
    let hopeless = if least >= timeout_seconds {
        format!(", more than the deploy's `timeout` of {timeout_seconds} s allows")
    } else {
        String::new()
    };
    format!(
        "target group {name} makes each deploy take at least {least} s{hopeless}: {healthy_threshold} health checks \
         every {interval_seconds} s, then {deregistration_seconds} s of deregistration delay; lower what your \
         requests do not need"
    )
}

/// A target that could not be looked at.
pub fn not_looked_at(why: &str) -> String {
    format!("the target could not be looked at beforehand: {why}")
}

/// There was no time left to look at a target.
pub fn no_time_to_look() -> String {
    "the target was not looked at beforehand: the ones before it took too long".into()
}

/// What to do about a rejected plan.
pub fn preflight_advice() -> &'static str {
    "mend what the message names and push again; `pushway deploy --dry-run` tells beforehand"
}

/// A service that the deploy will create.
pub fn service_to_create(service: &str) -> String {
    format!(
        "service {service:?} does not exist and will be created; if that fails there is nothing to go back to"
    )
}
