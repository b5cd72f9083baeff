//! Stories of rules that an administrator sets for an environment: who must consent to deploys there, whatever the
//! pipeline file says.

use std::cell::Cell;
use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::prelude::*;
use pushway_core::approval::{ApprovalState, Consent};
use pushway_core::environment::EnvironmentRecord;
use pushway_core::ids::{CommitSha, RunId};
use pushway_core::ports::{Clock as _, Environments as _, Written};
use pushway_core::protection::ProtectionRule;
use pushway_core::run::Status;
use pushway_core::settle;
use pushway_core::testing::{Injected, World};
use pushway_core::wait::Subject;
use pushway_tests::issuer::Issuer;
use pushway_tests::sim::every_call::{SHARPEST, at_every_call, push};
use pushway_tests::sim::people::{arn, cookie, get, post, send, token, unsigned};
use pushway_tests::sim::race::{Racer, race};
use pushway_tests::sim::story::{PIPELINE, Story, image_of, parse};
use pushway_tests::sim::{Events, block_on};
use serde_json::{Value, json};

/// Sets a rule as an administrator.
fn protect(world: &World, required: u16, approvers: &[&str]) -> (u64, Value) {
    let order = json!({ "required": required, "approvers": approvers });
    post(world, "root", "/v1/environments/web/staging/protect", &order)
}

fn steer(story: &Story, verb: &str, body: &Value) {
    let answer = post(&story.world(), "root", &format!("/v1/environments/web/staging/{verb}"), body);
    assert_eq!(answer.0, 200, "{answer:?}");
}

/// A pattern of the ARN that people of the stories have.
fn named(name: &str) -> String {
    arn(name)
}

fn asks(world: &World, id: RunId) -> bool {
    let subject = |subject: &Subject| matches!(subject, Subject::Approval { run, .. } if *run == id);
    world.open_waits().iter().any(|wait| subject(&wait.subject))
}

/// Pushes with more keys of the environment.
fn pushed(story: &mut Story, more: &str) -> (CommitSha, RunId) {
    story.world().advance(SignedDuration::from_secs(1));
    let commit = story.commit_with(&[("pushway.yml", &format!("{PIPELINE}{more}"))]);
    let run = story.push("main", &commit);
    (commit, run)
}

/// Pushes, and plays until people are asked.
fn asked(story: &mut Story, more: &str) -> (CommitSha, RunId) {
    let (commit, run) = pushed(story, more);
    story.sim.run_until(|world| asks(world, run));
    (commit, run)
}

fn question(story: &Story, run: RunId) -> ApprovalState {
    story.run(run).environments[0].approval.clone().expect("it asks")
}

fn say(story: &Story, who: &str, run: RunId, verb: &str, body: &Value) -> (u64, Value) {
    post(&story.world(), who, &format!("/v1/runs/{run}/environments/staging/{verb}"), body)
}

/// Consents; a word that differs makes it another order than before.
fn approve(story: &Story, who: &str, run: RunId, word: &str) -> (u64, Value) {
    let order = json!({ "digest": question(story, run).request.digest, "comment": word });
    say(story, who, run, "approve", &order)
}

fn ended_well(story: &mut Story, run: RunId, commit: &CommitSha) {
    story.sim.run();
    story.check();
    let run = story.run(run);
    assert_eq!(run.status, Status::Succeeded, "{:?}", run.cause);
    assert_eq!(story.serving(), [image_of(commit).digest().to_string()]);
}

fn is_untouched(story: &Story, run: RunId) -> bool {
    story.run(run).environments[0].fence.is_none()
}

const ASK: &str = "    approval: { required: 1, timeout: 8h }\n";

#[test]
fn a_rule_asks_people_where_the_file_asks_nobody_and_for_more_where_it_asks_for_fewer() {
    for more in ["", ASK] {
        let mut story = Story::new();
        // Before anything was ever deployed: the first deploy is held, too.
        assert_eq!(protect(&story.world(), 2, &[]).0, 200);
        let (commit, run) = asked(&mut story, more);
        story.sim.run_for(SignedDuration::from_hours(3));
        assert!(is_untouched(&story, run));
        let (_, listed) = get(&story.world(), "/v1/approvals");
        let request = &listed["approvals"][0]["approval"]["request"];
        assert_eq!((&request["required"], &request["rule"]["by"]), (&json!(2), &json!(arn("root"))));
        assert_eq!(approve(&story, "ada", run, "1").1["granted"], false);
        assert_eq!(approve(&story, "ada", run, "2").1["granted"], false, "one person is one consent");
        assert_eq!(approve(&story, "bob", run, "1").1["granted"], true);
        ended_well(&mut story, run, &commit);
    }
    // Who asks for more than the rule does is followed.
    let mut story = Story::new();
    protect(&story.world(), 1, &[]);
    let (_, run) = asked(&mut story, "    approval: { required: 3 }\n");
    assert_eq!(question(&story, run).request.required, 3);
}

