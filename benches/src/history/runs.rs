//! The runs that the tables hold: copies of one that was played, each with an id, commit, pipeline and ref of its own.

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use pushway_aws::Aws;
use pushway_core::ids::{CommitSha, PipelineName, RefName, RunId};
use pushway_core::ports::{History as _, RunFilter, RunQuery};
use pushway_core::run::Run;
use pushway_tests::sim::story::Story;

use crate::figures::say;

/// Runs follow each other so closely: 34,000 a day, and a million in a month.
const BETWEEN: SignedDuration = SignedDuration::from_millis(2_500);
/// Pipelines, refs of each, and runs of each commit.
const PIPELINES: u32 = 8;
const REFS: u32 = 4;
const OF_COMMIT: u32 = 40;
/// How many runs are handed over at once, and how often that is done side by side.
const HANDED: u32 = 500;
const WRITERS: usize = 8;

/// What a table is filled with.
pub(crate) struct Fill {
    model: Run,
    count: u32,
    newest: Timestamp,
}

impl Fill {
    /// So many runs, the newest of an evening.
    pub(crate) fn new(count: u32) -> anyhow::Result<Self> {
        let newest = "2026-11-20T20:00:00Z".parse()?;
        Ok(Self { model: Story::new().play(), count, newest })
    }

    /// A moment after the newest run.
    pub(crate) fn now(&self) -> Timestamp {
        self.newest + SignedDuration::from_secs(60)
    }

    /// The lists whose pages are measured.
    pub(crate) fn filters(&self) -> Vec<(&'static str, RunFilter)> {
        let newest = self.run(0);
        let all = RunFilter::default();
        let pipeline = RunFilter { pipeline: newest.pipeline.clone(), ..all.clone() };
        let git_ref = RunFilter { git_ref: Some(newest.source.git_ref), ..pipeline.clone() };
        let commit = RunFilter { commit: Some(newest.source.commit), ..all.clone() };
        vec![
            ("all runs", all),
            ("of a pipeline", pipeline),
            ("of a branch", git_ref),
            ("of a commit", commit),
        ]
    }

    /// Whether the table holds its oldest run, which is written last.
    pub(crate) async fn is_there(&self, aws: &Aws) -> anyhow::Result<bool> {
        let oldest = self.run(self.count - 1);
        let filter = RunFilter { commit: Some(oldest.source.commit), ..RunFilter::default() };
        let page = aws.list(&RunQuery { filter, ..RunQuery::newest(100, self.now()) }).await?;
        Ok(page.runs.iter().any(|run| run.id == oldest.id))
    }

    /// Stores all of them.
    pub(crate) async fn write(&self, aws: &Aws) -> anyhow::Result<()> {
        let starts: Vec<u32> = (0..self.count).step_by(HANDED as usize).collect();
        for (round, starts) in starts.chunks(WRITERS).enumerate() {
            let mut writing = tokio::task::JoinSet::new();
            for &start in starts {
                let runs: Vec<Run> =
                    (start..self.count.min(start + HANDED)).map(|number| self.run(number)).collect();
                let aws = aws.clone();
                writing.spawn(async move { aws.store_runs(&runs).await });
            }
            while let Some(done) = writing.join_next().await {
                done.context("store runs")??;
            }
            if round % 25 == 24 {
                say(&format!("{} of {} runs", starts[0] + HANDED, self.count));
            }
        }
        Ok(())
    }

    /// The run of a number; 0 is the newest.
    fn run(&self, number: u32) -> Run {
        let at = self.newest - BETWEEN * i32::try_from(number).unwrap_or(i32::MAX);
        let unique = number.to_be_bytes();
        let id = RunId::new(at, std::array::from_fn(|i| unique.get(i).copied().unwrap_or(1)));
        let commit: Option<CommitSha> = format!("{:040x}", number / OF_COMMIT).parse().ok();
        let pipeline: Option<PipelineName> = format!("service-{}", number % PIPELINES).parse().ok();
        let git_ref: Option<RefName> =
            format!("refs/heads/feature/number-{}", number / PIPELINES % REFS).parse().ok();
        let mut run = self.model.clone();
        let took = run.updated_at.duration_since(run.received_at);
        run.id = id;
        run.pipeline = pipeline;
        run.source.commit = commit.unwrap_or(run.source.commit);
        run.source.git_ref = git_ref.unwrap_or(run.source.git_ref);
        run.source.message = format!("change number {number} of the checkout, and what it takes to test it");
        (run.received_at, run.updated_at) = (at, at + took);
        run
    }
}
