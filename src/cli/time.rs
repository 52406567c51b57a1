//! Times as people and programs read them: UTC, since nothing here knows the zones of the world.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `2026-11-27 18:03`.
pub(crate) fn minute(ms: u64) -> String {
    second(ms)[..16].replace('T', " ")
}

/// `2026-11-27T18:03:04`, as ISO 8601 has it, without the zone.
pub(crate) fn second(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, rest) = (seconds / 86400, seconds % 86400);
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// The day that lies so many days after 1970-01-01: counted in eras of 400 years that begin in March, so that a leap day is
/// the last of its year (the algorithm of Howard Hinnant's `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{minute, second};

    #[test]
    fn times_are_those_of_the_calendar() {
        // As `date -u -d @SECONDS` says.
        let known = [
            (0, "1970-01-01T00:00:00"),
            (951_782_399_999, "2000-02-28T23:59:59"),
            (951_782_400_000, "2000-02-29T00:00:00"),
            (951_868_800_000, "2000-03-01T00:00:00"),
            (1_795_802_580_000, "2026-11-27T18:03:00"),
            (4_107_542_400_000, "2100-03-01T00:00:00"),
            (253_402_300_799_000, "9999-12-31T23:59:59"),
        ];
        for (ms, text) in known {
            assert_eq!(second(ms), text);
        }
        assert_eq!(minute(1_795_802_580_000), "2026-11-27 18:03");
        assert!(minute(u64::MAX).len() >= 16);
    }
}
