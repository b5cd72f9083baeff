//! Lists of runs: what may be asked for, which index answers it, and how a page is gathered.
//!
//! Pure, and the same for the table and for the world in memory. What no index holds is looked at run by run, so
//! many in one call and no more: a page may be short, and says where the next one goes on. A filter is a value that
//! is compared; none of its text ever becomes a part of an expression (row A29).

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{CommitSha, EnvironmentName, PipelineName, RefName, RunId};
use crate::run::{Run, Status};
use crate::summary::{RunSummary, shown_ref};

/// How many runs one call looks at for a page, whatever it finds: some 350 KB of an index, in a fraction of a second.
pub const EXAMINED: usize = 500;
/// How many runs are asked for at once where most of them may not be wanted.
const CHUNK: usize = 100;
/// What reading a whole run counts for among those that are looked at: it is a call of its own.
const WHOLE_RUN: usize = 20;
/// Runs on a page at most.
pub const MAX_LIMIT: usize = 100;
/// Sorts after every id: the letter comes after the hex digits.
const AFTER_ALL: &str = "g";
/// Sorts before every id but the one of zeros, which no run has.
const BEFORE_ALL: &str = "0";

/// Which runs to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunQuery {
    /// Which of them.
    pub filter: RunFilter,
    /// Only runs older than this one.
    pub before: Option<RunId>,
    /// At most this many, 1 to 100.
    pub limit: usize,
    /// The newest time to look at: lists walk back from here day by day.
    pub now: Timestamp,
}

/// What runs must have in common to be listed; nothing asks for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunFilter {
    /// Only of this pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineName>,
    /// Only of this ref.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_ref: Option<RefName>,
    /// Only of this commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitSha>,
    /// Only of commits whose author's name holds this text, whatever its case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Only such that stand there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Only such that deploy to an environment of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
    /// Only such that were received at or after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only such that were received before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A page of runs.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPage {
    /// Newest first.
    pub runs: Vec<RunSummary>,
    /// Where the next page begins, if there may be one.
    pub next: Option<RunId>,
}

/// The list in which a filter's runs lie. All are in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunList<'f> {
    /// All runs, day by day.
    Days,
    /// A pipeline's.
    Pipeline(&'f PipelineName),
    /// A pipeline's runs of a ref.
    Ref(&'f PipelineName, &'f RefName),
    /// A commit's, and with them the pushes that started nothing.
    Commit(&'f CommitSha),
}

/// Whether a run is wanted, by its summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Wanted,
    /// It is not.
    Unwanted,
    /// The run itself must be asked.
    Unsure,
}

/// The ids between which a query's runs lie, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// The least.
    pub least: String,
    /// The greatest.
    pub most: String,
}

impl RunFilter {
    /// The branch that a person means: a full ref, or a branch's short name.
    pub fn branch(text: &str) -> Result<RefName, crate::ids::InvalidId> {
        if text.starts_with("refs/") { text.parse() } else { format!("refs/heads/{text}").parse() }
    }

    /// The list to look through.
    pub fn list(&self) -> RunList<'_> {
        match (&self.commit, &self.pipeline, &self.git_ref) {
            (Some(commit), ..) => RunList::Commit(commit),
            (None, Some(pipeline), Some(git_ref)) => RunList::Ref(pipeline, git_ref),
            (None, Some(pipeline), None) => RunList::Pipeline(pipeline),
            (None, None, _) => RunList::Days,
        }
    }

    /// Whether the list's runs are wanted without looking at them: index and times say it all.
    fn is_told_by_list(&self) -> bool {
        let Self { author, status, environment, pipeline, git_ref, commit, .. } = self;
        let looked_at = author.is_some() || status.is_some() || environment.is_some();
        !looked_at
            && match commit {
                Some(_) => pipeline.is_none() && git_ref.is_none(),
                None => git_ref.is_none() || pipeline.is_some(),
            }
    }

    /// Whether a run of the list is wanted, as far as its summary tells.
    pub fn judge(&self, run: &RunSummary) -> Verdict {
        let Self { pipeline, git_ref, commit, author, status, environment, since, until } = self;
        let holds = |author: &String| run.author.to_lowercase().contains(&author.to_lowercase());
        let is_wanted = (pipeline.is_none() || *pipeline == run.pipeline)
            && git_ref.as_ref().is_none_or(|git_ref| shown_ref(git_ref) == run.git_ref)
            && commit.as_ref().is_none_or(|commit| *commit == run.commit)
            && author.as_ref().is_none_or(holds)
            // Lists of runs are about runs; who asks for pushes that started nothing is shown them.
            && status.map_or(run.status != Status::Ignored, |status| status == run.status)
            && since.is_none_or(|since| run.id >= RunId::least_of(since))
            && until.is_none_or(|until| run.id < RunId::least_of(until));
        if !is_wanted {
            return Verdict::Unwanted;
        }
        let Some(environment) = environment else { return Verdict::Wanted };
        match &run.environments {
            Some(all) if all.iter().any(|brief| brief.name == *environment) => Verdict::Wanted,
            Some(_) if run.environments_left_out == 0 => Verdict::Unwanted,
            _ => Verdict::Unsure,
        }
    }

    /// Whether a run is wanted whose summary does not tell its environments.
    pub fn deploys_there(&self, run: &Run) -> bool {
        self.environment.as_ref().is_none_or(|name| run.environment(name).is_some())
    }
}

