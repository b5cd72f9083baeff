//! The audit list: who asked for which change, written before the change is made, and what it came to.
//!
//! Entries are added and never changed; an entry without an end is an order whose maker did not live to see its end,
//! and the run's journal tells what became of it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::RunId;

/// An order that someone gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Sorts by time.
    pub id: RunId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// The operation, as the OpenAPI document names it.
    pub operation: String,
    /// What it was asked of: the request's path.
    pub path: String,
    /// The address it came from, by the word of the gateway.
    pub from: Option<String>,
    /// The gateway's id of the request, which its access log has, too.
    pub request_id: Option<String>,
    /// The reason or comment that came with it.
    pub reason: Option<String>,
    /// What was asked for, as JSON; cut where it is long.
    #[serde(default)]
    pub asked: Option<String>,
    /// The run that it has made.
    #[serde(default)]
    pub run: Option<RunId>,
    /// The HTTP status it was answered with; `None` where nobody lived to answer.
    pub status: Option<u16>,
}
