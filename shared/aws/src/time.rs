//! Times between the SDK's type and ours.

use aws_sdk_dynamodb::primitives::DateTime;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The SDK's time as ours; `None` where it lies outside what a timestamp can hold.
pub(crate) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

/// A time of milliseconds since 1970.
pub(crate) fn from_millis(millis: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis).ok()
}

/// RFC 3339 in UTC with a fixed width, so that texts sort as their times do.
pub(crate) fn sortable(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// The day in UTC.
pub(crate) fn day(time: Timestamp) -> jiff::civil::Date {
    time.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sortable_times_have_one_width() {
        let at = |text: &str| sortable(text.parse().unwrap());
        assert_eq!(at("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05.000000Z");
        assert_eq!(at("2026-01-02T03:04:05.123456789Z"), "2026-01-02T03:04:05.123456Z");
        assert_eq!(sortable(at("2026-01-02T03:04:05Z").parse().unwrap()), at("2026-01-02T03:04:05Z"));
    }
}
