//! The figures of runs: noted once by whoever tells of them, whatever dies on the way, and without touching a run.

use jiff::SignedDuration;
use pushway_core::figures::{Figures, Outcome};
use pushway_core::ids::{CommitSha, RunId};
use pushway_core::run::{Run, Status};
use pushway_core::testing::{Behaviour, BuildScript, Injected};
use pushway_tests::sim::invoke;
use pushway_tests::sim::story::{PIPELINE, Story};
use serde_json::{Value, json};

fn tell(story: &Story, run: RunId) -> Value {
    let record = json!({ "eventName": "MODIFY", "dynamodb": {
        "Keys": { "pk": { "S": format!("RUN#{run}") }, "sk": { "S": "META" } }, "SequenceNumber": "7",
    } });
    invoke(&story.world(), "notify", json!({ "Records": [record] })).unwrap_or_else(|_| json!("died"))
}

fn figures(story: &Story, run: RunId) -> Option<Figures> {
    story.world().stored_figures().into_iter().find(|figures| figures.run == run)
}

/// Pushes this commit a while after whatever was before, plays to the end, and tells of it.
fn play(story: &mut Story, commit: &CommitSha) -> Run {
    story.world().advance(SignedDuration::from_mins(10));
    let run = story.play_commit(commit);
    assert_eq!(tell(story, run.id)["batchItemFailures"], json!([]));
    run
}

#[test]
fn a_run_that_is_over_has_figures_once_and_they_are_small() {
    let mut story = Story::new();
    let commit = story.commit();
    let id = story.push("main", &commit);
    story.sim.run_until(|world| world.stored_run(id).is_some_and(|run| run.status == Status::Deploying));
    tell(&story, id);
    assert_eq!(figures(&story, id), None, "it goes on");
    story.sim.run();
    let run = story.run(id);
    tell(&story, id);
    let noted = figures(&story, id).expect("it is over");
    assert_eq!((noted.status, noted.environments[0].outcome), (Status::Succeeded, Outcome::Deployed));
    assert_eq!(noted.environments[0].leads.len(), 1, "the first version brings itself alone");
    assert!(noted.build_seconds >= 80 && noted.queue_seconds == 16, "{noted:?}");
    assert!(serde_json::to_string(&noted).unwrap().len() < 1_024, "{noted:?}");
    // Later, with another record beside it, nothing of it changes.
    let next = story.commit();
    play(&mut story, &next);
    tell(&story, id);
    assert_eq!(figures(&story, id), Some(noted));
    assert_eq!(story.run(id), run, "the run is as it was");
}

#[test]
fn f9_a_teller_that_dies_over_figures_is_followed_by_another() {
    for at in ["put_figures", "journal", "plan", "environment", "list"] {
        for what in [Injected::DiesBefore, Injected::DiesAfter, Injected::Retryable, Injected::Permanent] {
            let mut story = Story::new();
            let run = story.play();
            story.world().inject_on(at, 1, what);
            let first = tell(&story, run.id);
            if matches!(what, Injected::Retryable | Injected::Permanent) {
                assert_eq!(
                    first["batchItemFailures"][0]["itemIdentifier"], "7",
                    "{at}: it is handed over again"
                );
            }
            tell(&story, run.id);
            assert_eq!(story.world().stored_figures().len(), 1, "{at} {what:?}");
            assert_eq!(story.run(run.id), run);
        }
    }
}

#[test]
fn a_deployment_brings_the_pushes_that_went_no_further_before_it() {
    let mut story = Story::new();
    let first = story.commit();
    assert_eq!(play(&mut story, &first).status, Status::Succeeded);
    // One that fails its test, one that is rolled back, and then a good one.
    let failing = BuildScript::FailsIn("BUILD".into(), "exit status 1".into());
    let red = story.commit_with(&[("pushway.yml", &PIPELINE.replace("unit: {", "other: {"))]);
    story.world().script_build(pushway_core::fact::JobStage::Test, "other", None, failing);
    assert_eq!(play(&mut story, &red).status, Status::Failed);
    let sick = story.commit();
    story.image_does(&sick, Behaviour::Sick(500));
    let rolled_back = play(&mut story, &sick);
    let undone = figures(&story, rolled_back.id).unwrap().environments.remove(0);
    assert_eq!((undone.outcome, undone.leads.len()), (Outcome::RolledBack, 0));
    assert!(undone.at > undone.began_at);
    let good = story.commit();
    let run = play(&mut story, &good);
    let leads = figures(&story, run.id).unwrap().environments.remove(0).leads;
    assert_eq!(leads.len(), 3, "{leads:?}");
    assert!(leads.is_sorted() && leads[1] >= leads[0] + 600 && leads[2] >= leads[1] + 600, "{leads:?}");
    // What failed before it was let near an environment has touched none.
    let red = story.world().stored_figures().into_iter().find(|figures| figures.status == Status::Failed);
    assert_eq!(red.unwrap().environments, []);
}
