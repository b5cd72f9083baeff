//! What an environment asks for before a deploy may begin: people's consent, and the right time.
//!
//! Pure: rules of the plan, and what they mean at a given time. Who consented is a fact of the run
//! (`approval.rs`); whether the environment is frozen is its record's to say (`environment.rs`).

use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many people must consent, and for how long they are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRule {
    /// How many different people, at least 1.
    pub required: u16,
    /// How long they have, in seconds; then the run ends.
    pub timeout_seconds: u32,
}

/// A time of the week in which deploys may begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// On these days, Monday is 1.
    pub days: Vec<i8>,
    /// From this minute of the day on.
    pub from: u16,
    /// Until before this minute of the day, at most 1,440.
    pub to: u16,
    /// By the clocks of this IANA time zone.
    pub timezone: String,
}

/// Minutes of a day that the clocks do not change on.
pub const DAY_MINUTES: u16 = 24 * 60;

impl Window {
    /// Whether a deploy may begin now.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let Some(zone) = zone(&self.timezone) else { return false };
        let wall = zone.to_datetime(now);
        let minute = i32::from(wall.hour()) * 60 + i32::from(wall.minute());
        self.is_on(wall.weekday()) && (i32::from(self.from)..i32::from(self.to)).contains(&minute)
    }

    /// When it opens next, seen from outside.
    pub fn opens_after(&self, now: Timestamp) -> Option<Timestamp> {
        let zone = zone(&self.timezone)?;
        let today = zone.to_datetime(now).date();
        let begin =
            Time::new((self.from / 60).try_into().ok()?, (self.from % 60).try_into().ok()?, 0, 0).ok()?;
        // A week from now has each day once; today may be over already.
        (0..=7).find_map(|days| {
            let day = today.checked_add(days.days()).ok()?;
            let opens = zone.to_timestamp(DateTime::from_parts(day, begin)).ok()?;
            (self.is_on(day.weekday()) && opens > now).then_some(opens)
        })
    }

    fn is_on(&self, day: Weekday) -> bool {
        self.days.contains(&day.to_monday_one_offset())
    }
}

/// When a deploy may begin, where it may not now: `None` within a window, or where there is none at all.
pub fn opens_at(windows: &[Window], now: Timestamp) -> Option<Timestamp> {
    if windows.is_empty() || windows.iter().any(|window| window.is_open(now)) {
        return None;
    }
    windows.iter().filter_map(|window| window.opens_after(now)).min()
}

/// The zone of an IANA name, from the database that is compiled in: no machine's own files count.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn weekdays() -> Window {
        Window { days: vec![1, 2, 3, 4, 5], from: 9 * 60, to: 17 * 60, timezone: "Europe/Berlin".into() }
    }

    #[test]
    fn a_window_opens_and_closes_by_the_clocks_of_its_zone() {
        // A Monday in winter (UTC+1) and one in summer (UTC+2).
        for (time, open) in [
            ("2026-01-12T07:59:59Z", false),
            ("2026-01-12T08:00:00Z", true),
            ("2026-01-12T15:59:59Z", true),
            ("2026-01-12T16:00:00Z", false),
            ("2026-07-13T07:00:00Z", true),
            ("2026-07-13T15:00:00Z", false),
            ("2026-01-17T10:00:00Z", false),
        ] {
            assert_eq!(weekdays().is_open(at(time)), open, "{time}");
        }
    }

    #[test]
    fn outside_of_all_windows_the_next_opening_is_told() {
        let windows = [weekdays()];
        assert_eq!(opens_at(&windows, at("2026-01-12T10:00:00Z")), None);
        assert_eq!(opens_at(&windows, at("2026-01-12T06:00:00Z")), Some(at("2026-01-12T08:00:00Z")));
        // Friday evening, then over the change to summer time: Monday morning at the new offset.
        assert_eq!(opens_at(&windows, at("2026-03-27T17:00:00Z")), Some(at("2026-03-30T07:00:00Z")));
        assert_eq!(opens_at(&[], at("2026-03-27T17:00:00Z")), None);
        let all_day = Window { days: vec![6], from: 0, to: DAY_MINUTES, timezone: "UTC".into() };
        assert!(all_day.is_open(at("2026-01-17T23:59:59Z")));
        assert_eq!(all_day.opens_after(at("2026-01-17T12:00:00Z")), Some(at("2026-01-24T00:00:00Z")));
    }
}
