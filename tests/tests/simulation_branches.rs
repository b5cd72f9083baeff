//! Branches: each head ends with one run, and newer pushes win, whatever happens to deliveries (rows F2, F3,
//! F10).

use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::prelude::*;
use pushway_core::fact::Fact;
use pushway_core::ids::{CommitSha, RefName};
use pushway_core::ports::{Clock as _, HeadView};
use pushway_core::run::Status;
use pushway_core::source::{Hook, Provider, Trigger};
use pushway_tests::forges::deliveries::post;
use pushway_tests::sim::story::{Post, SECRET, Story, hook, parse, push_body};
use serde_json::json;

/// A pipeline that starts for every branch.
const EVERY_BRANCH: &str = r#"version: 1
pipeline: web
on:
  push: { branches: ["**"] }
build:
  image: { buildspec: buildspec.yml, timeout: 20m, outputs: [IMAGE] }
environments:
  - name: staging
    deploy:
      ecs: { cluster: demo, service: web, images: { web: "${build.image.IMAGE}" }, timeout: 10m }
    validate:
      - http: { url: "http://web.example.com/healthz", attempts: 5, need: 2, interval: 1s }
"#;

const BRANCHES: [&str; 3] = ["main", "release/1", "next"];

/// What happens to the delivery of a push.
#[derive(Debug, Clone)]
struct Pushed {
    branch: usize,
    /// After so many further pushes it is delivered, and again; none at all: it is lost.
    arrives: Vec<usize>,
    /// Time until the next push, in seconds.
    pause: i64,
}

fn pushes() -> impl Strategy<Value = Vec<Pushed>> {
    let pushed = (0..BRANCHES.len(), proptest::collection::vec(0usize..4, 0..3), 0i64..200)
        .prop_map(|(branch, arrives, pause)| Pushed { branch, arrives, pause });
    proptest::collection::vec(pushed, 1..7)
}

struct Repository {
    story: Story,
    heads: BTreeMap<&'static str, CommitSha>,
    /// Every commit in the order of the pushes, with its branch.
    pushed: Vec<(&'static str, CommitSha)>,
    posts: Vec<Post>,
    hook: Hook,
}

impl Repository {
    fn new() -> Self {
        let story = Story::new();
        story.world().reconcile_from_now(&hook());
        Self { story, heads: BTreeMap::new(), pushed: Vec::new(), posts: Vec::new(), hook: hook() }
    }

    fn push(&mut self, branch: &'static str) {
        let commit = self.story.commit_with(&[("pushway.yml", EVERY_BRANCH)]);
        let before = self.heads.insert(branch, commit.clone());
        let view = HeadView { commit: commit.clone(), message: "mend it".into(), author: "Ada".into() };
        self.story.world().set_head(&git_ref(branch), Some(view));
        let mut body = push_body(branch, &commit);
        if let Some(before) = &before {
            body["before"] = json!(before);
        }
        let delivery = format!("d-{}", self.posts.len());
        self.posts.push(Post::github("push", &delivery, &body.to_string(), SECRET));
        self.pushed.push((branch, commit));
    }

    /// The same on a plain git server, whose delivery carries the files and the time of the push.
    fn push_to_plain_server(&mut self, branch: &'static str) {
        let commit = self.story.commit_with(&[]);
        let before = self.heads.insert(branch, commit.clone());
        let now = self.story.world().now();
        let body = json!({
            "repository": "acme/web", "ref": git_ref(branch), "after": commit, "message": "m", "author": "Ada",
            "before": before.map_or("0".repeat(40), |before| before.to_string()), "pushed_at": now,
            "files": { "pushway.yml": EVERY_BRANCH, "buildspec.yml": "version: 0.2" },
        });
        let delivery = format!("d-{}", self.posts.len());
        self.posts.push(post(Provider::Git, "web", "push", &delivery, SECRET, &body.to_string(), now));
        self.pushed.push((branch, commit));
    }

