//! `cargo xtask fuzz`: every parser of outside bytes under libFuzzer, guided by coverage.
//!
//! It works on stable Rust: the compiler's own coverage pass instruments the code, and `libfuzzer-sys` brings
//! the engine, which needs a C++ compiler. What a target learns stays in `fuzz/corpus`; an input that breaks
//! one is kept in `fuzz/artifacts` and is named with the command that replays it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;

use anyhow::{Context as _, bail, ensure};

use crate::process::{command, read, run, say};
use crate::root;

/// What instruments: a counter on each edge, a table of them, and the operands of comparisons
/// (Clang documentation, "`SanitizerCoverage`"). libFuzzer reads all three.
const INSTRUMENTED: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// An input that takes longer, in seconds, is a finding; thousands a second are usual.
const LONGEST_INPUT: u32 = 10;
/// A target that needs more, in megabytes, is a finding; 50 are usual.
const MOST_MEMORY: u32 = 1024;
/// Lines of a target's log that are shown when it broke: the panic's words, and where it was.
const SHOWN: usize = 20;

/// How to fuzz.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Replay one input on one target instead.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Which targets; all of them if none is named.
    targets: Vec<String>,
}

/// Fuzzes, or replays.
pub(crate) fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let program = build()?;
    let known = list(&program)?;
    if let Some(unknown) = args.targets.iter().find(|target| !known.contains(target)) {
        bail!("there is no target {unknown:?}; use one of {}", known.join(", "));
    }
    if let Some(input) = &args.input {
        let [target] = &args.targets[..] else { bail!("name the one target that --input is for") };
        let input = input.canonicalize().with_context(|| format!("input {}", input.display()))?;
        run(fuzzer(&program, target).arg(input))?;
        return Ok(ExitCode::SUCCESS);
    }
    let targets = if args.targets.is_empty() { known } else { args.targets.clone() };
    let broken = fuzz(&program, targets, args.seconds)?;
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs every target for some seconds; whether all held.
pub(crate) fn all_hold(program: &Path, seconds: u32) -> anyhow::Result<bool> {
    Ok(fuzz(program, list(program)?, seconds)? == 0)
}

/// Builds the program that holds all targets. It has a folder of its own: no other build is instrumented.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let root = root();
    compiler(&root)?;
    say("building the fuzz targets (the first time takes minutes)");
    let about = read(&mut command(&root, "rustc", &["--version", "--verbose"]))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    // With `--target`, the flags are not for build scripts and macros, which libFuzzer is not linked into.
    let what =
        ["build", "--quiet", "--package", "pushway-fuzz", "--features", "libfuzzer", "--bin", "libfuzzer"];
    let how = ["--profile", "fuzz", "--target-dir", "target/fuzz", "--target", host];
    run(command(&root, "cargo", &[&what[..], &how].concat()).env("RUSTFLAGS", INSTRUMENTED))?;
    Ok(root.join("target/fuzz").join(host).join("fuzz/libfuzzer"))
}

/// Makes sure that there is a C++ compiler; on Debian it is installed if it is not.
fn compiler(root: &Path) -> anyhow::Result<()> {
    if command(root, "c++", &["--version"])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        return Ok(());
    }
    ensure!(
        Path::new("/etc/debian_version").exists(),
        "libFuzzer needs a C++ compiler; install one as `c++`"
    );
    say("installing the Debian package g++ on this machine: libFuzzer needs a C++ compiler");
    for args in [&["update"][..], &["install", "--yes", "--no-install-recommends", "g++"]] {
        let mut apt = command(root, "apt-get", args);
        run(apt.env("DEBIAN_FRONTEND", "noninteractive")).context("install g++ as root, then fuzz again")?;
    }
    Ok(())
}

fn list(program: &Path) -> anyhow::Result<Vec<String>> {
    Ok(read(&mut fuzzer(program, "list"))?.lines().map(str::to_owned).collect())
}

/// It takes what time others leave: tests may run beside it.
fn fuzzer(program: &Path, target: &str) -> Command {
    let mut fuzzer = command(&root(), "nice", &["-n", "19"]);
    fuzzer.arg(program).env("PUSHWAY_FUZZ_TARGET", target);
    fuzzer
}

/// Runs targets, as many at a time as there are processors; how many broke.
fn fuzz(program: &Path, mut targets: Vec<String>, seconds: u32) -> anyhow::Result<usize> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    say(&format!("fuzzing {} targets for {seconds} s each, {workers} at a time", targets.len()));
    targets.reverse();
    let (waiting, broken) = (Mutex::new(targets), Mutex::new(0));
    let take = || waiting.lock().ok()?.pop();
    let work = || -> anyhow::Result<()> {
        while let Some(target) = take() {
            if !one(program, &target, seconds)? {
                *broken.lock().map_err(|_| anyhow::anyhow!("a worker died"))? += 1;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().map_err(|_| anyhow::anyhow!("a worker died")).and_then(std::convert::identity)
        })
    })?;
    broken.into_inner().map_err(|_| anyhow::anyhow!("a worker died"))
}

/// Runs one target; whether it held.
fn one(program: &Path, target: &str, seconds: u32) -> anyhow::Result<bool> {
    let artifacts = root().join("fuzz/artifacts").join(target);
    fs::create_dir_all(&artifacts).with_context(|| format!("create {}", artifacts.display()))?;
    let mut fuzzer = fuzzer(program, target);
    fuzzer.arg(Path::new("fuzz/corpus").join(target));
    fuzzer
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()));
    fuzzer.arg(format!("-timeout={LONGEST_INPUT}")).arg(format!("-rss_limit_mb={MOST_MEMORY}"));
    let output = fuzzer.arg("-print_final_stats=1").output().context("start the fuzz targets")?;
    let log = String::from_utf8_lossy(&output.stderr);
    let stat = |name: &str| {
        let line = log.lines().rev().find_map(|line| line.strip_prefix(&format!("stat::{name}:")));
        line.map_or_else(|| "?".to_owned(), |value| value.trim().to_owned())
    };
    let inputs = stat("number_of_executed_units");
    if output.status.success() {
        say(&format!(
            "{target}: held for {inputs} inputs, {} of them worth keeping",
            stat("new_units_added")
        ));
        return Ok(true);
    }
    let lines: Vec<&str> = log.lines().collect();
    let is_told = |line: &&str| line.contains(" panicked at ") || line.contains("ERROR: libFuzzer");
    let told = lines.iter().position(is_told).unwrap_or(lines.len().saturating_sub(SHOWN));
    say(&lines[told..lines.len().min(told + SHOWN)].join("\n"));
    say(&format!("{target}: BROKE after {inputs} inputs ({})", output.status));
    if let Some(file) = lines.iter().rev().find_map(|line| line.split("Test unit written to ").nth(1)) {
        let file = Path::new(file).strip_prefix(root()).unwrap_or(Path::new(file)).display();
        say(&format!("replay it: cargo xtask fuzz {target} --input {file}"));
    }
    Ok(false)
}
