//! Alarms of `CloudWatch` against what a check wants of them: that none of them rings.

use super::{Sample, shown};
use crate::views::{AlarmState, AlarmView};

/// Judges one look at alarms by name. One that does not exist can't ring, so its absence is a failure.
pub fn judge_alarms(names: &[String], alarms: &[AlarmView]) -> Sample {
    let mut silent = Vec::new();
    for name in names {
        let Some(alarm) = alarms.iter().find(|alarm| alarm.name == *name) else {
            return Sample::Bad(format!(
                "there is no alarm {}; create it, or mend its name in pushway.yml",
                shown(name)
            ));
        };
        match alarm.state {
            AlarmState::Ok => {}
            AlarmState::InsufficientData => silent.push(shown(name)),
            AlarmState::Alarm => {
                return Sample::Bad(format!("alarm {} rings: {}", shown(name), shown(&alarm.reason)));
            }
        }
    }
    let quiet = format!("none of {} rings", names.join(", "));
    Sample::Good(match silent[..] {
        [] => quiet,
        _ => format!("{quiet}, but {} had no data to judge by", silent.join(", ")),
    })
}
