//! Functions that run at the same moment: every call of one may fall between any two calls of another.
//!
//! The world's calls give way once before they act; a random schedule polls the racing handlers, and the
//! story goes on from wherever they have left it. Its invariants hold, and it comes to its usual end.

use std::task::{Context, Poll};

use jiff::SignedDuration;
use proptest::prelude::*;
use pushway_core::contract::{EnvironmentTask, JobInput, LockInput, RunInput, errors};
use pushway_core::fact::{Cause, DeployFailure, DeployFailureKind, Fact, JobEnd, JobId, JobStage};
use pushway_core::ids::RunId;
use pushway_core::ports::{Clock as _, Environments as _};
use pushway_core::run::{JobState, Status, Stop};
use pushway_core::settle::{self, record};
use pushway_core::source::{Hook, Provider};
use pushway_core::testing::{Behaviour, BuildScript, TokenState, World};
use pushway_core::wait::{Subject, Wait, Work};
use pushway_tests::sim::race::{Racer, race};
use pushway_tests::sim::story::{PIPELINE, Post, SECRET, Story, hook, old_image, parse, push_body};
use pushway_tests::sim::{Events, block_on};
use serde_json::{Value, json};

fn sweep(world: &World) -> Racer<'_> {
    Box::pin(async { assert_eq!(sweep::handle(world, None, json!({})).await.expect("it sweeps").failed, 0) })
}

fn build_completed(world: &World, build: String) -> Racer<'_> {
    Box::pin(async move {
        let event = json!({ "detail": { "build-id": format!("arn:aws:codebuild:r:a:build/{build}") } });
        build_completed::handle(world, event).await.expect("it settles");
    })
}

/// A settler that has read the build when its log was a line shorter, and dies before it answers.
fn saw_another_log(world: &World, run: RunId) -> Racer<'_> {
    let job = JobId { stage: JobStage::Build, name: parse("image") };
    let cause = Cause::new("build/image", "no luck", "push again").with_evidence(["half a log".to_owned()]);
    let end = JobEnd { failure: Some(cause), will_retry: true, ..JobEnd::default() };
    Box::pin(async move {
        // Whether it is first is for the schedule to say.
        let _ = record(world, run, Fact::JobEnded { job, attempt: 1, end }).await;
    })
}

fn deploy_progress(world: &World, service: String) -> Racer<'_> {
    Box::pin(async move {
        let event: Value =
            json!({ "detail-type": "ECS Deployment State Change", "resources": [service], "detail": {} });
        deploy_progress::handle(world, event).await.expect("it settles");
    })
}

fn stop(world: &World, run: RunId) -> Racer<'_> {
    let wish = Stop { by: "ada".into(), reason: "wrong branch".into() };
    Box::pin(async move {
        settle::stop(world, run, wish).await.expect("it is recorded").expect("there is something to stop");
    })
}

/// The first racer goes so many steps alone.
fn after(head_start: usize, schedule: Vec<u8>) -> Vec<u8> {
    std::iter::repeat_n(0, head_start).chain(schedule).collect()
}

