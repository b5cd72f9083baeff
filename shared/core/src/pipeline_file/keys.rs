//! The keys that each map of a pipeline file takes.
//!
//! What is not listed here is refused: a key that was ignored would be a promise that nobody keeps. The JSON
//! Schema names the same keys under the same titles, and a test holds the two equal.

use super::messages;
use super::reader::Keys;

pub(super) const TOP: Keys = Keys {
    of: "a pipeline file",
    known: &["version", "pipeline", "on", "concurrency", "variables", "env", "build", "test", "environments"],
    later: &[],
};
pub(super) const ON: Keys =
    Keys { of: "`on`", known: &["push", "pull_request", "schedule", "image"], later: &[] };
pub(super) const PUSH: Keys =
    Keys { of: "`push`", known: &["branches", "tags", "paths", "paths_ignore"], later: &[] };
pub(super) const PULL_REQUEST: Keys =
    Keys { of: "`pull_request`", known: &["branches", "paths", "paths_ignore"], later: &[] };
pub(super) const SCHEDULE: Keys = Keys { of: "a schedule", known: &["expression", "timezone"], later: &[] };
pub(super) const IMAGE: Keys = Keys { of: "an image push", known: &["repository", "tags"], later: &[] };
pub(super) const JOB: Keys = Keys {
    of: "a job",
    known: &[
        "buildspec",
        "image",
        "compute",
        "arch",
        "timeout",
        "retries",
        "needs",
        "matrix",
        "env",
        "secrets",
        "outputs",
        "reports",
    ],
    later: &[],
};
pub(super) const ENVIRONMENT: Keys = Keys {
    of: "an environment",
    known: &[
        "name",
        "aws",
        "approval",
        "windows",
        "irreversible",
        "before",
        "deploy",
        "validate",
        "watch",
        "on_failure",
    ],
    later: &[],
};
pub(super) const APPROVAL: Keys = Keys { of: "`approval`", known: &["required", "timeout"], later: &[] };
pub(super) const WINDOW: Keys =
    Keys { of: "a window", known: &["days", "from", "to", "timezone"], later: &[] };
pub(super) const AWS: Keys = Keys { of: "`aws`", known: &["role", "external_id", "region"], later: &[] };
pub(super) const BEFORE: Keys = Keys { of: "an entry of `before`", known: &["ecs_task"], later: &[] };
pub(super) const ECS_TASK: Keys =
    Keys { of: "`ecs_task`", known: &["container", "command", "task_definition", "timeout"], later: &[] };
pub(super) const DEPLOY: Keys =
    Keys { of: "`deploy`", known: &["ecs", "ecs_scheduled_task"], later: messages::LATER_TARGET };
pub(super) const ECS: Keys = Keys {
    of: "`ecs`",
    known: &[
        "cluster",
        "service",
        "images",
        "task_definition",
        "service_definition",
        "strategy",
        "alarms",
        "timeout",
    ],
    later: &[],
};
pub(super) const ECS_SCHEDULED_TASK: Keys = Keys {
    of: "`ecs_scheduled_task`",
    known: &["rule", "schedule", "target", "images", "task_definition"],
    later: &[],
};
pub(super) const STRATEGY: Keys =
    Keys { of: "`strategy`", known: &["blue_green", "canary", "linear"], later: &[] };
pub(super) const BLUE_GREEN: Keys =
    Keys { of: "`blue_green`", known: &["bake", "test", "pause"], later: &[] };
pub(super) const CANARY: Keys =
    Keys { of: "`canary`", known: &["percent", "hold", "bake", "test", "during", "pause"], later: &[] };
pub(super) const LINEAR: Keys =
    Keys { of: "`linear`", known: &["step", "every", "bake", "test", "during", "pause"], later: &[] };
pub(super) const CHECKPOINT_CHECK: Keys =
    Keys { of: "a check of a strategy", known: &["http", "alarms", "metrics"], later: &[] };
pub(super) const CHECK: Keys =
    Keys { of: "a check", known: &["http", "ecs", "alarms", "metrics", "job"], later: &[] };
