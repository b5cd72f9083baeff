//! The ports on the figures of runs that are over, and on what the installation pays and shows.

use std::future::Future;

use jiff::Timestamp;

use super::Answer;
use crate::figures::Figures;
use crate::ids::PipelineName;
use crate::prices::Prices;

/// Keeps figures, and reads them by pipeline and time.
pub trait RunFigures: Sync {
    /// Keeps a run's figures, unless it has some: they never change.
    fn put_figures(&self, figures: &Figures) -> impl Future<Output = Answer<()>> + Send;
    /// Those of a pipeline's runs, newest first. The answer may be stale.
    fn figures(&self, query: &FiguresQuery) -> impl Future<Output = Answer<FiguresPage>> + Send;
}

/// What an installation was set to where time and money are told.
pub trait InsightSettings: Sync {
    /// What things cost.
    fn prices(&self) -> &Prices;
    /// Whether anyone may see badges.
    fn has_public_badges(&self) -> bool;
}

/// Which figures to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiguresQuery {
    /// Of this pipeline.
    pub pipeline: PipelineName,
    /// Of runs that were received from then on.
    pub since: Timestamp,
    /// Of runs that were received until then.
    pub until: Timestamp,
    /// At most this many.
    pub limit: usize,
}

/// Figures that were read.
#[derive(Debug, Clone, PartialEq)]
pub struct FiguresPage {
    /// Newest first.
    pub figures: Vec<Figures>,
    /// Whether there are older ones that would have been asked for.
    pub is_cut: bool,
}
