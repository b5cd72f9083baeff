//! What can be known beforehand about a deploy to a scheduled task.

use super::{Finding, Level, may_pass};
use crate::definition_file;
use crate::fact::bounded;
use crate::messages::{self, scheduled as words};
use crate::plan::{EnvironmentPlan, ScheduledTarget};
use crate::scheduled::{ScheduledView, only};

/// What a preflight sees of what starts a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StarterFacts {
    /// The ECS tasks that it starts; none where it is not there.
    pub tasks: Option<Vec<ScheduledView>>,
    /// Whether it is turned on.
    pub is_on: bool,
    /// Patterns of the roles that may be passed to tasks; none where that is not known.
    pub passable: Vec<String>,
    /// Patterns of the roles that may start tasks; none where that is not known.
    pub starting: Vec<String>,
}

/// Looks at a scheduled task.
pub(super) fn preflight(
    planned: &EnvironmentPlan,
    target: &ScheduledTarget,
    facts: StarterFacts,
) -> Vec<Finding> {
    let starter = &target.starter;
    let mut findings = Vec::new();
    let mut find = |level, text: String| {
        findings.push(Finding { level, environment: planned.name.clone(), text: bounded(&text, 500) });
    };
    let task = match only(starter, facts.tasks) {
        Ok(task) => task,
        Err(missing) => {
            find(Level::Error, missing);
            return findings;
        }
    };
    let file = target.task_definition.as_ref().and_then(|file| file.content.as_ref());
    let absent = |wanted: &&String| file.is_none() && !task.images.contains_key(*wanted);
    if let Some(wanted) = target.images.keys().find(absent) {
        find(Level::Error, words::no_container(starter, wanted, &task.containers()));
    }
    let roles = file.map_or_else(|| task.roles.clone(), definition_file::roles);
    for role in roles.iter().filter(|role| !may_pass(role, &facts.passable)) {
        find(Level::Error, messages::role_not_passable(role));
    }
    if let Some(role) = task.starting_role.as_ref().filter(|role| !may_pass(role, &facts.starting)) {
        find(Level::Error, words::starting_role_not_passable(role));
    }
    if !facts.is_on {
        find(Level::Warning, words::turned_off(starter));
    }
    if !task.is_pinned() {
        find(Level::Note, words::not_pinned(starter, &task.named));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn look(change: impl FnOnce(&mut ScheduledView, &mut StarterFacts)) -> Vec<String> {
        let image = format!("registry/web@sha256:{}", "0".repeat(64));
        let planned: EnvironmentPlan = serde_json::from_value(json!({
            "name": "nightly",
            "target": { "ecs_scheduled_task": {
                "starter": { "rule": { "bus": "default", "name": "nightly" } },
                "images": { "web": { "fixed": image } },
            } },
        }))
        .unwrap();
        let mut task = ScheduledView {
            target: "task".into(),
            cluster: "c".into(),
            named: "web:1".into(),
            revision: "web:1".into(),
            images: BTreeMap::from([("web".into(), "old".into())]),
            roles: vec!["arn:aws:iam::1:role/webTaskRole".into()],
            starting_role: Some("arn:aws:iam::1:role/ecsEventsRole".into()),
        };
        let mut facts = StarterFacts {
            tasks: None,
            is_on: true,
            passable: vec!["arn:*:iam::*:role/*TaskRole*".into()],
            starting: vec!["arn:*:iam::*:role/*EventsRole*".into()],
        };
        change(&mut task, &mut facts);
        facts.tasks.get_or_insert_with(|| vec![task]);
        let crate::plan::Target::EcsScheduledTask(target) = &planned.target else { panic!("another") };
        preflight(&planned, target, facts).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_deploy_needs_of_a_rule_is_known_before_anything_is_spent() {
        assert_eq!(look(|_, _| ()), [""; 0]);
        let one = |findings: Vec<String>, level: &str, words: &str| {
            let [only] = &findings[..] else { panic!("{words}: {findings:?}") };
            assert!(only.starts_with(&format!("nightly: {level}: ")) && only.contains(words), "{only}");
        };
        one(look(|_, facts| facts.tasks = Some(Vec::new())), "error", "starts no ECS task");
        one(look(|task, _| task.images = BTreeMap::new()), "error", "no container \"web\"");
        let other = "arn:aws:iam::1:role/Administrator";
        one(look(|task, _| task.roles = vec![other.into()]), "error", "TaskRoleArns");
        one(look(|task, _| task.starting_role = Some(other.into())), "error", "ScheduleRoleArns");
        one(look(|_, facts| facts.is_on = false), "warning", "turned off");
        one(look(|task, _| task.named = "web".into()), "note", "without a revision");
    }
}
