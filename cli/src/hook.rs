//! `pushway hook post-receive`: what a plain git server runs after a push.
//!
//! For each ref that moved it signs one delivery and sends it. The delivery's id is made of what moved, so
//! that sending it again is a redelivery. Its own failures never undo a push; they are told to the pusher.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, bail};
use backon::{ExponentialBuilder, Retryable as _};
use pushway_core::delivery::git::{PushBody, headers};
use pushway_core::pipeline_file::parse;
use pushway_core::signature::{Secret, sign_standard};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Digest as _;
use url::Url;

use crate::output;

/// Where pipeline files may lie, as the installation looks for them.
const PIPELINE_FILES: [&str; 2] = ["pushway.yml", ".pushway.yml"];
/// A pusher waits for the answer; the installation's own reconciliation is for longer outages.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_TRIES: usize = 4;

/// What a git server's hook may do.
#[derive(clap::Subcommand)]
pub(crate) enum Verb {
    /// Deliver pushed refs; reads `old new ref` lines from standard input, as git gives them.
    #[command(
        after_help = "Example, as hooks/post-receive: exec pushway hook post-receive --config /etc/pushway/web.json"
    )]
    PostReceive {
        /// File with `url`, `repository` and `secret`; keep it readable for the git server only.
        #[arg(long)]
        config: PathBuf,
    },
}

/// The content of the configuration file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The hook's address, as `pushway connect` gave it.
    pub(crate) url: Url,
    /// The repository's name, as it was connected.
    pub(crate) repository: String,
    /// The secret, as `pushway connect --show-secret` gave it.
    pub(crate) secret: String,
}

/// Runs a hook.
pub(crate) async fn main(verb: &Verb) -> anyhow::Result<ExitCode> {
    let Verb::PostReceive { config } = verb;
    let config = read_config(config)?;
    let mut lines = String::new();
    std::io::stdin().read_to_string(&mut lines).context("read the pushed refs from standard input")?;
    let mut good = true;
    for line in lines.lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        let [before, after, git_ref] = parts[..] else {
            bail!("{line:?} is not `old new ref`, as post-receive hooks get it")
        };
        match deliver(&config, before, after, git_ref).await {
            Ok(answer) => output::note(&format!("Pushway: {}", words(git_ref, &answer))),
            Err(error) => {
                good = false;
                output::note(&format!("Pushway: {git_ref} was not delivered: {error:#}"));
            }
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn words(git_ref: &str, answer: &Value) -> String {
    match (answer["run_id"].as_str(), answer["ignored"].as_str()) {
        (Some(run), _) if answer["new"] == true => format!("run {run} started for {git_ref}"),
        (Some(run), _) => format!("run {run} was started for this push of {git_ref} before"),
        (None, Some(rule)) => format!("nothing to do for {git_ref}: {rule}"),
        (None, None) => format!("{git_ref} delivered: {answer}"),
    }
}

fn read_config(path: &Path) -> anyhow::Result<Config> {
    use std::os::unix::fs::PermissionsExt as _;
    let shown = path.display();
    let mode = std::fs::metadata(path).with_context(|| format!("read {shown}"))?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("{shown} holds a secret and others may read it; run: chmod 600 {shown}");
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("read {shown}"))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{shown} must hold url, repository and secret as JSON"))
}

async fn deliver(config: &Config, before: &str, after: &str, git_ref: &str) -> anyhow::Result<Value> {
    let is_deletion = after.bytes().all(|b| b == b'0');
    let body = PushBody {
        repository: config.repository.clone(),
        git_ref: git_ref.to_owned(),
        before: before.to_owned(),
        after: if is_deletion { after.to_owned() } else { commit_of(after)? },
        message: if is_deletion { String::new() } else { show(after, "%B")? },
        author: if is_deletion { String::new() } else { show(after, "%an")? },
        files: if is_deletion { BTreeMap::new() } else { files(after)? },
    };
    let body = serde_json::to_vec(&body)?;
    let id = delivery_id(config, before, after, git_ref);
    let secret = Secret::new(config.secret.clone()).context("the configured secret is empty")?;
    let http = if config.url.scheme() == "http" {
        pushway_local::loopback::client()?
    } else {
        reqwest::Client::new()
    };
    let send = async || {
        let timestamp = jiff::Timestamp::now().as_second().to_string();
        let signature = sign_standard(&secret, &id, &timestamp, &body);
        let request = http
            .post(config.url.clone())
            .timeout(TIMEOUT)
            .header("content-type", "application/json")
            .header(headers::ID, &id)
            .header(headers::TIMESTAMP, &timestamp)
            .header(headers::SIGNATURE, signature)
            .body(body.clone());
        let answer = request.send().await.map_err(|error| Refused { again: true, why: error.to_string() })?;
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        if status.is_success() {
            return Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)));
        }
        Err(Refused {
            again: status.is_server_error() || status.as_u16() == 429,
            why: format!("{status}: {text}"),
        })
    };
    let sent = send
        .retry(ExponentialBuilder::default().with_jitter().with_max_times(MAX_TRIES))
        .when(|refused| refused.again);
    sent.await.map_err(|refused| anyhow::anyhow!("{}", refused.why))
}

struct Refused {
    again: bool,
    why: String,
}

fn delivery_id(config: &Config, before: &str, after: &str, git_ref: &str) -> String {
    let mut hash = sha2::Sha256::new();
    for part in [config.repository.as_str(), before, after, git_ref] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex::encode(&hash.finalize()[..16])
}

/// The commit that an object is or that a tag points at.
fn commit_of(object: &str) -> anyhow::Result<String> {
    Ok(git(&["rev-parse", "--verify", "--end-of-options", &format!("{object}^{{commit}}")])?
        .trim()
        .to_owned())
}

fn show(commit: &str, format: &str) -> anyhow::Result<String> {
    let text = git(&["log", "-1", &format!("--format={format}"), "--end-of-options", commit])?;
    Ok(text.trim().chars().take(2_000).collect())
}

/// The pipeline file and the buildspecs it names, as far as the commit has them.
fn files(commit: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for path in PIPELINE_FILES {
        let Some(text) = file(commit, path)? else { continue };
        if let Ok(parsed) = parse(path, &text) {
            for job in parsed.plan.build.iter().chain(&parsed.plan.test) {
                if let Some(buildspec) = file(commit, job.buildspec.as_str())? {
                    files.insert(job.buildspec.to_string(), buildspec);
                }
            }
        }
        // Sent even if it is wrong: the run then says what is wrong with it.
        files.insert(path.to_owned(), text);
        break;
    }
    Ok(files)
}

fn file(commit: &str, path: &str) -> anyhow::Result<Option<String>> {
    let listed = git(&["ls-tree", "--full-tree", "--end-of-options", commit, path])?;
    let is_file = listed.lines().any(|line| line.starts_with("100") && line.ends_with(&format!("\t{path}")));
    if is_file { git(&["cat-file", "blob", &format!("{commit}:{path}")]).map(Some) } else { Ok(None) }
}

fn git(args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").args(args).output().context("start git")?;
    if !output.status.success() {
        bail!("git {} failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
