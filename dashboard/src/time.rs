//! Times in words: how long, how long ago, how long yet. Pure; the time comes from the caller.

use jiff::Timestamp;

/// How long something took: the two greatest units, since the third decides nothing.
pub(crate) fn duration(milliseconds: i64) -> String {
    let seconds = (milliseconds.max(0) + 500) / 1_000;
    let two = |great: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{great} {unit}") } else { format!("{great} {unit} {small} {small_unit}") }
    };
    match seconds {
        0 => "under 1 s".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// How long ago, or in how long: one unit, since the full time stands beside it.
pub(crate) fn relative(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    let one = |seconds: i64| match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    };
    match seconds {
        // The time by which it is reckoned may be rounded down by as much.
        -10..10 => "just now".to_owned(),
        10.. => format!("{} ago", one(seconds)),
        _ => format!("in {}", one(-seconds)),
    }
}

/// The whole time, for whoever needs it exactly.
pub(crate) fn full(at: Timestamp) -> String {
    at.strftime("%-d %b %Y, %H:%M:%S UTC").to_string()
}

/// Milliseconds between two times.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> i64 {
    to.as_millisecond() - from.as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_say_them() {
        let told = [400, 999, 59_000, 60_000, 247_000, 3_600_000, 7_500_000, 266_400_000].map(duration);
        assert_eq!(told.join(", "), "under 1 s, 1 s, 59 s, 1 min, 4 min 7 s, 1 h, 2 h 5 min, 3 d 2 h");
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let at = |seconds: i64| Timestamp::from_second(now.as_second() - seconds).unwrap();
        let told = [3, -9, 45, 300, 7_200, 600_000, -90].map(|seconds| relative(now, at(seconds)));
        assert_eq!(told.join(", "), "just now, just now, 45 s ago, 5 min ago, 2 h ago, 6 d ago, in 1 min");
        assert_eq!(full(now), "26 Nov 2026, 12:00:00 UTC");
    }
}
