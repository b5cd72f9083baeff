//! Lists of runs from the indexes, and journals from the table.
//!
//! What is asked, and how a page is gathered, `pushway_core::listing` says; here is only how an index is read. A list
//! of all runs walks back day by day. One call asks for so many days only; where they hold too few runs, the page
//! says where the next one goes on, and it may be empty.

use std::cmp::Reverse;
use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use pushway_core::fact::Entry;
use pushway_core::ids::{CommitSha, RunId};
use pushway_core::keys::{self, FACT_PREFIX};
use pushway_core::listing::{Bounds, Gathering, RunFilter, RunList, Verdict};
use pushway_core::ports::{Answer, Fault, History, ReadRuns as _, RunPage, RunQuery};
use pushway_core::summary::RunSummary;

use super::{Item, index, parsed, text};
use crate::Aws;
use crate::errors::fault;
use crate::time::{day, sortable};

/// How many days one call asks for, in queries: some 40 of them take well under a second.
const MOST_DAYS: usize = 40;
/// No run is older than Pushway itself, so a walk ends here.
const FIRST_DAY: Date = jiff::civil::date(2026, 1, 1);
/// Runs under way that are told of at most.
const RUNNING: usize = 100;
/// Runs of a commit that are told of at most.
const OF_COMMIT: usize = 100;

const RUNS_OF_PIPELINE: &str = "pipeline_pk = :partition AND run_id BETWEEN :least AND :most";
const RUNS_OF_REF: &str = "ref_pk = :partition AND run_id BETWEEN :least AND :most";
const RUNS_OF_DAY: &str = "day_pk = :partition AND run_id BETWEEN :least AND :most";
const RUNS_OF_COMMIT: &str = "commit_pk = :partition AND run_id BETWEEN :least AND :most";
const FACTS: &str = "pk = :pk AND begins_with(sk, :prefix)";

/// A partition of an index: where, by which condition, which.
struct Partition {
    index: &'static str,
    condition: &'static str,
    key: String,
}

impl Partition {
    fn of_day(date: Date) -> Self {
        Self { index: index::BY_DAY, condition: RUNS_OF_DAY, key: keys::day_index(date) }
    }

    /// The one partition that holds a filter's runs; `None` where they lie day by day.
    fn of(filter: &RunFilter) -> Option<Self> {
        let (index, condition, key) = match filter.list() {
            RunList::Days => return None,
            RunList::Pipeline(pipeline) => {
                (index::BY_PIPELINE, RUNS_OF_PIPELINE, keys::pipeline_index(pipeline))
            }
            RunList::Ref(pipeline, git_ref) => {
                (index::BY_REF, RUNS_OF_REF, keys::ref_index(pipeline, git_ref))
            }
            RunList::Commit(commit) => (index::BY_COMMIT, RUNS_OF_COMMIT, keys::commit_index(commit)),
        };
        Some(Self { index, condition, key })
    }
}

impl History for Aws {
    async fn list(&self, query: &RunQuery) -> Answer<RunPage> {
        let mut page = Gathering::new(query);
        let Some(bounds) = query.bounds() else { return Ok(page.page()) };
        let Some(partition) = Partition::of(&query.filter) else {
            return self.list_days(query, &bounds, page).await;
        };
        match self.gather(&partition, &bounds, &mut page, query).await {
            // What was found before the table was throttled is a page, too.
            Err(Fault::Retryable(_)) if page.has_begun() => Ok(page.stop(None)),
            done => done.map(|()| page.page()),
        }
    }

    async fn running(&self) -> Answer<Vec<RunSummary>> {
        let (least, most) = (text(sortable(Timestamp::UNIX_EPOCH)), text(sortable(Timestamp::MAX)));
        let mut keys = self.open_between(keys::OPEN_RUNS, least, most).await?;
        keys.drain(..keys.len().saturating_sub(RUNNING));
        let mut runs: Vec<RunSummary> = self.batch(keys, "summary").await?;
        // The index may still show a run that is over.
        runs.retain(|run| !run.status.is_terminal());
        runs.sort_by_key(|run| Reverse(run.id));
        Ok(runs)
    }

    async fn of_commit(&self, commit: &CommitSha) -> Answer<Vec<RunSummary>> {
        let filter = RunFilter { commit: Some(commit.clone()), ..RunFilter::default() };
        let Some(partition) = Partition::of(&filter) else { return Ok(Vec::new()) };
        let everything = RunQuery { filter, ..RunQuery::newest(OF_COMMIT, jiff::Timestamp::UNIX_EPOCH) };
        let Some(bounds) = everything.bounds() else { return Ok(Vec::new()) };
        let (mut runs, mut from) = (Vec::new(), None);
        loop {
            let (found, next) = self.runs(&partition, &bounds, OF_COMMIT - runs.len(), from).await?;
            runs.extend(found);
            from = next;
            if from.is_none() || runs.len() >= OF_COMMIT {
                return Ok(runs);
            }
        }
    }

