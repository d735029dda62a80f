//! `Timestamp`: an instant as RFC 3339 text and back, in UTC.
//! Reads the local offsets and nanoseconds of older files; refuses years outside 1970 to 9999; reads no clock.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A text is not an RFC 3339 timestamp between 1970 and 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an RFC 3339 timestamp")]
pub struct TimestampError {
    /// The text as found.
    pub text: String,
}

/// An instant between 1970 and 9999; ordered by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: u64,
    nanoseconds: u32,
}

const DAY: u64 = 86_400;
/// 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

impl Timestamp {
    /// Returns the instant in whole milliseconds since 1970, or `None` after 9999.
    pub fn from_milliseconds(milliseconds: u64) -> Option<Self> {
        let seconds = milliseconds / 1000;
        let rest = u32::try_from(milliseconds % 1000).unwrap_or(0);
        (seconds <= LAST_SECOND).then_some(Self {
            seconds,
            nanoseconds: rest * 1_000_000,
        })
    }

    /// Returns the whole milliseconds since 1970.
    pub fn milliseconds(self) -> u64 {
        self.seconds * 1000 + u64::from(self.nanoseconds / 1_000_000)
    }

    /// Returns `YYYY-MM-DD HH:MM:SS`, in UTC.
    pub fn date_and_time(self) -> String {
        let [year, month, day, hour, minute, second, _] = self.fields();
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }

    /// Returns the UTC calendar fields: year, month, day, hour, minute, second, millisecond.
    pub(crate) fn fields(self) -> [u64; 7] {
        let (year, month, day) = civil(self.seconds / DAY);
        let second = self.seconds % DAY;
        let milliseconds = u64::from(self.nanoseconds / 1_000_000);
        [
            year,
            month,
            day,
            second / 3600,
            second / 60 % 60,
            second % 60,
            milliseconds,
        ]
    }
}

impl From<SystemTime> for Timestamp {
    /// Returns `time` clamped to 1970 and 9999, to the millisecond.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let milliseconds = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Self::from_milliseconds(milliseconds).unwrap_or(Self {
            seconds: LAST_SECOND,
            nanoseconds: 999_000_000,
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day, hour, minute, second, milliseconds] = self.fields();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z"
        )
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        parse(text).ok_or_else(|| TimestampError {
            text: text.to_owned(),
        })
    }
}

/// Reads `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)`.
fn parse(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let [year, month, day] = three(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = three(clock, ':', [2, 2, 2])?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanoseconds, rest) = match rest.strip_prefix('.') {
        Some(rest) => fraction(rest)?,
        None => (0, rest),
    };
    let local = i64::try_from(days(year, month, day)?).ok()? * 86_400
        + i64::try_from(hour * 3600 + minute * 60 + second).ok()?;
    let seconds = u64::try_from(local - offset(rest)?).ok()?;
    (seconds <= LAST_SECOND).then_some(Timestamp {
        seconds,
        nanoseconds,
    })
}

fn three(text: &str, separator: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, width) in numbers.iter_mut().zip(widths) {
        *number = digits(parts.next()?, width)?;
    }
    parts.next().is_none().then_some(numbers)
}

pub(crate) fn digits(text: &str, width: usize) -> Option<u64> {
    let fits = text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

/// Returns the nanoseconds of a fraction and the text after it; digits past the ninth are dropped.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (written, rest) = text.split_at_checked(length)?;
    if written.is_empty() {
        return None;
    }
    let nine: String = written.chars().chain("000000000".chars()).take(9).collect();
    Some((nine.parse().ok()?, rest))
}

/// Returns the seconds that local time is ahead of UTC.
fn offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    Some(sign * i64::try_from(hours * 3600 + minutes * 60).ok()?)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from 1970-01-01 to a date of the proleptic Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let before =
        year.checked_sub(1970)? * 365 + leaps_before(year).checked_sub(leaps_before(1970))?;
    let months: u64 = (1..month).map(|month| days_in_month(year, month)).sum();
    Some(before + months + day - 1)
}

fn leaps_before(year: u64) -> u64 {
    let last = year - 1;
    last / 4 - last / 100 + last / 400
}

/// Returns year, month and day of a day counted from 1970-01-01.
fn civil(mut day: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    // 400 years have the same number of days wherever they start.
    year += day / 146_097 * 400;
    day %= 146_097;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if day < length {
            break;
        }
        day -= length;
        year += 1;
    }
    let mut month = 1;
    while day >= days_in_month(year, month) {
        day -= days_in_month(year, month);
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_utc_text() {
        for (milliseconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            let timestamp = Timestamp::from_milliseconds(milliseconds).unwrap();
            assert_eq!(timestamp.to_string(), text);
            assert_eq!(text.parse::<Timestamp>().unwrap(), timestamp);
        }
        assert_eq!(Timestamp::from_milliseconds(253_402_300_800_000), None);
    }

    #[test]
    fn local_offsets_and_nanoseconds_are_read() {
        let utc: Timestamp = "2025-03-30T00:30:00.123456789Z".parse().unwrap();
        assert_eq!(
            "2025-03-30T02:30:00.123456789+02:00"
                .parse::<Timestamp>()
                .unwrap(),
            utc
        );
        assert_eq!(
            "2025-03-29T19:00:00.123456789-05:30"
                .parse::<Timestamp>()
                .unwrap(),
            utc
        );
        assert_eq!(utc.milliseconds() % 1000, 123);
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "",
            "2025-01-01",
            "2025-02-29T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "2025-01-01T24:00:00Z",
            "2025-01-01T00:00:00",
            "2025-01-01T00:00:00.Z",
            "2025-01-01T00:00:00+2:00",
            "1969-12-31T23:59:59Z",
            "2025-01-01T00:00:00Zé",
            "２025-01-01T00:00:00Z",
            "1970-01-01T00:00:00+01:00",
        ] {
            assert_eq!(bad.parse::<Timestamp>().unwrap_err().text, bad);
        }
    }
}
