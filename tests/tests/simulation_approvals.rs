//! Stories of what people are shown when they are asked to approve a deploy.

use jiff::SignedDuration;
use pushway_core::approval::ApprovalRequest;
use pushway_core::commits::{CommitLine, CommitList, CommitRange, Way};
use pushway_core::ids::{CommitSha, RunId};
use pushway_core::run::Status;
use pushway_core::scheduled::Starter;
use pushway_core::testing::{Injected, World};
use pushway_core::wait::Subject;
use pushway_tests::sim::people::{get, post};
use pushway_tests::sim::story::{PIPELINE, Story, image_of, old_image, parse};
use serde_json::json;

const ASK: &str = "approval: { required: 1, timeout: 8h }";

fn asking() -> String {
    format!("{PIPELINE}    {ASK}\n")
}

fn asks(world: &World, id: RunId) -> bool {
    let subject = |subject: &Subject| matches!(subject, Subject::Approval { run, .. } if *run == id);
    world.open_waits().iter().any(|wait| subject(&wait.subject))
}

/// Pushes a commit, and plays until people are asked.
fn ask(story: &mut Story, commit: &CommitSha) -> RunId {
    let run = story.push("main", commit);
    story.sim.run_until(|world| asks(world, run));
    run
}

fn asked(story: &mut Story) -> (CommitSha, RunId) {
    story.world().advance(SignedDuration::from_secs(1));
    let commit = story.commit_with(&[("pushway.yml", &asking())]);
    let run = ask(story, &commit);
    (commit, run)
}

fn request(story: &Story, run: RunId) -> ApprovalRequest {
    story.run(run).environments[0].approval.clone().expect("it asks").request
}

/// Consents, and plays to the end, which is a good one.
fn approve(story: &mut Story, run: RunId) {
    let digest = request(story, run).digest;
    let path = format!("/v1/runs/{run}/environments/staging/approve");
    assert_eq!(post(&story.world(), "ada", &path, &json!({ "digest": digest })).0, 200);
    story.sim.run();
    story.check();
    assert_eq!(story.run(run).status, Status::Succeeded, "{:?}", story.run(run).cause);
}

#[test]
fn an_approval_shows_what_serves_and_the_pushes_since() {
    let mut story = Story::new();
    let first = story.commit();
    let deployed = story.play_commit(&first);
    story.world().advance(SignedDuration::from_secs(1));
    let between = story.commit_with(&[("pushway.yml", &PIPELINE.replace("unit: {", "other: {"))]);
    let failing = pushway_core::testing::BuildScript::FailsIn("BUILD".into(), "exit status 1".into());
    story.world().script_build(pushway_core::fact::JobStage::Test, "other", None, failing);
    assert_eq!(story.play_commit(&between).status, Status::Failed);
    let (commit, run) = asked(&mut story);
    let request = request(&story, run);
    let serving = request.serving.unwrap();
    assert_eq!((serving.run, &serving.commit), (deployed.id, &first));
    assert_eq!(serving.images["web"], image_of(&first));
    let pushes: Vec<_> = request.pushes.iter().map(|push| push.commit.clone()).collect();
    assert_eq!(pushes, [commit, between]);
    assert_eq!(request.pushes[0].author, "Ada");
    approve(&mut story, run);
}

fn between(coming: &[(&CommitSha, &str)], leaving: &[(&CommitSha, &str)]) -> CommitRange {
    let list = |commits: &[(&CommitSha, &str)]| {
        CommitList::of(commits.iter().map(|(id, message)| CommitLine::new((*id).clone(), message, "Ada")))
    };
    CommitRange::between(list(coming), list(leaving)).expect("something lies between")
}

