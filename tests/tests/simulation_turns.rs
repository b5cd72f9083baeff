//! Runs of one branch: side by side, one after another, or the newest only; jobs that need others; several
//! pipelines; path filters; schedules and images; code that nobody has merged.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use pushway_core::fact::{Fact, JobStage};
use pushway_core::forge::Changes;
use pushway_core::ids::{CommitSha, RunId};
use pushway_core::run::{Run, Status};
use pushway_core::source::{Trigger, Zone};
use pushway_core::testing::{BuildScript, Injected};
use pushway_tests::sim::invoke;
use pushway_tests::sim::people;
use pushway_tests::sim::pull_request::{known, opened};
use pushway_tests::sim::story::{PIPELINE, Post, SECRET, Story, push_body};
use serde_json::{Value, json};

/// Pushes a commit that follows another, as GitHub tells it.
fn push(story: &mut Story, n: u32, before: Option<&CommitSha>, commit: &CommitSha) -> RunId {
    let mut body = push_body("main", commit);
    if let Some(before) = before {
        body["before"] = json!(before);
    }
    story
        .send(&Post::github("push", &format!("p-{n}"), &body.to_string(), SECRET))
        .expect("it is taken")
        .run()
}

fn with(concurrency: &str) -> String {
    PIPELINE.replace("build:\n", &format!("concurrency: {concurrency}\nbuild:\n"))
}

fn fails() -> BuildScript {
    BuildScript::FailsIn("BUILD".into(), "exit status 1".into())
}

/// How many jobs of a run were ever started.
fn started(run: &Run) -> usize {
    run.jobs.iter().filter(|job| job.attempt > 0).count()
}

#[test]
fn a_superseded_pipeline_stops_the_older_push_and_deploys_the_newer() {
    let mut story = Story::new();
    let file = with("superseded");
    let (old, new) =
        (story.commit_with(&[("pushway.yml", &file)]), story.commit_with(&[("pushway.yml", &file)]));
    let first = push(&mut story, 1, None, &old);
    story.sim.run_until(|world| world.runs().iter().any(|run| run.status == Status::Building));
    let second = push(&mut story, 2, Some(&old), &new);
    story.sim.run();
    story.check();
    let (first, second) = (story.run(first), story.run(second));
    assert_eq!((first.status, second.status), (Status::Superseded, Status::Succeeded));
    assert_eq!(first.superseded_by, Some(second.id));
    let stopped = story.world().builds().into_iter().find(|build| build.request.run == first.id).unwrap();
    assert!(stopped.was_stopped, "its build costs no more money");
}

#[test]
fn a_run_that_deploys_is_never_stopped_by_a_newer_push() {
    let mut story = Story::new();
    let file = with("superseded");
    let (old, new) =
        (story.commit_with(&[("pushway.yml", &file)]), story.commit_with(&[("pushway.yml", &file)]));
    let first = push(&mut story, 1, None, &old);
    story.sim.run_until(|world| world.runs().iter().any(|run| run.status == Status::Deploying));
    let second = push(&mut story, 2, Some(&old), &new);
    story.sim.run();
    story.check();
    assert_eq!(story.run(first).status, Status::Succeeded);
    assert_eq!(story.run(second).status, Status::Succeeded);
}

#[test]
fn a_queued_pipeline_builds_one_push_after_another_and_says_behind_whom_it_waits() {
    let mut story = Story::new();
    let file = with("queued");
    let commits: Vec<CommitSha> = (0..3).map(|_| story.commit_with(&[("pushway.yml", &file)])).collect();
    let first = push(&mut story, 0, None, &commits[0]);
    story.sim.run_until(|world| world.runs().iter().any(|run| run.status == Status::Building));
    let second = push(&mut story, 1, Some(&commits[0]), &commits[1]);
    let third = push(&mut story, 2, Some(&commits[1]), &commits[2]);
    story.sim.run_for(SignedDuration::from_secs(2));
    assert_eq!((started(&story.run(second)), started(&story.run(third))), (0, 0));
    assert_eq!(story.run(second).queued_behind, Some(first));
    story.sim.run();
    story.check();
    let journal = |run| story.world().stored_journal(run);
    let began = |run| journal(run).iter().find(|e| matches!(e.fact, Fact::JobStarted { .. })).unwrap().at;
    let tested = |run| journal(run).iter().rfind(|e| matches!(e.fact, Fact::JobEnded { .. })).unwrap().at;
    for (before, after) in [(first, second), (second, third)] {
        assert!(tested(before) <= began(after), "{after} began while {before} built");
        assert_eq!(story.run(after).status, Status::Succeeded);
    }
}