#[test]
fn someone_whom_the_rule_does_not_name_is_told_who_may_and_leaves_no_trace() {
    let mut story = Story::new();
    protect(&story.world(), 1, &["group:release", &named("bob")]);
    let (commit, run) = asked(&mut story, "");
    let before = story.world().stored_journal(run);
    let (status, problem) = approve(&story, "ada", run, "1");
    assert_eq!(status, 403, "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    for part in ["staging", "group:release", &arn("bob"), &arn("ada"), "no groups"] {
        assert!(detail.contains(part), "{detail} lacks {part}");
    }
    assert_eq!(story.world().stored_journal(run), before);
    assert!(question(&story, run).is_open());
    assert_eq!(approve(&story, "bob", run, "1").1["granted"], true);
    ended_well(&mut story, run, &commit);
    // No is the safe answer, and anyone's.
    let (_, run) = asked(&mut story, "");
    assert_eq!(say(&story, "ada", run, "reject", &json!({ "reason": "no" })).0, 200);
    story.sim.run();
    assert_eq!(story.run(run).status, Status::Rejected);
}

/// Consents through the API as someone whom the issuer knows, with these groups.
fn approve_signed_in(
    story: &Story,
    issuer: &Issuer,
    run: RunId,
    name: &str,
    groups: &[&str],
) -> (u64, Value) {
    let mut claims = issuer.access();
    (claims["email"], claims["groups"]) = (json!(name), json!(groups));
    let bearer = format!("Bearer {}", issuer.token(&claims));
    let path = format!("/v1/runs/{run}/environments/staging/approve");
    let order = json!({ "digest": question(story, run).request.digest }).to_string();
    let request = unsigned("POST", &path, &[("authorization", &bearer)], &order);
    let answer = send(&story.world(), &request).expect("it answers");
    (answer.status, answer.json())
}

#[test]
fn a_member_of_a_group_may_and_what_else_they_belong_to_is_not_kept() {
    let mut story = Story::new();
    let clock = story.world();
    let issuer = Issuer::at("https://login.example.com/pool", move || clock.now());
    story.world().set_issuer(issuer.in_memory());
    protect(&story.world(), 2, &["group:ops/*"]);
    let (commit, run) = asked(&mut story, "");
    let consent = |story: &Story, name: &str, own: &[&str]| approve_signed_in(story, &issuer, run, name, own);
    // With the scope, but without the group; a group of that name in other letters is another one.
    let (status, problem) = consent(&story, "eve@example.com", &["release", "Ops/berlin", "ops"]);
    let told = problem["detail"].as_str().unwrap_or_default();
    assert!(
        status == 403 && told.contains("you are person:eve@example.com with groups Ops/berlin"),
        "{problem}"
    );
    assert_eq!(consent(&story, "ada@example.com", &["release", "ops/berlin"]).1["granted"], false);
    // Nor is a token of such a name a member, whatever its scopes are.
    let token = token(&story.world(), "ops", &["admin"], 1);
    let path = format!("/v1/runs/{run}/environments/staging/approve");
    let order = json!({ "digest": question(&story, run).request.digest }).to_string();
    let bearer = format!("Bearer {token}");
    let answer = send(&story.world(), &unsigned("POST", &path, &[("authorization", &bearer)], &order));
    assert_eq!(answer.expect("it answers").status, 403);
    assert_eq!(consent(&story, "bob@example.com", &["release", "ops/paris"]).1["granted"], true);
    let given = question(&story, run).given;
    let kept: Vec<String> =
        given.iter().map(|consent| format!("{} {:?}", consent.by, consent.groups)).collect();
    assert_eq!(kept, ["person:ada@example.com {\"ops/berlin\"}", "person:bob@example.com {\"ops/paris\"}"]);
    ended_well(&mut story, run, &commit);
}