    async fn journal(&self, id: RunId) -> Answer<Vec<Entry>> {
        let (mut entries, mut from) = (Vec::new(), None);
        loop {
            let page = self
                .dynamodb
                .query()
                .table_name(&self.settings.table)
                .consistent_read(true)
                .key_condition_expression(FACTS)
                .expression_attribute_values(":pk", text(keys::run(id).pk))
                .expression_attribute_values(":prefix", text(FACT_PREFIX))
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| fault("dynamodb Query", &error))?;
            for item in page.items() {
                entries.push(parsed(item, "data")?);
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(entries);
            }
        }
    }
}

impl Aws {
    async fn list_days(&self, query: &RunQuery, bounds: &Bounds, mut page: Gathering<'_>) -> Answer<RunPage> {
        let mut date = newest_day(query);
        let first = query.filter.since.map_or(FIRST_DAY, |since| day(since).max(FIRST_DAY));
        for walked in 0..MOST_DAYS {
            match self.gather(&Partition::of_day(date), bounds, &mut page, query).await {
                Ok(()) => {}
                Err(Fault::Retryable(_)) if walked > 0 || page.has_begun() => break,
                Err(fault) => return Err(fault),
            }
            if page.is_done() || date <= first {
                return Ok(page.page());
            }
            date = date.saturating_sub(1.day());
        }
        Ok(page.stop(first_of(date.saturating_add(1.day()))))
    }

    /// Looks through a partition until the page is full, or this call has looked at enough, or there is no more.
    async fn gather(
        &self,
        partition: &Partition,
        bounds: &Bounds,
        page: &mut Gathering<'_>,
        query: &RunQuery,
    ) -> Answer<()> {
        let mut from = None;
        loop {
            let (runs, next) = self.runs(partition, bounds, page.chunk(), from).await?;
            for run in runs {
                let whole = match query.filter.judge(&run) {
                    Verdict::Unsure => self.load(run.id).await?,
                    _ => None,
                };
                page.take(run, whole.as_ref());
                if page.is_done() {
                    return Ok(());
                }
            }
            from = next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// The next runs of an index partition, newest first, at most `limit`, and where it goes on.
    async fn runs(
        &self,
        partition: &Partition,
        bounds: &Bounds,
        limit: usize,
        from: Option<Item>,
    ) -> Answer<(Vec<RunSummary>, Option<Item>)> {
        let values = [(":partition", &partition.key), (":least", &bounds.least), (":most", &bounds.most)];
        let values: HashMap<String, AttributeValue> =
            values.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect();
        let answer = self
            .dynamodb
            .query()
            .table_name(&self.settings.table)
            .index_name(partition.index)
            .key_condition_expression(partition.condition)
            .set_expression_attribute_values(Some(values))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(from)
            .set_return_consumed_capacity(self.meter.wanted())
            .send()
            .await
            .map_err(|error| fault("dynamodb Query", &error))?;
        self.meter.count(answer.consumed_capacity());
        let runs = answer.items().iter().map(|item| parsed(item, "summary")).collect::<Answer<_>>()?;
        Ok((runs, answer.last_evaluated_key))
    }
}

/// The day on which the newest run may have been received that a query asks for.
fn newest_day(query: &RunQuery) -> Date {
    let today = day(query.now);
    let Some(end) = query.end() else { return today };
    let last = day(end.received_at());
    // Where it ends as a day begins, that day holds nothing of it.
    let last =
        if first_of(last).is_some_and(|first| end <= first) { last.saturating_sub(1.day()) } else { last };
    last.min(today)
}

/// The least id of a day: every run before that day is older.
fn first_of(date: Date) -> Option<RunId> {
    Some(RunId::least_of(date.to_zoned(TimeZone::UTC).ok()?.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_begins_on_the_last_day_that_may_hold_something() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
        let now = at("2026-03-04T05:06:07Z");
        let begins = |before: Option<&str>, until: Option<&str>| {
            let filter = RunFilter { until: until.map(at), ..RunFilter::default() };
            let before = before.map(|text| RunId::new(at(text), [7; 10]));
            newest_day(&RunQuery { filter, before, ..RunQuery::newest(5, now) }).to_string()
        };
        assert_eq!(begins(None, None), "2026-03-04");
        assert_eq!(begins(Some("2026-03-02T12:00:00Z"), None), "2026-03-02");
        assert_eq!(begins(Some("2026-03-02T12:00:00Z"), Some("2026-03-01T00:00:00Z")), "2026-02-28");
        assert_eq!(begins(None, Some("2027-01-01T00:00:00Z")), "2026-03-04");
        // A page that stopped at a day goes on with the one before.
        let stopped = first_of(day(now));
        let query = RunQuery { before: stopped, ..RunQuery::newest(5, now) };
        assert_eq!(newest_day(&query).to_string(), "2026-03-03");
    }
}
