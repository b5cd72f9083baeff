//! How a build is bounded, stopped and not repeated.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Limits, World, context, inline, phases, small_limits};

/// A buildspec with one command in its build phase.
fn one(command: &str) -> Value {
    inline(&format!("version: 0.2\nphases:\n  build:\n    commands:\n      - {command}\n"))
}

/// Whether `pid`'s process is there and not a zombie.
fn is_alive(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

/// A command that leaves a grandchild in its group and one out of it, and their ids in `folder`.
fn leaving(folder: &Path) -> String {
    let path = folder.join("pid").display().to_string();
    format!(
        "(sleep 300 & echo $! >{path}.in); (setsid sleep 300 & echo $! >{path}.out); touch {path}.ready; sleep 300"
    )
}

async fn assert_dead(folder: &Path) {
    for name in ["pid.in", "pid.out"] {
        let pid = std::fs::read_to_string(folder.join(name)).unwrap();
        let begin = Instant::now();
        while is_alive(pid.trim()) {
            assert!(begin.elapsed() < Duration::from_secs(2), "{name} is alive");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_kills_the_build_and_its_grandchildren() {
    // Ten minutes, here two seconds: long enough to reach the command on a busy machine.
    let world = World::within(Limits { minute: Duration::from_millis(200), ..small_limits() }).await;
    let mut request = one(&leaving(world.folder.path()));
    request["timeoutInMinutesOverride"] = json!(10);
    let id = world.start(request).await;
    let build = world.ended(&id).await;
    assert_eq!(build["buildStatus"], "TIMED_OUT", "{build:#}");
    assert_eq!(phases(&build)[6..], ["BUILD TIMED_OUT", "COMPLETED"]);
    assert_eq!(context(&build, "BUILD").0, "BUILD_TIMED_OUT");
    assert_dead(world.folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_build_is_dead_and_says_so() {
    let mut world = World::new().await;
    let id = world.start(one(&leaving(world.folder.path()))).await;
    let ready = world.folder.path().join("pid.ready");
    world.when(&id, |_| ready.exists()).await;
    let arn = world.get(&id).await["arn"].clone();
    world.call("StopBuild", json!({"id": arn})).await.unwrap();
    let build = world.ended(&id).await;
    assert_eq!(build["buildStatus"], "STOPPED");
    assert_eq!(phases(&build)[6..], ["BUILD STOPPED", "COMPLETED"]);
    assert_dead(world.folder.path()).await;
    let (_, last) = (world.events.recv().await, world.events.recv().await.unwrap());
    assert_eq!(last["detail"]["build-status"], "STOPPED");
    let again = world.call("StopBuild", json!({"id": id})).await.unwrap();
    assert_eq!(again["build"]["buildStatus"], "STOPPED");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_successful_build_leaves_running_is_killed() {
    let world = World::new().await;
    let path = world.folder.path().join("pid").display().to_string();
    let outside = format!("setsid sh -c 'echo $$ >{path}.out; exec sleep 300'");
    let both = format!("sleep 300 & echo $! >{path}.in; {outside} & until test -s {path}.out; do :; done");
    let id = world.start(one(&both)).await;
    assert_eq!(world.ended(&id).await["buildStatus"], "SUCCEEDED");
    assert_dead(world.folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_longer_than_its_timeout_is_left() {
    let limits = Limits { minute: Duration::from_millis(40), concurrent: 1, ..small_limits() };
    let world = World::within(limits).await;
    let mut long = one("sleep 300");
    long["timeoutInMinutesOverride"] = json!(2160);
    let busy = world.start(long).await;
    world.when(&busy, |build| build["currentPhase"] == "BUILD").await;
    let mut request = one("echo never");
    request["queuedTimeoutInMinutesOverride"] = json!(5);
    let id = world.start(request).await;
    let build = world.ended(&id).await;
    assert_eq!(build["buildStatus"], "TIMED_OUT");
    assert_eq!(phases(&build), ["SUBMITTED SUCCEEDED", "QUEUED TIMED_OUT", "COMPLETED"]);
    world.call("StopBuild", json!({"id": busy})).await.unwrap();
    assert_eq!(world.ended(&busy).await["buildStatus"], "STOPPED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_output_is_cut_with_one_line_and_blocks_nothing() {
    let world = World::new().await;
    let flood = "head -c 50000000 /dev/zero | tr '\\0' x; yes y | head -c 50000000; echo; echo last words";
    let id = world.start(one(flood)).await;
    let build = world.ended(&id).await;
    assert_eq!(build["buildStatus"], "SUCCEEDED");
    let lines = world.told.lines.lock().unwrap().clone();
    let total: usize = lines.iter().map(String::len).sum();
    assert!(total > 1_500_000 && total < 3_000_000, "{total}");
    assert!(lines.iter().all(|line| line.len() < 256 * 1024));
    assert_eq!(lines.iter().filter(|line| line.contains("The log is full")).count(), 1);
    assert!(lines.iter().any(|line| line.contains("Phase complete: BUILD State: SUCCEEDED")));
    assert!(!lines.iter().any(|line| line == "last words"));
    assert!(world.told.batches.lock().unwrap().len() > 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_can_be_followed_while_the_build_runs() {
    let world = World::new().await;
    let id = world.start(one("echo early; sleep 300")).await;
    world.when(&id, |_| world.log().contains("\nearly")).await;
    world.call("StopBuild", json!({"id": id})).await.unwrap();
    world.ended(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_starts_one_build() {
    let world = World::new().await;
    let mut request = one("echo once");
    request["idempotencyToken"] = json!("token-1");
    let (one_answer, other_answer) =
        tokio::join!(world.call("StartBuild", request.clone()), world.call("StartBuild", request.clone()));
    let id = one_answer.unwrap()["build"]["id"].as_str().unwrap().to_owned();
    assert_eq!(other_answer.unwrap()["build"]["id"], id.as_str());
    world.ended(&id).await;
    let late = world.call("StartBuild", request.clone()).await.unwrap();
    assert_eq!(late["build"]["id"], id.as_str());
    request["computeTypeOverride"] = json!("BUILD_GENERAL1_LARGE");
    assert_eq!(world.refused("StartBuild", request).await.0, "InvalidInputException");

    let other = world.start(one("echo twice")).await;
    assert_eq!(world.ended(&other).await["buildNumber"], 2);
    let listed = world.call("ListBuildsForProject", json!({"projectName": "web"})).await.unwrap();
    assert_eq!(listed["ids"], json!([other, id]));
    let oldest = json!({"projectName": "web", "sortOrder": "ASCENDING"});
    assert_eq!(world.call("ListBuildsForProject", oldest).await.unwrap()["ids"], json!([id, other]));
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_die_with_the_worker() {
    let world = World::new().await;
    let id = world.start(one(&leaving(world.folder.path()))).await;
    let ready = world.folder.path().join("pid.ready");
    world.when(&id, |_| ready.exists()).await;
    world.server.abort();
    assert_dead(world.folder.path()).await;
}