#[test]
fn a_run_that_dies_in_its_lane_lets_the_next_one_go_on() {
    let mut story = Story::new();
    let file = with("queued");
    let (old, new) =
        (story.commit_with(&[("pushway.yml", &file)]), story.commit_with(&[("pushway.yml", &file)]));
    let first = push(&mut story, 1, None, &old);
    story.sim.run_until(|world| world.runs().iter().any(|run| run.status == Status::Building));
    story.sim.kill_executions();
    let second = push(&mut story, 2, Some(&old), &new);
    story.sim.run();
    story.check();
    assert_eq!((story.run(first).status, story.run(second).status), (Status::Failed, Status::Succeeded));
}

const NEEDS: &str = r"version: 1
pipeline: web
on: { push: { branches: [main] } }
build:
  bundle: { buildspec: buildspec.yml, needs: [lib, docs] }
  docs: { buildspec: buildspec.yml }
  lib: { buildspec: buildspec.yml }
test:
  unit: { buildspec: ci/unit.yml }
";

#[test]
fn a_job_begins_when_all_that_it_needs_has_succeeded() {
    let mut story = Story::new();
    story.world().script_build(JobStage::Build, "lib", None, BuildScript::Succeeds(BTreeMap::new()));
    let commit = story.commit_with(&[("pushway.yml", NEEDS)]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    let journal = story.world().stored_journal(run.id);
    let at = |wanted: &dyn Fn(&Fact) -> bool| journal.iter().position(|entry| wanted(&entry.fact)).unwrap();
    let began = at(&|fact| matches!(fact, Fact::JobStarted { job, .. } if job.name.as_str() == "bundle"));
    for needed in ["lib", "docs"] {
        assert!(
            at(&|fact| matches!(fact, Fact::JobEnded { job, .. } if job.name.as_str() == needed)) < began
        );
    }
}

#[test]
fn a_job_that_needs_a_failed_one_never_begins() {
    let mut story = Story::new();
    story.world().script_build(JobStage::Build, "lib", None, fails());
    let commit = story.commit_with(&[("pushway.yml", NEEDS)]);
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Failed);
    let bundle = run.jobs.iter().find(|state| state.job.name.as_str() == "bundle").unwrap();
    assert_eq!(bundle.attempt, 0);
    assert!(run.cause.unwrap().stage.contains("lib"));
}

#[test]
fn an_overtaken_run_leaves_no_job_waiting_even_if_who_overtook_it_died_half_way() {
    for dies_at in ["stop_build", "fail", "close"] {
        let mut story = Story::new();
        let file = NEEDS.replace("build:", "concurrency: superseded\nbuild:");
        let commits = [(); 2].map(|()| story.commit_with(&[("pushway.yml", &file)]));
        let first = push(&mut story, 1, None, &commits[0]);
        story.sim.run_until(|world| world.stored_run(first).is_some_and(|run| started(&run) == 2));
        let second = push(&mut story, 2, Some(&commits[0]), &commits[1]);
        story.world().inject_on(dies_at, 1, Injected::DiesBefore);
        story.sim.run();
        story.check();
        let statuses = (story.run(first).status, story.run(second).status);
        assert_eq!(statuses, (Status::Superseded, Status::Succeeded), "{dies_at}");
        let journal = story.world().stored_journal(first);
        let lasted = journal.last().unwrap().at.duration_since(journal[0].at);
        assert!(lasted < SignedDuration::from_mins(30), "{dies_at}: it hung for {lasted}");
    }
}

fn pipeline(name: &str, on: &str) -> String {
    format!("version: 1\npipeline: {name}\non: {on}\ntest:\n  unit: {{ buildspec: ci/unit.yml }}\n")
}

#[test]
fn one_push_starts_each_pipeline_that_asks_for_it_and_says_why_not_the_others() {
    let mut story = Story::new();
    let main = pipeline("web", "{ push: { branches: [main] } }");
    let nightly = pipeline("nightly", "{ schedule: [\"cron(0 6 * * ? *)\"] }");
    let commit = story.commit_with(&[
        (".pushway/api.yml", &pipeline("api", "{ push: { branches: [main] } }")),
        (".pushway/broken.yml", "version: 1\npipeline: broken\nonn: {}\n"),
        (".pushway/nightly.yml", &nightly),
        (".pushway/web.yml", &main),
        (".pushway/readme.md", "no pipeline"),
    ]);
    let root = story.push("main", &commit);
    story.sim.run();
    story.check();
    let mut outcomes: Vec<(Option<String>, Status)> = (story.world().runs().iter())
        .map(|run| (run.pipeline.as_ref().map(ToString::to_string), run.status))
        .collect();
    outcomes.sort_by_key(|(name, _)| name.clone());
    let expected =
        [(None, Status::Rejected), (Some("api"), Status::Succeeded), (Some("web"), Status::Succeeded)];
    assert_eq!(outcomes, expected.map(|(name, status)| (name.map(str::to_owned), status)));
    let rule = story.run(root).started_by.unwrap();
    assert!(rule.contains(".pushway/nightly.yml"), "{rule}");
    let children = story.world().runs().into_iter().filter(|run| run.source.parent == Some(root));
    assert_eq!(children.count(), 2);
}

