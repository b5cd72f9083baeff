//! The statuses of a run, and which of them are final.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Recorded; its execution has not shown itself yet.
    Pending,
    /// Planned; no job has started yet.
    Planning,
    /// Build jobs run.
    Building,
    /// Test jobs run.
    Testing,
    /// Environments are deployed, one at a time, or wait for consent or their time.
    Deploying,
    /// What was built is what serves, and it passed validation.
    Succeeded,
    /// It failed before it changed what serves, or the pipeline file said to hold.
    Failed,
    /// It failed, and the last good version serves again.
    RolledBack,
    /// It failed, and the last good version could not be brought back.
    RollbackFailed,
    /// It failed on a service on which nothing had ever worked.
    FailedNoBaseline,
    /// A person stopped it.
    Stopped,
    /// A newer push took its place.
    Superseded,
    /// Its pipeline file is missing or wrong, or people did not consent to a deploy.
    Rejected,
    /// Nothing in the pipeline file asked for this push.
    Ignored,
}

impl Status {
    /// All of them, in the order of a run's life.
    pub const ALL: [Self; 14] = [
        Self::Pending,
        Self::Planning,
        Self::Building,
        Self::Testing,
        Self::Deploying,
        Self::Succeeded,
        Self::Failed,
        Self::RolledBack,
        Self::RollbackFailed,
        Self::FailedNoBaseline,
        Self::Stopped,
        Self::Superseded,
        Self::Rejected,
        Self::Ignored,
    ];

    /// Whether the run is over. A terminal run never changes.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Planning | Self::Building | Self::Testing | Self::Deploying)
    }

    /// Whether people must look at a service now: it may be broken, and nothing good could be brought back.
    pub fn needs_people(self) -> bool {
        matches!(self, Self::RollbackFailed | Self::FailedNoBaseline)
    }

    /// The name in APIs and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Planning => "planning",
            Self::Building => "building",
            Self::Testing => "testing",
            Self::Deploying => "deploying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
            Self::RollbackFailed => "rollback_failed",
            Self::FailedNoBaseline => "failed_no_baseline",
            Self::Stopped => "stopped",
            Self::Superseded => "superseded",
            Self::Rejected => "rejected",
            Self::Ignored => "ignored",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Status {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or_else(|| {
            format!("unknown status {:?}; use one of {}", crate::fact::bounded(text, 60), known())
        })
    }
}
