//! Stories of what is checked after a deploy: by whom a success is believed, and what ends it again.

use jiff::SignedDuration;
use pushway_core::ids::CommitSha;
use pushway_core::run::{Run, Status};
use pushway_core::testing::digest_of;
use pushway_tests::sim::story::{PIPELINE, Story, old_image, parse};

fn cause(run: &Run) -> String {
    let cause = run.cause.as_ref().unwrap_or_else(|| panic!("{} has no cause", run.status));
    format!("{}: {}", cause.stage, cause.summary)
}

/// The usual pipeline with other checks.
fn with_checks(checks: &str) -> String {
    let (before, _) = PIPELINE.split_once("    validate:\n").unwrap();
    format!("{before}    validate:\n{checks}")
}

#[test]
fn f34_the_old_version_behind_a_slow_front_is_waited_for_and_never_believed() {
    for (lag, status) in [(20, Status::Succeeded), (600, Status::RolledBack)] {
        let mut story = Story::new();
        story.world().set_front_lag(SignedDuration::from_secs(lag));
        let first: CommitSha = parse(&format!("{:040x}", 0xc0_0001));
        let version = digest_of(&first);
        let pipeline = with_checks(&format!(
            "      - http: {{ url: \"http://web.example.com/\", attempts: 40, need: 3, interval: 2s, \
             version: {{ header: x-version, equals: \"{version}\" }} }}\n"
        ));
        let commit = story.commit_with(&[("pushway.yml", &pipeline)]);
        assert_eq!(commit, first);
        let run = story.play_commit(&commit);
        assert_eq!(run.status, status, "{lag} s: {:?}", run.environments[0].checks);
        let check = &run.environments[0].checks[1];
        if status == Status::Succeeded {
            assert!(check.samples > 3 && check.good == 3, "{check:?}");
        } else {
            assert!(cause(&run).contains("another version answers"), "{}", cause(&run));
            assert_eq!(check.good, 0, "{check:?}");
            assert_eq!(story.serving(), [old_image().digest().to_string()]);
        }
    }
}
