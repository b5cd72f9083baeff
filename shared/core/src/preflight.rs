//! Preflight: what can be known about a deploy before anything is spent on it.
//!
//! Pure: a view of the target goes in, findings come out. An error is only what can never work, however
//! often it is tried; what may pass or may be meant is a warning, what merely costs time a note.

use std::fmt;

use globset::GlobBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::definition_file;
use crate::fact::{Cause, bounded};
use crate::ids::EnvironmentName;
use crate::messages;
use crate::plan::{EcsTarget, EnvironmentPlan, Target};
use crate::ports::{Answer, ReadTargets};
use crate::scheduled::only;
use crate::strategy::DeploymentSettings;

mod scheduled;

pub use scheduled::StarterFacts;

/// Findings kept with a run.
pub const MAX_FINDINGS: usize = 30;
/// A load balancer that holds a deploy up for less is not worth a word.
const SLOW_SECONDS: u32 = 60;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The deploy can never work.
    Error,
    /// It may work, but people should know.
    Warning,
    /// It works, and could be quicker.
    Note,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// Something that people should know before a deploy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// How grave it is.
    pub level: Level,
    /// Where it was found.
    pub environment: EnvironmentName,
    /// What it is and what to do about it.
    pub text: String,
}

/// What a preflight sees of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetView {
    /// The cluster's status; none where there is no such cluster.
    pub cluster: Option<String>,
    /// The service; none where there is no such service.
    pub service: Option<ServiceFacts>,
    /// Patterns of the roles that may be passed to tasks; none where that is not known.
    pub passable: Vec<String>,
}

/// What a preflight wants to know of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFacts {
    /// `ACTIVE`, `DRAINING` or `INACTIVE`.
    pub status: String,
    /// Who moves it, and what strategies need of it.
    pub settings: DeploymentSettings,
    /// Whether its circuit breaker is on.
    pub has_breaker: bool,
    /// Whether a deployment has ever completed, so that there is a way back.
    pub has_completed: bool,
    /// Containers of its task definition.
    pub containers: Vec<String>,
    /// Roles of its task definition, by ARN.
    pub roles: Vec<String>,
    /// Target groups that its tasks are registered with.
    pub balancers: Vec<BalancerFacts>,
}

/// What of a target group takes time in a deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancerFacts {
    /// Its name.
    pub name: String,
    /// Seconds between two health checks.
    pub interval_seconds: u32,
    /// Good checks in a row that make a target healthy.
    pub healthy_threshold: u32,
    /// Seconds that a target is kept for open connections after it was taken out.
    pub deregistration_seconds: u32,
}

impl BalancerFacts {
    /// The time to a new task's taking traffic, and that to an old one's end, in seconds: no deploy is
    /// quicker (Amazon ECS Developer Guide, "Optimize load balancer health check parameters").
    pub fn least_seconds(&self) -> u32 {
        self.interval_seconds
            .saturating_mul(self.healthy_threshold)
            .saturating_add(self.deregistration_seconds)
    }
}

/// Looks at one environment's target, and keeps in its plan which containers it has where a build will say which
/// of them get an image.
pub async fn look<P: ReadTargets>(ports: &P, planned: &mut EnvironmentPlan) -> Answer<Vec<Finding>> {
    let (findings, containers) = match &planned.target {
        Target::Ecs(target) => {
            let view = ports.target(&target.at(&planned.place)).await?;
            (preflight(planned, target, &view), view.service.map(|service| service.containers))
        }
        Target::EcsScheduledTask(target) => {
            let facts = ports.scheduled_target(&target.at(&planned.place)).await?;
            let task = only(&target.starter, facts.tasks.clone());
            (scheduled::preflight(planned, target, facts), task.ok().map(|task| task.containers()))
        }
    };
    planned.target.keep_containers(containers.unwrap_or_default());
    Ok(findings)
}

