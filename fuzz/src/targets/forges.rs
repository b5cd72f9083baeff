//! Deliveries of each forge, through the webhook function, with a signature that always fits.
//!
//! What a signature keeps out is the target `webhook`'s affair; here everything behind it is reached. An
//! input is a line that names the event, a line with the delivery's id, and the body.

use pushway_core::ports::Clock as _;
use pushway_core::run::Run;
use pushway_core::source::Provider;
use pushway_core::testing::World;
use pushway_tests::forges::deliveries::{self, SAMPLES};
use pushway_tests::sim::story::{self, Post};

use crate::seeds;

pub(crate) fn github(input: &[u8]) {
    let _accepted = deliver(Provider::Github, input);
}

pub(crate) fn github_seeds() -> Vec<Vec<u8>> {
    samples(Provider::Github)
}

pub(crate) fn gitlab(input: &[u8]) {
    let _accepted = deliver(Provider::Gitlab, input);
}

pub(crate) fn gitlab_seeds() -> Vec<Vec<u8>> {
    samples(Provider::Gitlab)
}

pub(crate) fn bitbucket(input: &[u8]) {
    let _accepted = deliver(Provider::Bitbucket, input);
}

pub(crate) fn bitbucket_seeds() -> Vec<Vec<u8>> {
    samples(Provider::Bitbucket)
}

pub(crate) fn gitea(input: &[u8]) {
    let _accepted = deliver(Provider::Gitea, input);
}

pub(crate) fn gitea_seeds() -> Vec<Vec<u8>> {
    samples(Provider::Gitea)
}

pub(crate) fn git(input: &[u8]) {
    let _accepted = deliver(Provider::Git, input);
}

pub(crate) fn git_seeds() -> Vec<Vec<u8>> {
    samples(Provider::Git)
}

/// Sends an input; what was accepted is stored whole, within its bounds, and once. Gives whether it was.
fn deliver(provider: Provider, input: &[u8]) -> bool {
    let world = seeds::world();
    let Some(post) = post(provider, input, &world) else { return false };
    let first = story::send(&world, &post).unwrap_or_else(|error| panic!("{error:?}"));
    assert!(matches!(first.status, 200 | 202 | 400 | 413), "{first:?}");
    let runs = world.runs();
    runs.iter().for_each(check);
    if first.status == 202 {
        assert!(!runs.is_empty(), "{first:?}");
        let again = story::send(&world, &post).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!((again.status, world.runs()), (200, runs), "a redelivery changed something");
    }
    first.status == 202
}

/// The signed delivery of an input; `None` where it is not of the form, or a header could not be sent.
fn post(provider: Provider, input: &[u8], world: &World) -> Option<Post> {
    let text = String::from_utf8_lossy(input);
    let (event, rest) = text.split_once('\n')?;
    let (delivery, body) = rest.split_once('\n')?;
    let is_header = |line: &str| line.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if !is_header(event) || !is_header(delivery) {
        return None;
    }
    Some(deliveries::post(provider, seeds::HOOK, event, delivery, seeds::SECRET, body, world.now()))
}

/// The samples of a forge's deliveries.
fn samples(provider: Provider) -> Vec<Vec<u8>> {
    let samples = SAMPLES.iter().filter(|sample| sample.provider == provider);
    let inputs = samples.map(|sample| format!("{}\nd41d8cd98f00b204\n{}", sample.event, sample.body()));
    let seeds: Vec<Vec<u8>> = inputs.map(String::into_bytes).collect();
    // Seeds that are all refused would leave everything behind the refusal to chance.
    assert!(seeds.iter().any(|seed| deliver(provider, seed)), "no sample of {provider} starts a run");
    seeds
}

/// What holds for every run that a delivery has made.
fn check(run: &Run) {
    let source = &run.source;
    assert!(source.git_ref.as_str().starts_with("refs/") && !source.commit.is_zero(), "{source:?}");
    let (message, author) = (source.message.chars().count(), source.author.chars().count());
    assert!(message <= 240 && author <= 140, "message of {message}, author of {author} characters");
    let text = serde_json::to_string(run).unwrap_or_else(|error| panic!("{error}"));
    let read: Run = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(*run, read, "what is stored must be read back as it was");
}
