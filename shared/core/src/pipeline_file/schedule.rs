//! When a schedule fires: the cron and rate expressions of `EventBridge` Scheduler.
//!
//! The source is its User Guide, "Schedule types on EventBridge Scheduler": six fields, one of the two day
//! fields a `?`, days of the week from 1 (Sunday), and in a time zone: a time that the clocks skip does not
//! fire, one that they repeat fires once. There is no clock here; the caller says which time it is.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};

use super::messages::{self, Words};
use crate::gate::zone;

const UTC: &str = "UTC";
const MINUTE: i64 = 60;
/// A rate of more than a year is a slip of the pen.
const MAX_RATE_SECONDS: i64 = 366 * 24 * 60 * MINUTE;
/// The clocks of a place have skipped a whole day, but never more.
const MAX_SKIPPED: usize = 24 * 60 + 1;

/// A schedule of a pipeline file; it is valid, and it does fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Schedule {
    expression: String,
    timezone: String,
}

/// A schedule as it is stored, before it is checked.
#[derive(Deserialize)]
struct Written {
    expression: String,
    timezone: String,
}

impl TryFrom<Written> for Schedule {
    type Error = String;
    fn try_from(written: Written) -> Result<Self, String> {
        Self::new(&written.expression, Some(&written.timezone)).map_err(|words| words.message)
    }
}

/// What an expression means.
enum Rule {
    Cron(Box<Cron>),
    Every { seconds: i64 },
}

impl Schedule {
    /// No time zone means UTC.
    pub(super) fn new(expression: &str, timezone: Option<&str>) -> Result<Self, Words> {
        let timezone = timezone.unwrap_or(UTC);
        if zone(timezone).is_none() {
            return Err(messages::unknown_timezone(timezone));
        }
        let schedule = Self { expression: expression.to_owned(), timezone: timezone.to_owned() };
        rule(expression).map_err(|reason| messages::bad_schedule(expression, &reason))?;
        let fires = schedule.next_after(Timestamp::UNIX_EPOCH).is_some();
        if fires { Ok(schedule) } else { Err(messages::schedule_never_fires(expression)) }
    }

    /// As the file writes it: `cron(0 6 * * ? *)` or `rate(1 hour)`.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The IANA name of the time zone that a cron expression is read in.
    pub fn timezone(&self) -> &str {
        &self.timezone
    }

    /// The first time after `after` at which the schedule fires; none if it never does again.
    ///
    /// A rate fires at the multiples of its period since 1970 in UTC, so that whoever asks, and whenever,
    /// gets the same times.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match rule(&self.expression).ok()? {
            Rule::Every { seconds } => {
                let periods = after.as_second().div_euclid(seconds) + 1;
                Timestamp::from_second(periods.checked_mul(seconds)?).ok()
            }
            Rule::Cron(cron) => next_of(&cron, &zone(&self.timezone)?, after),
        }
    }
}

/// The next match of the calendar on the wall that the clocks do show, and show for the first time.
fn next_of(cron: &Cron, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    // The cron crate reckons on chrono's UTC, which stands for the wall clock of the zone here.
    let wall = after.to_zoned(zone.clone()).datetime().to_zoned(TimeZone::UTC).ok()?.timestamp();
    let mut wall = chrono::DateTime::from_timestamp_secs(wall.as_second())?;
    for _ in 0..MAX_SKIPPED {
        wall = cron.find_next_occurrence(&wall, false).ok()?;
        let shown = Timestamp::from_second(wall.timestamp()).ok()?.to_zoned(TimeZone::UTC).datetime();
        let ambiguous = zone.to_ambiguous_timestamp(shown);
        if matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
            continue;
        }
        let next = ambiguous.earlier().ok()?;
        if next > after {
            return Some(next);
        }
    }
    None
}

fn rule(expression: &str) -> Result<Rule, String> {
    let inner = |kind: &str| {
        let rest = expression.strip_prefix(kind)?.strip_prefix('(')?;
        rest.strip_suffix(')')
    };
    match (inner("cron"), inner("rate")) {
        (Some(fields), _) => cron(fields),
        (_, Some(rate)) => period(rate),
        _ => Err("it is neither cron(…) nor rate(…)".to_owned()),
    }
}

fn period(rate: &str) -> Result<Rule, String> {
    let wrong = || "a rate is a whole number and minutes, hours or days".to_owned();
    let mut words = rate.split(' ');
    let (Some(count), Some(unit), None) = (words.next(), words.next(), words.next()) else {
        return Err(wrong());
    };
    let unit = match unit {
        "minute" | "minutes" => MINUTE,
        "hour" | "hours" => 60 * MINUTE,
        "day" | "days" => 24 * 60 * MINUTE,
        _ => return Err(wrong()),
    };
    let is_number = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
    let seconds = count.parse::<i64>().ok().filter(|_| is_number).ok_or_else(wrong)?.checked_mul(unit);
    match seconds {
        Some(seconds @ 1..=MAX_RATE_SECONDS) => Ok(Rule::Every { seconds }),
        _ => Err("a rate is between 1 minute and 366 days".to_owned()),
    }
}

fn cron(fields: &str) -> Result<Rule, String> {
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let [minutes, hours, days, months, weekdays, years] = fields[..] else {
        return Err(format!("cron takes six fields, but here are {}", fields.len()));
    };
    if (days == "?") == (weekdays == "?") {
        return Err("exactly one of day-of-month and day-of-week must be `?`".to_owned());
    }
    // What the crate takes and Scheduler does not: letters in fields of numbers.
    let is_plain = |field: &str| field.bytes().all(|b| b.is_ascii_digit() || b",-*/".contains(&b));
    if ![minutes, hours, years].into_iter().all(is_plain) {
        return Err("minutes, hours and years take numbers, `,`, `-`, `*` and `/`".to_owned());
    }
    // The last day of a week is a Saturday; the crate knows `L` only after a day.
    let weekdays = if weekdays == "L" { "7" } else { weekdays };
    // Scheduler's years end here, which also ends the search for a day that never comes.
    let years = if years == "*" { "1970-2199" } else { years };
    let pattern = format!("0 {minutes} {hours} {days} {months} {weekdays} {years}");
    CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Required)
        .alternative_weekdays(true)
        .dom_and_dow(true)
        .build()
        .parse(&pattern)
        .map(|cron| Rule::Cron(Box::new(cron)))
        .map_err(|error| {
            let reason = error.to_string().to_lowercase();
            reason.trim_start_matches("component error: ").trim_end_matches('.').to_owned()
        })
}
