//! Stories of deploys whose definitions lie in the repository.

use pushway_core::run::{Run, Status};
use pushway_core::testing::{Behaviour, Injected};
use pushway_tests::sim::story::{PIPELINE, Story, image_of, old_image};
use serde_json::{Value, json};

/// The usual pipeline with a task definition of its own.
fn pipeline() -> String {
    PIPELINE.replace("service: web, ", "service: web, task_definition: ecs/web.json, ")
}

fn definition(change: impl FnOnce(&mut Value)) -> String {
    let mut definition = json!({
        "family": "web", "cpu": "256", "memory": "512", "networkMode": "awsvpc",
        "containerDefinitions": [{ "name": "web", "environment": [{ "name": "COLOUR", "value": "red" }] }],
    });
    change(&mut definition);
    definition.to_string()
}

fn cause(run: &Run) -> String {
    let cause = run.cause.as_ref().unwrap_or_else(|| panic!("{} has no cause", run.status));
    format!("{}: {}", cause.stage, cause.summary)
}

fn play(story: &mut Story, definition: &str, behaviour: Behaviour) -> Run {
    let commit = story.commit_with(&[("pushway.yml", &pipeline()), ("ecs/web.json", definition)]);
    story.image_does(&commit, behaviour);
    story.play_commit(&commit)
}

fn registered(story: &Story, run: &Run) -> Value {
    let rollout = run.environments[0].rollout.as_ref().expect("it was prepared");
    let revision = &rollout.task_definition;
    story.world().registered(revision).unwrap_or_else(|| panic!("{revision} is a copy")).1
}

#[test]
fn a_definition_of_the_repository_changes_size_and_environment_with_the_image() {
    let mut story = Story::new();
    let run = play(&mut story, &definition(|_| ()), Behaviour::Healthy);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    assert_eq!(registered(&story, &run)["cpu"], "256");
    let larger = definition(|definition| {
        definition["cpu"] = json!(512);
        definition["containerDefinitions"][0]["environment"][0]["value"] = json!("blue");
        definition["revision"] = json!(7);
    });
    let run = play(&mut story, &larger, Behaviour::Healthy);
    let registered = registered(&story, &run);
    assert_eq!((&registered["cpu"], registered.get("revision")), (&json!("512"), None));
    assert_eq!(registered["containerDefinitions"][0]["environment"][0]["value"], "blue");
    let images = &run.environments[0].rollout.as_ref().unwrap().images;
    assert_eq!(images["web"], image_of(&run.source.commit));
    assert_eq!(story.serving(), [image_of(&run.source.commit).digest().to_string()]);
    // Without the file the last revision is copied, as ever.
    assert_eq!(story.play().status, Status::Succeeded);
    assert_eq!((story.world().done("register_file"), story.world().done("register")), (2, 1));
}

#[test]
fn a_rollback_brings_back_the_old_definition_too() {
    let mut story = Story::new();
    let good = play(&mut story, &definition(|_| ()), Behaviour::Healthy);
    let good = good.environments[0].rollout.as_ref().unwrap().task_definition.clone();
    let other = definition(|definition| definition["cpu"] = json!("1024"));
    let run = play(&mut story, &other, Behaviour::Sick(500));
    assert_eq!(run.status, Status::RolledBack);
    assert_eq!(story.service().primary_definition(), Some(good.as_str()));
}

#[test]
fn a_definition_that_can_not_be_used_is_rejected_before_anything_is_built() {
    let cases = [
        (None, "the commit has no file ecs/web.json"),
        (Some("{ \"family\": ".to_owned()), "ecs/web.json: the file is not JSON"),
        (
            Some(definition(|definition| definition["containerDefinitions"][0]["name"] = json!("api"))),
            "no container \"web\", only api",
        ),
        (
            Some(definition(|definition| {
                let containers = definition["containerDefinitions"].as_array_mut().unwrap();
                containers.push(json!({ "name": "side" }));
            })),
            "container \"side\" has no image",
        ),
    ];
    for (file, words) in cases {
        let mut story = Story::new();
        let pipeline = pipeline();
        let mut files = vec![("pushway.yml", pipeline.as_str())];
        files.extend(file.iter().map(|file| ("ecs/web.json", file.as_str())));
        let commit = story.commit_with(&files);
        let run = story.play_commit(&commit);
        assert_eq!(run.status, Status::Rejected, "{words}");
        assert!(
            cause(&run).starts_with("environment staging: ") && cause(&run).contains(words),
            "{}",
            cause(&run)
        );
        assert!(story.world().builds().is_empty(), "it was built");
    }
}

#[test]
fn definitions_that_are_too_large_together_are_rejected() {
    let mut story = Story::new();
    let padded = definition(|definition| {
        definition["containerDefinitions"][0]["command"] = json!(["x".repeat(60_000)]);
    });
    let environment = &pipeline()[pipeline().find("  - name: staging").unwrap()..];
    let more: String = (0..2).map(|n| environment.replace("staging", &format!("e{n}"))).collect();
    let pipeline = pipeline() + &more;
    let commit = story.commit_with(&[("pushway.yml", &pipeline), ("ecs/web.json", &padded)]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Rejected, "{:?}", run.cause);
    assert!(cause(&run).contains("at most 160 KiB"), "{}", cause(&run));
}