#[test]
fn a_rule_that_changes_while_people_are_asked_holds_for_what_they_have_said_too() {
    let mut story = Story::new();
    let (commit, run) = asked(&mut story, "    approval: { required: 2, timeout: 8h }\n");
    let deadline = question(&story, run).request.deadline;
    assert_eq!(approve(&story, "ada", run, "1").1["granted"], false);
    protect(&story.world(), 1, &[&named("bob"), &named("cyd")]);
    // The question follows by itself, so that people see who may.
    story.sim.run_for(SignedDuration::from_mins(2));
    let now = question(&story, run);
    assert_eq!((now.request.required, now.counted(), now.given.len()), (2, 0, 1));
    assert_eq!(now.request.deadline, deadline, "nobody gets more time by it");
    assert_eq!(approve(&story, "bob", run, "1").1["granted"], false, "ada's does not count any more");
    assert_eq!(approve(&story, "ada", run, "2").0, 403);
    assert_eq!(approve(&story, "cyd", run, "1").1["granted"], true);
    ended_well(&mut story, run, &commit);
}

#[test]
fn a_rule_that_is_taken_away_lets_those_go_on_who_waited_for_it_alone() {
    let mut story = Story::new();
    protect(&story.world(), 2, &[&named("bob")]);
    let (commit, run) = asked(&mut story, "");
    story.sim.run_for(SignedDuration::from_mins(5));
    assert!(is_untouched(&story, run));
    let (status, answer) = post(&story.world(), "root", "/v1/environments/web/staging/unprotect", &json!({}));
    assert_eq!((status, &answer["was"]["required"]), (200, &json!(2)));
    ended_well(&mut story, run, &commit);
    // What the file asks for itself is still asked for.
    protect(&story.world(), 3, &[]);
    let (commit, run) = asked(&mut story, ASK);
    let unprotect = "/v1/environments/web/staging/unprotect";
    assert_eq!(post(&story.world(), "other", unprotect, &json!({})).0, 200);
    story.sim.run_for(SignedDuration::from_mins(5));
    assert!(is_untouched(&story, run) && question(&story, run).request.required == 1);
    approve(&story, "ada", run, "1");
    ended_well(&mut story, run, &commit);
}

#[test]
fn a_rule_that_comes_while_a_run_waits_for_its_time_makes_it_ask_first() {
    for more in ["", ASK] {
        let mut story = Story::new();
        let freeze = |story: &Story| steer(story, "freeze", &json!({ "reason": "sale" }));
        story.know_staging();
        freeze(&story);
        let (commit, run) = pushed(&mut story, more);
        if !more.is_empty() {
            story.sim.run_until(|world| asks(world, run));
            assert_eq!(approve(&story, "ada", run, "1").1["granted"], true);
        }
        // Longer than the file gives people to answer.
        story.sim.run_for(SignedDuration::from_hours(20));
        assert!(story.run(run).environments[0].blocked.is_some() && !asks(&story.world(), run));
        protect(&story.world(), 1, &[&named("bob")]);
        story.sim.run_for(SignedDuration::from_mins(2));
        assert!(asks(&story.world(), run), "people need not wait for the end of the freeze");
        steer(&story, "unfreeze", &json!({}));
        story.sim.run_for(SignedDuration::from_hours(2));
        assert!(is_untouched(&story, run) && asks(&story.world(), run), "{:?}", story.run(run));
        let left = question(&story, run).request.deadline.duration_since(story.world().now());
        assert!(left > SignedDuration::from_hours(5), "{left}");
        assert_eq!(approve(&story, "ada", run, "2").0, 403);
        assert_eq!(approve(&story, "bob", run, "1").1["granted"], true);
        ended_well(&mut story, run, &commit);
    }
}

#[test]
fn a_rule_that_comes_after_all_consent_asks_for_no_fewer_than_the_file() {
    let mut story = Story::new();
    story.know_staging();
    steer(&story, "freeze", &json!({ "reason": "sale" }));
    let (commit, run) = asked(&mut story, "    approval: { required: 2, timeout: 8h }\n");
    approve(&story, "ada", run, "1");
    assert_eq!(approve(&story, "bob", run, "1").1["granted"], true);
    story.sim.run_for(SignedDuration::from_mins(2));
    assert!(story.run(run).environments[0].blocked.is_some() && !asks(&story.world(), run));
    // Of those whom it names, one has consented, and one is enough for the rule alone.
    protect(&story.world(), 1, &[&named("ada"), &named("carol")]);
    steer(&story, "unfreeze", &json!({}));
    story.sim.run_for(SignedDuration::from_mins(10));
    assert!(is_untouched(&story, run) && asks(&story.world(), run), "{:?}", story.run(run));
    assert_eq!(approve(&story, "carol", run, "1").1["granted"], true);
    ended_well(&mut story, run, &commit);
}

