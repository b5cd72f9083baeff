//! Lists that go on: their parameters, and their cursors.

use jiff::Timestamp;
use pushway_core::cursor;
use pushway_core::ids::{CommitSha, EnvironmentName, PipelineName};
use pushway_core::listing::{MAX_LIMIT, RunFilter};
use pushway_core::ports::SealingKey;
use pushway_core::run::Status;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::reply::Problem;

/// Things on a page, unless asked otherwise.
const DEFAULT_LIMIT: usize = 25;
/// Characters of an author's name that are compared.
const MAX_AUTHOR: usize = 100;

/// Which runs to list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Runs {
    /// Only runs of this pipeline.
    pipeline: Option<PipelineName>,
    /// Only runs of this branch, by its short name; of another ref by its full name, such as refs/tags/v1.
    #[schemars(extend("maxLength" = 244, "pattern" =
        r"^(?![./])(?!.*(\.\.|//|@\{|/\.|\.lock(/|$)|[/.]$))[^\x00-\x20\x7f~^:?*\[\\]+$"))]
    branch: Option<String>,
    /// Only runs of this commit.
    commit: Option<CommitSha>,
    /// Only runs of commits whose author's name holds this text, whatever its case.
    #[schemars(length(max = 100))]
    author: Option<String>,
    /// Only runs that stand there; `ignored` finds pushes that started nothing, together with `commit`.
    status: Option<Status>,
    /// Only runs that deploy to an environment of this name.
    environment: Option<EnvironmentName>,
    /// Only runs that were received at or after this time.
    since: Option<Timestamp>,
    /// Only runs that were received before this time.
    until: Option<Timestamp>,
    /// `next` of the page before, with the same filters; the newest runs without it.
    pub(crate) cursor: Option<String>,
    /// At most this many; 25 without it.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) limit: Option<usize>,
}

/// Where a list goes on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    /// `next` of the page before; the beginning without it.
    pub(crate) cursor: Option<String>,
    /// At most this many; 25 without it.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) limit: Option<usize>,
}

impl Runs {
    /// Which runs are asked for.
    pub(crate) fn filter(&self) -> Result<RunFilter, Problem> {
        if self.author.as_ref().is_some_and(|author| author.chars().count() > MAX_AUTHOR) {
            return Err(Problem::BadRequest(format!("author is longer than {MAX_AUTHOR} characters")));
        }
        let git_ref = self.branch.as_deref().map(RunFilter::branch).transpose();
        Ok(RunFilter {
            pipeline: self.pipeline.clone(),
            git_ref: git_ref.map_err(|error| Problem::BadRequest(error.to_string()))?,
            commit: self.commit.clone(),
            author: self.author.clone(),
            status: self.status,
            environment: self.environment.clone(),
            since: self.since,
            until: self.until,
        })
    }
}

/// How many things a page may hold.
pub(crate) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::BadRequest(format!("limit {limit} is not a number from 1 to {MAX_LIMIT}")))
}

/// Where a page of a list begins: behind the position in its cursor, if it has one.
pub(crate) async fn position<T: DeserializeOwned>(
    ports: &impl SealingKey,
    list: &impl Serialize,
    cursor: Option<&str>,
) -> Result<Option<T>, Problem> {
    let Some(text) = cursor else { return Ok(None) };
    let opened = cursor::open(&ports.sealing_key().await?, list, text);
    opened.map(Some).map_err(|bad| Problem::NotFound(bad.to_string()))
}

/// The cursor of the next page, if there is one.
pub(crate) async fn next(
    ports: &impl SealingKey,
    list: &impl Serialize,
    position: Option<&impl Serialize>,
) -> Result<Option<String>, Problem> {
    let Some(position) = position else { return Ok(None) };
    Ok(Some(cursor::seal(&ports.sealing_key().await?, list, position)))
}