#[test]
fn f14_f28_a_crash_at_any_call_of_a_deploy_from_a_file_ends_with_one_rollout() {
    let calls = {
        let mut story = Story::new();
        play(&mut story, &definition(|_| ()), Behaviour::Healthy);
        story.world().call_count()
    };
    for number in 0..calls {
        for what in [Injected::DiesBefore, Injected::DiesAfter] {
            let mut story = Story::new();
            let commit =
                story.commit_with(&[("pushway.yml", &pipeline()), ("ecs/web.json", &definition(|_| ()))]);
            let post = story.post_of("main", &commit);
            story.world().inject_at(number, what);
            // A forge that gets no answer delivers again.
            if story.send(&post).is_err() {
                story.send(&post).unwrap();
            }
            story.sim.run();
            story.check();
            let run = story.world().runs()[0].clone();
            assert_eq!(run.status, Status::Succeeded, "{what:?} at call {number}: {:?}", run.cause);
            assert_eq!(story.movers(), ["pushway"], "{what:?} at call {number}");
            assert_ne!(story.serving(), [old_image().digest().to_string()]);
        }
    }
}

/// The same with a service that does not exist yet.
fn creating() -> String {
    PIPELINE.replace(
        "service: web, ",
        "service: fresh, task_definition: ecs/web.json, service_definition: ecs/service.json, ",
    )
}

fn create(behaviour: Behaviour, before: &str, service: &Value) -> (Story, Run) {
    let mut story = Story::new();
    story.world().add_url("web.example.com", "demo", "fresh");
    let commit = story.commit_with(&[
        ("pushway.yml", &(creating() + before)),
        ("ecs/web.json", &definition(|_| ())),
        ("ecs/service.json", &service.to_string()),
    ]);
    story.image_does(&commit, behaviour);
    let run = story.play_commit(&commit);
    (story, run)
}

#[test]
fn a_service_that_does_not_exist_is_created_once_and_then_moved() {
    let service = json!({ "serviceName": "other", "desiredCount": 2, "launchType": "FARGATE" });
    let (mut story, run) = create(Behaviour::Healthy, "", &service);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    let created = story.world().fake_service("demo", "fresh").expect("it was created");
    assert_eq!((created.desired, created.moves.len()), (2, 1));
    assert!(run.findings[0].text.contains("will be created"), "{:?}", run.findings);
    // What exists is moved, and its tasks are not counted again.
    story.world().with_service("demo", "fresh", |service| service.desired = 7);
    let commit = story.commit_with(&[
        ("pushway.yml", &creating()),
        ("ecs/web.json", &definition(|_| ())),
        ("ecs/service.json", &service.to_string()),
    ]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    assert_eq!(story.world().done("create_service"), 1);
    assert_eq!(story.world().fake_service("demo", "fresh").unwrap().desired, 7);
}

#[test]
fn f30_a_created_service_that_crashes_has_nothing_to_go_back_to() {
    let (_, run) = create(Behaviour::Crashes(3), "", &json!({}));
    assert_eq!(run.status, Status::FailedNoBaseline, "{:?}", run.cause);
}

#[test]
fn a_migration_runs_before_its_service_is_created() {
    let before = "    before: [ { ecs_task: { command: [./migrate] } } ]\n";
    let service = json!({ "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } } });
    let (story, run) = create(Behaviour::Healthy, before, &service);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    let [task] = &story.world().fake_tasks()[..] else { panic!("one task") };
    let network = &task.request.definition.as_ref().unwrap()["networkConfiguration"];
    assert_eq!(network["awsvpcConfiguration"]["subnets"][0], "subnet-1");
}

#[test]
fn a_service_without_tasks_is_never_created() {
    let (story, run) = create(Behaviour::Healthy, "", &json!({ "desiredCount": 0 }));
    assert_eq!(run.status, Status::Rejected);
    assert!(cause(&run).contains("ecs/service.json: `desiredCount`"), "{}", cause(&run));
    assert_eq!(story.world().done("create_service"), 0);
}

#[test]
fn f28_a_crash_at_any_call_creates_one_service() {
    let service = json!({ "desiredCount": 1 });
    let calls = create(Behaviour::Healthy, "", &service).0.world().call_count();
    for number in 0..calls {
        for what in [Injected::DiesBefore, Injected::DiesAfter, Injected::AnswerLost] {
            let mut story = Story::new();
            story.world().add_url("web.example.com", "demo", "fresh");
            let commit = story.commit_with(&[
                ("pushway.yml", &creating()),
                ("ecs/web.json", &definition(|_| ())),
                ("ecs/service.json", &service.to_string()),
            ]);
            let post = story.post_of("main", &commit);
            story.world().inject_at(number, what);
            if story.send(&post).is_err() || story.world().runs().is_empty() {
                story.send(&post).unwrap();
            }
            story.sim.run();
            story.check();
            let run = story.world().runs()[0].clone();
            assert_eq!(run.status, Status::Succeeded, "{what:?} at call {number}: {:?}", run.cause);
            let moves = story.world().fake_service("demo", "fresh").unwrap().moves;
            assert_eq!(moves.len(), 1, "{what:?} at call {number}: {moves:?}");
        }
    }
}
