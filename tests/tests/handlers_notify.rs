//! What is told of runs: commit statuses and news, and sinks that fail (rows F41, F42).

use jiff::SignedDuration;
use pushway_core::forge::CheckState;
use pushway_core::ids::{CommitSha, RunId};
use pushway_core::run::Status;
use pushway_core::testing::{BuildScript, Injected, World};
use pushway_tests::sim::invoke;
use pushway_tests::sim::people::post;
use pushway_tests::sim::story::{PIPELINE, Story};
use serde_json::{Value, json};

/// A batch of the table's stream that says these runs have changed.
fn batch(runs: &[RunId]) -> Value {
    let record = |(n, run): (usize, &RunId)| {
        json!({ "eventName": "MODIFY", "dynamodb": {
            "Keys": { "pk": { "S": format!("RUN#{run}") }, "sk": { "S": "META" } }, "SequenceNumber": n.to_string(),
        } })
    };
    json!({ "Records": runs.iter().enumerate().map(record).collect::<Vec<_>>() })
}

fn tell(story: &Story, runs: &[RunId]) -> Value {
    invoke(&story.world(), "notify", batch(runs)).expect("it never fails")
}

/// What the forge shows of a commit by now: the last status of each context.
fn shown(world: &World, commit: &CommitSha) -> Vec<(String, CheckState)> {
    let mut last = std::collections::BTreeMap::new();
    for (_, status) in world.posted_statuses().into_iter().filter(|(of, _)| of == commit) {
        last.insert(status.context, status.state);
    }
    last.into_iter().collect()
}

#[test]
fn each_stage_has_a_status_that_follows_the_run_and_none_is_posted_twice() {
    let mut story = Story::new();
    let commit = story.commit();
    let run = story.push("main", &commit);
    tell(&story, &[run]);
    assert_eq!(shown(&story.world(), &commit), [], "nothing is known of it yet");
    for status in [Status::Building, Status::Testing, Status::Deploying] {
        story.sim.run_until(|world| world.stored_run(run).is_some_and(|run| run.status == status));
        tell(&story, &[run, run]);
    }
    assert!(shown(&story.world(), &commit).contains(&("pushway/web/staging".into(), CheckState::Pending)));
    story.sim.run();
    tell(&story, &[run]);
    let expected = ["pushway/web", "pushway/web/build", "pushway/web/staging", "pushway/web/test"];
    assert_eq!(
        shown(&story.world(), &commit),
        expected.map(|context| (context.to_owned(), CheckState::Success))
    );
    let posted = story.world().posted_statuses().len();
    tell(&story, &[run]);
    assert_eq!(story.world().posted_statuses().len(), posted, "what is shown is not said again");
    let url = story.world().posted_statuses()[0].1.url.clone();
    assert_eq!(url, Some(format!("https://pushway.example.com/runs/{run}")));
    let announced: Vec<Status> = story.world().announced().iter().map(|news| news.run.status).collect();
    assert_eq!(announced.last(), Some(&Status::Succeeded));
    assert_eq!(announced.len(), 5, "each status once: {announced:?}");
}

#[test]
fn a_failing_job_is_named_where_people_look_at_the_commit() {
    let mut story = Story::new();
    let fails = BuildScript::FailsIn("BUILD".into(), "exit status 1".into());
    story.world().script_build(pushway_core::fact::JobStage::Test, "unit", None, fails);
    let run = story.play();
    tell(&story, &[run.id]);
    let states = shown(&story.world(), &run.source.commit);
    assert!(states.contains(&("pushway/web/build".into(), CheckState::Success)));
    assert!(states.contains(&("pushway/web/test".into(), CheckState::Failure)));
    assert!(states.contains(&("pushway/web".into(), CheckState::Failure)));
    let (_, whole) =
        story.world().posted_statuses().into_iter().find(|(_, s)| s.context == "pushway/web").unwrap();
    assert!(
        whole.description.contains("test/unit") && whole.description.len() <= 140,
        "{}",
        whole.description
    );
}