const PATHS: &str = r#"version: 1
pipeline: web
on: { push: { branches: [main], paths: ["web/**"] } }
test:
  unit: { buildspec: ci/unit.yml }
"#;

#[test]
fn a_red_build_is_not_turned_green_by_an_unrelated_push() {
    let mut story = Story::new();
    let commits: Vec<CommitSha> = (0..4).map(|_| story.commit_with(&[("pushway.yml", PATHS)])).collect();
    let changed = |files: &[&str]| Changes::Files(files.iter().map(ToString::to_string).collect());
    let world = story.world();
    world.set_changes(&commits[0], &commits[1], changed(&["web/app.rs"]));
    world.set_changes(&commits[0], &commits[2], changed(&["web/app.rs", "docs/a.md"]));
    world.set_changes(&commits[2], &commits[3], changed(&["docs/b.md"]));
    let mut statuses = Vec::new();
    for (n, commit) in commits.iter().enumerate() {
        let script = if n == 1 { fails() } else { BuildScript::Succeeds(BTreeMap::new()) };
        world.script_build(JobStage::Test, "unit", None, script);
        let before = n.checked_sub(1).map(|before| &commits[before]);
        let id = push(&mut story, u32::try_from(n).unwrap(), before, commit);
        story.sim.run();
        statuses.push(story.run(id).status);
    }
    // The third touches docs only, but nothing under web/ has been green since the second changed it.
    assert_eq!(statuses, [Status::Succeeded, Status::Failed, Status::Succeeded, Status::Ignored]);
    story.check();
}

#[test]
fn a_commit_that_asks_for_no_run_gets_none() {
    let mut story = Story::new();
    let commit = story.commit();
    let mut body = push_body("main", &commit);
    body["head_commit"]["message"] = json!("words\n\nbody [Skip CI] here");
    let run = story.send(&Post::github("push", "s", &body.to_string(), SECRET)).unwrap().run();
    story.sim.run();
    assert_eq!(story.run(run).status, Status::Ignored);
    assert!(story.run(run).ignored_by.unwrap().contains("[skip ci]"));
}

#[test]
fn a_schedule_of_the_default_branch_runs_its_head_once_each_time() {
    let mut story = Story::new();
    let file = pipeline("nightly", "{ push: { branches: [main] }, schedule: [\"rate(1 hour)\"] }");
    let commit = story.commit_with(&[("pushway.yml", &file)]);
    story.push("main", &commit);
    story.sim.run();
    story.sim.run_for(SignedDuration::from_hours(3));
    story.sim.run();
    story.check();
    let runs = story.world().runs();
    let scheduled: Vec<&Run> =
        runs.iter().filter(|run| matches!(run.source.trigger, Trigger::Schedule { .. })).collect();
    assert_eq!(scheduled.len(), 3);
    for run in scheduled {
        assert_eq!((run.status, &run.source.commit), (Status::Succeeded, &commit));
    }
}

#[test]
fn a_pushed_image_starts_the_pipelines_that_ask_for_it_with_its_digest() {
    let mut story = Story::new();
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let web = pipeline("web", "{ push: { branches: [main] } }");
    let base = "version: 1\npipeline: base\non: { image: { repository: base/rust, tags: [\"1.*\"] } }\n\
                test:\n  unit: { buildspec: ci/unit.yml, env: { BASE: \"${image.uri}\" } }\n";
    let commit = story.commit_with(&[("pushway.yml", &web), (".pushway/base.yml", base)]);
    story.push("main", &commit);
    story.sim.run();
    assert_eq!(story.world().runs().len(), 1, "a push has no image, and the file of images wants none of it");
    let event: Value =
        serde_json::from_str(&pushway_tests::repository::text("events/ecr/push.json")).unwrap();
    assert!(event["detail"]["image-digest"].as_str().unwrap().ends_with(digest));
    for _ in 0..2 {
        invoke(&story.world(), "push", event.clone()).unwrap();
    }
    story.sim.run();
    story.check();
    let runs = story.world().runs();
    let of_image: Vec<&Run> =
        runs.iter().filter(|run| matches!(run.source.trigger, Trigger::Image { .. })).collect();
    assert_eq!(of_image.len(), 1, "the event was told twice");
    assert_eq!((of_image[0].status, &of_image[0].source.commit), (Status::Succeeded, &commit));
}

