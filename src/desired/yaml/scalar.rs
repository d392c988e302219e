//! The plain scalars of YAML 1.1 as Go's `sigs.k8s.io/yaml` (go-yaml v2) resolves them.

use base64::Engine as _;
use granit_parser::{ScalarStyle, Tag};
use serde_json::{Number, Value};

/// The value of a scalar as it is written.
///
/// # Errors
/// It has no JSON form, or does not fit its tag.
pub(super) fn value(text: &str, style: ScalarStyle, tag: Option<&str>) -> Result<Value, String> {
    match tag {
        None if style != ScalarStyle::Plain => Ok(Value::String(text.to_owned())),
        None => resolve(text),
        Some(tag) => tagged(tag, text),
    }
}

/// The name of one of YAML's own tags.
pub(super) fn own(tag: Option<&Tag>) -> Option<&str> {
    tag.filter(|tag| tag.handle() == "tag:yaml.org,2002:").map(Tag::suffix)
}

/// The value of a plain scalar without tag.
///
/// # Errors
/// Infinity and not-a-number have no JSON form.
pub(super) fn resolve(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => {
            return Err(format!("`{text}` has no JSON form."));
        }
        _ => {}
    }
    if let Some(value) = boolean(text) {
        return Ok(Value::Bool(value));
    }
    let number = match text.as_bytes().first() {
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => number(text),
        _ => None,
    };
    Ok(number.map_or_else(|| Value::String(text.to_owned()), Value::Number))
}

/// The value of a scalar under one of YAML's own tags (`!!int`, `!!binary` ...).
///
/// # Errors
/// The text does not fit the tag.
pub(super) fn tagged(tag: &str, text: &str) -> Result<Value, String> {
    // The value may be a secret: it is not repeated.
    let misfit = || format!("This is no `!!{tag}`.");
    match tag {
        "str" => Ok(Value::String(text.to_owned())),
        "binary" => {
            let compact: String = text.split_whitespace().collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(compact).map_err(|_| misfit())?;
            Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned()))
        }
        "int" | "float" => number(text).map(Value::Number).ok_or_else(misfit),
        "bool" => boolean(text).map(Value::Bool).ok_or_else(misfit),
        "null" => Ok(Value::Null),
        _ => resolve(text),
    }
}

/// Whether YAML 1.2 (core schema) reads a plain scalar differently.
pub(super) fn is_ambiguous(text: &str) -> bool {
    let words = boolean(text).is_some() && !text.eq_ignore_ascii_case("true") && !text.eq_ignore_ascii_case("false");
    let Some(first) = text.bytes().find(|b| !matches!(b, b'+' | b'-')) else { return false };
    if words || !(first.is_ascii_digit() || first == b'.') || number(text).is_none() {
        return words;
    }
    let digits = text.trim_start_matches(['+', '-']);
    let octal = digits.len() > 1
        && digits.starts_with('0')
        && digits.bytes().all(|b| (b'0'..=b'7').contains(&b))
        && digits.trim_start_matches('0').len() > 1;
    text.contains('_') || octal || digits.starts_with("0b") || digits.starts_with("0B") || digits.starts_with("0X")
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<Number> {
    let plain = text.replace('_', "");
    integer(&plain).or_else(|| float(&plain))
}

/// Go's `strconv.ParseInt(s, 0, 64)`, then `ParseUint`: prefixes 0x, 0o, 0b, and a leading zero for octal.
fn integer(plain: &str) -> Option<Number> {
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, plain),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.is_empty() || digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative { i64::try_from(-i128::from(magnitude)).ok().map(Number::from) } else { Some(Number::from(magnitude)) }
}

/// The float syntax of go-yaml. JSON written by Go has no trailing zeros, so an integral float is an integer.
fn float(plain: &str) -> Option<Number> {
    let body = plain.trim_start_matches(['+', '-']);
    let shaped = plain.len() - body.len() <= 1
        && body.bytes().any(|b| b.is_ascii_digit())
        && body.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
        && !body.starts_with(['e', 'E']);
    if !shaped || body == "." {
        return None;
    }
    let value: f64 = plain.parse().ok().filter(|v: &f64| v.is_finite())?;
    if value.fract() == 0.0 && value.abs() < 9.0e15 {
        Some(Number::from(value as i64))
    } else {
        Number::from_f64(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Measured with Go's sigs.k8s.io/yaml 1.6.0.
    #[test]
    fn scalars_are_read_as_go_reads_them() {
        let cases = [
            ("y", json!(true)),
            ("Yes", json!(true)),
            ("ON", json!(true)),
            ("n", json!(false)),
            ("Off", json!(false)),
            ("tRUE", json!("tRUE")),
            ("0644", json!(420)),
            ("0o644", json!(420)),
            ("-0644", json!(-420)),
            ("0b101", json!(5)),
            ("0x1F", json!(31)),
            ("0X1f", json!(31)),
            ("0B1", json!(1)),
            ("1_000", json!(1000)),
            ("1__0", json!(10)),
            ("0_7", json!(7)),
            ("0x_1", json!(1)),
            ("+12", json!(12)),
            ("00", json!(0)),
            ("0o18", json!("0o18")),
            ("_1", json!("_1")),
            ("0777L", json!("0777L")),
            ("1:30", json!("1:30")),
            ("08", json!(8)),
            ("09.5", json!(9.5)),
            ("1e3", json!(1000)),
            ("1.0", json!(1)),
            (".5_5", json!(0.55)),
            ("1.5e400", json!("1.5e400")),
            ("NaN", json!("NaN")),
            ("Infinity", json!("Infinity")),
            ("18446744073709551615", json!(u64::MAX)),
            ("~", Value::Null),
            ("Null", Value::Null),
            ("nUll", json!("nUll")),
            ("2001-12-14", json!("2001-12-14")),
            ("1_000.5", json!(1000.5)),
            ("-", json!("-")),
            ("1.2.3", json!("1.2.3")),
            (".", json!(".")),
            ("+", json!("+")),
            ("e3", json!("e3")),
            ("0x", json!("0x")),
            ("=", json!("=")),
        ];
        for (text, value) in cases {
            assert_eq!(resolve(text), Ok(value), "{text}");
        }
        assert!(resolve(".inf").is_err() && resolve(".nan").is_err());
    }

    #[test]
    fn tags_decide_over_the_text() {
        assert_eq!(tagged("binary", "aGk="), Ok(json!("hi")));
        assert_eq!(tagged("int", "7"), Ok(json!(7)));
        assert_eq!(tagged("str", "yes"), Ok(json!("yes")));
        assert!(tagged("int", "x").is_err());
    }

    #[test]
    fn a_scalar_that_yaml_1_2_reads_otherwise_is_ambiguous() {
        for text in ["yes", "on", "y", "N", "0644", "1_000", "0b1"] {
            assert!(is_ambiguous(text), "{text}");
        }
        for text in ["true", "False", "12", "0", "0x1f", "1e3", "text", "007a", "1.5", "-"] {
            assert!(!is_ambiguous(text), "{text}");
        }
    }
}