/// Looks at a service.
fn preflight(planned: &EnvironmentPlan, target: &EcsTarget, view: &TargetView) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |level, text: String| {
        findings.push(Finding { level, environment: planned.name.clone(), text: bounded(&text, 500) });
    };
    if view.cluster.as_deref() != Some("ACTIVE") {
        find(Level::Error, messages::no_cluster(&target.cluster, view.cluster.as_deref()));
        return findings;
    }
    let file = target.task_definition.as_ref().and_then(|file| file.content.as_ref());
    let roles_of_file = file.map(definition_file::roles);
    let Some(service) = view.service.as_ref().filter(|service| service.status != "INACTIVE") else {
        if target.service_definition.is_some() {
            find(Level::Note, messages::service_to_create(&target.service));
            for role in roles_of_file.iter().flatten().filter(|role| !may_pass(role, &view.passable)) {
                find(Level::Error, messages::role_not_passable(role));
            }
            return findings;
        }
        find(Level::Error, messages::no_service(&target.cluster, &target.service));
        return findings;
    };
    if service.status != "ACTIVE" {
        find(Level::Error, messages::service_not_active(&target.service, &service.status));
    }
    let is_moved_by_ecs = matches!(service.settings.controller.as_str(), "" | "ECS");
    if !is_moved_by_ecs {
        find(Level::Error, messages::moved_by_another(&target.service, &service.settings.controller));
    } else if let Err(missing) = target.check(&service.settings) {
        find(Level::Error, missing);
    }
    let absent = |wanted: &&String| file.is_none() && !service.containers.contains(wanted);
    if let Some(wanted) = target.images.keys().find(absent) {
        find(Level::Error, messages::no_container(&target.service, wanted, &service.containers));
    }
    let roles = roles_of_file.unwrap_or_else(|| service.roles.clone());
    for role in roles.iter().filter(|role| !may_pass(role, &view.passable)) {
        find(Level::Error, messages::role_not_passable(role));
    }
    if is_moved_by_ecs && !service.has_breaker {
        find(Level::Warning, messages::no_breaker(&target.service, target.timeout_seconds));
    }
    if !service.has_completed {
        find(Level::Warning, messages::never_completed(&target.service));
    }
    for balancer in service.balancers.iter().filter(|balancer| balancer.least_seconds() >= SLOW_SECONDS) {
        let level =
            if balancer.least_seconds() >= target.timeout_seconds { Level::Warning } else { Level::Note };
        find(level, messages::slow_balancer(balancer, target.timeout_seconds));
    }
    findings
}

/// Whether a role fits one of the patterns; where none is known, nobody can tell.
fn may_pass(role: &str, patterns: &[String]) -> bool {
    // A name without an ARN is of the account's own, which the patterns can't be held against.
    let fits = |pattern: &String| {
        let glob = GlobBuilder::new(pattern).literal_separator(false).backslash_escape(false).build();
        glob.is_ok_and(|glob| glob.compile_matcher().is_match(role))
    };
    patterns.is_empty() || !role.starts_with("arn:") || patterns.iter().any(fits)
}

/// The cause of a rejection, if any finding is an error.
pub fn rejection(findings: &[Finding]) -> Option<Cause> {
    let first = findings.iter().find(|finding| finding.level == Level::Error)?;
    let cause = Cause::new(
        messages::environment_stage(&first.environment),
        &first.text,
        messages::preflight_advice(),
    );
    Some(cause.with_evidence(findings.iter().map(ToString::to_string)))
}

