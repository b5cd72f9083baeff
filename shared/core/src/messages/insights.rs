//! What a watch says of Container Insights.

/// How often a container was restarted under watch.
pub fn restarted(times: f64) -> String {
    match times.max(0.0) {
        none if none < 1.0 => "no container was restarted inside a running task".into(),
        once if once < 2.0 => "a container was restarted once inside a running task".into(),
        times => format!("a container was restarted {times} times inside a running task"),
    }
}

/// Nothing tells of restarts.
pub fn no_restarts_told(cluster: &str) -> String {
    format!(
        "cluster {cluster} tells no restarts; they take Container Insights and a restart policy of the container"
    )
}

/// Container Insights tells nothing of a service.
pub fn insights_silent(cluster: &str) -> String {
    format!(
        "NOT WATCHED: Container Insights told nothing of it; switch it on for cluster {cluster} (`enhanced` for \
         figures of tasks), or remove it from `container_insights`"
    )
}

/// Container Insights can't be asked.
pub fn insights_refused(why: &str) -> String {
    format!("NOT WATCHED: Container Insights can't be asked: {}", crate::fact::bounded(why, 300))
}
