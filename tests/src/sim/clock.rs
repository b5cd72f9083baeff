//! Timers of virtual time: futures that become ready when the world's clock has come to them.
//!
//! Nothing is woken: the simulation polls whatever is alive each time it has moved the clock.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use jiff::Timestamp;
use pushway_core::ports::Clock as _;
use pushway_core::testing::World;

/// The moments at which someone waits to be polled again, with how many do.
#[derive(Clone, Default)]
pub(super) struct Timers(Rc<RefCell<BTreeMap<Timestamp, usize>>>);

impl Timers {
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.borrow().keys().next().copied()
    }

    /// Notes a moment for as long as the guard lives.
    pub(super) fn note(&self, at: Timestamp) -> Noted {
        *self.0.borrow_mut().entry(at).or_default() += 1;
        Noted { timers: self.clone(), at }
    }

    /// Sleeps until `at`.
    pub(super) async fn sleep_until(&self, world: &World, at: Timestamp) {
        let _noted = self.note(at);
        poll_fn(|_| if world.now() >= at { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

pub(super) struct Noted {
    timers: Timers,
    at: Timestamp,
}

impl Drop for Noted {
    fn drop(&mut self) {
        let mut timers = self.timers.0.borrow_mut();
        if let Some(count) = timers.get_mut(&self.at) {
            *count -= 1;
            if *count == 0 {
                timers.remove(&self.at);
            }
        }
    }
}