#[test]
fn an_approval_shows_the_commits_and_what_changes_of_the_task_definition() {
    let mut story = Story::new();
    let pipeline =
        |more: &str| PIPELINE.replace("service: web, ", "service: web, task_definition: web.json, ") + more;
    let definition = |cpu: &str, colour: &str| {
        let env = json!([{ "name": "COLOUR", "value": colour }]);
        json!({
            "family": "web", "cpu": cpu, "containerDefinitions": [{ "name": "web", "environment": env }],
        })
        .to_string()
    };
    let old = definition("256", "hunter2");
    let first = story.commit_with(&[("pushway.yml", &pipeline("")), ("web.json", &old)]);
    assert_eq!(story.play_commit(&first).status, Status::Succeeded);
    story.world().advance(SignedDuration::from_secs(1));
    let new = definition("512\n+ 1234567 Nothing", "hunter3");
    let asking = pipeline(&format!("    {ASK}\n"));
    let commit = story.commit_with(&[("pushway.yml", &asking), ("web.json", &new)]);
    let merged: CommitSha = parse(&"7".repeat(40));
    story.world().set_commits(
        &first,
        &commit,
        between(&[(&commit, "Merge"), (&merged, "Paint\n\nblue")], &[]),
    );
    let run = ask(&mut story, &commit);

    let (_, listed) = get(&story.world(), "/v1/approvals");
    let request = &listed["approvals"][0]["approval"]["request"];
    assert_eq!(request["commits"]["way"], "forward");
    let coming = &request["commits"]["coming"];
    assert_eq!((&coming[0]["message"], &coming[1]["message"]), (&json!("Merge"), &json!("Paint")));
    assert_eq!((&coming[1]["commit"], &coming[1]["author"]), (&json!(merged), &json!("Ada")));
    let images = format!("web: image: {} → {}", image_of(&first), image_of(&commit));
    assert_eq!(
        request["changes"],
        json!(["cpu: 256 → 512 + 1234567 Nothing", images, "web: variable COLOUR changed"])
    );
    assert_eq!(request.get("notes"), None);
    assert!(!listed.to_string().contains("hunter"), "no value of a variable is kept");
    let shown = get(&story.world(), &format!("/v1/runs/{run}")).1;
    assert_eq!(&shown["environments"][0]["approval"]["request"], request, "the run keeps it");
    approve(&mut story, run);
}

#[test]
fn an_approval_compares_with_what_really_serves_and_says_when_a_deploy_goes_back() {
    let mut story = Story::new();
    let first = story.commit();
    story.play_commit(&first);
    // Someone has moved the service past Pushway.
    let theirs = story.world().define_by_hand("theirs", &old_image());
    story.world().with_service("demo", "web", |service| {
        for rollout in &mut service.rollouts {
            rollout.task_definition.clone_from(&theirs);
        }
    });
    story.world().advance(SignedDuration::from_secs(1));
    let commit = story.commit_with(&[("pushway.yml", &asking())]);
    story.world().set_commits(&first, &commit, between(&[], &[(&first, "Newer")]));
    let run = ask(&mut story, &commit);
    let request = request(&story, run);
    let commits = request.commits.unwrap();
    assert_eq!((commits.way, commits.leaving[0].message.as_str()), (Way::Backward, "Newer"));
    assert_eq!(request.changes.unwrap(), [format!("web: image: {} → {}", old_image(), image_of(&commit))]);
}

#[test]
fn f42_a_forge_or_an_account_that_is_down_keeps_no_question_back() {
    for what in [Injected::Retryable, Injected::Permanent, Injected::Limited(3600)] {
        let mut story = Story::new();
        let first = story.commit();
        story.play_commit(&first);
        for verb in ["commits", "serving_definition"] {
            story.world().inject_on(verb, 99, what);
        }
        let (commit, run) = asked(&mut story);
        let request = request(&story, run);
        assert_eq!((&request.commits, &request.changes), (&None, &None), "{what:?}");
        let [commits, definitions] = &request.notes[..] else { panic!("{:?}", request.notes) };
        assert!(commits.contains("only the pushes") && commits.contains("was made to fail"), "{commits}");
        assert!(definitions.contains("could not be compared"), "{definitions}");
        assert_eq!(request.pushes[0].commit, commit);
        approve(&mut story, run);
    }
}

#[test]
fn an_approval_of_a_first_deploy_says_what_can_not_be_compared() {
    let mut story = Story::new();
    let (_, run) = asked(&mut story);
    let request = request(&story, run);
    assert_eq!((request.serving, request.commits), (None, None));
    // The service is there, whoever made it.
    assert!(request.changes.unwrap()[0].starts_with("web: image: "));
}

#[test]
fn an_approval_of_a_scheduled_task_compares_with_the_revision_that_is_started() {
    let mut story = Story::new();
    let starter = Starter::Rule { bus: Starter::DEFAULT.into(), name: "nightly".into(), target: None };
    story.world().add_starter(starter, &old_image());
    let (head, _) = PIPELINE.split_once("      ecs: {").expect("a service");
    let task = "ecs_scheduled_task: { rule: nightly, images: { web: \"${build.image.IMAGE}\" } }";
    let commit = story.commit_with(&[("pushway.yml", &format!("{head}      {task}\n    {ASK}\n"))]);
    let run = ask(&mut story, &commit);
    let request = request(&story, run);
    assert_eq!(request.changes.unwrap(), [format!("web: image: {} → {}", old_image(), image_of(&commit))]);
    assert_eq!(request.notes, [""; 0]);
    approve(&mut story, run);
}
