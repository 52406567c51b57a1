//! Times for people, in the local zone (`TZ`, else that of the system, else UTC), and for programs, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `2026-11-27 18:03`, local time.
pub(crate) fn minute(ms: u64) -> String {
    timestamp(ms).to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// `2026-11-27 18:03:04`, local time.
pub(crate) fn second(ms: u64) -> String {
    timestamp(ms).to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `2026-11-27T18:03:04Z`, UTC, as ISO 8601 has it.
pub(crate) fn utc(ms: u64) -> String {
    timestamp(ms).to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026-11-27T18:03:04.250Z`, UTC, with milliseconds.
pub(crate) fn utc_millis(ms: u64) -> String {
    timestamp(ms).to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// `2026-11-27T18:03:04.250000+00:00`, UTC, as Python's `datetime` has it.
pub(crate) fn utc_offset(ms: u64) -> String {
    timestamp(ms).to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

/// The last moment of the calendar stands for all later ones.
fn timestamp(ms: u64) -> Timestamp {
    i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_those_of_the_calendar() {
        // As `date -u -d @SECONDS` says.
        let known = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_795_802_580_000, "2026-11-27T18:03:00Z"),
            (u64::MAX, "9999-12-30T22:00:00Z"),
        ];
        for (ms, text) in known {
            assert_eq!(utc(ms), text);
        }
    }
}
