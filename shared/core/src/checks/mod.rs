//! Judging checks of what was deployed: pure, sample by sample.
//!
//! A check takes samples until its outcome is certain; a sample is good or not, and no sample at all is a
//! failure (row F33). What servers say is shown escaped and cut: it may be anything (row A28).

mod http;
mod tally;

pub use http::judge_http;
pub use tally::{Sample, Tally};

/// Text from outside, as a sentence may show it.
fn shown(text: &str) -> String {
    format!("{:?}", crate::fact::bounded(text, 120))
}
