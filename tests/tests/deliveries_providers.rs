//! Deliveries of every provider: what each sample starts, and that a push is one run however often and in
//! whatever order it is told.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::prelude::*;
use pushway_core::delivery::MAX_PUSHES;
use pushway_core::ids::CommitSha;
use pushway_core::ports::Clock as _;
use pushway_core::source::{Provider, PullRequest, Source, Trigger, Zone};
use pushway_core::testing::{Injected, World};
use pushway_tests::forges::deliveries::{
    SAMPLE_BASE, SAMPLE_BEFORE, SAMPLE_COMMIT, SAMPLE_FORK, SAMPLES, Sample, post, world,
};
use pushway_tests::forges::{FakeHook, gitlab};
use pushway_tests::sim::story::{Answered, Post, SECRET, parse, send};
use serde_json::{Value, json};

fn answer(world: &World, post: &Post) -> Answered {
    send(world, post).unwrap_or_else(|error| panic!("{error:?}"))
}

fn counts(world: &World) -> (usize, usize, usize) {
    (world.runs().len(), world.delivery_count(), world.execution_count())
}

#[test]
fn every_sample_starts_what_its_provider_means_by_it() {
    for sample in &SAMPLES {
        let world = world();
        let answered = answer(&world, &sample.post(&world, "d1"));
        let mut runs = world.runs();
        runs.sort_by_key(|run| run.source.delivery.clone());
        let refs: Vec<&str> = runs.iter().map(|run| run.source.git_ref.as_str()).collect();
        assert_eq!(refs, sample.starts, "{sample:?}: {answered:?}");
        if runs.is_empty() {
            assert_eq!(answered.status, 200, "{sample:?}");
            assert!(answered.body["ignored"].is_string(), "{sample:?}: {answered:?}");
        }
        let ids: Vec<&str> = runs.iter().map(|run| run.source.delivery.as_str()).collect();
        assert_eq!(ids, ["d1", "d1.2", "d1.3"][..ids.len()], "{sample:?}");
        for run in &runs {
            check_source(sample, &run.source);
        }
    }
}

fn check_source(sample: &Sample, source: &Source) {
    let (is_tag, is_fork) = (sample.name == "tag", sample.name.ends_with("_fork"));
    assert_eq!(source.commit.as_str(), if is_fork { SAMPLE_FORK } else { SAMPLE_COMMIT }, "{sample:?}");
    // GitLab tells no commits of a tag, but what the tag says.
    let says_tag = is_tag && sample.provider == Provider::Gitlab;
    assert_eq!(source.message, if says_tag { "Version 1.2" } else { "Greet by name" }, "{sample:?}");
    let is_request = source.git_ref.as_str().ends_with("/12/head");
    let request = PullRequest {
        number: 12,
        base: "main".into(),
        base_commit: parse(SAMPLE_BASE),
        is_fork,
        approved_by: None,
    };
    let trigger = if is_request { Trigger::PullRequest(request) } else { Trigger::Push };
    assert_eq!((&source.trigger, source.zone() == Zone::Untrusted), (&trigger, is_request), "{sample:?}");
    let tells_before = match sample.name {
        "push" => true,
        "push_several" => source.git_ref.as_str() == "refs/heads/main",
        "pull_request" => sample.provider == Provider::Github,
        name => name == "merge_request",
    };
    let before = source.before.as_ref().map(CommitSha::as_str);
    assert_eq!(before, tells_before.then_some(SAMPLE_BEFORE), "{sample:?}");
}

#[test]
fn what_a_plain_git_server_tells_besides_is_kept() {
    let world = world();
    let sample = SAMPLES.iter().find(|sample| sample.provider == Provider::Git).unwrap();
    let run = answer(&world, &sample.post(&world, "d1")).run();
    let pushed_at = world.stored_run(run).unwrap().source.pushed_at;
    assert_eq!(pushed_at.unwrap().to_string(), "2026-11-20T09:12:31.123456Z");
    let history = world.stored_history(run);
    assert_eq!(history[1].commit.as_str(), SAMPLE_BEFORE);
    assert_eq!(history[1].files, ["README.md", "src/lib.rs"]);
    // GitHub tells the second.
    let github = world_of_one_push(Provider::Github);
    assert_eq!(github.runs()[0].source.pushed_at, Some("2026-11-20T09:12:31Z".parse().unwrap()));
    let body = |history: Value| {
        let mut body: Value = serde_json::from_str(&sample.body()).unwrap();
        body["history"] = history;
        post(Provider::Git, "web", "", "d2", SECRET, &body.to_string(), world.now())
    };
    let commit = |files: usize| json!({ "commit": SAMPLE_BEFORE, "files": vec!["a"; files] });
    let too_much = [
        json!(vec![commit(0); 51]),
        json!([commit(2_001)]),
        json!([{ "commit": "main", "files": [] }]),
        json!([{ "commit": SAMPLE_BEFORE, "files": ["\u{1}".repeat(50_000)] }]),
    ];
    for history in too_much {
        assert_eq!(answer(&world, &body(history)).status, 400);
    }
    assert_eq!(world.runs().len(), 1);
}

