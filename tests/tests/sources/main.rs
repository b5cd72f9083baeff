//! Every source of pushes, end to end: the installation as it is deployed, on an emulator that enforces IAM;
//! each provider's own deliveries through the HTTP API; a fake of its REST API; builds that really fetch.
//!
//! One test, because it is one installation. Nothing is deployed to by these pipelines: that is `story.rs`.
//! Where people would wait for minutes, the times in the table are set back and the sweep is woken.
//! `cargo xtask test` builds the programs that it uses.

mod events;
mod git;
mod installation;
mod webhooks;

use pushway_core::source::Provider;

use crate::installation::Installation;

#[tokio::test(flavor = "multi_thread")]
async fn each_provider_starts_runs_by_its_own_deliveries_and_is_told_how_they_end() {
    let codecommit = events::Codecommit::start().await;
    let at = Installation::start(&codecommit.endpoint()).await;
    for provider in [Provider::Github, Provider::Gitlab, Provider::Bitbucket, Provider::Gitea] {
        webhooks::story(&at, provider).await;
    }
    events::story(&at, &codecommit).await;
}
