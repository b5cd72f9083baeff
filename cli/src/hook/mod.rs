//! `pushway hook`: what a plain git server runs after a push, and what sets it up.
//!
//! Each ref that moved becomes one delivery. It is written to the spool before it is sent, so that a server
//! that loses its network or its installation loses no push. The delivery's id is made of what moved, so
//! that sending it again is a redelivery. Its own failures never undo a push; they are told to the pusher.

mod config;
mod install;
mod read;
mod send;
mod spool;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use pushway_core::delivery::git_hook::Moved;
use serde_json::Value;

pub(crate) use config::Config;
use send::Sender;
use spool::{Outcome, Spool, Told};

use crate::output;

/// A pusher waits for the answer, so after this long the rest is left to the background.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pauses between what a pusher waits for.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(3)];
/// The first pause in the background; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause in the background.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// How long the background goes on; the next push, or cron, goes on after it.
const BACKGROUND: Duration = Duration::from_hours(24);

/// What a git server's hook may do.
#[derive(clap::Subcommand)]
pub(crate) enum Verb {
    /// Write hooks/post-receive of a repository on a git server.
    #[command(
        after_help = "Example: pushway hook install --repository /srv/git/web.git --config /etc/pushway/web.json"
    )]
    Install(install::Args),
    /// Deliver pushed refs; reads `old new ref` lines from standard input, as git gives them.
    #[command(
        after_help = "Example, as hooks/post-receive: exec pushway hook post-receive --config /etc/pushway/web.json"
    )]
    PostReceive {
        /// File with `url`, `repository` and `secret` as JSON; keep it readable for the git server only.
        #[arg(long)]
        config: PathBuf,
    },
    /// Send what could not be delivered before; for cron. Exits with 1 if something is left.
    #[command(
        after_help = "Example: pushway hook flush --repository /srv/git/web.git --config /etc/pushway/web.json"
    )]
    Flush(Flush),
}

/// What to send.
#[derive(clap::Args)]
pub(crate) struct Flush {
    /// The same file as the hook's.
    #[arg(long)]
    config: PathBuf,
    /// The repository on the git server.
    #[arg(long, default_value = ".")]
    repository: PathBuf,
    /// Go on until all is sent, a day long at most. The hook starts it so.
    #[arg(long, hide = true)]
    background: bool,
}

/// Runs a hook.
pub(crate) async fn main(verb: &Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Install(args) => install::main(args),
        Verb::PostReceive { config } => post_receive(config).await,
        Verb::Flush(flush) => {
            let spool = Spool::of(&read::git_dir(&flush.repository)?)?;
            if flush.background {
                return in_background(&flush.config, &spool).await;
            }
            let told = spool.pass(&Sender::new(Config::read(&flush.config)?)?).await?;
            told.iter().for_each(tell);
            Ok(if spool.is_empty()? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

async fn post_receive(path: &Path) -> anyhow::Result<ExitCode> {
    let config = Config::read(path)?;
    let git_dir = read::git_dir(Path::new("."))?;
    let spool = Spool::of(&git_dir)?;
    let mut lines = String::new();
    std::io::stdin().read_to_string(&mut lines).context("read the pushed refs from standard input")?;
    let (mut good, mut waiting) = (true, Vec::new());
    for line in lines.lines() {
        let moved = Moved::parse(line).map_err(anyhow::Error::msg)?;
        let kept =
            read::delivery(&config, moved).and_then(|delivery| spool.keep(Timestamp::now(), &delivery));
        match kept {
            Ok(name) => waiting.push(name),
            Err(error) => {
                good = false;
                output::note(&format!("Pushway: {} was not delivered: {error:#}", moved.git_ref));
            }
        }
    }
    good &= deliver(&spool, &Sender::new(config)?, waiting).await?;
    if !spool.is_empty()? {
        output::note("Pushway: what is left is kept and sent in the background");
        leave_to_background(path, &git_dir)?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends while a pusher waits; gives whether all of `waiting` was taken.
async fn deliver(spool: &Spool, sender: &Sender, mut waiting: Vec<String>) -> anyhow::Result<bool> {
    let (start, mut good) = (Instant::now(), true);
    for pause in PAUSES.into_iter().map(Some).chain([None]) {
        let pause = pause.filter(|_| start.elapsed() <= PATIENCE);
        let told = spool.pass(sender).await?;
        for told in &told {
            let is_ours = waiting.contains(&told.name);
            if pause.is_none() || !matches!(told.outcome, Outcome::Later(_)) {
                tell(told);
                waiting.retain(|name| *name != told.name);
                good &= !is_ours || matches!(told.outcome, Outcome::Sent(_));
            }
        }
        let count = waiting.len();
        waiting.retain(|name| spool.holds(name));
        if waiting.len() < count {
            output::note("Pushway: another process, which was sending just now, has sent this push too");
        }
        match pause.filter(|_| !waiting.is_empty()) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => break,
        }
    }
    Ok(good && waiting.is_empty())
}

/// Starts a process that sends what is left, once the pusher is gone.
fn leave_to_background(config: &Path, git_dir: &Path) -> anyhow::Result<()> {
    let own = std::env::current_exe().context("find this program")?;
    let config = config.canonicalize().with_context(|| format!("find {}", config.display()))?;
    Command::new(own)
        .args(["hook", "flush", "--background", "--repository"])
        .arg(git_dir)
        .arg("--config")
        .arg(config)
        .current_dir(git_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start `pushway hook flush` in the background")?;
    Ok(())
}

/// Sends until nothing is left, with growing pauses. One process a repository does so.
async fn in_background(config: &Path, spool: &Spool) -> anyhow::Result<ExitCode> {
    // The pusher's session must be able to end; a process that leads a session already is as free.
    let _ = rustix::process::setsid();
    let Some(_alone) = spool.background_lock()? else { return Ok(ExitCode::SUCCESS) };
    let (start, mut pause) = (Instant::now(), FIRST_PAUSE);
    while start.elapsed() < BACKGROUND {
        // The hook has only just tried.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        // Read each time: what keeps deliveries back may be mended in it.
        if let Ok(config) = Config::read(config) {
            spool.pass(&Sender::new(config)?).await?;
        }
        if spool.is_empty()? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    Ok(ExitCode::FAILURE)
}

fn tell(told: &Told) {
    let git_ref = &told.git_ref;
    output::note(&match &told.outcome {
        Outcome::Sent(answer) => format!("Pushway: {}", words(git_ref, answer)),
        Outcome::Refused(why) => format!("Pushway: {git_ref} was not delivered: {why}"),
        Outcome::Later(why) => format!("Pushway: {git_ref} is not delivered yet: {why}"),
    });
}

fn words(git_ref: &str, answer: &Value) -> String {
    match (answer["run_id"].as_str(), answer["ignored"].as_str()) {
        (Some(run), _) if answer["new"] == true => format!("run {run} started for {git_ref}"),
        (Some(run), _) => format!("run {run} was started for this push of {git_ref} before"),
        (None, Some(rule)) => format!("nothing to do for {git_ref}: {rule}"),
        (None, None) => format!("{git_ref} delivered: {answer}"),
    }
}