fn world_of_one_push(provider: Provider) -> World {
    let world = world();
    let sample = SAMPLES
        .iter()
        .find(|sample| sample.provider == provider && sample.name == "push")
        .expect("each has one");
    answer(&world, &sample.post(&world, "d1"));
    world
}

#[test]
fn f1_each_fixture_fifty_times_at_once_is_one_run_for_each_of_its_pushes() {
    for sample in Sample::starting() {
        for times in [1, 2, 7, 50] {
            let world = world();
            let post = sample.post(&world, "d1");
            let request = post.request();
            let answers: Vec<(i64, BTreeSet<String>)> = std::thread::scope(|scope| {
                let deliver = || {
                    let response =
                        pushway_tests::sim::block_on(webhook::handle(&world, request.clone())).unwrap();
                    let Some(aws_lambda_events::encodings::Body::Text(body)) = response.body else {
                        panic!()
                    };
                    let body: Value = serde_json::from_str(&body).unwrap();
                    let runs = body["run_ids"].as_array().cloned().unwrap_or(vec![body["run_id"].clone()]);
                    (response.status_code, runs.iter().map(ToString::to_string).collect())
                };
                let threads: Vec<_> = (0..times).map(|_| scope.spawn(deliver)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let pushes = sample.starts.len();
            assert_eq!(counts(&world), (pushes, pushes, pushes), "{sample:?}");
            assert!(answers.iter().all(|(status, runs)| {
                matches!(status, 200 | 202) && *runs == answers[0].1 && runs.len() == pushes
            }));
        }
    }
}

#[test]
fn f2_a3_a_delivery_that_is_replayed_under_new_ids_for_months_is_the_same_run() {
    for sample in Sample::starting() {
        let world = world();
        let first = answer(&world, &sample.post(&world, "d0"));
        for (number, age) in [1, 4 * 86_400, 89 * 86_400].into_iter().enumerate() {
            world.advance(SignedDuration::from_secs(age));
            let again = answer(&world, &sample.post(&world, &format!("d{}", number + 1)));
            assert_eq!((again.status, again.run()), (200, first.run()), "{sample:?}");
            assert_eq!(again.body["new"], false, "{sample:?}");
        }
        assert_eq!(world.runs().len(), sample.starts.len(), "{sample:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any shuffle and duplication of all samples, under their own ids and new ones.
    #[test]
    fn f2_any_order_and_repetition_of_all_deliveries_is_one_run_for_each_push(
        order in proptest::collection::vec((0..SAMPLES.len(), 0u8..3), 1..120),
    ) {
        let world = world();
        let mut wanted = BTreeSet::new();
        for (number, id) in order {
            let sample = &SAMPLES[number];
            let answered = answer(&world, &sample.post(&world, &format!("d{number}-{id}")));
            prop_assert!(matches!(answered.status, 200 | 202), "{:?}: {:?}", sample, answered);
            let is_fork = sample.name.ends_with("_fork");
            // A new ref and a moved one are different pushes; the samples name their events by that.
            let class = (sample.provider, is_fork, sample.name == "push");
            wanted.extend(sample.starts.iter().map(|git_ref| {
                let is_moved = sample.name == "push_several" && *git_ref == "refs/heads/main";
                ((class.0, class.1, class.2 || is_moved), *git_ref)
            }));
        }
        prop_assert_eq!(world.runs().len(), wanted.len());
        prop_assert_eq!(world.execution_count(), wanted.len());
    }
}

#[test]
fn f4_what_is_of_no_interest_never_makes_a_forge_turn_its_hook_off() {
    // GitLab's own rule: four answers in a row that are no 2xx.
    let world = world();
    let mut forge = FakeHook { is_active: true, ..FakeHook::default() };
    for round in 0..3 {
        for sample in SAMPLES.iter().filter(|sample| sample.provider == Provider::Gitlab) {
            let answered = answer(&world, &sample.post(&world, &format!("{round}-{}", sample.name)));
            gitlab::note_answer(&mut forge, u16::try_from(answered.status).unwrap(), world.now());
            assert_eq!(forge.failures, 0, "{sample:?}: {answered:?}");
        }
    }
    assert!(gitlab::sends(&forge, world.now()));
    // A wrong secret is what does turn it off, and the fake shows that it can.
    let wrong = post(Provider::Gitlab, "web", "Push Hook", "d1", "wrong", "{}", world.now());
    for _ in 0..4 {
        gitlab::note_answer(&mut forge, u16::try_from(answer(&world, &wrong).status).unwrap(), world.now());
    }
    assert!(!gitlab::sends(&forge, world.now()));
    assert!(gitlab::sends(&forge, world.now() + SignedDuration::from_mins(1)), "it comes back by itself");
}

#[test]
fn f4_the_codes_of_answers_say_whose_turn_it_is() {
    let github = |event: &str, delivery: &str, secret: &str, body: &str| {
        let world = world();
        answer(&world, &post(Provider::Github, "web", event, delivery, secret, body, world.now())).status
    };
    let push = SAMPLES[0].body();
    let table = [
        ("a push is taken", github("push", "d1", SECRET, &push), 202),
        ("an event nobody asked for is well", github("watch", "d1", SECRET, "{}"), 200),
        ("an event of tomorrow is well", github("quantum_push", "d1", SECRET, "[]"), 200),
        ("a wrong secret is the hook's owner's matter", github("push", "d1", "wrong", &push), 401),
        ("an unreadable body is the forge's matter", github("push", "d1", SECRET, "{}"), 400),
    ];
    for (what, status, wanted) in table {
        assert_eq!(status, wanted, "{what}");
    }
    let world = world();
    world.inject_on("record_run", 1, Injected::Retryable);
    assert_eq!(answer(&world, &SAMPLES[0].post(&world, "d1")).status, 503, "ours: send it again");
}

#[test]
fn f5_an_answer_that_came_too_late_is_made_up_for_by_the_redelivery() {
    for sample in Sample::starting() {
        let world = world();
        // It is recorded, but the forge has given up waiting; it sends the same delivery again.
        world.inject_on("record_run", 1, Injected::AnswerLost);
        let post = sample.post(&world, "d1");
        assert_eq!(answer(&world, &post).status, 503, "{sample:?}");
        let again = answer(&world, &post);
        let third = answer(&world, &post);
        assert_eq!((third.status, third.run()), (200, again.run()), "{sample:?}");
        assert_eq!(world.runs().len(), sample.starts.len(), "{sample:?}");
    }
}

#[test]
fn a_push_of_more_refs_than_can_be_recorded_in_time_is_taken_in_part() {
    let world = world();
    let sample = SAMPLES.iter().find(|sample| sample.provider == Provider::Bitbucket).unwrap();
    let mut body: Value = serde_json::from_str(&sample.body()).unwrap();
    let change = body["push"]["changes"][0].clone();
    let changes = (0..MAX_PUSHES + 20).map(|number| {
        let mut change = change.clone();
        change["new"]["name"] = json!(format!("branch-{number}"));
        change
    });
    body["push"]["changes"] = changes.collect();
    let post = post(Provider::Bitbucket, "web", "repo:push", "d1", SECRET, &body.to_string(), world.now());
    assert_eq!(answer(&world, &post).body["run_ids"].as_array().map(Vec::len), Some(MAX_PUSHES));
    assert_eq!(world.runs().len(), MAX_PUSHES);
}

#[test]
fn a_pull_request_is_believed_only_as_far_as_its_forge_bears_it_out() {
    for provider in [Provider::Gitlab, Provider::Bitbucket] {
        let is_request = |sample: &&Sample| sample.provider == provider && sample.name.ends_with("_request");
        let sample = SAMPLES.iter().find(is_request).unwrap();
        let world = world();
        let post = sample.post(&world, "d1");
        let view = |head: &str, is_open| pushway_core::forge::PullRequestView {
            request: PullRequest {
                number: 12,
                base: "main".into(),
                base_commit: parse(SAMPLE_BASE),
                is_fork: true,
                approved_by: None,
            },
            head: parse(head),
            is_open,
            title: String::new(),
            author: String::new(),
        };
        for (view, says) in
            [(view(SAMPLE_FORK, true), "by now, not at"), (view(SAMPLE_COMMIT, false), "is closed by now")]
        {
            world.set_pull_request(view);
            let answered = answer(&world, &Post { headers: renamed(&post, says), ..post.clone() });
            assert!(answered.body["ignored"].as_str().unwrap().contains(says), "{answered:?}");
        }
        assert_eq!(world.runs(), []);
        // What the event says of a fork counts for nothing.
        world.set_pull_request(view(SAMPLE_COMMIT, true));
        let run = answer(&world, &post).run();
        assert!(world.stored_run(run).unwrap().source.pull_request().unwrap().is_fork);
        // A forge that can't be asked leaves the delivery unacknowledged.
        let world = pushway_tests::forges::deliveries::world();
        let post = sample.post(&world, "d1");
        world.inject_on("pull_request", 1, Injected::Retryable);
        assert_eq!(answer(&world, &post).status, 503);
        assert_eq!(answer(&world, &post).status, 202);
    }
}

/// The headers under a delivery id of its own; a signature of theirs covers the body only.
fn renamed(post: &Post, id: &str) -> Vec<(String, String)> {
    let id = id.replace(' ', "-");
    let names = ["idempotency-key", "webhook-id", "x-gitlab-event-uuid", "x-request-uuid"];
    let rename = |(name, value): &(String, String)| {
        (name.clone(), if names.contains(&name.as_str()) { id.clone() } else { value.clone() })
    };
    post.headers.iter().map(rename).collect()
}
