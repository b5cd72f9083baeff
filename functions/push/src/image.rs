//! An image pushed to ECR: one run of each pipeline whose file on the default branch asks for it.

use pushway_core::delivery::{ecr, made_id};
use pushway_core::intake::{Wish, take_wish};
use pushway_core::ports::{
    BranchRecords, Clock, Deliveries, DeliveryOutcome, Fault, Heads, Random, ReadRuns, StartExecutions,
    SubscriptionRecords,
};
use pushway_core::source::Trigger;
use serde_json::Value;

pub(crate) async fn start<P>(ports: &P, event: Value) -> Result<Vec<DeliveryOutcome>, Fault>
where
    P: Heads + BranchRecords + ReadRuns + SubscriptionRecords + Deliveries + StartExecutions + Clock + Random,
{
    let claim = ecr::parse(event).map_err(|malformed| Fault::Permanent(malformed.to_string()))?;
    let image = claim.image().map_err(|malformed| Fault::Permanent(malformed.to_string()))?;
    let mut outcomes = Vec::new();
    for hook in ports.image_subscribers(&claim.repository).await? {
        let Some(wanted) = ports.subscriptions(&hook).await? else { continue };
        for file in wanted.files.iter().filter(|file| file.images.contains(&claim.repository)) {
            let trigger = Trigger::Image {
                repository: claim.repository.clone(),
                image: image.clone(),
                tag: claim.tag.clone(),
            };
            let wish = Wish {
                delivery: made_id("image", &[claim.delivery.as_str(), file.file.as_str()]),
                git_ref: wanted.git_ref.clone(),
                commit: None,
                trigger,
                file: Some(file.file.clone()),
            };
            if let Some(taken) = take_wish(ports, &hook, wish).await? {
                outcomes.push(crate::outcome(taken)?);
            }
        }
    }
    tracing::info!(repository = claim.repository, runs = outcomes.len(), "image pushed");
    Ok(outcomes)
}