const PULLED: &str = r#"version: 1
pipeline: web
on:
  push: { branches: [main] }
  pull_request: { branches: [main] }
build:
  image: { buildspec: buildspec.yml, outputs: [IMAGE], secrets: { TOKEN: "secretsmanager:build/npm" } }
environments:
  - name: staging
    deploy:
      ecs: { cluster: demo, service: web, images: { web: "${build.image.IMAGE}" }, timeout: 10m }
    validate:
      - http: { url: "http://web.example.com/healthz", attempts: 5, need: 2, interval: 1s }
"#;

fn approve(story: &Story, commit: &CommitSha) -> (u64, Value) {
    let path = "/v1/repositories/github/web/pull-requests/7/approve";
    people::post(&story.world(), "ada", path, &json!({ "commit": commit }))
}

#[test]
fn a19_a21_code_that_nobody_has_merged_gets_no_secret_no_deploy_and_the_base_branchs_pipeline() {
    let mut story = Story::new();
    let base = story.commit_with(&[("pushway.yml", PULLED)]);
    // The request changes the pipeline file too: to a job that would print a secret, and a deploy.
    let evil = PULLED.replace("image:", "stolen:").replace("build.image", "build.stolen");
    let head = story.commit_with(&[("pushway.yml", &evil)]);
    let run = story.send(&opened(&story, &base, &head, false)).unwrap().run();
    story.sim.run();
    story.check();
    let run = story.run(run);
    assert_eq!((run.status, run.source.zone()), (Status::Succeeded, Zone::Untrusted), "{:?}", run.cause);
    let builds = story.world().builds();
    assert_eq!(builds.len(), 1);
    assert_eq!(builds[0].request.job.name.as_str(), "image", "the file of the base branch counts");
    assert_eq!(builds[0].request.commit, head);
    assert_eq!(builds[0].request.zone, Zone::Untrusted);
    assert!(builds[0].request.plan.secrets.is_empty() && run.environments.is_empty());
}

#[test]
fn a20_a_fork_is_built_only_at_the_very_commit_that_someone_has_read() {
    let mut story = Story::new();
    let base = story.commit_with(&[("pushway.yml", PULLED)]);
    let (read, pushed_since) = (story.commit_with(&[]), story.commit_with(&[]));
    let run = story.send(&opened(&story, &base, &read, true)).unwrap().run();
    story.sim.run();
    let told = story.run(run);
    assert_eq!(told.status, Status::Ignored);
    assert!(told.ignored_by.as_ref().unwrap().contains(read.as_str()), "{:?}", told.ignored_by);
    // Pushed to after it was read: the approval of what was read lets nothing else in.
    known(&story, &base, &pushed_since, true);
    let (status, problem) = approve(&story, &read);
    assert_eq!(status, 409, "{problem}");
    assert_eq!(story.world().builds().len(), 0);
    let (status, started) = approve(&story, &pushed_since);
    assert_eq!(status, 202, "{started}");
    story.sim.run();
    story.check();
    let builds = story.world().builds();
    assert_eq!(builds.len(), 1);
    assert_eq!((&builds[0].request.commit, builds[0].request.zone), (&pushed_since, Zone::Untrusted));
    // Approving again is no second build.
    assert_eq!(approve(&story, &pushed_since), (202, started));
    story.sim.run();
    assert_eq!(story.world().builds().len(), 1);
}

#[test]
fn f42_a_forge_that_asks_to_slow_down_only_makes_a_run_later() {
    let mut story = Story::new();
    let commit = story.commit();
    story.world().inject_on("file", 4, Injected::Limited(300));
    let run = story.play_commit(&commit);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
}

#[test]
fn two_pipelines_share_a_branch_without_taking_each_others_turn() {
    let mut story = Story::new();
    let queued = |name: &str| pipeline(name, "{ push: { branches: [main] } }\nconcurrency: queued");
    let commit = story.commit_with(&[(".pushway/a.yml", &queued("a")), (".pushway/b.yml", &queued("b"))]);
    story.push("main", &commit);
    story.sim.run();
    story.check();
    assert_eq!(story.world().runs().iter().filter(|run| run.status == Status::Succeeded).count(), 2);
}
