//! Pushes told by events: believed only as far as the repository itself bears them out.

use pushway_core::ports::{DeliveryOutcome, HeadView};
use pushway_core::run::Status;
use pushway_core::source::{Hook, Provider};
use pushway_tests::sim::invoke;
use pushway_tests::sim::story::{Story, hook, parse};
use serde_json::{Value, json};

fn codecommit() -> Story {
    let story = Story::new();
    story.world().add_hook(Hook {
        id: parse("web.repo"),
        provider: Provider::Codecommit,
        repository: "web.repo".into(),
        repository_id: None,
        secret: None,
        ..hook()
    });
    story
}

fn reference_changed(commit: &str, event: &str) -> Value {
    json!({
        "id": format!("event-{event}-{}", &commit[..8]), "source": "aws.codecommit",
        "detail-type": "CodeCommit Repository State Change",
        "detail": {
            "event": event, "repositoryName": "web.repo", "repositoryId": "u-u-i-d", "referenceType": "branch",
            "referenceName": "main", "referenceFullName": "refs/heads/main", "commitId": commit,
        },
    })
}

#[test]
fn a_codecommit_event_is_believed_only_as_far_as_the_branch_says_so() {
    let mut story = codecommit();
    let commit = story.commit();
    let head = HeadView { commit: commit.clone(), message: "m".into(), author: "Ada".into() };
    story.world().set_head(&parse("refs/heads/main"), Some(head));
    let deleted =
        invoke(&story.world(), "push", reference_changed(commit.as_str(), "referenceDeleted")).unwrap();
    assert!(deleted[0]["ignored"].as_str().unwrap().contains("deleted"), "{deleted}");
    assert_eq!(story.world().runs(), []);
    // An event that claims another commit than the branch has: late, or put by someone. What runs is where the
    // branch is (F10), and the event that tells of that comes to nothing more.
    let stale =
        invoke(&story.world(), "push", reference_changed(&"e".repeat(40), "referenceUpdated")).unwrap();
    story.sim.run();
    let event = reference_changed(commit.as_str(), "referenceUpdated");
    let told = invoke(&story.world(), "push", event.clone()).unwrap();
    assert_eq!(invoke(&story.world(), "push", event).unwrap(), told, "the same event twice is one");
    story.sim.run();
    story.check();
    let runs = story.world().runs();
    assert_eq!(stale, json!([DeliveryOutcome::Run(runs[0].id)]));
    assert_eq!((runs[0].status, &runs[0].source.commit), (Status::Succeeded, &commit));
    assert_eq!((runs.len(), told), (1, stale));
}

#[test]
fn a_codecommit_event_of_a_repository_that_is_not_connected_starts_nothing() {
    let story = Story::new();
    let outcome =
        invoke(&story.world(), "push", reference_changed(&"e".repeat(40), "referenceUpdated")).unwrap();
    assert!(outcome[0]["ignored"].as_str().unwrap().contains("not connected"));
    assert_eq!((story.world().runs().len(), story.world().delivery_count()), (0, 0));
}
