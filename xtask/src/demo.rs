//! `cargo xtask demo`: the main job, with real pushes to the real installation on this machine.
//!
//! Every claim it makes is checked: what the run says, what the load balancer serves, what the tasks run.
//! It uses the `pushway` command as a user would.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use pushway_core::fact::Entry;
use pushway_core::ledger::Ledger;
use pushway_local::Engine;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::example::Example;
use crate::process::{command, print, read, say};
use crate::{package, root};

/// Longer than any run of the example takes, and shorter than a reader's patience.
const LONGEST_RUN: Duration = Duration::from_mins(4);

/// How to show it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave everything running, to look around with `pushway`.
    #[arg(long)]
    keep: bool,
    /// Take the programs as they were built before.
    #[arg(long)]
    no_build: bool,
    /// Write one machine-readable summary to standard output.
    #[arg(long)]
    json: bool,
}

/// What one push came to.
#[derive(Serialize)]
struct Scene {
    name: &'static str,
    run: String,
    status: String,
    cause: Option<String>,
    ledger: Ledger,
}

/// What `pushway local up --json` tells.
#[derive(Deserialize)]
struct Installation {
    api: String,
    environment: BTreeMap<String, String>,
}

/// A run that is over.
struct Ended {
    id: String,
    run: Value,
    ledger: Ledger,
}

/// Plays the demo.
pub(crate) async fn main(args: &Args) -> anyhow::Result<ExitCode> {
    if !args.no_build {
        package::debug()?;
    }
    let root = root();
    let engine = Engine::new(&root)?;
    if engine.down().await? {
        say("stopped an engine that was still running");
    }
    let played = play(&engine).await;
    if args.keep {
        say("left running; stop it with: target/debug/pushway local down");
    } else {
        engine.down().await?;
    }
    let (scenes, history) = played?;
    let first = scenes.first().map(|scene| scene.ledger.clone()).unwrap_or_default();
    say(&format!("first push: {}", first.summary()));
    if args.json {
        print(&serde_json::to_string_pretty(&json!({ "ok": true, "scenes": scenes, "history": history }))?)?;
    }
    say("every claim holds");
    Ok(ExitCode::SUCCESS)
}

async fn play(engine: &Engine) -> anyhow::Result<(Vec<Scene>, Value)> {
    let installation: Installation =
        serde_json::from_str(&pushway(&["local", "up", "--json"])?).context("read `local up`")?;
    say(&format!("Pushway runs on this machine: {}", installation.api));
    let example = Example::prepare(engine, installation.environment).await?;
    let mut scenes = Vec::new();

    example.write("VERSION", "1.0.0\n")?;
    let first = push(&example, "first version").await?;
    expect_status(&first, "succeeded")?;
    expect_served(&example, "1.0.0").await?;
    scenes.push(scene("a: first version", first));

    let before = example.head()?;
    example.write("VERSION", "1.1.0\n")?;
    let second = push(&example, "second version").await?;
    expect_status(&second, "succeeded")?;
    expect_served(&example, "1.1.0").await?;
    expect_digest(&example, &second).await?;
    let (after, second_id) = (example.head()?, second.id.clone());
    scenes.push(scene("b: second version", second));

    example.replace("Dockerfile", "CMD [\"serve\"]", "CMD [\"server\"]")?;
    let crashing = push(&example, "a version that exits at once").await?;
    expect_status(&crashing, "rolled_back")?;
    expect_cause(&crashing, &["exited with code 2"])?;
    ensure!(
        !evidence(&crashing, "log: ").is_empty(),
        "the cause shows no log line of the container: {}",
        crashing.run["cause"]
    );
    expect_served(&example, "1.1.0").await?;
    scenes.push(scene("c: exits at once", crashing));

    example.replace("Dockerfile", "CMD [\"server\"]", "CMD [\"serve\"]")?;
    example.replace("Dockerfile", "ENV PORT=8080", "ENV PORT=8081")?;
    let sick = push(&example, "a version that nobody reaches").await?;
    expect_status(&sick, "rolled_back")?;
    expect_cause(&sick, &["GET ", "status 502"])?;
    expect_served(&example, "1.1.0").await?;
    scenes.push(scene("c: fails its health check", sick));

    example.replace("Dockerfile", "ENV PORT=8081", "ENV PORT=8080")?;
    example.write("VERSION", "next\n")?;
    let red = push(&example, "a version whose unit test fails").await?;
    expect_status(&red, "failed")?;
    expect_cause(&red, &["test/unit", "the_version_has_three_numbers"])?;
    ensure!(
        red.run["environments"][0]["fence"].is_null(),
        "a run with a failing test took the environment's lock"
    );
    expect_served(&example, "1.1.0").await?;
    scenes.push(scene("d: unit test fails", red));

    let history = deliver_again(&example, &before, &after, &second_id)?;
    say("the history, as the API returns it:");
    say(&pushway(&["runs"])?);
    Ok((scenes, history))
}

