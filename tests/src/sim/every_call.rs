//! Every step made to fail, and every step repeated, by a loop: a new step is tested without a new test.
//!
//! A scenario is played once without faults to count its calls, then again for every call and every kind of
//! fault. Whatever goes wrong, the story's invariants hold at its end; where the fault can be got over, the
//! verdict is the same as without it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::SignedDuration;
use pushway_core::ids::CommitSha;
use pushway_core::run::{Run, Status};
use pushway_core::testing::Injected;

use super::Events;
use super::story::Story;

/// One fault of each effect, for variations of what is played with all of them.
pub const SHARPEST: [Injected; 3] = [Injected::Permanent, Injected::AnswerLost, Injected::DiesBefore];

/// What happens on a stage that is set: a push and what its image does.
pub type Scenario = fn(&mut Story);

/// Pushes until the webhook has taken it, as people and forges do.
///
/// # Panics
/// When it never takes it.
pub fn push(story: &mut Story, commit: &CommitSha) {
    // Two pushes of one moment have no order; these have.
    story.world().advance(SignedDuration::from_millis(1));
    let post = story.post_of("main", commit);
    for _ in 0..5 {
        if story.send(&post).is_ok_and(|answered| answered.status < 300) {
            return;
        }
    }
    panic!("the webhook never took it");
}

/// Plays a scenario with faults at the calls of these numbers.
///
/// # Panics
/// When the story does not hold at its end.
pub fn play(scenario: Scenario, faults: &[(usize, Injected)], events: Events) -> Story {
    let mut story = Story::new();
    story.sim.events = events;
    for (number, what) in faults {
        story.world().inject_at(*number, *what);
    }
    scenario(&mut story);
    story.sim.run();
    story.check();
    story
}

/// How the runs came out. A fault may hold an older push up until a newer one serves: then it is superseded,
/// which is as good as having been deployed before.
pub fn statuses(story: &Story) -> Vec<Status> {
    let came_out = |run: &Run| if run.status == Status::Superseded { Status::Succeeded } else { run.status };
    story.world().runs().iter().map(came_out).collect()
}

/// Plays the scenario with every fault at every call.
///
/// # Panics
/// With all that went wrong.
pub fn at_every_call(scenario: Scenario, expected: &[Status], events: Events, kinds: &[Injected]) {
    let plain = play(scenario, &[], events);
    assert_eq!(statuses(&plain), expected);
    let mut wrong = Vec::new();
    for number in 0..plain.world().call_count() {
        for &what in kinds {
            let played = catch_unwind(AssertUnwindSafe(|| play(scenario, &[(number, what)], events)));
            let problem = match played {
                Err(panic) => Some(words(panic.as_ref())),
                // What can't be got over may end the run, but a verdict stays the truth: `check` has seen to it.
                Ok(_) if what == Injected::Permanent => None,
                Ok(story) if statuses(&story) == expected => None,
                Ok(story) => Some(format!("came out as {:?}", statuses(&story))),
            };
            if let Some(problem) = problem {
                let call = plain.world().calls()[number].clone();
                wrong.push(format!("{what:?} at {number} ({} {}): {problem}", call.verb, call.about));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?").chars().take(600).collect()
}
