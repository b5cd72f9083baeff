//! Faults: which call goes wrong, and how.
//!
//! Calls are numbered over all ports from 0, so a test that makes every call fail in turn is a loop. A
//! killed caller is a future that never becomes ready: whoever polls it drops it.

use std::fmt::Display;
use std::task::Poll;

use jiff::{SignedDuration, Timestamp};

use super::{State, World};
use crate::ports::{Answer, Fault};

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injected {
    /// It has no effect and may be tried again.
    Retryable,
    /// It has no effect and never will.
    Permanent,
    /// It has its effect, but the caller hears of a retryable fault.
    AnswerLost,
    /// The caller dies before it has an effect.
    DiesBefore,
    /// The caller dies when it has had its effect.
    DiesAfter,
    /// It has no effect, and a forge asks to be left alone for so many seconds.
    Limited(u32),
}

impl Injected {
    /// All that any call can come to; only forges limit.
    pub const ALL: [Self; 5] =
        [Self::Retryable, Self::Permanent, Self::AnswerLost, Self::DiesBefore, Self::DiesAfter];
}

/// One call to a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The port's verb.
    pub verb: &'static str,
    /// What it was about.
    pub about: String,
    /// Whether it had its effect.
    pub done: bool,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    calls: Vec<Call>,
    delays: Vec<Delay>,
    rules: Vec<Rule>,
    died: bool,
    yields: bool,
}

/// The next calls of a verb are on their way for so long.
#[derive(Debug)]
struct Delay {
    verb: &'static str,
    left: u32,
    time: SignedDuration,
    then: Option<Injected>,
}

/// A call that is on its way.
#[derive(Debug, Clone, Copy)]
struct Delayed {
    due: Timestamp,
    then: Option<Injected>,
}

#[derive(Debug)]
struct Rule {
    when: When,
    what: Injected,
}

#[derive(Debug)]
enum When {
    Number(usize),
    Verb { verb: &'static str, left: u32 },
}

enum Outcome<T> {
    Ready(Answer<T>),
    Died,
}

impl World {
    /// Makes the call of this number go wrong.
    pub fn inject_at(&self, number: usize, what: Injected) {
        self.lock().faults.rules.push(Rule { when: When::Number(number), what });
    }

    /// Makes the next `times` calls of a verb go wrong.
    pub fn inject_on(&self, verb: &'static str, times: u32, what: Injected) {
        self.lock().faults.rules.push(Rule { when: When::Verb { verb, left: times }, what });
    }

    /// Lets the next `times` calls of a verb take so long, and go wrong then, if so: they have their effect
    /// once the clock has moved on, whatever others have done meanwhile. Their callers wait until then.
    pub fn slow_down(&self, verb: &'static str, times: u32, time: SignedDuration, then: Option<Injected>) {
        self.lock().faults.delays.push(Delay { verb, left: times, time, then });
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().faults.calls.clone()
    }

    /// How many calls there have been.
    pub fn call_count(&self) -> usize {
        self.lock().faults.calls.len()
    }

    /// How many calls of a verb have had their effect.
    pub fn done(&self, verb: &str) -> usize {
        self.lock().faults.calls.iter().filter(|call| call.verb == verb && call.done).count()
    }

    /// Whether a caller has died since this was last asked.
    pub fn take_died(&self) -> bool {
        std::mem::take(&mut self.lock().faults.died)
    }

    /// Lets every call give way once before it acts, so that a test can let callers race.
    pub fn set_yielding(&self, yields: bool) {
        self.lock().faults.yields = yields;
    }

    /// One call of a port.
    pub(super) async fn call<T: Send>(
        &self,
        verb: &'static str,
        about: impl Display + Send,
        act: impl FnOnce(&mut State) -> Answer<T> + Send,
    ) -> Answer<T> {
        let (mut gives_way, delayed) = {
            let mut state = self.lock();
            let now = state.now;
            (state.faults.yields, state.faults.delay(verb, now))
        };
        let is_on_its_way = || delayed.is_some_and(|delayed| self.lock().now < delayed.due);
        std::future::poll_fn(|_| {
            if std::mem::take(&mut gives_way) || is_on_its_way() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        let outcome = self.attempt(verb, &about, delayed, act);
        match outcome {
            Outcome::Ready(answer) => answer,
            Outcome::Died => std::future::pending().await,
        }
    }

    fn attempt<T>(
        &self,
        verb: &'static str,
        about: &dyn Display,
        delayed: Option<Delayed>,
        act: impl FnOnce(&mut State) -> Answer<T>,
    ) -> Outcome<T> {
        let mut state = self.lock();
        let number = state.faults.calls.len();
        let injected = match delayed {
            Some(delayed) => delayed.then,
            None => state.faults.injected(number, verb),
        };
        let done = !matches!(
            injected,
            Some(Injected::Retryable | Injected::Permanent | Injected::DiesBefore | Injected::Limited(_))
        );
        state.faults.calls.push(Call { verb, about: about.to_string(), done });
        let words = || format!("{verb} {about} was made to fail");
        match injected {
            None => Outcome::Ready(act(&mut state)),
            Some(Injected::Retryable) => Outcome::Ready(Err(Fault::Retryable(words()))),
            Some(Injected::Permanent) => Outcome::Ready(Err(Fault::Permanent(words()))),
            Some(Injected::Limited(seconds)) => {
                Outcome::Ready(Err(Fault::Limited { message: words(), seconds }))
            }
            Some(Injected::AnswerLost) => {
                let _ = act(&mut state);
                Outcome::Ready(Err(Fault::Retryable(words())))
            }
            Some(Injected::DiesBefore) => {
                state.faults.died = true;
                Outcome::Died
            }
            Some(Injected::DiesAfter) => {
                let _ = act(&mut state);
                state.faults.died = true;
                Outcome::Died
            }
        }
    }
}

impl Faults {
    fn delay(&mut self, verb: &str, now: Timestamp) -> Option<Delayed> {
        let delay = self.delays.iter_mut().find(|delay| delay.verb == verb && delay.left > 0)?;
        delay.left -= 1;
        Some(Delayed { due: now + delay.time, then: delay.then })
    }

    fn injected(&mut self, number: usize, verb: &str) -> Option<Injected> {
        for rule in &mut self.rules {
            match &mut rule.when {
                When::Number(wanted) if *wanted == number => return Some(rule.what),
                When::Verb { verb: wanted, left } if *wanted == verb && *left > 0 => {
                    *left -= 1;
                    return Some(rule.what);
                }
                _ => {}
            }
        }
        None
    }
}