#[test]
fn f41_a_sink_that_fails_for_hours_touches_no_run_and_is_told_when_it_is_back() {
    let mut story = Story::new();
    story.world().inject_on("post_status", 20, Injected::Permanent);
    story.world().inject_on("announce", 20, Injected::Retryable);
    let run = story.play();
    assert_eq!(tell(&story, &[run.id]), json!({ "batchItemFailures": [] }), "the stream goes on");
    assert_eq!(story.run(run.id).status, Status::Succeeded);
    let notice = story.world().stored_notice(run.id).unwrap();
    assert!(notice.next_at.is_some() && notice.problem.is_some());
    story.sim.run_for(SignedDuration::from_hours(20));
    assert_eq!(shown(&story.world(), &run.source.commit).len(), 4);
    assert_eq!(story.world().announced().last().unwrap().run.status, Status::Succeeded);
    assert_eq!(story.world().stored_notice(run.id).unwrap().next_at, None);
    story.check();
}

#[test]
fn f41_a_sink_that_never_comes_back_is_given_up_after_a_day() {
    let mut story = Story::new();
    story.world().inject_on("post_status", 10_000, Injected::Retryable);
    let run = story.play();
    tell(&story, &[run.id]);
    story.sim.run_for(SignedDuration::from_hours(26));
    let notice = story.world().stored_notice(run.id).unwrap();
    assert_eq!(notice.next_at, None);
    assert!(notice.problem.is_some() && (20..120).contains(&notice.failures), "{}", notice.failures);
    let calls = story.world().calls().iter().filter(|call| call.verb == "post_status").count();
    story.sim.run_for(SignedDuration::from_hours(26));
    let later = story.world().calls().iter().filter(|call| call.verb == "post_status").count();
    assert_eq!(calls, later, "it is left in peace");
}

#[test]
fn f42_a_forge_that_asks_to_slow_down_is_not_asked_before_its_time() {
    let mut story = Story::new();
    let run = story.play();
    story.world().inject_on("post_status", 1, Injected::Limited(3_000));
    tell(&story, &[run.id]);
    story.sim.run_for(SignedDuration::from_secs(2_900));
    assert_eq!(shown(&story.world(), &run.source.commit), []);
    tell(&story, &[run.id]);
    assert_eq!(shown(&story.world(), &run.source.commit), [], "news of the run does not change it");
    story.sim.run_for(SignedDuration::from_secs(200));
    assert_eq!(shown(&story.world(), &run.source.commit).len(), 4);
}

#[test]
fn f42_a_rate_limit_pauses_the_reconciliation_of_that_hook_alone_and_is_shown() {
    let mut story = Story::new();
    let hook = pushway_tests::sim::story::hook();
    story.world().reconcile_from_now(&hook);
    story.world().inject_on("branches", 1, Injected::Limited(1_800));
    story.sim.run_for(SignedDuration::from_mins(25));
    let known = story.world().stored_reconciliation(&hook).unwrap();
    assert!(known.problem.unwrap().contains("1800 s"));
    assert_eq!(known.reconciled_at, None);
    story.sim.run_for(SignedDuration::from_mins(10));
    let known = story.world().stored_reconciliation(&hook).unwrap();
    assert!(known.problem.is_none() && known.reconciled_at.is_some());
    assert_eq!(story.sim.troubles, Vec::<String>::new());
}

#[test]
fn an_ignored_push_shows_nothing_beside_its_commit() {
    let mut story = Story::new();
    let commit = story.commit();
    let run = story.push("wip/x", &commit);
    story.sim.run();
    assert_eq!(story.run(run).status, Status::Ignored);
    tell(&story, &[run]);
    assert_eq!((shown(&story.world(), &commit), story.world().announced().len()), (Vec::new(), 0));
}

