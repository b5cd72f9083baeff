//! When schedules fire: the examples of the service whose semantics they have, clocks that change included.

use jiff::Timestamp;
use pushway_core::pipeline_file::Schedule;

use super::{changed, problems, read};

fn schedule(written: &str) -> Schedule {
    let text = changed("tags: [\"v*\"] }", &format!("tags: [\"v*\"] }}\n  schedule: [{written}]"));
    read(&text).schedules()[0].clone()
}

/// The next times after one, in the schedule's own time zone.
fn times(written: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = schedule(written);
    let zone = jiff::tz::TimeZoneDatabase::bundled().get(schedule.timezone()).unwrap();
    let mut at: Timestamp = after.parse().unwrap();
    let mut times = Vec::new();
    while times.len() < count {
        let Some(next) = schedule.next_after(at) else { break };
        assert!(next > at);
        at = next;
        times.push(at.to_zoned(zone.clone()).strftime("%a %F %H:%M%:z").to_string());
    }
    times
}

#[test]
fn expressions_mean_what_eventbridge_scheduler_means() {
    let now = "2026-11-21T10:00:00Z";
    for (expression, expected) in [
        ("cron(0 6 * * ? *)", "Sun 2026-11-22 06:00+00:00"),
        ("cron(1/10 * * * ? *)", "Sat 2026-11-21 10:01+00:00"),
        ("cron(0 9 ? * 1 *)", "Sun 2026-11-22 09:00+00:00"),
        ("cron(0 9 ? * SUN *)", "Sun 2026-11-22 09:00+00:00"),
        ("cron(0 9 ? * 7 *)", "Sat 2026-11-28 09:00+00:00"),
        ("cron(0 9 ? * L *)", "Sat 2026-11-28 09:00+00:00"),
        ("cron(0 9 ? * 2-6 *)", "Mon 2026-11-23 09:00+00:00"),
        ("cron(0 9 ? * MON-FRI *)", "Mon 2026-11-23 09:00+00:00"),
        ("cron(15 10 ? * 6L 2022-2027)", "Fri 2026-11-27 10:15+00:00"),
        ("cron(0 9 ? * 3#2 *)", "Tue 2026-12-08 09:00+00:00"),
        ("cron(0 9 L * ? *)", "Mon 2026-11-30 09:00+00:00"),
        // The third is a Sunday in January.
        ("cron(0 9 3W JAN ? *)", "Mon 2027-01-04 09:00+00:00"),
        ("cron(0 0 29 2 ? *)", "Tue 2028-02-29 00:00+00:00"),
        ("cron(0 0 1 1 ? 2199)", "Tue 2199-01-01 00:00+00:00"),
        ("rate(1 minute)", "Sat 2026-11-21 10:01+00:00"),
        ("rate(2 hours)", "Sat 2026-11-21 12:00+00:00"),
        ("rate(1 day)", "Sun 2026-11-22 00:00+00:00"),
    ] {
        assert_eq!(times(&format!("\"{expression}\""), now, 1), [expected], "{expression}");
    }
    assert!(times("\"cron(0 0 1 1 ? 2020)\"", now, 1).is_empty(), "it has fired for the last time");
}

#[test]
fn a_time_that_the_clocks_skip_does_not_fire_and_one_they_repeat_fires_once() {
    let at_half_past_two = "{expression: \"cron(30 2 * * ? *)\", timezone: Europe/Berlin}";
    assert_eq!(
        times(at_half_past_two, "2026-03-28T00:00:00Z", 2),
        ["Sat 2026-03-28 02:30+01:00", "Mon 2026-03-30 02:30+02:00"]
    );
    assert_eq!(
        times(at_half_past_two, "2026-10-24T22:00:00Z", 2),
        ["Sun 2026-10-25 02:30+02:00", "Mon 2026-10-26 02:30+01:00"]
    );
    // Asked in the middle of the repeated hour.
    assert_eq!(times(at_half_past_two, "2026-10-25T01:10:00Z", 1), ["Mon 2026-10-26 02:30+01:00"]);
    // A whole day was skipped on Samoa, minute by minute.
    assert_eq!(
        times("{expression: \"cron(* * * * ? *)\", timezone: Pacific/Apia}", "2011-12-30T09:59:00Z", 1),
        ["Sat 2011-12-31 00:00+14:00"]
    );
}

