//! The live view of a run on a terminal: what has happened scrolls by, and below it stands how each job and
//! environment is doing now.
//!
//! What a line says is worked out by a pure function; drawing it is `indicatif`'s. Where standard output is no terminal
//! there is no view, and the facts alone are printed.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use pushway_core::run::Run;

use crate::{output, words};

/// How often what runs moves.
const TICK: Duration = Duration::from_millis(120);

/// How something is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Waits,
    Runs,
    IsGood,
    IsBad,
}

/// A line of the view.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    doing: Doing,
    name: String,
    words: String,
}

/// The view.
pub(crate) struct Board {
    all: MultiProgress,
    lines: Vec<(Doing, ProgressBar)>,
}

impl Board {
    /// A view, where there is a terminal to draw it on.
    pub(crate) fn on_terminal() -> Option<Self> {
        let is_terminal = std::io::stdout().is_terminal();
        is_terminal.then(|| Self {
            all: MultiProgress::with_draw_target(ProgressDrawTarget::stdout()),
            lines: Vec::new(),
        })
    }

    /// A line that scrolls by.
    pub(crate) fn say(&self, text: &str) -> anyhow::Result<()> {
        Ok(self.all.println(output::clean(text))?)
    }

    /// Draws the run as it is now.
    pub(crate) fn show(&mut self, run: &Run, now: Timestamp) {
        for (n, row) in rows(run, now).into_iter().enumerate() {
            if n == self.lines.len() {
                self.lines.push((
                    Doing::Waits,
                    self.all.add(ProgressBar::new_spinner().with_style(style(Doing::Waits))),
                ));
            }
            let Some((doing, line)) = self.lines.get_mut(n) else { return };
            if *doing != row.doing {
                *doing = row.doing;
                line.set_style(style(row.doing));
                match row.doing {
                    Doing::Runs => line.enable_steady_tick(TICK),
                    _ => line.disable_steady_tick(),
                }
            }
            line.set_message(output::clean(&format!("{:<24} {}", row.name, row.words)));
            line.tick();
        }
    }

    /// Leaves the view as it is.
    pub(crate) fn end(self) {
        for (_, line) in self.lines {
            line.abandon();
        }
    }
}

/// The sign stands beside the words, never for them.
fn style(doing: Doing) -> ProgressStyle {
    let template = match doing {
        Doing::Waits => "  · {wide_msg}",
        Doing::Runs => "  {spinner:.cyan} {wide_msg}",
        Doing::IsGood => "  ✓ {wide_msg:.green}",
        Doing::IsBad => "  ✗ {wide_msg:.red}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn rows(run: &Run, now: Timestamp) -> Vec<Row> {
    let jobs = run.jobs.iter().map(|job| {
        let doing = match &job.end {
            _ if job.taken_from.is_some() => Doing::IsGood,
            _ if job.attempt == 0 => Doing::Waits,
            None if run.status.is_terminal() => Doing::Waits,
            None => Doing::Runs,
            Some(end) if end.failure.is_none() => Doing::IsGood,
            Some(end) if end.will_retry => Doing::Runs,
            Some(_) => Doing::IsBad,
        };
        let ended = job.end.as_ref().and_then(|end| end.ended_at);
        let took =
            job.started_at.filter(|_| doing != Doing::Waits).map(|from| took(from, ended.unwrap_or(now)));
        let took = took.map_or_else(String::new, |took| format!("  {took}"));
        Row { doing, name: job.job.to_string(), words: format!("{}{took}", words::job(run, job)) }
    });
    let environments = run.environments.iter().map(|state| {
        let doing = match state {
            state if state.is_live() => Doing::IsGood,
            state if state.has_failed() || state.rollback.is_some() => Doing::IsBad,
            state if state.fence.is_some() && !run.status.is_terminal() => Doing::Runs,
            _ => Doing::Waits,
        };
        let name = format!("environment {}", state.name);
        Row { doing, name, words: words::environment(run, state) }
    });
    jobs.chain(environments).collect()
}

/// How long something took, as people say it; clocks may differ.
fn took(from: Timestamp, until: Timestamp) -> String {
    output::long(u64::try_from(until.duration_since(from).as_secs()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;

    #[test]
    fn times_are_told_as_people_say_them() {
        let from = Timestamp::UNIX_EPOCH;
        let told: Vec<String> =
            [0, 59, 60, 125, 3_600, 7_384].map(|seconds: i64| took(from, from + seconds.seconds())).into();
        assert_eq!(told, ["0 s", "59 s", "1 min 0 s", "2 min 5 s", "1 h 0 min", "2 h 3 min"]);
        assert_eq!(took(from + 1.second(), from), "0 s", "clocks may differ");
    }
}
