//! The operations that tell what there is: environments, pipelines, commits.

use pushway_core::{api, deployments};

use super::{Operation, Verb, get};
use crate::{lists, pipelines};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get(
            Verb::ListEnvironments,
            "listEnvironments",
            "/v1/environments",
            "All environments, by pipeline and name: what serves, who deploys or waits, what is frozen",
        )
        .asks::<pipelines::OfPipeline>()
        .gives::<api::EnvironmentsPage>(),
        get(
            Verb::ListPipelines,
            "listPipelines",
            "/v1/pipelines",
            "All pipelines, by name, with their newest run",
        )
        .asks::<lists::From>()
        .gives::<api::PipelinesPage>(),
        get(
            Verb::ShowPipeline,
            "getPipeline",
            "/v1/pipelines/{pipeline}",
            "A pipeline: its newest runs, and what serves where",
        )
        .gives::<deployments::PipelineView>(),
        get(
            Verb::ShowCommit,
            "getCommit",
            "/v1/commits/{commit}",
            "A commit: its runs, where it serves, and what took its place where it does no more",
        )
        .gives::<deployments::CommitView>(),
    ]
}
