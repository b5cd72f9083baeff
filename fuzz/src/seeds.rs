//! Seeds: the repository's own samples, made into inputs of the targets; and the world that targets play in.
//!
//! Files are found from this crate's folder. One that is gone is a panic with its name: the sample moved,
//! and a target would silently begin with less.

use std::path::{Path, PathBuf};

use pushway_core::forge::PullRequestView;
use pushway_core::ids::{CommitSha, RefName};
use pushway_core::ports::HeadView;
use pushway_core::source::{Provider, PullRequest};
use pushway_core::testing::World;
use pushway_tests::forges::deliveries::{self, SAMPLE_BASE, SAMPLE_COMMIT};
use pushway_tests::sim::story::parse;
use serde_json::Value;

use crate::Target;

/// The hook that every provider's deliveries come to; what the samples name.
pub(crate) const HOOK: &str = "web";
/// The secret of every hook. No sample is signed with it.
pub(crate) const SECRET: &str = "known to the fuzz targets only";

/// Longer than every sample of a forge's delivery, in bytes.
const LONGEST_SEED: usize = 64 * 1024;

/// Writes the seeds of a target where it keeps what it learns: `fuzz/corpus/<target>/seed-<n>`.
pub fn write_seeds(target: &Target) -> std::io::Result<()> {
    let folder = root().join("fuzz/corpus").join(target.name);
    std::fs::create_dir_all(&folder)?;
    for (n, seed) in (target.seeds)().into_iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{n}")), seed)?;
    }
    Ok(())
}

/// A world in which every provider has a hook. `CodeCommit`'s main and the samples' pull requests are at the
/// forge as the samples tell.
pub(crate) fn world() -> World {
    let world = World::new();
    world.add_secret("pushway/web", SECRET);
    for provider in Provider::ALL {
        let mut hook = deliveries::hook(provider);
        if provider == Provider::Codecommit {
            HOOK.clone_into(&mut hook.repository);
        }
        hook.repository_id = None;
        world.add_hook(hook);
    }
    let commit: CommitSha = parse(SAMPLE_COMMIT);
    world.set_pull_request(PullRequestView {
        request: PullRequest {
            number: 12,
            base: "main".into(),
            base_commit: parse(SAMPLE_BASE),
            is_fork: false,
            approved_by: None,
        },
        head: commit.clone(),
        is_open: true,
        title: "Greet by name".into(),
        author: "ada".into(),
    });
    let head = HeadView { commit, message: "mend it".into(), author: "Ada".into() };
    world.set_head(&parse::<RefName>("refs/heads/main"), Some(head));
    world
}

/// The content of a file of the repository.
pub(crate) fn file(path: &str) -> Vec<u8> {
    let path = root().join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The sample `events/<name>.json`.
pub(crate) fn event(name: &str) -> Value {
    let bytes = file(&format!("events/{name}.json"));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("events/{name}.json: {error}"))
}

/// Every sample below `events/`.
pub(crate) fn events() -> Vec<Value> {
    files("events")
}

/// Requests to the webhook: samples, and the hostile ones that were kept below `tests/attacks/`.
pub(crate) fn requests() -> Vec<Value> {
    let attacks = files("tests/attacks").into_iter().map(|mut attack| attack["request"].take());
    let all = events().into_iter().chain(attacks);
    all.filter(|request| request["pathParameters"]["provider"].is_string()).collect()
}

/// Every JSON file below a folder of the repository, in the order of their names. Long ones are left out: a
/// target tries inputs as long as its longest seed.
fn files(folder: &str) -> Vec<Value> {
    let (mut folders, mut paths) = (vec![root().join(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { paths.push(path) }
        }
    }
    paths.sort();
    let bytes = paths.iter().filter_map(|path| std::fs::read(path).ok());
    let short = bytes.filter(|bytes| bytes.len() <= LONGEST_SEED);
    short.filter_map(|bytes| serde_json::from_slice(&bytes).ok()).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