fn schedules() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0u8..3, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn f9_f13_two_events_and_the_sweep_settle_one_build_once(schedule in schedules()) {
        let mut story = Story::new();
        story.sim.events = Events::Lost;
        let commit = story.commit();
        let id = story.push("main", &commit);
        story.sim.run_until(|world| world.builds().len() == 1);
        let world = story.world();
        world.advance(SignedDuration::from_secs(50));
        let build = world.builds()[0].id.clone();
        let racers = vec![build_completed(&world, build.clone()), sweep(&world), build_completed(&world, build)];
        race(&world, racers, &schedule);
        prop_assert_eq!(world.answered(), 1);
        story.sim.run();
        story.check();
        prop_assert_eq!(story.run(id).status, Status::Succeeded);
    }

    #[test]
    fn f13_a_settler_that_saw_another_log_does_not_take_the_retry_away(schedule in schedules()) {
        let mut story = Story::new();
        story.sim.events = Events::Lost;
        let pipeline = PIPELINE.replacen("buildspec: buildspec.yml", "buildspec: buildspec.yml, retries: 1", 1);
        let failing = BuildScript::FailsIn("BUILD".into(), "no luck".into());
        story.world().script_build(JobStage::Build, "image", Some(1), failing);
        let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
        let id = story.push("main", &commit);
        story.sim.run_until(|world| world.builds().len() == 1);
        let world = story.world();
        world.advance(SignedDuration::from_secs(50));
        let build = world.builds()[0].id.clone();
        race(&world, vec![build_completed(&world, build), saw_another_log(&world, id)], &schedule);
        story.sim.run();
        story.check();
        let run = story.run(id);
        prop_assert_eq!((run.status, run.jobs[0].attempt), (Status::Succeeded, 2), "{:?}", run.cause);
    }

    #[test]
    fn f13_two_builds_of_one_run_that_end_at_once_are_both_recorded(schedule in schedules()) {
        let mut story = Story::new();
        story.sim.events = Events::Lost;
        let pipeline = PIPELINE.replace("test:\n", "  docs: { buildspec: buildspec.yml }\ntest:\n");
        let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
        let id = story.push("main", &commit);
        story.sim.run_until(|world| world.builds().len() == 2);
        let world = story.world();
        world.advance(SignedDuration::from_secs(50));
        let builds = world.builds();
        let racers = builds.iter().map(|build| build_completed(&world, build.id.clone()));
        race(&world, racers.chain([sweep(&world)]).collect(), &schedule);
        prop_assert!(story.run(id).jobs[..2].iter().all(JobState::has_succeeded));
        prop_assert_eq!(world.answered(), 2);
        story.sim.run();
        story.check();
        prop_assert_eq!(story.run(id).status, Status::Succeeded);
    }

    #[test]
    fn f32_two_events_and_the_sweep_settle_one_rollout_once(schedule in schedules(), crashes in any::<bool>()) {
        let mut story = Story::new();
        story.sim.events = Events::Lost;
        let commit = story.commit();
        story.image_does(&commit, if crashes { Behaviour::Crashes(3) } else { Behaviour::Healthy });
        let id = story.push("main", &commit);
        story.sim.run_until(|world| world.done("move_service") == 1);
        let world = story.world();
        // Past the time in which a view may still be of before the move.
        world.advance(SignedDuration::from_secs(70));
        let before = world.answered();
        let arn = story.service().arn();
        let racers = vec![deploy_progress(&world, arn.clone()), deploy_progress(&world, arn), sweep(&world)];
        race(&world, racers, &schedule);
        prop_assert_eq!(world.answered(), before + 1);
        story.sim.run();
        story.check();
        prop_assert_eq!(story.run(id).status, if crashes { Status::RolledBack } else { Status::Succeeded });
    }

    #[test]
    fn f13_a_settler_that_saw_less_evidence_does_not_fail_the_other(schedule in schedules()) {
        let mut story = Story::new();
        story.sim.events = Events::Lost;
        let commit = story.commit();
        story.image_does(&commit, Behaviour::Crashes(3));
        let id = story.push("main", &commit);
        story.sim.run_until(|world| world.done("move_service") == 1);
        let world = story.world();
        world.advance(SignedDuration::from_secs(70));
        let environment = story.run(id).environments[0].name.clone();
        let cause = Cause::new("environment staging", "given up", "push again");
        let failure = Some(DeployFailure { kind: DeployFailureKind::GivenUp, cause, card: None });
        let other: Racer<'_> = Box::pin(async {
            // Whether it is first is for the schedule to say.
            let _ = record(&*world, id, Fact::DeployEnded { environment, failure, ended_at: None, draining_since: None }).await;
        });
        race(&world, vec![deploy_progress(&world, story.service().arn()), other], &schedule);
        story.sim.run();
        story.check();
        prop_assert_eq!(story.run(id).status, Status::RolledBack);
    }

    #[test]
    fn f1_one_delivery_that_comes_three_times_at_once_is_one_run(schedule in schedules()) {
        let mut story = Story::new();
        let commit = story.commit();
        let posts = [story.post_of("main", &commit), story.post_of("main", &commit)];
        let world = story.world();
        let racers = [0, 0, 1].map(|which| -> Racer<'_> {
            let request = posts[which].request();
            let world = &world;
            Box::pin(async move {
                let response = webhook::handle(world.as_ref(), request).await.expect("it answers");
                assert!(response.status_code < 300, "{response:?}");
            })
        });
        race(&world, racers.into(), &schedule);
        prop_assert_eq!((world.runs().len(), world.execution_count()), (1, 1));
        story.sim.run();
        story.check();
    }

    #[test]
    fn f27_of_three_runs_that_ask_at_once_one_holds_the_lock_and_the_others_wait(schedule in schedules()) {
        let mut story = Story::new();
        let mut ids: Vec<RunId> = ["main", "release/1", "release/2"].map(|branch| {
            let commit = story.commit();
            story.push(branch, &commit)
        }).into();
        ids.sort();
        // All are tested, none has asked for the lock.
        story.sim.run_until(|world| world.builds().len() == 6);
        story.sim.kill_executions();
        let world = story.world();
        let (pipeline, environment) = (parse("web"), parse("staging"));
        let waits: Vec<Wait> = ids.iter().map(|run| Wait {
            subject: Subject::Lock { pipeline: parse("web"), environment: parse("staging"), run: *run },
            run: *run,
            work: Work::Acquire(parse("staging")),
            token: world.open_token(),
            opened_at: world.now(),
            deadline: world.now() + SignedDuration::from_hours(24),
        }).collect();
        // Each run's tests end well first.
        world.advance(SignedDuration::from_secs(50));
        for build in world.builds() {
            let event = json!({ "detail": { "build-id": format!("arn:aws:codebuild:r:a:build/{}", build.id) } });
            block_on(build_completed::handle(world.as_ref(), event)).expect("it settles");
        }
        let answered = world.answered();
        let racers = waits.iter().map(|wait| -> Racer<'_> {
            let world = &world;
            Box::pin(async move {
                pushway_core::settle::acquire(world.as_ref(), wait).await.expect("it asks");
            })
        });
        race(&world, racers.collect(), &schedule);
        let record = block_on(world.environment(&pipeline, &environment)).expect("it is read");
        let holder = record.holder.as_ref().expect("one of them holds it").run;
        let mut known = vec![holder];
        known.extend(&record.queue);
        known.sort();
        prop_assert_eq!(known, ids);
        prop_assert_eq!(world.answered(), answered + 1, "one is told");
        // The holder gives it back while the others ask again: the first in the queue gets it, and is told.
        let next = record.queue[0];
        let others = waits.iter().filter(|wait| wait.run != holder).map(|wait| -> Racer<'_> {
            let world = &world;
            Box::pin(async move {
                pushway_core::settle::acquire(world.as_ref(), wait).await.expect("it asks again");
            })
        });
        let release = json!({ "action": "release", "run_id": holder, "environment": "staging" });
        let release: LockInput = serde_json::from_value(release).expect("it is one");
        let mut racers: Vec<Racer<'_>> = others.collect();
        racers.push(Box::pin(async {
            lock::handle(world.as_ref(), release).await.expect("it is free");
        }));
        race(&world, racers, &schedule);
        let record = block_on(world.environment(&pipeline, &environment)).expect("it is read");
        prop_assert_eq!(record.holder.map(|holder| holder.run), Some(next));
        prop_assert_eq!(world.answered(), answered + 2, "the next one is told, once");
    }

    #[test]
    fn f28_two_tries_of_one_deploy_at_once_move_the_service_once(schedule in schedules()) {
        let mut story = Story::new();
        let commit = story.commit();
        let id = story.push("main", &commit);
        story.world().inject_on("register", 1, pushway_core::testing::Injected::Retryable);
        story.sim.run_until(|world| {
            world.runs()[0].environments.first().is_some_and(|state| state.fence.is_some())
        });
        story.sim.kill_executions();
        let world = story.world();
        let racers = [(), ()].map(|()| -> Racer<'_> {
            let (world, task_token) = (&world, world.open_token());
            let task = EnvironmentTask { run_id: id, environment: parse("staging"), task_token };
            // The one that comes second may be refused; it may not do it again.
            Box::pin(async move { drop(deploy::handle(world.as_ref(), task).await) })
        });
        race(&world, racers.into(), &schedule);
        prop_assert_eq!(story.movers(), ["pushway"]);
        let run = story.run(id);
        let rollout = run.environments[0].rollout.as_ref().expect("it is prepared");
        let service = story.service();
        prop_assert_eq!(service.primary_definition(), Some(rollout.task_definition.as_str()));
    }

    #[test]
    fn a_stop_at_the_moment_at_which_a_build_begins_leaves_no_build_behind(
        head_start in 0usize..12, schedule in schedules(),
    ) {
        let mut story = Story::new();
        story.sim.events = Events::Lost;
        story.world().inject_on("start_build", 1, pushway_core::testing::Injected::Retryable);
        story.world().script_build(JobStage::Build, "image", None, BuildScript::Hangs);
        let commit = story.commit();
        let id = story.push("main", &commit);
        story.sim.run_until(|world| world.runs()[0].plan_digest.is_some());
        story.sim.kill_executions();
        let world = story.world();
        let task_token = world.open_token();
        let input = JobInput { run_id: id, stage: JobStage::Build, job: parse("image"), task_token, retry: 1 };
        let begins: Racer<'_> = Box::pin(async { drop(start_build::handle(world.as_ref(), input).await) });
        race(&world, vec![begins, stop(&world, id)], &after(head_start, schedule));
        story.sim.run();
        story.check();
        prop_assert_eq!(story.run(id).status, Status::Stopped);
        prop_assert!(story.world().builds().iter().all(|build| build.was_stopped));
    }

    #[test]
    fn a_stop_at_the_moment_at_which_a_service_moves_is_told_to_who_waits_and_it_goes_back(
        head_start in 0usize..40, schedule in schedules(),
    ) {
        let mut story = Story::new();
        story.sim.events = Events::Lost;
        story.world().inject_on("register", 1, pushway_core::testing::Injected::Retryable);
        let commit = story.commit();
        let id = story.push("main", &commit);
        story.sim.run_until(|world| {
            world.runs()[0].environments.first().is_some_and(|state| state.fence.is_some())
        });
        story.sim.kill_executions();
        let world = story.world();
        let (task_token, back) = (world.open_token(), world.open_token());
        let task = |task_token| EnvironmentTask { run_id: id, environment: parse("staging"), task_token };
        let moves = task(task_token.clone());
        let moves: Racer<'_> = Box::pin(async { drop(deploy::handle(world.as_ref(), moves).await) });
        // As the state machine does, as soon as the state knows that it failed.
        let goes_back: Racer<'_> = Box::pin(async {
            while matches!(world.token(&task_token), TokenState::Open(_)) {
                let mut gives_way = true;
                let pause = |_: &mut Context<'_>| {
                    if std::mem::take(&mut gives_way) { Poll::Pending } else { Poll::Ready(()) }
                };
                std::future::poll_fn(pause).await;
            }
            rollback::handle(world.as_ref(), task(back)).await.expect("it goes back");
        });
        race(&world, vec![moves, stop(&world, id), goes_back], &after(head_start, schedule));
        let TokenState::Answered(Err(error)) = world.token(&task_token) else {
            return Err(TestCaseError::fail("nobody told the state of the stop"));
        };
        prop_assert_eq!(error.error.as_str(), errors::STOPPED);
        story.sim.run();
        story.check();
        prop_assert_eq!(story.serving(), [old_image().digest().to_string()]);
        let expected = if story.movers().is_empty() { Status::Stopped } else { Status::RolledBack };
        prop_assert_eq!(story.run(id).status, expected, "{:?}", story.run(id).cause);
    }

    #[test]
    fn of_repositories_that_claim_a_pipelines_name_at_once_one_has_it(
        schedule in schedules(), was_given_up in any::<bool>(),
    ) {
        let mut story = Story::new();
        let world = story.world();
        if was_given_up {
            story.play();
            world.remove_hook(Provider::Github, "web");
        }
        let ids = ["a", "b", "c"].map(|name| {
            let (id, repository) = (parse(name), format!("acme/{name}"));
            world.add_hook(Hook { id, repository, repository_id: None, ..hook() });
            let commit = story.commit();
            let mut body = push_body("main", &commit);
            body["repository"] = json!({ "id": 43, "full_name": format!("acme/{name}") });
            let mut post = Post::github("push", name, &body.to_string(), SECRET);
            post.hook = name.into();
            story.send(&post).expect("it is taken").run()
        });
        let racers = ids.map(|run_id| -> Racer<'_> {
            let world = &world;
            Box::pin(async move {
                plan::handle(world.as_ref(), RunInput { run_id }).await.expect("it plans");
            })
        });
        race(&world, racers.into(), &schedule);
        let planned = ids.iter().filter(|id| story.run(**id).plan_digest.is_some()).count();
        let rejected = ids.iter().filter(|id| story.run(**id).status == Status::Rejected).count();
        prop_assert_eq!((planned, rejected), (1, 2));
        story.sim.run();
        story.check();
    }
}
