//! Lists of runs from the indexes, and journals from the table.
//!
//! A list of all runs walks back day by day. One call asks for so many days only; where they hold too few
//! runs, the page says where the next one goes on, and it may be empty.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use pushway_core::fact::Entry;
use pushway_core::ids::{CommitSha, RunId};
use pushway_core::keys::{self, FACT_PREFIX};
use pushway_core::ports::{Answer, History, RunPage, RunQuery};
use pushway_core::summary::RunSummary;

use super::{Item, index, parsed, text};
use crate::Aws;
use crate::errors::fault;
use crate::time::day;

/// How many days one call asks for, in queries: some 40 of them take well under a second.
const MOST_DAYS: usize = 40;
/// No run is older than Pushway itself, so a walk ends here.
const FIRST_DAY: Date = jiff::civil::date(2026, 1, 1);

const RUNS_OF_PIPELINE: &str = "pipeline_pk = :partition AND run_id < :before";
const RUNS_OF_DAY: &str = "day_pk = :partition AND run_id < :before";
const RUNS_OF_COMMIT: &str = "commit_pk = :partition AND run_id < :before";
const FACTS: &str = "pk = :pk AND begins_with(sk, :prefix)";
/// Sorts after every id: the letter comes after the hex digits.
const AFTER_ALL: &str = "g";

impl History for Aws {
    async fn list(&self, query: &RunQuery) -> Answer<RunPage> {
        let limit = query.limit.clamp(1, 100);
        let before = query.before.map_or_else(|| AFTER_ALL.to_owned(), |id| id.to_string());
        let Some(pipeline) = &query.pipeline else {
            return self.list_days(query, limit, &before).await;
        };
        let partition = keys::pipeline_index(pipeline);
        let runs = self.runs(index::BY_PIPELINE, RUNS_OF_PIPELINE, partition, &before, limit).await?;
        Ok(page(runs, limit, None))
    }

    async fn of_commit(&self, commit: &CommitSha) -> Answer<Vec<RunSummary>> {
        self.runs(index::BY_COMMIT, RUNS_OF_COMMIT, keys::commit_index(commit), AFTER_ALL, 100).await
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
    async fn list_days(&self, query: &RunQuery, limit: usize, before: &str) -> Answer<RunPage> {
        let mut runs = Vec::new();
        let mut date = day(query.before.and_then(received_at).unwrap_or(query.now));
        for _ in 0..MOST_DAYS {
            let partition = keys::day_index(date);
            let missing = limit - runs.len();
            runs.extend(self.runs(index::BY_DAY, RUNS_OF_DAY, partition, before, missing).await?);
            if runs.len() >= limit {
                return Ok(page(runs, limit, None));
            }
            if date <= FIRST_DAY {
                return Ok(RunPage { runs, next: None });
            }
            date = date.saturating_sub(1.day());
        }
        Ok(page(runs, limit, first_of(date.saturating_add(1.day()))))
    }

    /// Runs of an index partition, newest first, at most `limit`.
    async fn runs(
        &self,
        index: &'static str,
        condition: &'static str,
        partition: String,
        before: &str,
        limit: usize,
    ) -> Answer<Vec<RunSummary>> {
        let values =
            HashMap::from([(":partition".to_owned(), text(partition)), (":before".to_owned(), text(before))]);
        let (mut runs, mut from): (Vec<RunSummary>, Option<Item>) = (Vec::new(), None);
        loop {
            let page = self
                .dynamodb
                .query()
                .table_name(&self.settings.table)
                .index_name(index)
                .key_condition_expression(condition)
                .set_expression_attribute_values(Some::<HashMap<String, AttributeValue>>(values.clone()))
                .scan_index_forward(false)
                .limit(i32::try_from(limit - runs.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| fault("dynamodb Query", &error))?;
            for item in page.items() {
                runs.push(parsed(item, "summary")?);
            }
            from = page.last_evaluated_key;
            if from.is_none() || runs.len() >= limit {
                return Ok(runs);
            }
        }
    }
}

/// A page goes on after its last run if it is full, else where the search stopped.
fn page(runs: Vec<RunSummary>, limit: usize, stopped: Option<RunId>) -> RunPage {
    let last = runs.last().map(|run| run.id).filter(|_| runs.len() >= limit);
    RunPage { runs, next: last.or(stopped) }
}

/// The time in a run's id: the first 48 bits are milliseconds since 1970 (RFC 9562, UUID version 7).
fn received_at(id: RunId) -> Option<Timestamp> {
    let digits: String = id.to_string().chars().filter(|c| *c != '-').take(12).collect();
    crate::time::from_millis(i64::from_str_radix(&digits, 16).ok()?)
}

/// The least id of a day: every run before that day is older.
fn first_of(date: Date) -> Option<RunId> {
    let midnight = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(RunId::new(midnight, [0; 10]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_day_and_a_day_its_least_id() {
        let at: Timestamp = "2026-03-04T05:06:07.891Z".parse().unwrap();
        let id = RunId::new(at, [7; 10]);
        assert_eq!(received_at(id), Some(at));
        let first = first_of(day(at)).unwrap();
        assert_eq!(day(received_at(first).unwrap()), day(at));
        assert!(first < id && first > RunId::new("2026-03-03T23:59:59.999Z".parse().unwrap(), [255; 10]));
        assert!(id.to_string().as_str() < AFTER_ALL);
    }

    #[test]
    fn a_page_that_is_not_full_goes_on_where_the_search_stopped() {
        let stop = first_of(FIRST_DAY);
        assert_eq!(page(Vec::new(), 5, stop).next, stop);
        assert_eq!(page(Vec::new(), 5, None).next, None);
    }
}