impl RunQuery {
    /// All runs, newest first.
    pub fn newest(limit: usize, now: Timestamp) -> Self {
        Self { filter: RunFilter::default(), before: None, limit, now }
    }

    /// The least id that is too new, if any is.
    pub fn end(&self) -> Option<RunId> {
        let until = self.filter.until.map(RunId::least_of);
        self.before.into_iter().chain(until).min()
    }

    /// Where to look in an index; `None` where nothing can be.
    pub fn bounds(&self) -> Option<Bounds> {
        let least = self.filter.since.map_or_else(|| BEFORE_ALL.into(), |at| RunId::least_of(at).to_string());
        let most = self.end().map_or_else(|| AFTER_ALL.into(), RunId::text_before);
        (least <= most).then_some(Bounds { least, most })
    }
}

/// A page while it is gathered.
#[derive(Debug)]
pub struct Gathering<'q> {
    query: &'q RunQuery,
    limit: usize,
    runs: Vec<RunSummary>,
    examined: usize,
    last: Option<RunId>,
}

impl<'q> Gathering<'q> {
    /// An empty page.
    pub fn new(query: &'q RunQuery) -> Self {
        let limit = query.limit.clamp(1, MAX_LIMIT);
        Self { query, limit, runs: Vec::new(), examined: 0, last: None }
    }

    /// How many runs to ask for next.
    pub fn chunk(&self) -> usize {
        let missing = self.limit - self.runs.len();
        if self.query.filter.is_told_by_list() { missing } else { CHUNK.max(missing) }
    }

    /// Takes the next run of the list; `whole` is the run itself where its summary was not enough.
    pub fn take(&mut self, summary: RunSummary, whole: Option<&Run>) {
        self.examined += if whole.is_some() { WHOLE_RUN } else { 1 };
        self.last = Some(summary.id);
        let wanted = match self.query.filter.judge(&summary) {
            Verdict::Wanted => true,
            Verdict::Unwanted => false,
            Verdict::Unsure => whole.is_some_and(|run| self.query.filter.deploys_there(run)),
        };
        if wanted {
            self.runs.push(summary);
        }
    }

    /// Whether this call has done its part.
    pub fn is_done(&self) -> bool {
        self.runs.len() >= self.limit || self.examined >= EXAMINED
    }

    /// Whether any run was looked at.
    pub fn has_begun(&self) -> bool {
        self.last.is_some()
    }

    /// The page of a list that was looked through, or of which this call has seen enough: then it goes on behind the
    /// last run that was looked at.
    pub fn page(self) -> RunPage {
        let next = self.last.filter(|_| self.is_done());
        RunPage { runs: self.runs, next }
    }

    /// The page of a search that stopped early: where nothing is left but what is older than `before`, or than the
    /// last run that was looked at.
    pub fn stop(self, before: Option<RunId>) -> RunPage {
        RunPage { next: self.last.into_iter().chain(before).min(), runs: self.runs }
    }
}

#[cfg(test)]
#[path = "listing/tests.rs"]
mod tests;
