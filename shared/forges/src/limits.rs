//! When a forge asks to be left alone, and for how long.
//!
//! `Retry-After` in seconds or as a date (RFC 9110), GitHub's "Rate limits for the REST API" (403 or 429,
//! primary and secondary), GitLab's "Rate limits" headers. Whatever they say is kept within bounds, so that
//! a wrong clock there can't silence us for a day.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// What is waited for at least and at most, in seconds.
const BOUNDS: RangeInclusive<i64> = 1..=3600;
/// What is waited for where the forge does not say: what GitHub asks of clients then.
const UNSAID: i64 = 60;

/// For how many seconds an answer asks us to wait, if it does.
pub(crate) fn asks_to_wait(status: StatusCode, headers: &HeaderMap, message: &str) -> Option<u32> {
    seconds(status, headers, message, Timestamp::now())
}

fn seconds(status: StatusCode, headers: &HeaderMap, message: &str, now: Timestamp) -> Option<u32> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let after = text(RETRY_AFTER.as_str());
    let is_spent =
        ["x-ratelimit-remaining", "ratelimit-remaining"].iter().any(|name| text(name) == Some("0"));
    let limited = match status.as_u16() {
        429 => true,
        // A token that lacks a permission gets 403 too.
        403 => after.is_some() || is_spent || message.to_ascii_lowercase().contains("rate limit"),
        503 => after.is_some(),
        _ => false,
    };
    if !limited {
        return None;
    }
    let reset = || text("x-ratelimit-reset").or_else(|| text("ratelimit-reset"))?.parse::<i64>().ok();
    let wait = match after {
        Some(after) => delay(after, now),
        None if is_spent || status == StatusCode::TOO_MANY_REQUESTS => {
            reset().map(|reset| reset.saturating_sub(now.as_second()))
        }
        None => None,
    };
    let wait = wait.unwrap_or(UNSAID).clamp(*BOUNDS.start(), *BOUNDS.end());
    u32::try_from(wait).ok()
}

/// The seconds that a `Retry-After` names.
fn delay(text: &str, now: Timestamp) -> Option<i64> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(i64::try_from(seconds).unwrap_or(i64::MAX));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(date.timestamp().as_second().saturating_sub(now.as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(status: u16, headers: &[(&'static str, &str)], message: &str) -> Option<u32> {
        let headers = headers
            .iter()
            .map(|(name, value)| (reqwest::header::HeaderName::from_static(name), value.parse().unwrap()));
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        seconds(StatusCode::from_u16(status).unwrap(), &headers.collect(), message, now)
    }

    #[test]
    fn f42_every_way_of_asking_for_patience_is_understood_and_bounded() {
        let reset = "2026-11-21T10:05:00Z".parse::<Timestamp>().unwrap().as_second().to_string();
        for (status, headers, message, expected) in [
            (429, vec![("retry-after", "17")], "", Some(17)),
            (429, vec![("retry-after", "Sat, 21 Nov 2026 10:02:00 GMT")], "", Some(120)),
            (429, vec![("retry-after", "Sat, 21 Nov 2026 09:00:00 GMT")], "", Some(1)),
            (429, vec![("retry-after", "soon")], "", Some(60)),
            (429, vec![("retry-after", "0")], "", Some(1)),
            (429, vec![("retry-after", "99999999999999999999")], "", Some(60)),
            (429, vec![("retry-after", "86400")], "", Some(3600)),
            (429, vec![("ratelimit-reset", reset.as_str())], "", Some(300)),
            (429, vec![], "", Some(60)),
            (403, vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset)], "", Some(300)),
            (403, vec![("retry-after", "5")], "", Some(5)),
            // The primary limit is not what is spent here, so its reset says nothing.
            (
                403,
                vec![("x-ratelimit-remaining", "41"), ("x-ratelimit-reset", &reset)],
                "You have exceeded a secondary rate limit",
                Some(60),
            ),
            (403, vec![("x-ratelimit-remaining", "41")], "Resource not accessible by integration", None),
            (503, vec![("retry-after", "9")], "", Some(9)),
            (503, vec![], "", None),
            (502, vec![("x-ratelimit-remaining", "0")], "", None),
            (200, vec![("x-ratelimit-remaining", "0")], "", None),
        ] {
            assert_eq!(wait(status, &headers, message), expected, "{status} {headers:?} {message}");
        }
    }
}