#[test]
fn a_schedule_that_cannot_be_meant_is_refused() {
    let refused = |written: &str| {
        let text = changed("tags: [\"v*\"] }", &format!("tags: [\"v*\"] }}\n  schedule: [{written}]"));
        let said = problems(&text);
        let message = said.lines().next().unwrap().to_owned();
        message.split_once(": ").unwrap().1.to_owned()
    };
    let expressions = [
        "0 6 * * ? *",
        "cron(0 6 * * *)",
        "cron(0 6 * * * *)",
        "cron(0 6 ? * ? *)",
        "cron(0 6 1 * MON *)",
        "cron(60 6 * * ? *)",
        "cron(0 6 ? * 0 *)",
        "cron(0 6 ? * 8 *)",
        "cron(MON 6 * * ? *)",
        "cron(0 0 31 2 ? *)",
        "cron(0 0 1 1 ? 1960)",
        "cron(*/0 * * * ? *)",
        "rate(0 minutes)",
        "rate(-5 minutes)",
        "rate(5 seconds)",
        "rate(99999999999999999999 days)",
        "rate(1000000000 days)",
        "at(2027-01-01T00:00:00)",
    ];
    insta::assert_snapshot!(expressions.map(|e| refused(&format!("\"{e}\""))).join("\n"), @r"
    `0 6 * * ? *` is not a schedule: it is neither cron(…) nor rate(…)
    `cron(0 6 * * *)` is not a schedule: cron takes six fields, but here are 5
    `cron(0 6 * * * *)` is not a schedule: exactly one of day-of-month and day-of-week must be `?`
    `cron(0 6 ? * ? *)` is not a schedule: exactly one of day-of-month and day-of-week must be `?`
    `cron(0 6 1 * MON *)` is not a schedule: exactly one of day-of-month and day-of-week must be `?`
    `cron(60 6 * * ? *)` is not a schedule: number out of bounds
    `cron(0 6 ? * 0 *)` is not a schedule: position 0 is less than the input offset 1
    `cron(0 6 ? * 8 *)` is not a schedule: number out of bounds
    `cron(MON 6 * * ? *)` is not a schedule: minutes, hours and years take numbers, `,`, `-`, `*` and `/`
    the schedule `cron(0 0 31 2 ? *)` never fires
    the schedule `cron(0 0 1 1 ? 1960)` never fires
    `cron(*/0 * * * ? *)` is not a schedule: step cannot be zero
    `rate(0 minutes)` is not a schedule: a rate is between 1 minute and 366 days
    `rate(-5 minutes)` is not a schedule: a rate is a whole number and minutes, hours or days
    `rate(5 seconds)` is not a schedule: a rate is a whole number and minutes, hours or days
    `rate(99999999999999999999 days)` is not a schedule: a rate is a whole number and minutes, hours or days
    `rate(1000000000 days)` is not a schedule: a rate is between 1 minute and 366 days
    `at(2027-01-01T00:00:00)` is not a schedule: it is neither cron(…) nor rate(…)
    ");
    insta::assert_snapshot!(refused("{expression: \"rate(1 day)\", timezone: Europe/Berlni}"), @"there is no time zone `Europe/Berlni`");
}

#[test]
fn a_stored_schedule_is_checked_when_it_is_read_back() {
    let stored = r#"{"expression":"cron(0 6 * * ? *)","timezone":"Europe/Berlin"}"#;
    let schedule: Schedule = serde_json::from_str(stored).unwrap();
    assert_eq!(serde_json::to_string(&schedule).unwrap(), stored);
    assert!(serde_json::from_str::<Schedule>(&stored.replace("cron", "corn")).is_err());
}