#[test]
fn a_rule_that_comes_a_moment_after_the_last_consent_holds() {
    let mut story = Story::new();
    let (commit, run) = asked(&mut story, ASK);
    // The function that notes the consent reads the environment first, and can't when it would see to the rest.
    let before = story.world().call_count();
    story.world().inject_at(before + 7, Injected::Permanent);
    let digest = question(&story, run).request.digest;
    let consent = Consent { by: arn("ada"), groups: BTreeSet::new(), comment: None };
    let (world, staging) = (story.world(), parse("staging"));
    let noted = block_on(settle::approve(&*world, run, &staging, &digest, consent));
    assert!(noted.is_ok_and(|noted| noted.is_ok()));
    assert_eq!(story.world().calls()[before + 7].verb, "environment");
    assert!(question(&story, run).is_granted() && is_untouched(&story, run));
    protect(&story.world(), 1, &[&named("bob")]);
    story.sim.run_for(SignedDuration::from_mins(5));
    assert!(is_untouched(&story, run) && question(&story, run).is_open());
    assert_eq!(approve(&story, "bob", run, "1").1["granted"], true);
    ended_well(&mut story, run, &commit);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    /// Whoever set the rule before the lock was taken is heeded, in whatever order the calls of both fall.
    #[test]
    fn a_rule_that_is_set_in_the_moment_of_the_last_consent_holds_unless_the_lock_is_taken(
        head_start in 0usize..40, schedule in proptest::collection::vec(0u8..2, 1..20)
    ) {
        let mut story = Story::new();
        let (commit, run) = asked(&mut story, ASK);
        let (world, staging) = (story.world(), parse("staging"));
        let digest = question(&story, run).request.digest;
        let consent = Consent { by: arn("ada"), groups: BTreeSet::new(), comment: None };
        let rule = ProtectionRule::new(1, vec![named("bob")], "root".into(), world.now()).expect("a rule");
        let was_taken = Cell::new(false);
        let consenting: Racer<'_> = Box::pin(async {
            // Too late, it is refused.
            drop(settle::approve(&*world, run, &staging, &digest, consent).await);
        });
        let protecting: Racer<'_> = Box::pin(async {
            loop {
                let stored = world.environment(&parse("web"), &staging).await.expect("it is read");
                let protection = Some(rule.clone());
                let next = EnvironmentRecord { protection, version: stored.version + 1, ..stored.clone() };
                if world.put_environment(&next).await.expect("it is written") == Written::Stored {
                    was_taken.set(stored.is_held_by(run));
                    break;
                }
            }
        });
        // The one who consents goes so many steps alone.
        let schedule: Vec<u8> = std::iter::repeat_n(0, head_start).chain(schedule).collect();
        race(&world, vec![consenting, protecting], &schedule);
        story.sim.run_for(SignedDuration::from_mins(5));
        prop_assert_eq!(is_untouched(&story, run), !was_taken.get());
        if !was_taken.get() {
            prop_assert!(asks(&world, run) && question(&story, run).is_open());
            prop_assert_eq!(&approve(&story, "bob", run, "1").1["granted"], &json!(true));
        }
        ended_well(&mut story, run, &commit);
    }
}

#[test]
fn letting_a_deployment_go_on_takes_one_whom_the_rule_names_and_sending_it_back_does_not() {
    let canary = " }, strategy: { canary: { percent: 10, hold: 2m, bake: 1m, pause: 30m } }, timeout: 40m }";
    let file = PIPELINE.replace(" }, timeout: 10m }", canary);
    for goes_on in [true, false] {
        let mut story = Story::new();
        let commit = story.commit_with(&[("pushway.yml", &file)]);
        protect(&story.world(), 1, &[&named("bob")]);
        let run = story.push("main", &commit);
        story.sim.run_until(|world| asks(world, run));
        approve(&story, "bob", run, "1");
        story.sim.run_until(|world| world.runs()[0].environments[0].paused().is_some());
        let (_, listed) = get(&story.world(), "/v1/approvals");
        assert_eq!(listed["pauses"][0]["approvers"], json!([arn("bob")]));
        let (status, problem) = say(&story, "ada", run, "continue", &json!({}));
        assert_eq!(status, 403, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(&arn("bob")), "{problem}");
        assert!(story.run(run).environments[0].paused().is_some());
        if goes_on {
            assert_eq!(say(&story, "bob", run, "continue", &json!({})).0, 200);
        } else {
            assert_eq!(say(&story, "ada", run, "go-back", &json!({ "reason": "slow" })).0, 200);
        }
        story.sim.run();
        story.check();
        let expected = if goes_on { Status::Succeeded } else { Status::RolledBack };
        assert_eq!(story.run(run).status, expected);
    }
}

