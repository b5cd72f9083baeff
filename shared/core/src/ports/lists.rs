//! The ports on what there is: environments, pipelines; and on the key by which lists go on.

use std::future::Future;

use super::Answer;
use crate::claim::PipelineClaim;
use crate::cursor::CursorKey;
use crate::environment::EnvironmentRecord;
use crate::ids::{EnvironmentName, PipelineName};

/// A page of environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentPage {
    /// By pipeline and name.
    pub environments: Vec<EnvironmentRecord>,
    /// The last one, if there may be more.
    pub next: Option<(PipelineName, EnvironmentName)>,
}

/// A page of pipelines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelinePage {
    /// By name.
    pub pipelines: Vec<PipelineClaim>,
    /// The last one, if there may be more.
    pub next: Option<PipelineName>,
}

/// All environments there are. Answers may be a moment old; who deploys is decided by the record itself.
pub trait ListEnvironments: Sync {
    /// Environments of all pipelines or of one, by pipeline and name, those that come behind `after`.
    fn environments(
        &self,
        pipeline: Option<&PipelineName>,
        after: Option<&(PipelineName, EnvironmentName)>,
        limit: usize,
    ) -> impl Future<Output = Answer<EnvironmentPage>> + Send;
    /// Names of a pipeline's environments, in their order, without a look at them.
    fn environment_names(
        &self,
        pipeline: &PipelineName,
    ) -> impl Future<Output = Answer<Vec<EnvironmentName>>> + Send;
}

/// All pipelines there are.
pub trait ListPipelines: Sync {
    /// Pipelines by name, those that come behind `after`; the answer may be a moment old.
    fn pipelines(
        &self,
        after: Option<&PipelineName>,
        limit: usize,
    ) -> impl Future<Output = Answer<PipelinePage>> + Send;
}

/// The key that seals the cursors of lists.
pub trait SealingKey: Sync {
    /// The installation's key, the same for good.
    fn sealing_key(&self) -> impl Future<Output = Answer<CursorKey>> + Send;
}
