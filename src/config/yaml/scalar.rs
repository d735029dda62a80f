//! The YAML 1.2 core schema: what a plain scalar means.
//! `yes`, `no`, `on` and `off` are strings; `010` is ten.

use super::super::node::Scalar;

/// Resolves a plain scalar; quoted and block scalars are always strings.
pub(super) fn resolve(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Flag(true),
        "false" | "False" | "FALSE" => return Scalar::Flag(false),
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float,
        _ => {}
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let bound = if text.starts_with('-') {
            i128::MIN
        } else {
            i128::MAX
        };
        return Scalar::Integer(text.parse().unwrap_or(bound));
    }
    if is_float(unsigned) {
        Scalar::Float
    } else {
        Scalar::Text
    }
}

fn radix(digits: &str, base: u32) -> Scalar {
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        return Scalar::Text;
    }
    Scalar::Integer(i128::from_str_radix(digits, base).unwrap_or(i128::MAX))
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`, or an infinity.
fn is_float(unsigned: &str) -> bool {
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    exponent_fits && digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: config/yaml R3
    #[test]
    fn nulls_and_flags_have_three_spellings_each() {
        for text in ["", "~", "null", "Null", "NULL"] {
            assert_eq!(resolve(text), Scalar::Null, "{text}");
        }
        for text in ["true", "True", "TRUE"] {
            assert_eq!(resolve(text), Scalar::Flag(true), "{text}");
        }
        for text in ["false", "False", "FALSE"] {
            assert_eq!(resolve(text), Scalar::Flag(false), "{text}");
        }
    }

    /// spec: config/yaml R3
    #[test]
    fn words_of_yaml_1_1_are_strings() {
        for text in [
            "yes",
            "Yes",
            "no",
            "NO",
            "on",
            "off",
            "y",
            "n",
            "tRue",
            "nULL",
            "0b1",
            "1_000",
            "12:30:45",
            "<<",
            "2024-01-01",
            "1.2.3",
            "-",
            "+",
            ".",
            "e5",
            "0x",
            "0o8",
            "0xg",
            "-0x1",
            "1e",
            "1e+",
            "--1",
            ".e1",
        ] {
            assert_eq!(resolve(text), Scalar::Text, "{text}");
        }
    }

    /// spec: config/yaml R3
    #[test]
    fn integers_are_decimal_octal_or_hexadecimal() {
        for (text, number) in [
            ("0", 0),
            ("-1", -1),
            ("+7", 7),
            ("010", 10),
            ("0o10", 8),
            ("0x1F", 31),
            ("0xff", 255),
        ] {
            assert_eq!(resolve(text), Scalar::Integer(number), "{text}");
        }
        let long = "9".repeat(80);
        assert_eq!(resolve(&long), Scalar::Integer(i128::MAX));
        assert_eq!(resolve(&format!("-{long}")), Scalar::Integer(i128::MIN));
        assert_eq!(resolve(&format!("0x{long}")), Scalar::Integer(i128::MAX));
    }

    /// spec: config/yaml R3
    #[test]
    fn floats_are_recognised() {
        for text in [
            "1.5", ".5", "1.", "-1e3", "1E-3", "+1.5e+3", ".inf", "-.INF", ".nan", "1.78",
        ] {
            assert_eq!(resolve(text), Scalar::Float, "{text}");
        }
    }
}
