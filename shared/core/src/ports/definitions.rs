//! The port on task definitions as people compare them.

use std::future::Future;

use super::Answer;
use crate::definition::DefinitionView;
use crate::scheduled::StarterRef;
use crate::views::ServiceRef;

/// Reads what an approval compares: what serves, and a definition of the repository. Nothing here waits for
/// long: an answer that is late is a fault.
pub trait ReadDefinitions: Sync {
    /// The revision that a service runs or is moving to; `None` where there is no such service.
    fn serving_definition(
        &self,
        at: &ServiceRef,
    ) -> impl Future<Output = Answer<Option<DefinitionView>>> + Send;
    /// The revision that a rule or schedule starts; `None` where there is no such rule or schedule.
    fn started_definition(
        &self,
        at: &StarterRef,
    ) -> impl Future<Output = Answer<Option<DefinitionView>>> + Send;
    /// A definition file as the plan has pinned it.
    fn file_definition(
        &self,
        content: &serde_json::Value,
    ) -> impl Future<Output = Answer<DefinitionView>> + Send;
}
