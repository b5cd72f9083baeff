//! Functions that run at the same moment, in an order that a schedule tells: the world's calls give way once before
//! they act.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pushway_core::testing::World;

/// One of those who act at the same moment.
pub type Racer<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Polls the racers in the order of the schedule until all are done.
///
/// # Panics
/// When they never are.
pub fn race(world: &World, racers: Vec<Racer<'_>>, schedule: &[u8]) {
    world.set_yielding(true);
    let mut racers: Vec<Option<Racer<'_>>> = racers.into_iter().map(Some).collect();
    let mut turns = schedule.iter().copied().cycle();
    for turn in 0.. {
        assert!(turn < 10_000, "the racers keep each other from the end");
        let open: Vec<usize> = (0..racers.len()).filter(|n| racers[*n].is_some()).collect();
        let Some(last) = open.len().checked_sub(1) else { break };
        let next = open[usize::from(turns.next().unwrap_or(0)).min(last)];
        let done = racers[next].as_mut().is_some_and(|racer| {
            matches!(racer.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()))
        });
        if done {
            racers[next] = None;
        }
    }
    world.set_yielding(false);
}
