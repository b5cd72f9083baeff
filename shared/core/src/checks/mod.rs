//! Judging checks of what was deployed: pure, sample by sample.
//!
//! A check takes samples until its outcome is certain; a sample is good or not, and no sample at all is a
//! failure (row F33). What servers say is shown escaped and cut: it may be anything (row A28).

mod alarms;
mod http;
mod insights;
mod metrics;
mod tally;
mod targets;
mod tasks;

pub use alarms::judge_alarms;
pub use http::judge_http;
pub use insights::{judge_restarts, or_told};
pub use metrics::{ERRORS, REQUESTS, judge_errors, judge_metrics, queries_of};
pub use tally::{Sample, Tally};
pub use targets::judge_targets;
pub use tasks::{judge_runs, judge_tasks, stopped_tasks};

/// Text from outside, as a sentence may show it.
fn shown(text: &str) -> String {
    format!("{:?}", crate::fact::bounded(text, 120))
}
