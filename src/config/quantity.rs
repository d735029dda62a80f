//! Durations, sizes and percentages as people write them: a whole number and one unit.
//! Refuses fractions and sums (`1h30m`): one amount has one common spelling.

use std::time::Duration;

/// Why a text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum QuantityError {
    #[error("a duration is a whole number and one of ms, s, m, h, d")]
    Duration,
    #[error("a size is a whole number and one of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB")]
    Size,
    #[error("a percentage is a whole number from 0 to 100 and `%`")]
    Percent,
    #[error("the amount is too large")]
    Large,
}

fn split(text: &str) -> Option<(Option<u64>, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    (digits > 0).then(|| (number.parse().ok(), unit))
}

/// Reads a duration such as `250ms`, `10m` or `30d`; at most 100 years.
pub(super) fn duration(text: &str) -> Result<Duration, QuantityError> {
    const LONGEST_MS: u64 = 100 * 365 * 86_400_000;
    let (number, unit) = split(text).ok_or(QuantityError::Duration)?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(QuantityError::Duration),
    };
    number
        .and_then(|number| number.checked_mul(factor))
        .filter(|ms| *ms <= LONGEST_MS)
        .map(Duration::from_millis)
        .ok_or(QuantityError::Large)
}

/// Reads a size in bytes such as `512MiB` or `20GB`.
pub(super) fn size(text: &str) -> Result<u64, QuantityError> {
    let (number, unit) = split(text).ok_or(QuantityError::Size)?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return Err(QuantityError::Size),
    };
    number
        .and_then(|number| number.checked_mul(factor))
        .ok_or(QuantityError::Large)
}

/// Reads a percentage such as `5%`.
pub(super) fn percent(text: &str) -> Result<u8, QuantityError> {
    match split(text) {
        Some((Some(number), "%")) if number <= 100 => {
            u8::try_from(number).map_err(|_| QuantityError::Percent)
        }
        _ => Err(QuantityError::Percent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: config/shapes R6
    #[test]
    fn durations_have_one_number_and_one_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 86400)));
        for bad in ["", "10", "m", "1h30m", "1.5s", "-1s", "10 m", "10M"] {
            assert_eq!(duration(bad), Err(QuantityError::Duration), "{bad}");
        }
        assert_eq!(duration("99999999999999999999d"), Err(QuantityError::Large));
        assert_eq!(duration("36501d"), Err(QuantityError::Large));
    }

    /// spec: config/shapes R6
    #[test]
    fn sizes_count_bytes_in_binary_and_decimal_units() {
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size("20GB"), Ok(20_000_000_000));
        for bad in ["", "1", "GiB", "1gib", "1.5GiB", "1 GiB", "1G"] {
            assert_eq!(size(bad), Err(QuantityError::Size), "{bad}");
        }
        assert_eq!(size("99999999TiB"), Err(QuantityError::Large));
    }

    /// spec: config/shapes R6
    #[test]
    fn percentages_end_at_a_hundred() {
        assert_eq!(percent("5%"), Ok(5));
        assert_eq!(percent("100%"), Ok(100));
        for bad in ["", "%", "5", "101%", "-1%", "5.5%"] {
            assert_eq!(percent(bad), Err(QuantityError::Percent), "{bad}");
        }
    }
}