/// The delivery of a push once more must be answered with the run that it has started.
fn deliver_again(example: &Example, before: &str, after: &str, run: &str) -> anyhow::Result<Value> {
    say("e: the delivery of b once more");
    let count = runs()?["runs"].as_array().map_or(0, Vec::len);
    let answer = example.deliver_again(before, after)?;
    ensure!(answer.contains(run), "the second delivery was answered with {answer:?}, not with run {run}");
    let history = runs()?;
    let recount = history["runs"].as_array().map_or(0, Vec::len);
    ensure!(recount == count, "the second delivery made {count} runs {recount}");
    Ok(history)
}

/// Commits, pushes, and waits for the run to end.
async fn push(example: &Example, message: &str) -> anyhow::Result<Ended> {
    example.commit(message)?;
    say(&format!("push: {message}"));
    let known = newest()?;
    let (pushed, started) = (Timestamp::now(), Instant::now());
    let folder = example.folder().display().to_string();
    pushway(&["local", "push", &folder])?;
    let id = newest()?.filter(|id| known.as_ref() != Some(id)).context("the push started no run")?;
    let mut status = String::new();
    loop {
        let run: Value = serde_json::from_str(&pushway(&["run", "show", &id, "--json"])?)?;
        let now = run["status"].as_str().unwrap_or_default().to_owned();
        if now != status {
            say(&format!("  {:>5.1} s  {now}", started.elapsed().as_secs_f64()));
            status = now;
        }
        if run["over"] == true {
            let journal = pushway(&["run", "watch", &id, "--json"]).unwrap_or_else(|error| error.to_string());
            let ledger = Ledger::since(Some(pushed), &entries(&journal), None);
            if let Some(summary) = run["cause"]["summary"].as_str() {
                say(&format!("  cause: {summary}"));
            }
            return Ok(Ended { id, run, ledger });
        }
        if started.elapsed() > LONGEST_RUN {
            bail!("run {id} is still {status} after {} s; see `pushway local logs`", LONGEST_RUN.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

fn entries(journal: &str) -> Vec<Entry> {
    journal.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn newest() -> anyhow::Result<Option<String>> {
    Ok(runs()?["runs"][0]["id"].as_str().map(str::to_owned))
}

fn runs() -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&pushway(&["runs", "--limit", "100", "--json"])?)?)
}

/// Runs the `pushway` command in the repository's root and gives its standard output.
fn pushway(args: &[&str]) -> anyhow::Result<String> {
    let root = root();
    read(&mut command(&root, root.join("target/debug/pushway"), args))
}

fn scene(name: &'static str, ended: Ended) -> Scene {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Scene {
        name,
        status: text(&ended.run["status"]).unwrap_or_default(),
        cause: text(&ended.run["cause"]["summary"]),
        run: ended.id,
        ledger: ended.ledger,
    }
}

fn expect_status(ended: &Ended, wanted: &str) -> anyhow::Result<()> {
    let status = &ended.run["status"];
    ensure!(*status == wanted, "run {} is {status}, not {wanted}; cause: {:#}", ended.id, ended.run["cause"]);
    Ok(())
}

fn expect_cause(ended: &Ended, wanted: &[&str]) -> anyhow::Result<()> {
    let cause = &ended.run["cause"];
    let words = format!(
        "{} {}",
        cause["stage"].as_str().unwrap_or_default(),
        cause["summary"].as_str().unwrap_or_default()
    );
    let missing = wanted.iter().find(|wanted| !words.contains(**wanted));
    ensure!(missing.is_none(), "the cause of run {} does not say {missing:?}: {cause:#}", ended.id);
    Ok(())
}

fn evidence(ended: &Ended, prefix: &str) -> Vec<String> {
    let lines = ended.run["cause"]["evidence"].as_array().into_iter().flatten().filter_map(Value::as_str);
    lines.filter(|line| line.starts_with(prefix)).map(str::to_owned).collect()
}

async fn expect_served(example: &Example, version: &str) -> anyhow::Result<()> {
    // Tasks of the version before may still drain; a few looks, then the truth.
    let mut seen = String::new();
    for _ in 0..20 {
        seen = example.served().await?;
        if seen.contains(version) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    bail!("the load balancer serves {:?}, not version {version}", seen.trim())
}

async fn expect_digest(example: &Example, ended: &Ended) -> anyhow::Result<()> {
    let image = ended.run["environments"][0]["rollout"]["images"]["web"].as_str().unwrap_or_default();
    let built = image.rsplit('@').next().unwrap_or_default();
    let running = example.running_digests().await?;
    let all = !running.is_empty() && running.iter().all(|digest| digest == built);
    ensure!(all, "the tasks run {running:?}, but the run built {built}");
    Ok(())
}