#[test]
fn a_rollback_by_hand_asks_nobody() {
    let mut story = Story::new();
    let (first, second) = (story.commit(), story.commit());
    story.play_commit(&first);
    story.world().advance(SignedDuration::from_secs(1));
    story.play_commit(&second);
    protect(&story.world(), 2, &[&named("bob")]);
    story.world().advance(SignedDuration::from_secs(1));
    let path = "/v1/environments/web/staging/rollback";
    assert_eq!(post(&story.world(), "ada", path, &json!({ "reason": "broken" })).0, 202);
    story.sim.run_for(SignedDuration::from_mins(10));
    assert_eq!(story.serving(), [image_of(&first).digest().to_string()]);
}

#[test]
fn f28_a_rule_that_is_tightened_survives_a_fault_at_every_call() {
    at_every_call(
        |story| {
            let world = story.world();
            protect(&world, 1, &[]);
            let commit = story.commit();
            push(story, &commit);
            let waits = |world: &World| world.runs().first().is_some_and(|run| asks(world, run.id));
            story.sim.run_until(|world| waits(world) || world.all_over());
            let Some(run) = story.world().runs().first().map(|run| run.id) else { return };
            protect(&world, 2, &[&named("ada"), &named("bob")]);
            if asks(&world, run) && !story.run(run).status.is_terminal() {
                for who in ["ada", "bob"] {
                    approve(story, who, run, "1");
                }
            }
        },
        &[Status::Succeeded],
        Events::Once,
        &SHARPEST,
    );
}

#[test]
fn a_rule_is_shown_replaced_and_noted_and_one_that_makes_no_sense_is_refused() {
    let story = Story::new();
    let world = story.world();
    for (required, approvers, told) in [
        (0, vec![], "1 to 10"),
        (11, vec![], "1 to 10"),
        (1, vec!["ada@example.com"], "must begin with"),
        (1, vec!["*"], "must begin with"),
        (1, vec!["group:a\n"], "without control"),
    ] {
        let (status, problem) = protect(&world, required, &approvers);
        assert!(status == 400 && problem["detail"].as_str().unwrap().contains(told), "{problem}");
    }
    assert_eq!(world.environment_records(), []);
    let set = protect(&world, 2, &["group:release"]).1;
    world.advance(SignedDuration::from_secs(60));
    // Somebody else who says the same changes nothing.
    let order = json!({ "required": 2, "approvers": ["group:release", "group:release"] });
    let again = post(&world, "ada", "/v1/environments/web/staging/protect", &order).1;
    assert_eq!((&set, set["protection"]["by"].as_str()), (&again, Some(&*arn("root"))));
    let shown = get(&world, "/v1/environments/web/staging").1;
    assert_eq!(shown["protection"], set["protection"]);
    let listed = get(&world, "/v1/environments").1;
    assert_eq!(listed["environments"][0]["protection"], set["protection"]);
    assert_eq!(protect(&world, 1, &[]).1["protection"]["required"], 1);
    let unprotect = "/v1/environments/web/staging/unprotect";
    assert_eq!(post(&world, "ada", unprotect, &json!({})).1["was"]["required"], 1);
    assert_eq!(post(&world, "bob", unprotect, &json!({})).1["was"], Value::Null);
    let noted: Vec<String> = world.audit().into_iter().filter_map(|entry| entry.asked).collect();
    assert!(
        noted.iter().any(|reason| reason.contains("\"required\":2") && reason.contains("group:release")),
        "{noted:?}"
    );
}

#[test]
fn pages_name_who_may_and_offer_the_act_to_them_alone() {
    let mut story = Story::new();
    protect(&story.world(), 1, &["token:release-*"]);
    let (_, run) = asked(&mut story, "");
    let world = story.world();
    let look = |who: &str, path: &str| {
        let session = cookie(&world, &token(&world, who, &["approve"], 1));
        send(&world, &unsigned("GET", path, &[("cookie", &session)], "")).expect("it answers").body
    };
    let path = format!("/runs/{run}/environments/staging/approve");
    let (may, other) = (look("release-bot", &path), look("other", &path));
    for page in [&may, &other] {
        assert!(page.contains("Who may approve: token:release-*") && page.contains("/reject\""), "{page}");
    }
    let button = "<button class=\"go\">Approve</button>";
    assert!(may.contains(button) && !may.contains("not for you"), "{may}");
    assert!(!other.contains(button) && other.contains("not for you to approve"), "{other}");
    let shown = look("third", "/environments/web/staging");
    assert!(shown.contains("every deploy takes 1 approval by token:release-*"), "{shown}");
}
