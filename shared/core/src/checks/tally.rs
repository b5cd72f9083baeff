//! n of m: what samples add up to.

use std::time::Duration;

use crate::fact::CheckResult;
use crate::plan::{HttpCheck, Latency};

/// What one look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sample {
    /// It is as wanted: what was seen.
    Good(String),
    /// It is not: why.
    Bad(String),
    /// There is nothing to judge yet: no better than bad, but it may come.
    NoData(String),
    /// Another version than the wanted one answered: good answers before it prove nothing any more.
    Other(String),
}

/// The samples of a check so far.
#[derive(Debug)]
pub struct Tally {
    attempts: u32,
    need: u32,
    latency: Option<Latency>,
    samples: u32,
    good: u32,
    /// Good samples since another version last answered.
    row: u32,
    detail: Option<String>,
    failed: Option<String>,
    times: Vec<Option<Duration>>,
}

impl Tally {
    /// Before the first of at most `attempts` samples, of which `need` must be good.
    pub fn new(attempts: u32, need: u32) -> Self {
        Self {
            attempts,
            need: need.max(1),
            latency: None,
            samples: 0,
            good: 0,
            row: 0,
            detail: None,
            failed: None,
            times: Vec::new(),
        }
    }

    /// Before the first sample of an HTTP check.
    pub fn of_http(check: &HttpCheck) -> Self {
        Self { latency: check.latency, ..Self::new(check.attempts.into(), check.need.into()) }
    }

    /// Counts a sample; `took` is how long an answer took, if there was one.
    pub fn add(&mut self, sample: Sample, took: Option<Duration>) {
        self.samples += 1;
        self.times.push(took);
        match sample {
            Sample::Good(seen) => {
                self.good += 1;
                self.row += 1;
                self.detail.get_or_insert(seen);
            }
            Sample::Bad(why) | Sample::NoData(why) => self.failed = Some(why),
            Sample::Other(why) => {
                self.row = 0;
                self.failed = Some(why);
            }
        }
    }

    /// Whether no further sample could change the outcome, or none may be taken.
    pub fn is_decided(&self) -> bool {
        let left = self.attempts.saturating_sub(self.samples);
        let is_enough = self.row >= self.need && self.latency.is_none();
        left == 0 || is_enough || self.row + left < self.need
    }

    /// What the samples come to.
    pub fn result(self, check: String) -> CheckResult {
        let has_enough = self.row >= self.need;
        let slow = self.latency.and_then(|latency| too_slow(latency, &self.times));
        let seen = if has_enough { self.detail } else { self.failed };
        let detail = slow.clone().filter(|_| has_enough).or(seen);
        CheckResult {
            check,
            passed: has_enough && slow.is_none(),
            detail: detail.unwrap_or_else(|| "nothing was looked at".to_owned()),
            samples: self.samples,
            good: self.good,
            evidence: Vec::new(),
        }
    }
}

/// Says how the wanted percentile misses its bound (nearest rank); no answer is slower than any.
fn too_slow(latency: Latency, times: &[Option<Duration>]) -> Option<String> {
    let mut sorted: Vec<Duration> = times.iter().map(|took| took.unwrap_or(Duration::MAX)).collect();
    sorted.sort_unstable();
    let rank = (sorted.len() * usize::from(latency.percentile)).div_ceil(100).max(1);
    let Latency { percentile, below_millis } = latency;
    let (which, bound) = (format!("{percentile} of 100"), format!("{below_millis} ms"));
    match sorted.get(rank - 1) {
        Some(time) if *time < Duration::from_millis(below_millis.into()) => None,
        Some(time) if *time < Duration::MAX => {
            Some(format!("{which} answers took up to {} ms, which is not below {bound}", time.as_millis()))
        }
        _ => Some(format!("{which} attempts were not all answered, let alone below {bound}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Sample {
        Sample::Good("fine".into())
    }

    fn play(tally: &mut Tally, samples: &[Sample]) -> usize {
        let mut taken = 0;
        for sample in samples {
            if tally.is_decided() {
                break;
            }
            tally.add(sample.clone(), Some(Duration::from_millis(10)));
            taken += 1;
        }
        taken
    }

    #[test]
    fn f33_nothing_looked_at_is_a_failure() {
        let result = Tally::new(5, 0).result("it".into());
        assert!(!result.passed && result.detail == "nothing was looked at", "{result:?}");
    }

    #[test]
    fn f34_good_answers_count_from_the_last_answer_of_another_version_on() {
        let old = || Sample::Other("old".into());
        let mut tally = Tally::new(8, 3);
        assert_eq!(play(&mut tally, &[good(), good(), old(), good(), good(), good(), good()]), 6);
        assert!(tally.result("it".into()).passed);
        let mut tally = Tally::new(6, 3);
        // After the fourth, two more can't be three in a row.
        assert_eq!(play(&mut tally, &[good(), good(), good()]), 3);
        let mut tally = Tally::new(6, 3);
        assert_eq!(play(&mut tally, &[good(), good(), old(), old(), good(), good()]), 4);
        assert!(!tally.result("it".into()).passed);
    }

    #[test]
    fn a_percentile_is_taken_of_every_attempt_and_silence_is_slow() {
        let latency = |percentile| Some(Latency { percentile, below_millis: 100 });
        let times = |tally: &mut Tally, slow: &[Option<u64>]| {
            for millis in slow {
                let sample = if millis.is_some() { good() } else { Sample::Bad("no answer".into()) };
                assert!(!tally.is_decided(), "every attempt is made");
                tally.add(sample, millis.map(Duration::from_millis));
            }
        };
        for (percentile, slow, passes) in [
            (95, vec![Some(10), Some(20), Some(99), Some(30)], true),
            (95, vec![Some(10), Some(20), Some(100), Some(30)], false),
            (75, vec![Some(10), Some(20), Some(100), Some(30)], true),
            (75, vec![Some(10), None, Some(20), Some(30)], true),
            (76, vec![Some(10), None, Some(20), Some(30)], false),
        ] {
            let mut tally = Tally { latency: latency(percentile), ..Tally::new(4, 3) };
            times(&mut tally, &slow);
            let result = tally.result("it".into());
            assert_eq!(result.passed, passes, "{percentile} of {slow:?}: {result:?}");
        }
    }
}
