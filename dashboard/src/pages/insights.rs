//! `GET /insights`: figures with their definitions beside them. The page knows no figure by name: who reckons
//! them brings words and numbers.

use askama::Template;

use crate::frame::Frame;
use crate::parts::Columns;

/// Figures of a pipeline and an environment.
#[derive(Template)]
#[template(path = "insights.html", blocks = ["main"])]
pub struct InsightsPage<'a> {
    /// Who looks, and when.
    pub frame: &'a Frame,
    /// What the figures are of, in words.
    pub title: &'a str,
    /// The pipelines that can be chosen (query `pipeline`), and the chosen one.
    pub pipelines: &'a [String],
    /// The chosen pipeline; empty means all.
    pub pipeline: &'a str,
    /// The environments that can be chosen (query `environment`).
    pub environments: &'a [String],
    /// The chosen environment; empty means all.
    pub environment: &'a str,
    /// The figures; the four of the DORA programme come first.
    pub figures: &'a [Figure],
}

/// A figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its name ("Lead time for changes"); unique on the page.
    pub name: String,
    /// Its value in words, with its unit ("3 h 20 min"); "no data" where there is none.
    pub value: String,
    /// What it is reckoned from, and how.
    pub definition: String,
    /// What goes with it: how many runs it counts, how it stands to the period before.
    pub note: String,
    /// Its course, oldest first.
    pub bars: Vec<Bar>,
}

/// One value of a figure's course.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Of when ("week of 2 Nov").
    pub label: String,
    /// The value, in whatever unit all bars share.
    pub value: f64,
    /// The value in words.
    pub words: String,
}

impl Figure {
    fn columns(&self) -> Columns {
        Columns(self.bars.iter().map(|bar| bar.value).collect())
    }
}