#[test]
fn f9_a_teller_that_dies_is_followed_by_another() {
    for at in ["post_status", "put_notice", "announce"] {
        for what in [Injected::DiesBefore, Injected::DiesAfter] {
            let mut story = Story::new();
            let run = story.play();
            story.world().inject_on(at, 1, what);
            assert!(invoke(&story.world(), "notify", batch(&[run.id])).is_err(), "{at} {what:?}");
            story.sim.run_for(SignedDuration::from_mins(4));
            tell(&story, &[run.id]);
            let expected = ["pushway/web", "pushway/web/build", "pushway/web/staging", "pushway/web/test"];
            let shown = shown(&story.world(), &run.source.commit);
            let expected = expected.map(|context| (context.to_owned(), CheckState::Success));
            assert_eq!(shown, expected, "{at} {what:?}");
            let announced = story.world().announced();
            assert_eq!(announced.last().expect("it is told").run.status, Status::Succeeded, "{at} {what:?}");
        }
    }
}

#[test]
fn what_the_stream_gave_up_on_is_told_and_noted_within_the_hour() {
    let mut story = Story::new();
    let run = story.play();
    story.sim.run_for(SignedDuration::from_mins(90));
    assert_eq!(shown(&story.world(), &run.source.commit).len(), 4);
    assert_eq!(story.world().announced().last().expect("it is told").run.status, Status::Succeeded);
    assert_eq!(story.world().stored_figures().len(), 1);
    // What is told already costs a look and no more, and what ended long ago not even that.
    let told = (story.world().posted_statuses().len(), story.world().announced().len());
    story.sim.run_for(SignedDuration::from_hours(5));
    assert_eq!((story.world().posted_statuses().len(), story.world().announced().len()), told);
    let looks = |story: &Story| story.world().calls().iter().filter(|call| call.verb == "notice").count();
    let before = looks(&story);
    story.sim.run_for(SignedDuration::from_hours(2));
    assert_eq!(looks(&story), before);
}

#[test]
fn a_late_word_of_an_older_run_is_not_shown_over_a_newer_one_of_the_same_commit() {
    let mut story = Story::new();
    let fails = BuildScript::FailsIn("BUILD".into(), "exit status 1".into());
    story.world().script_build(pushway_core::fact::JobStage::Test, "unit", None, fails);
    let red = story.play();
    assert_eq!(red.status, Status::Failed);
    // The forge takes nothing while the first one is told of; then a retry is good.
    story.world().inject_on("post_status", 1, Injected::Limited(1_200));
    tell(&story, &[red.id]);
    let good = BuildScript::Succeeds(std::collections::BTreeMap::new());
    story.world().script_build(pushway_core::fact::JobStage::Test, "unit", None, good);
    let path = format!("/v1/runs/{}/retry", red.id);
    let (_, answer) = post(&story.world(), "ada", &path, &json!({ "from": "start" }));
    let again: RunId = answer["run_id"].as_str().expect("a run").parse().expect("an id");
    story.sim.run();
    assert_eq!(story.run(again).status, Status::Succeeded, "{:?}", story.run(again).cause);
    tell(&story, &[again]);
    story.sim.run_for(SignedDuration::from_mins(45));
    assert_eq!(story.world().stored_notice(red.id).expect("it was told of").next_at, None, "it is done with");
    let shown = shown(&story.world(), &red.source.commit);
    assert!(shown.len() == 4 && shown.iter().all(|(_, state)| *state == CheckState::Success), "{shown:?}");
}

#[test]
fn an_environment_that_is_named_like_a_stage_has_a_status_of_its_own() {
    let mut story = Story::new();
    let commit = story.commit_with(&[("pushway.yml", &PIPELINE.replace("name: staging", "name: test"))]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    tell(&story, &[run.id]);
    let contexts = ["pushway/web", "pushway/web/build", "pushway/web/environment/test", "pushway/web/test"];
    let expected = contexts.map(|context| (context.to_owned(), CheckState::Success));
    assert_eq!(shown(&story.world(), &commit), expected);
}