    fn deliver(&self, number: usize) {
        let answered = self.story.send(&self.posts[number]).expect("it is taken");
        assert!(answered.status < 300, "{answered:?}");
    }

    fn check(&self) {
        let world = self.story.world();
        for (branch, head) in &self.heads {
            let runs = world.runs();
            let of_head = runs.iter().filter(|run| {
                run.source.commit == *head
                    && run.source.git_ref == git_ref(branch)
                    && run.status != Status::Ignored
            });
            assert_eq!(of_head.count(), 1, "head {head} of {branch} must have one run");
            let known = world.stored_branch(&self.hook, &git_ref(branch)).expect("it is recorded");
            assert_eq!(known.head.map(|known| known.commit).as_ref(), Some(head));
        }
        // In the order in which services were touched, no branch ever goes back.
        let mut deployed: Vec<_> = Vec::new();
        for run in world.runs() {
            let started = world.stored_journal(run.id).into_iter().find_map(|entry| match entry.fact {
                Fact::DeployPrepared { .. } => Some(entry.at),
                _ => None,
            });
            deployed.extend(started.map(|at| (at, run.source.git_ref.clone(), run.source.commit.clone())));
        }
        deployed.sort();
        let mut last = BTreeMap::new();
        for (_, git_ref, commit) in deployed {
            let number = self.pushed.iter().position(|(_, pushed)| *pushed == commit).expect("it was pushed");
            let before = last.insert(git_ref.clone(), number);
            assert!(before.is_none_or(|before| before < number), "{git_ref}: {number} over {before:?}");
        }
    }
}

fn git_ref(branch: &str) -> RefName {
    parse(&format!("refs/heads/{branch}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn f3_f10_each_head_ends_with_one_run_and_no_older_commit_is_deployed_over_a_newer_one(plan in pushes()) {
        play(&plan);
    }
}

fn play(plan: &[Pushed]) {
    let mut repository = Repository::new();
    // The first look only says where the branches are.
    repository.story.sim.run_for(SignedDuration::from_secs(61));
    let mut due: Vec<(usize, usize)> = Vec::new();
    for (number, pushed) in plan.iter().enumerate() {
        repository.push(BRANCHES[pushed.branch]);
        due.extend(pushed.arrives.iter().map(|later| (number + later, number)));
        for (_, number) in due.iter().filter(|(at, _)| *at == number) {
            repository.deliver(*number);
        }
        repository.story.sim.run_for(SignedDuration::from_secs(pushed.pause));
    }
    for (_, number) in due.iter().filter(|(at, _)| *at >= plan.len()) {
        repository.deliver(*number);
    }
    repository.story.sim.run_for(SignedDuration::from_mins(5));
    for (branch, head) in &repository.heads {
        let runs = repository.story.world().runs();
        let is_known =
            runs.iter().any(|run| run.source.commit == *head && run.source.git_ref == git_ref(branch));
        assert!(is_known, "head {head} of {branch} has no run after five minutes");
    }
    repository.story.sim.run_for(SignedDuration::from_mins(10));
    repository.story.sim.run();
    assert_eq!(repository.story.sim.troubles, Vec::<String>::new());
    repository.check();
}

#[test]
fn f3_a_delivery_that_comes_after_its_push_was_found_and_followed_by_another_starts_nothing() {
    let pushed = |branch, arrives: &[usize], pause| Pushed { branch, arrives: arrives.to_vec(), pause };
    play(&[
        pushed(0, &[], 183),
        pushed(0, &[0], 180),
        pushed(0, &[3], 179),
        pushed(1, &[], 73),
        pushed(0, &[], 104),
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn f10_pushes_to_a_server_that_nobody_can_ask_are_put_in_order_by_what_they_say(
        plan in proptest::collection::vec((0usize..2, 1i64..40, 0usize..5), 1..9),
    ) {
        let mut repository = Repository::new();
        let plain = Hook { provider: Provider::Git, repository_id: None, ..hook() };
        repository.story.world().add_hook(plain.clone());
        let mut due: Vec<(usize, usize)> = Vec::new();
        for (number, (branch, pause, later)) in plan.iter().enumerate() {
            repository.push_to_plain_server(BRANCHES[*branch]);
            due.push((number + later, number));
            for (_, number) in due.iter().filter(|(at, _)| *at == number) {
                repository.deliver(*number);
            }
            repository.story.sim.run_for(SignedDuration::from_secs(*pause));
        }
        for (_, number) in due.iter().filter(|(at, _)| *at >= plan.len()) {
            repository.deliver(*number);
        }
        repository.story.sim.run();
        repository.hook = plain;
        repository.check();
    }
}

#[test]
fn f3_a_push_that_nobody_told_of_is_started_within_five_minutes_and_its_late_delivery_starts_nothing() {
    let mut repository = Repository::new();
    repository.story.sim.run_for(SignedDuration::from_secs(61));
    repository.push("main");
    repository.story.sim.run_for(SignedDuration::from_mins(5));
    let runs = repository.story.world().runs();
    assert_eq!(runs.len(), 1, "the sweep found it");
    assert_eq!(runs[0].source.trigger, Trigger::Reconciled);
    repository.deliver(0);
    repository.story.sim.run();
    let late = &repository.story.world().runs()[1];
    assert_eq!(late.status, Status::Ignored);
    assert!(late.ignored_by.as_ref().unwrap().contains(&runs[0].id.to_string()), "{:?}", late.ignored_by);
    let known = repository.story.world().stored_reconciliation(&hook()).unwrap();
    assert_eq!((known.found, known.missing.len(), known.problem), (1, 0, None));
    repository.check();
}

#[test]
fn f6_a_push_whose_delivery_is_too_large_to_be_taken_is_found_by_the_sweep() {
    let mut repository = Repository::new();
    repository.story.sim.run_for(SignedDuration::from_secs(61));
    repository.push("main");
    let body = format!("{}{}", repository.posts[0].body, " ".repeat(7 * 1024 * 1024));
    let refused = repository.story.send(&Post::github("push", "large", &body, SECRET)).expect("it answers");
    assert_eq!(refused.status, 413);
    repository.story.sim.run_for(SignedDuration::from_mins(5));
    repository.story.sim.run();
    repository.check();
}

#[test]
fn f3_what_was_pushed_before_a_repository_was_connected_starts_nothing() {
    let mut repository = Repository::new();
    repository.push("main");
    repository.push("next");
    repository.story.sim.run_for(SignedDuration::from_mins(20));
    assert_eq!(repository.story.world().runs(), []);
}

#[test]
fn f2_a_branch_that_goes_back_and_forth_ends_where_it_is() {
    let mut repository = Repository::new();
    repository.push("main");
    repository.deliver(0);
    repository.story.sim.run();
    let (first, second) = {
        repository.push("main");
        repository.deliver(1);
        repository.story.sim.run();
        (repository.pushed[0].1.clone(), repository.pushed[1].1.clone())
    };
    // Back to the first, and forth to the second again: the same movement as before under another id.
    for (n, (before, after)) in [(&second, &first), (&first, &second)].into_iter().enumerate() {
        let view = HeadView { commit: after.clone(), message: "again".into(), author: "Ada".into() };
        repository.story.world().set_head(&git_ref("main"), Some(view));
        let mut body = push_body("main", after);
        body["before"] = json!(before);
        repository.posts.push(Post::github("push", &format!("again-{n}"), &body.to_string(), SECRET));
        repository.deliver(2 + n);
        repository.story.sim.run_for(SignedDuration::from_secs(30));
    }
    repository.story.sim.run_for(SignedDuration::from_mins(8));
    repository.story.sim.run();
    let branch = repository.story.world().stored_branch(&hook(), &git_ref("main")).unwrap();
    assert_eq!(branch.head.unwrap().commit, second);
    let serving = repository.story.serving();
    assert_eq!(serving, [pushway_core::testing::digest_of(&second)], "what main says is what serves");
}
