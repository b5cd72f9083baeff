//! Stories of builds made for `CodePipeline`, which leave files behind that name their images.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use pushway_core::fact::JobStage;
use pushway_core::ids::{CommitSha, ImageDigestRef};
use pushway_core::image_file::{ImageFile, MAX_IMAGE_FILE_BYTES, MAX_IMAGES};
use pushway_core::ports::Clock as _;
use pushway_core::run::{Run, Status};
use pushway_core::scheduled::Starter;
use pushway_core::testing::{Behaviour, BuildScript, Injected, digest_of};
use pushway_tests::sim::every_call::{at_every_call, push};
use pushway_tests::sim::story::{PIPELINE, Story, old_image, parse};
use pushway_tests::sim::{Events, people};
use serde_json::json;

/// The registry that the world looks tags up in.
const REGISTRY: &str = "111122223333.dkr.ecr.eu-central-1.amazonaws.com";
const DEFINITIONS: &str = "${build.image.imagedefinitions.json}";
const BY_TAG: &str = r#"[{"name": "web", "imageUri": "REGISTRY/web:{commit}"}]"#;

/// The usual pipeline as one writes it for a buildspec of before: no outputs.
fn pipeline(images: &str) -> String {
    let without = PIPELINE.replace(", outputs: [IMAGE]", "");
    without.replace(r#"images: { web: "${build.image.IMAGE}" }"#, &format!("images: {images}"))
}

/// Builds leave this file behind.
fn leaves(story: &Story, file: ImageFile, text: &str) {
    let files = BTreeMap::from([(file.name().to_owned(), text.replace("REGISTRY", REGISTRY))]);
    story.world().script_build(JobStage::Build, "image", None, BuildScript::Leaves(files));
}

fn image_of(commit: &CommitSha) -> ImageDigestRef {
    parse(&format!("{REGISTRY}/web@{}", digest_of(commit)))
}

/// A commit whose build pushes its image under the commit's own tag.
fn commit(story: &mut Story, pipeline: &str, files: &[(&str, &str)]) -> CommitSha {
    let files: Vec<_> = [("pushway.yml", pipeline)].into_iter().chain(files.iter().copied()).collect();
    let commit = story.commit_with(&files);
    story.world().set_tag(&format!("{REGISTRY}/web:{commit}"), &parse(&digest_of(&commit)));
    commit
}

fn play(file: ImageFile, text: &str, pipeline: &str) -> (Story, Run) {
    let mut story = Story::new();
    leaves(&story, file, text);
    let commit = commit(&mut story, pipeline, &[]);
    let run = story.play_commit(&commit);
    (story, run)
}

fn cause(run: &Run) -> String {
    let cause = run.cause.as_ref().unwrap_or_else(|| panic!("{} has no cause", run.status));
    format!("{}: {} ({})", cause.stage, cause.summary, cause.advice)
}

#[test]
fn a42_the_tag_of_an_imagedefinitions_file_is_pinned_when_the_build_ends_and_moves_nothing_later() {
    let mut story = Story::new();
    leaves(&story, ImageFile::Definitions, BY_TAG);
    let commit = commit(&mut story, &pipeline(&format!("\"{DEFINITIONS}\"")), &[]);
    let id = story.push("main", &commit);
    story.sim.run_until(|world| world.builds().len() == 2);
    // While the tests run, someone pushes something else under the same tag.
    story.world().set_tag(&format!("{REGISTRY}/web:{commit}"), &parse(&format!("sha256:{}", "e".repeat(64))));
    story.sim.run();
    story.check();
    let run = story.run(id);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    assert_eq!(run.environments[0].rollout.as_ref().unwrap().images["web"], image_of(&commit));
    assert_eq!(story.serving(), [digest_of(&commit)]);
    // The tests know what they test.
    let builds = story.world().builds();
    let unit = builds.iter().find(|build| build.request.job.name.as_str() == "unit").unwrap();
    assert_eq!(unit.request.variables["PUSHWAY_BUILD_IMAGE_IMAGE_WEB"], image_of(&commit).to_string());
    assert_eq!(unit.request.plan.image_files, [], "nobody asks the tests for an image");
}

#[test]
fn an_imagedetail_file_gives_one_container_its_image_in_place_of_a_placeholder() {
    let mut story = Story::new();
    let source = json!({
        "ImageURI": format!("{REGISTRY}/web:{{commit}}"), "ImageDigest": "sha256:x", "RepositoryName": "web",
    });
    leaves(&story, ImageFile::Detail, &source.to_string());
    let pipeline = pipeline(r#"{ web: "${build.image.imageDetail.json}" }, task_definition: taskdef.json"#);
    let definition =
        r#"{"family": "web", "containerDefinitions": [{"name": "web", "image": "<IMAGE1_NAME>"}]}"#;
    let commit = commit(&mut story, &pipeline, &[("taskdef.json", definition)]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    assert_eq!(story.serving(), [digest_of(&commit)]);
    let builds = story.world().builds();
    let unit = builds.iter().find(|build| build.request.job.name.as_str() == "unit").unwrap();
    assert_eq!(unit.request.variables["PUSHWAY_BUILD_IMAGE_IMAGE"], image_of(&commit).to_string());
}

#[test]
fn one_build_may_leave_both_files_for_different_environments() {
    let mut story = Story::new();
    let files = [
        (ImageFile::Definitions, BY_TAG.replace("REGISTRY", REGISTRY)),
        (ImageFile::Detail, json!({ "ImageURI": format!("{REGISTRY}/web@{{digest}}") }).to_string()),
    ];
    let files = files.map(|(file, text)| (file.name().to_owned(), text)).into();
    story.world().script_build(JobStage::Build, "image", None, BuildScript::Leaves(files));
    let both = format!(
        "{}{}",
        pipeline(r#"{ web: "${build.image.imageDetail.json}" }"#),
        "  - name: production\n    deploy: { ecs: { cluster: demo, service: live, images: \"${build.image.imagedefinitions.json}\" } }\n",
    );
    story.world().add_service("demo", "live", &old_image());
    let commit = commit(&mut story, &both, &[]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    for environment in &run.environments {
        assert_eq!(environment.rollout.as_ref().unwrap().images["web"], image_of(&commit));
    }
    assert_eq!(story.world().done("tag"), 1, "what is named by digest is not asked about");
}

#[test]
fn a_scheduled_task_takes_its_images_from_a_file_as_well() {
    let nightly = format!(
        "{}  - name: nightly\n    deploy: {{ ecs_scheduled_task: {{ rule: nightly, images: \"{DEFINITIONS}\" }} }}\n",
        PIPELINE.split_once("environments:").unwrap().0.to_owned() + "environments:\n",
    );
    for (text, status) in [(BY_TAG, Status::Succeeded), (&BY_TAG.replace("web\",", "wbe\","), Status::Failed)]
    {
        let mut story = Story::new();
        leaves(&story, ImageFile::Definitions, text);
        let rule = Starter::Rule { bus: Starter::DEFAULT.into(), name: "nightly".into(), target: None };
        story.world().add_starter(rule, &old_image());
        let commit = commit(&mut story, &nightly.replace(", outputs: [IMAGE]", ""), &[]);
        let run = story.play_commit(&commit);
        assert_eq!(run.status, status, "{:?}", run.cause);
        if status == Status::Succeeded {
            assert_eq!(run.environments[0].rollout.as_ref().unwrap().images["web"], image_of(&commit));
        } else {
            let words = "\"wbe\", and rule nightly of environment nightly has only web";
            assert!(cause(&run).contains(words), "{}", cause(&run));
        }
    }
}

#[test]
fn what_the_file_names_is_approved_rolled_back_and_brought_back_by_hand() {
    let approved = pipeline(&format!("\"{DEFINITIONS}\""))
        .replace("  - name: staging\n", "  - name: staging\n    approval: { timeout: 1h }\n");
    let mut story = Story::new();
    leaves(&story, ImageFile::Definitions, BY_TAG);
    let first = commit(&mut story, &approved, &[]);
    let id = story.push("main", &first);
    story.sim.run_until(|world| {
        world.stored_run(id).is_some_and(|run| run.environments.iter().any(|e| e.approval.is_some()))
    });
    let asked = story.run(id).environments[0].approval.clone().unwrap();
    assert_eq!(asked.request.images["web"], image_of(&first));
    let (status, answer) = people::post(
        &story.world(),
        "ada",
        &format!("/v1/runs/{id}/environments/staging/approve"),
        &json!({ "digest": asked.request.digest }),
    );
    assert_eq!(status, 200, "{answer}");
    story.sim.run();
    assert_eq!(story.run(id).status, Status::Succeeded, "{:?}", story.run(id).cause);

    // A sick one goes back to it, by digest.
    let second = commit(&mut story, &pipeline(&format!("\"{DEFINITIONS}\"")), &[]);
    story.world().set_behaviour(&image_of(&second), Behaviour::Sick(500));
    assert_eq!(story.play_commit(&second).status, Status::RolledBack);
    assert_eq!(story.serving(), [digest_of(&first)]);

    // A good one, and back by hand: the plan of the rollback asks no build for a file.
    let third = commit(&mut story, &pipeline(&format!("\"{DEFINITIONS}\"")), &[]);
    assert_eq!(story.play_commit(&third).status, Status::Succeeded);
    let builds = story.world().builds().len();
    story.world().advance(SignedDuration::from_secs(1));
    let (status, answer) = people::post(
        &story.world(),
        "ada",
        "/v1/environments/web/staging/rollback",
        &json!({ "to": id, "reason": "as it was" }),
    );
    assert!(status < 300, "{status} {answer}");
    story.sim.run();
    story.check();
    assert_eq!(story.serving(), [digest_of(&first)]);
    assert_eq!(story.world().builds().len(), builds, "nothing is built");
}

#[test]
fn what_a_file_can_not_mean_fails_the_build_before_anything_is_tested() {
    let definitions = pipeline(&format!("\"{DEFINITIONS}\""));
    let many: Vec<_> =
        (0..=MAX_IMAGES).map(|n| json!({ "name": format!("c{n}"), "imageUri": "web:1" })).collect();
    let (many, large) = (json!(many).to_string(), " ".repeat(MAX_IMAGE_FILE_BYTES + 1));
    for (text, words) in [
        ("[", "is not what CodePipeline takes"),
        ("[]", "names no image"),
        (&many, "at most 10 containers"),
        (&large, "larger than 100 KiB"),
        (r#"[{"name": "web", "imageUri": "REGISTRY/web:absent"}]"#, "push it before the build ends"),
        (
            r#"[{"name": "web", "imageUri": "ghcr.io/team/web:1"}]"#,
            "write the digest that `docker push` prints",
        ),
        (r#"[{"name": "web", "imageUri": "nginx"}]"#, "docker.io/nginx:latest is named by its tag"),
        (
            r#"[{"name": "wbe", "imageUri": "REGISTRY/web:{commit}"}]"#,
            "\"wbe\", and service \"web\" of environment staging has only web",
        ),
    ] {
        let (story, run) = play(ImageFile::Definitions, text, &definitions);
        assert_eq!(run.status, Status::Failed, "{words}");
        let told = cause(&run);
        assert!(told.starts_with("build/image: ") && told.contains(words), "{words}: {told}");
        assert_eq!(story.world().builds().len(), 1, "{words}: nothing was tested");
        assert_eq!(story.serving(), [old_image().digest().to_string()], "{words}");
    }
    // A build that leaves other files behind, or none.
    let (_, run) = play(ImageFile::Detail, "{}", &definitions);
    assert!(cause(&run).contains("no imagedefinitions.json among its artifacts"), "{}", cause(&run));
    let detail = pipeline(r#"{ web: "${build.image.imageDetail.json}" }"#);
    let (_, run) = play(ImageFile::Detail, r#"{"imageUri": "web:1"}"#, &detail);
    assert!(cause(&run).contains("ImageURI"), "{}", cause(&run));
}

#[test]
fn a_container_that_the_file_leaves_without_an_image_fails_the_build() {
    let mut story = Story::new();
    leaves(&story, ImageFile::Definitions, BY_TAG);
    let pipeline = pipeline(&format!("\"{DEFINITIONS}\", task_definition: taskdef.json"));
    let definition = r#"{"family": "web", "containerDefinitions": [
        {"name": "web", "image": "<IMAGE1_NAME>"}, {"name": "side", "image": "<IMAGE2_NAME>"}]}"#;
    let commit = commit(&mut story, &pipeline, &[("taskdef.json", definition)]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Failed);
    assert!(cause(&run).contains("\"side\", which has the placeholder <IMAGE2_NAME>"), "{}", cause(&run));
}

#[test]
fn a_placeholder_that_nothing_replaces_is_rejected_before_anything_is_built() {
    let mut story = Story::new();
    let pipeline = PIPELINE.replace("service: web, ", "service: web, task_definition: taskdef.json, ");
    let definition = r#"{"family": "web", "containerDefinitions": [
        {"name": "web", "image": "<IMAGE1_NAME>"}, {"name": "side", "image": "<IMAGE2_NAME>"}]}"#;
    let commit = story.commit_with(&[("pushway.yml", &pipeline), ("taskdef.json", definition)]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Rejected);
    assert!(cause(&run).contains("\"side\" has the placeholder <IMAGE2_NAME>"), "{}", cause(&run));
    assert!(story.world().builds().is_empty());
}

#[test]
fn a_registry_that_is_away_costs_time_and_one_that_refuses_is_told() {
    let definitions = pipeline(&format!("\"{DEFINITIONS}\""));
    for (verb, what, status) in [
        ("tag", Injected::Retryable, Status::Succeeded),
        ("artifact", Injected::Retryable, Status::Succeeded),
        ("tag", Injected::Permanent, Status::Failed),
        ("artifact", Injected::Permanent, Status::Failed),
    ] {
        let mut story = Story::new();
        leaves(&story, ImageFile::Definitions, BY_TAG);
        story.world().inject_on(verb, 1, what);
        let commit = commit(&mut story, &definitions, &[]);
        let run = story.play_commit(&commit);
        assert_eq!(run.status, status, "{verb} {what:?}: {:?}", run.cause);
        if status == Status::Failed {
            assert!(cause(&run).contains("could not be read"), "{}", cause(&run));
        }
    }
}

#[test]
fn f29_a_bucket_that_stays_away_is_not_waited_for_for_ever() {
    let mut story = Story::new();
    leaves(&story, ImageFile::Definitions, BY_TAG);
    story.world().inject_on("artifact", 1_000, Injected::Retryable);
    let commit = commit(&mut story, &pipeline(&format!("\"{DEFINITIONS}\"")), &[]);
    let begun = story.world().now();
    let run = story.play_commit(&commit);
    assert_eq!((run.status, story.world().builds().len()), (Status::Failed, 1), "{:?}", run.cause);
    let took = story.world().now().duration_since(begun);
    assert!(took < SignedDuration::from_hours(1), "{took}");
}

#[test]
fn a_build_that_is_tried_again_leaves_its_file_in_a_folder_of_its_own() {
    let mut story = Story::new();
    leaves(&story, ImageFile::Definitions, BY_TAG);
    let world = story.world();
    let bad = BTreeMap::from([("imagedefinitions.json".to_owned(), "[]".to_owned())]);
    world.script_build(JobStage::Build, "image", Some(1), BuildScript::Leaves(bad));
    let retried = pipeline(&format!("\"{DEFINITIONS}\"")).replace("timeout: 20m", "timeout: 20m, retries: 1");
    let commit = commit(&mut story, &retried, &[]);
    assert_eq!(story.play_commit(&commit).status, Status::Succeeded);
    let read = world.calls().into_iter().filter(|call| call.verb == "artifact").map(|call| call.about);
    let (first, second): (Vec<_>, Vec<_>) = read.partition(|key| key.contains("/build-image-1/"));
    assert!(
        !first.is_empty() && second.iter().all(|key| key.contains("/build-image-2/artifact/")),
        "{second:?}"
    );
}

#[test]
fn f11_f28_a_file_that_names_images_survives_a_fault_at_every_call() {
    fn scenario(story: &mut Story) {
        leaves(story, ImageFile::Definitions, BY_TAG);
        let commit = commit(story, &pipeline(&format!("\"{DEFINITIONS}\"")), &[]);
        push(story, &commit);
    }
    at_every_call(scenario, &[Status::Succeeded], Events::Once, &Injected::ALL);
}
