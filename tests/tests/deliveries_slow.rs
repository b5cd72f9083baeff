//! Writes that take their time while a forge loses its patience and sends again (row F5).
//!
//! GitHub and Bitbucket wait 10 s for an answer. A write may still be on its way then, and lands when the
//! redelivery has been there: whichever is first, there is one run, and whoever comes later is told of it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use jiff::SignedDuration;
use pushway_core::ids::RunId;
use pushway_core::run::Status;
use pushway_core::testing::{Injected, World};
use pushway_tests::sim::story::{Post, Story};

/// What a forge waits for an answer.
const PATIENCE: i64 = 10;

type Handled<'a> = Pin<Box<dyn Future<Output = i64> + 'a>>;

/// A delivery that is being handled.
fn handle<'a>(world: &'a World, post: &Post) -> Handled<'a> {
    let request = post.request();
    Box::pin(async move { webhook::handle(world, request).await.expect("it answers").status_code })
}

/// Goes on with a delivery; it is gone once it is answered or its function has died.
fn poll(world: &World, handled: &mut Option<Handled<'_>>) -> Option<i64> {
    let polled = handled.as_mut()?.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    if polled.is_ready() || world.take_died() {
        *handled = None;
    }
    match polled {
        Poll::Ready(status) => Some(status),
        Poll::Pending => None,
    }
}

/// Sends a delivery whose call of `verb` takes `delay` seconds and comes to `fault`; the forge sends it again,
/// with its own id or another one, when its patience is over or when it is refused. Gives the run.
fn play(story: &mut Story, verb: &'static str, delay: i64, fault: Option<Injected>, renamed: bool) -> RunId {
    let commit = story.commit();
    let first = story.post_of("main", &commit);
    let second = if renamed { story.post_of("main", &commit) } else { first.clone() };
    let world = story.world();
    world.slow_down(verb, 1, SignedDuration::from_secs(delay), fault);
    let mut slow = Some(handle(&world, &first));
    let mut answer = poll(&world, &mut slow);
    let mut waited = 0;
    while slow.is_some() && waited < PATIENCE {
        world.advance(SignedDuration::from_secs(1));
        waited += 1;
        answer = poll(&world, &mut slow);
    }
    let is_known = answer.is_some_and(|status| status == 202);
    // It comes again in any case; the first may still be on its way then.
    let again = story.send(&second).expect("it is answered");
    let what = format!("{verb} after {delay} s, {fault:?}, other id: {renamed}: {answer:?}, then {again:?}");
    assert!(matches!(again.status, 200 | 202), "{what}");
    if is_known {
        assert_eq!(again.body["new"], false, "{what}");
    }
    for _ in 0..delay {
        world.advance(SignedDuration::from_secs(1));
        poll(&world, &mut slow);
    }
    assert!(slow.is_none(), "{what}: it is handled in the end");
    drop(slow);
    let third = story.send(&second).expect("it is answered");
    assert_eq!((third.status, third.run()), (200, again.run()), "{what}");
    assert_eq!((world.runs().len(), world.done("record_run") >= 1), (1, true), "{what}");
    again.run()
}

#[test]
fn f5_a_write_that_takes_its_time_is_one_run_however_often_the_forge_sends_again() {
    let faults = [None, Some(Injected::AnswerLost), Some(Injected::DiesAfter), Some(Injected::Retryable)];
    for verb in ["hook", "secret", "record_run", "start_execution"] {
        // Answered at once, while the forge waits, at its last moment, and when it has given up.
        for delay in [0, 1, 5, 9, 10, 11, 15] {
            for fault in faults {
                for renamed in [false, true] {
                    let mut story = Story::new();
                    let run = play(&mut story, verb, delay, fault, renamed);
                    story.sim.run();
                    story.check();
                    let world = story.world();
                    let what = format!("{verb} after {delay} s, {fault:?}, other id: {renamed}");
                    assert_eq!(story.run(run).status, Status::Succeeded, "{what}");
                    assert_eq!((world.runs().len(), world.execution_count()), (1, 1), "{what}");
                    assert_eq!(world.builds().len(), 2, "{what}: one build and one test");
                }
            }
        }
    }
}

#[test]
fn f5_two_writes_that_land_in_the_other_order_are_one_run() {
    for (first, second) in [(15, 3), (12, 12), (3, 15), (11, 0)] {
        let mut story = Story::new();
        let commit = story.commit();
        let posts = [story.post_of("main", &commit), story.post_of("main", &commit)];
        let world = story.world();
        world.slow_down("record_run", 1, SignedDuration::from_secs(first), None);
        world.slow_down("record_run", 1, SignedDuration::from_secs(second), None);
        let mut handled = [Some(handle(&world, &posts[0])), None];
        poll(&world, &mut handled[0]);
        let mut answers = Vec::new();
        for second in 0..30 {
            if second == PATIENCE {
                handled[1] = Some(handle(&world, &posts[1]));
            }
            answers.extend(handled.iter_mut().filter_map(|one| poll(&world, one)));
            world.advance(SignedDuration::from_secs(1));
        }
        answers.sort_unstable();
        assert_eq!(answers, [200, 202], "{first} and {second}: one of them is new");
        assert_eq!((world.runs().len(), world.execution_count()), (1, 1));
        drop(handled);
        story.sim.run();
        story.check();
    }
}
