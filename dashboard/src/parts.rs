//! Small pieces of HTML that are written without the templates: icons, pills, times, bars.
//!
//! They are made of numbers and of this crate's own words; nothing from outside ever comes in here, which is
//! why they may go unescaped (`HtmlSafe`).

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;
use jiff::Timestamp;
use pushway_core::run::Status;

use crate::messages;
use crate::time;

/// How something stands; colour and shape follow from it, never colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Good.
    Ok,
    /// Bad.
    Bad,
    /// It ended, but not as wanted.
    Warn,
    /// It goes on.
    Run,
    /// It waits for people.
    Ask,
    /// It is yet to come.
    Wait,
    /// It is no news.
    Quiet,
}

impl Tone {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Bad => "bad",
            Self::Warn => "warn",
            Self::Run => "run",
            Self::Ask => "ask",
            Self::Wait => "wait",
            Self::Quiet => "quiet",
        }
    }
}

/// A picture from the sheet of shapes that each page begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Icon(pub(crate) &'static str);

impl Display for Icon {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "<svg class=\"icon i-{0}\" aria-hidden=\"true\"><use href=\"#i-{0}\"/></svg>", self.0)
    }
}
impl HtmlSafe for Icon {}

/// A state as shape and word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pill {
    pub(crate) tone: Tone,
    pub(crate) word: &'static str,
}

impl Pill {
    pub(crate) fn new(tone: Tone, word: &'static str) -> Self {
        Self { tone, word }
    }
}

impl From<Status> for Pill {
    fn from(status: Status) -> Self {
        let tone = match status {
            Status::Pending => Tone::Wait,
            Status::Planning | Status::Building | Status::Testing | Status::Deploying => Tone::Run,
            Status::Succeeded => Tone::Ok,
            Status::Failed | Status::RollbackFailed | Status::FailedNoBaseline => Tone::Bad,
            Status::RolledBack | Status::Rejected => Tone::Warn,
            Status::Stopped | Status::Superseded | Status::Ignored => Tone::Quiet,
        };
        Self::new(tone, messages::status(status))
    }
}

impl Display for Pill {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (tone, icon) = (self.tone.name(), Icon(self.tone.name()));
        write!(f, "<span class=\"pill t-{tone}\">{icon}{}</span>", self.word)
    }
}
impl HtmlSafe for Pill {}

/// A time: in words, for machines, and whole in its title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct When {
    pub(crate) at: Timestamp,
    pub(crate) words: String,
}

impl Display for When {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (at, full) = (self.at, time::full(self.at));
        write!(f, "<time datetime=\"{at}\" title=\"{full}\" data-ago>{}</time>", self.words)
    }
}
impl HtmlSafe for When {}

/// How long something has been going on; the script counts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Since {
    pub(crate) at: Timestamp,
    pub(crate) words: String,
}

impl Display for Since {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (at, full) = (self.at, time::full(self.at));
        write!(f, "<time datetime=\"{at}\" title=\"since {full}\" data-since>{}</time>", self.words)
    }
}
impl HtmlSafe for Since {}

/// Units that a picture is wide; it stretches to the place it gets.
pub(crate) const WIDTH: u32 = 1_000;
/// What is shorter than this could not be seen.
const LEAST: u32 = 4;

/// A piece of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Which look it has.
    pub(crate) look: &'static str,
    /// From here, in units of [`WIDTH`].
    pub(crate) from: u32,
    /// To here.
    pub(crate) to: u32,
}

/// Pieces along a time axis. The words beside it say the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pieces(pub(crate) Vec<Piece>);

impl Display for Pieces {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<svg class=\"bar\" viewBox=\"0 0 {WIDTH} 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
        )?;
        for quarter in 1..4 {
            write!(f, "<path class=\"grid\" d=\"M{} 0v10\"/>", quarter * WIDTH / 4)?;
        }
        for Piece { look, from, to } in &self.0 {
            let width = to.saturating_sub(*from).max(LEAST);
            let x = (*from).min(WIDTH - LEAST);
            write!(f, "<rect class=\"s-{look}\" x=\"{x}\" y=\"1\" width=\"{width}\" height=\"8\"/>")?;
        }
        f.write_str("</svg>")
    }
}
impl HtmlSafe for Pieces {}

/// A piece of a whole that is drawn as one bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StackPiece {
    /// Which look it has.
    pub(crate) look: &'static str,
    /// What it is, and how much.
    pub(crate) name: &'static str,
    pub(crate) took: String,
    /// From here, in units of [`WIDTH`].
    pub(crate) from: u64,
    /// So wide, with the gap behind it.
    pub(crate) wide: u64,
}

/// What a whole consists of, side by side. The table below it says the same, in the same order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stack(pub(crate) Vec<StackPiece>);

impl Display for Stack {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<svg class=\"stack\" viewBox=\"0 0 {WIDTH} 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
        )?;
        for StackPiece { look, name, took, from, wide } in &self.0 {
            let wide = wide.saturating_sub(2);
            write!(
                f,
                "<rect class=\"k-{look}\" x=\"{from}\" width=\"{wide}\" height=\"10\"><title>{name}: {took}</title></rect>"
            )?;
        }
        f.write_str("</svg>")
    }
}
impl HtmlSafe for Stack {}

/// The look of a piece, beside its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Swatch(pub(crate) &'static str);

impl Display for Swatch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<svg class=\"swatch\" viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"k-{}\" width=\"10\" height=\"10\" rx=\"2\"/></svg>",
            self.0
        )
    }
}
impl HtmlSafe for Swatch {}

/// Past runs, oldest first: bars that differ in height as well as in colour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History(pub(crate) Vec<Status>);

impl Display for History {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (wide, good) =
            (self.0.len() * 8, self.0.iter().filter(|status| **status == Status::Succeeded).count());
        let label = messages::history(good, self.0.len());
        write!(
            f,
            "<svg class=\"history\" width=\"{wide}\" height=\"20\" viewBox=\"0 0 {wide} 20\" role=\"img\" aria-label=\"{label}\">"
        )?;
        for (place, status) in self.0.iter().enumerate() {
            let tone = Pill::from(*status).tone;
            let height = match tone {
                Tone::Ok => 18,
                Tone::Bad => 8,
                Tone::Warn => 13,
                _ => 4,
            };
            let (x, y, tone) = (place * 8, 19 - height, tone.name());
            write!(
                f,
                "<rect class=\"f-{tone}\" x=\"{x}\" y=\"{y}\" width=\"6\" height=\"{height}\" rx=\"1\"/>"
            )?;
        }
        f.write_str("</svg>")
    }
}
impl HtmlSafe for History {}

/// Values side by side, each as high as it is great.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Columns(pub(crate) Vec<f64>);

impl Display for Columns {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let most = self.0.iter().copied().filter(|value| value.is_finite()).fold(0.0_f64, f64::max);
        let wide = self.0.len() * 10;
        write!(
            f,
            "<svg class=\"columns\" viewBox=\"0 0 {wide} 40\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
        )?;
        for (place, value) in self.0.iter().enumerate() {
            let share = if most > 0.0 && value.is_finite() { (value / most).clamp(0.0, 1.0) } else { 0.0 };
            // A zero is shown as a line: it is a value, too.
            let height = (share * 38.0).max(1.0);
            let (x, y) = (place * 10, 40.0 - height);
            write!(f, "<rect x=\"{x}\" y=\"{y:.1}\" width=\"8\" height=\"{height:.1}\"/>")?;
        }
        f.write_str("</svg>")
    }
}
impl HtmlSafe for Columns {}