/// The gravest findings first, no more than a run keeps.
pub fn kept(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| finding.level);
    findings.truncate(MAX_FINDINGS);
    findings
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.environment, self.level, self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::{ImageSource, Strategy};

    fn planned() -> EnvironmentPlan {
        let image = format!("registry/web@sha256:{}", "0".repeat(64)).parse().unwrap();
        EnvironmentPlan {
            target: Target::Ecs(EcsTarget {
                cluster: "demo".into(),
                service: "web".into(),
                images: BTreeMap::from([("web".to_owned(), ImageSource::Fixed(image))]),
                images_from: None,
                containers: Vec::new(),
                base: None,
                task_definition: None,
                service_definition: None,
                strategy: Strategy::Canary { percent: 10, hold_minutes: 1, bake_minutes: 1 },
                checkpoints: crate::plan::Checkpoints::default(),
                alarms: Vec::new(),
                timeout_seconds: 600,
            }),
            ..serde_json::from_value(serde_json::json!({
                "name": "staging",
                "target": { "ecs": { "cluster": "c", "service": "s", "images": {}, "timeout_seconds": 60 } },
            }))
            .unwrap()
        }
    }

    fn good() -> ServiceFacts {
        ServiceFacts {
            status: "ACTIVE".into(),
            settings: DeploymentSettings { controller: "ECS".into(), fixed_balancers: 0, shifting: 1 },
            has_breaker: true,
            has_completed: true,
            containers: vec!["web".into()],
            roles: vec!["arn:aws:iam::1:role/webTaskRole".into()],
            balancers: Vec::new(),
        }
    }

    fn look(change: impl FnOnce(&mut TargetView)) -> Vec<String> {
        let mut view = TargetView {
            cluster: Some("ACTIVE".into()),
            service: Some(good()),
            passable: vec!["arn:*:iam::*:role/*TaskRole*".into(), "arn:aws:iam::1:role/team/x".into()],
        };
        change(&mut view);
        found(&view).iter().map(ToString::to_string).collect()
    }

    fn found(view: &TargetView) -> Vec<Finding> {
        let planned = planned();
        let Target::Ecs(target) = &planned.target else { panic!("a service") };
        preflight(&planned, target, view)
    }

    fn of_service(change: impl FnOnce(&mut ServiceFacts)) -> Vec<String> {
        look(|view| change(view.service.as_mut().unwrap()))
    }

    fn one(findings: &[String], level: &str, words: &str) {
        let [only] = findings else { panic!("{words}: {findings:?}") };
        assert!(only.starts_with(&format!("staging: {level}: ")) && only.contains(words), "{only}");
    }

    #[test]
    fn nothing_is_said_of_a_good_target() {
        assert_eq!(look(|_| ()), [""; 0]);
    }

    #[test]
    fn what_can_never_work_is_an_error() {
        one(&look(|view| view.cluster = None), "error", "no cluster \"demo\"");
        one(&look(|view| view.cluster = Some("INACTIVE".into())), "error", "is INACTIVE");
        one(&look(|view| view.service = None), "error", "no active service \"web\"");
        one(&of_service(|service| service.status = "INACTIVE".into()), "error", "no active service");
        one(&of_service(|service| service.status = "DRAINING".into()), "error", "DRAINING");
        one(
            &of_service(|service| service.settings.controller = "CODE_DEPLOY".into()),
            "error",
            "CODE_DEPLOY",
        );
        one(
            &of_service(|service| service.containers = vec!["api".into()]),
            "error",
            "no container \"web\", only api",
        );
        one(&of_service(|service| service.settings.fixed_balancers = 1), "error", "alternate target group");
        let role = "arn:aws:iam::1:role/Administrator";
        one(&of_service(|service| service.roles.push(role.into())), "error", role);
    }

    #[test]
    fn roles_are_held_against_the_patterns_where_these_are_known() {
        assert_eq!(of_service(|service| service.roles = vec!["arn:aws:iam::1:role/team/x".into()]), [""; 0]);
        let unknown = look(|view| {
            view.passable.clear();
            view.service.as_mut().unwrap().roles = vec!["arn:aws:iam::1:role/any".into()];
        });
        assert_eq!(unknown, [""; 0], "another account's patterns are its own");
    }

    #[test]
    fn what_may_be_meant_is_a_warning() {
        one(&of_service(|service| service.has_breaker = false), "warning", "circuit breaker");
        one(&of_service(|service| service.has_completed = false), "warning", "nothing to go back to");
    }

    #[test]
    fn a_slow_load_balancer_is_told_with_the_time_that_it_takes_at_least() {
        let balancer = |interval_seconds, healthy_threshold, deregistration_seconds| BalancerFacts {
            name: "web-tg".into(),
            interval_seconds,
            healthy_threshold,
            deregistration_seconds,
        };
        let slow = |facts: BalancerFacts| of_service(|service| service.balancers = vec![facts]);
        one(&slow(balancer(30, 5, 300)), "note", "at least 450 s");
        // A deploy that must be quicker than its load balancer allows will always be rolled back.
        one(&slow(balancer(60, 5, 300)), "warning", "at least 600 s");
        assert_eq!(slow(balancer(5, 2, 30)), [""; 0]);
    }

    #[test]
    fn an_error_rejects_and_all_that_was_found_is_told() {
        let view = TargetView { cluster: Some("ACTIVE".into()), service: None, passable: Vec::new() };
        let mut findings = found(&view);
        findings.insert(
            0,
            Finding { level: Level::Note, environment: "staging".parse().unwrap(), text: "slow".into() },
        );
        let cause = rejection(&findings).unwrap();
        assert!(cause.summary.contains("no active service"));
        assert_eq!(cause.evidence.len(), 2);
        assert_eq!(kept(findings)[0].level, Level::Error);
        assert_eq!(rejection(&[]), None);
    }
}
