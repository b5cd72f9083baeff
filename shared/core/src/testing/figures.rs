//! Figures of runs in memory: written once, read by pipeline and time.

use super::World;
use crate::figures::Figures;
use crate::ports::{Answer, FiguresPage, FiguresQuery, InsightSettings, RunFigures};
use crate::prices::Prices;

impl World {
    /// All figures, by run.
    pub fn stored_figures(&self) -> Vec<Figures> {
        self.lock().figures.values().cloned().collect()
    }

    /// Says whether anyone may see badges.
    pub fn set_public_badges(&self, are_public: bool) {
        self.lock().has_public_badges = are_public;
    }
}

impl RunFigures for World {
    async fn put_figures(&self, figures: &Figures) -> Answer<()> {
        self.call("put_figures", figures.run, |state| {
            state.figures.entry(figures.run).or_insert_with(|| figures.clone());
            Ok(())
        })
        .await
    }

    async fn figures(&self, query: &FiguresQuery) -> Answer<FiguresPage> {
        self.call("figures", &query.pipeline, |state| {
            let is_wanted = |figures: &&Figures| {
                figures.pipeline == query.pipeline
                    && figures.run.received_at() >= query.since
                    && figures.run.received_at() <= query.until
            };
            let mut figures: Vec<Figures> =
                state.figures.values().rev().filter(is_wanted).take(query.limit + 1).cloned().collect();
            let is_cut = figures.len() > query.limit;
            figures.truncate(query.limit);
            Ok(FiguresPage { figures, is_cut })
        })
        .await
    }
}

impl InsightSettings for World {
    fn prices(&self) -> &Prices {
        static PUBLISHED: std::sync::LazyLock<Prices> = std::sync::LazyLock::new(Prices::published);
        &PUBLISHED
    }

    fn has_public_badges(&self) -> bool {
        self.lock().has_public_badges
    }
}
