//! Scheduled tasks of ECS: what starts them, and what it means for a deploy.
//!
//! A rule of EventBridge or a schedule of EventBridge Scheduler names a revision of a task definition in its
//! target, and starts tasks of it. A deploy brings it a revision of its own; there is no rollout to follow, so
//! the verdict is what the rule or schedule says when it is read back. Pure.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::Rollout;
use crate::ids::ImageDigestRef;
use crate::messages::scheduled as messages;
use crate::plan::Place;
use crate::views::ServiceRef;

/// What starts a task, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Starter {
    /// A rule of EventBridge.
    Rule {
        /// The event bus that it belongs to; `default` where schedules are meant.
        bus: String,
        /// Its name.
        name: String,
        /// Id of the target, where it has several that are tasks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
    },
    /// A schedule of EventBridge Scheduler.
    Schedule {
        /// The group that it belongs to.
        group: String,
        /// Its name.
        name: String,
    },
}

impl Starter {
    /// The bus and the group that are there without anybody's making.
    pub const DEFAULT: &str = "default";

    /// The target's id that the pipeline file names.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Rule { target, .. } => target.as_deref(),
            Self::Schedule { .. } => None,
        }
    }
}

impl fmt::Display for Starter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, within, name) = match self {
            Self::Rule { bus, name, .. } => ("rule", bus, name),
            Self::Schedule { group, name } => ("schedule", group, name),
        };
        match within.as_str() {
            Self::DEFAULT => write!(f, "{kind} {name}"),
            within => write!(f, "{kind} {within}/{name}"),
        }
    }
}

/// What starts a task, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct StarterRef {
    /// Account and region.
    #[serde(default, skip_serializing_if = "Place::is_own")]
    pub place: Place,
    /// By name.
    pub starter: Starter,
}

impl StarterRef {
    /// The name under which an environment's lock stands for it. No service is called so: names of services
    /// have no slash.
    pub fn claimed(&self) -> ServiceRef {
        let (kind, within, name) = match &self.starter {
            Starter::Rule { bus, name, .. } => ("rule", bus, name),
            Starter::Schedule { group, name } => ("schedule", group, name),
        };
        let (place, service) = (self.place.clone(), format!("{within}/{name}"));
        ServiceRef { place, cluster: kind.to_owned(), service }
    }
}

/// A task that a rule or schedule starts: one of its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledView {
    /// The target's id; a schedule's only target has none and is called by the schedule's name.
    pub target: String,
    /// ARN of the cluster.
    pub cluster: String,
    /// The task definition as the target names it: an ARN with a revision, or without one for the latest.
    pub named: String,
    /// ARN of the revision that it comes to now.
    pub revision: String,
    /// That revision's containers and their images.
    pub images: BTreeMap<String, String>,
    /// That revision's roles.
    pub roles: Vec<String>,
    /// The role by which the task is started.
    pub starting_role: Option<String>,
}

impl ScheduledView {
    /// Whether the target names one revision, and not whichever is the latest.
    pub fn is_pinned(&self) -> bool {
        self.named == self.revision
    }

    /// The names of the containers.
    pub fn containers(&self) -> Vec<String> {
        self.images.keys().cloned().collect()
    }
}

/// The one task that a deploy acts on, of all that a rule or schedule starts; or why there is none.
pub fn only(starter: &Starter, tasks: Option<Vec<ScheduledView>>) -> Result<ScheduledView, String> {
    let mut tasks = tasks.ok_or_else(|| messages::no_starter(starter))?;
    let known: Vec<String> = tasks.iter().map(|task| task.target.clone()).collect();
    tasks.retain(|task| starter.target().is_none_or(|wanted| task.target == wanted));
    match (tasks.pop(), tasks.len()) {
        (Some(only), 0) => Ok(only),
        _ => Err(messages::not_one_task(starter, &known)),
    }
}

/// Whether a task is the one that a rollout brought: the revision that was registered for it, with its images
/// by digest. Gives what was seen, or what is wrong with it.
pub fn check(rollout: &Rollout, view: &ScheduledView) -> Result<String, String> {
    if view.revision != rollout.task_definition {
        return Err(messages::starts_another(&view.revision, &rollout.task_definition));
    }
    if !view.is_pinned() {
        return Err(messages::names_the_latest(&view.named));
    }
    for (container, image) in &rollout.images {
        let found: Option<ImageDigestRef> = view.images.get(container).and_then(|found| found.parse().ok());
        if found.is_none_or(|found| found.digest() != image.digest()) {
            return Err(messages::has_another_image(container, view.images.get(container), image));
        }
    }
    Ok(messages::starts_ours(&view.revision))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(target: &str) -> ScheduledView {
        ScheduledView {
            target: target.into(),
            cluster: "c".into(),
            named: "web:1".into(),
            revision: "web:1".into(),
            images: BTreeMap::new(),
            roles: Vec::new(),
            starting_role: None,
        }
    }

    fn rule(target: Option<&str>) -> Starter {
        let target = target.map(str::to_owned);
        Starter::Rule { bus: Starter::DEFAULT.into(), name: "nightly".into(), target }
    }

    #[test]
    fn a_deploy_acts_on_one_task_or_says_why_it_can_not() {
        assert_eq!(only(&rule(None), Some(vec![task("a")])).unwrap().target, "a");
        assert_eq!(only(&rule(Some("b")), Some(vec![task("a"), task("b")])).unwrap().target, "b");
        for (starter, tasks, words) in [
            (rule(None), None, "no rule nightly"),
            (rule(None), Some(vec![]), "starts no ECS task"),
            (rule(None), Some(vec![task("a"), task("b")]), "starts several ECS tasks (a, b)"),
            (rule(Some("c")), Some(vec![task("a")]), "no ECS task with the target id \"c\", only a"),
        ] {
            let said = only(&starter, tasks).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn a_name_of_its_own_is_claimed_for_each() {
        let claimed = |starter| StarterRef { place: Place::default(), starter }.claimed();
        let schedule = Starter::Schedule { group: "default".into(), name: "nightly".into() };
        assert_ne!(claimed(rule(None)), claimed(schedule));
        // Targets of one rule are written by one run at a time.
        assert_eq!(claimed(rule(Some("a"))), claimed(rule(Some("b"))));
        assert!(claimed(rule(None)).service.contains('/'));
    }
}