pub(super) const HTTP: Keys = Keys {
    of: "`http`",
    known: &[
        "url",
        "status",
        "header",
        "body_contains",
        "json",
        "version",
        "latency",
        "follow",
        "attempts",
        "need",
        "interval",
        "timeout",
    ],
    later: &[],
};
pub(super) const ECS_CHECK: Keys =
    Keys { of: "a check `ecs`", known: &["healthy", "attempts", "need", "interval"], later: &[] };
pub(super) const ALARMS: Keys =
    Keys { of: "`alarms`", known: &["names", "attempts", "need", "interval"], later: &[] };
pub(super) const METRICS: Keys = Keys {
    of: "`metrics`",
    known: &["queries", "expression", "baseline", "below", "above", "attempts", "need", "interval"],
    later: &[],
};
pub(super) const MEASURE: Keys = Keys {
    of: "a watched figure",
    known: &["queries", "expression", "baseline", "below", "above"],
    later: &[],
};
pub(super) const CHECK_JOB: Keys = Keys {
    of: "a check `job`",
    known: &[
        "name",
        "buildspec",
        "image",
        "compute",
        "arch",
        "timeout",
        "retries",
        "env",
        "secrets",
        "reports",
    ],
    later: &[],
};
pub(super) const QUERY: Keys =
    Keys { of: "a query", known: &["namespace", "name", "statistic", "dimensions"], later: &[] };
pub(super) const WATCH: Keys = Keys {
    of: "`watch`",
    known: &["for", "alarms", "metrics", "cpu", "memory", "target_5xx", "container_insights"],
    later: &[],
};
pub(super) const CONTAINER_INSIGHTS: Keys =
    Keys { of: "`container_insights`", known: &["restarts", "cpu", "memory"], later: &[] };
pub(super) const LATENCY: Keys = Keys { of: "`latency`", known: &["percentile", "below"], later: &[] };
pub(super) const VERSION: Keys = Keys { of: "`version`", known: &["header", "json", "equals"], later: &[] };

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;

    const ALL: &[&Keys] = &[
        &TOP,
        &ON,
        &PUSH,
        &PULL_REQUEST,
        &SCHEDULE,
        &IMAGE,
        &JOB,
        &ENVIRONMENT,
        &APPROVAL,
        &WINDOW,
        &AWS,
        &BEFORE,
        &ECS_TASK,
        &DEPLOY,
        &ECS,
        &ECS_SCHEDULED_TASK,
        &STRATEGY,
        &BLUE_GREEN,
        &CANARY,
        &LINEAR,
        &CHECKPOINT_CHECK,
        &CHECK,
        &HTTP,
        &LATENCY,
        &VERSION,
        &WATCH,
        &CONTAINER_INSIGHTS,
        &ECS_CHECK,
        &ALARMS,
        &METRICS,
        &MEASURE,
        &QUERY,
        &CHECK_JOB,
    ];

    fn collect(schema: &Value, found: &mut BTreeMap<String, BTreeSet<String>>) {
        if let Some(properties) = schema["properties"].as_object().filter(|_| schema["title"].is_string()) {
            assert_eq!(schema["additionalProperties"], false, "{}", schema["title"]);
            let title = schema["title"].as_str().unwrap().to_owned();
            let other = found.insert(title, properties.keys().cloned().collect());
            assert_eq!(other, None, "{} is there twice", schema["title"]);
        }
        let parts: Vec<&Value> = match schema {
            Value::Object(map) => map.values().collect(),
            Value::Array(list) => list.iter().collect(),
            _ => Vec::new(),
        };
        for part in parts {
            collect(part, found);
        }
    }

    #[test]
    fn the_json_schema_has_the_keys_that_the_reader_has() {
        let mut found = BTreeMap::new();
        collect(&serde_json::from_str(super::super::JSON_SCHEMA).unwrap(), &mut found);
        let known =
            |keys: &&Keys| (keys.of.to_owned(), keys.known.iter().map(|key| (*key).to_owned()).collect());
        assert_eq!(found, ALL.iter().map(known).collect());
    }
}
