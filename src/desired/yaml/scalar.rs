//! The plain scalars of YAML 1.1 as Go's `sigs.k8s.io/yaml` (go-yaml v2) resolves them.

use base64::Engine as _;
use granit_parser::{Event, ScalarStyle, Tag};
use serde_json::{Number, Value};

/// The prefix of YAML's own tags, `!!`.
const OWN: &str = "tag:yaml.org,2002:";

/// A tag as go-yaml has it: whole, its handle resolved; `!` alone says that a scalar is a text.
pub(super) fn whole(tag: Option<&Tag>) -> Option<String> {
    tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()))
}

/// Whether a key merges what follows it: `<<`, plain or with YAML's own tag for that.
pub(super) fn is_merge(key: &Event<'_>) -> bool {
    let Event::Scalar(text, style, _, tag) = key else { return false };
    let tag = whole(tag.as_deref());
    text == "<<"
        && match tag.as_deref() {
            None => *style == ScalarStyle::Plain,
            Some(tag) => tag == "!" || tag.strip_prefix(OWN) == Some("merge"),
        }
}

/// A scalar that was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Read {
    pub(super) value: Value,
    /// Whether it is a number that go-yaml holds as `float64`.
    is_float: bool,
}

impl Read {
    /// The key that sigs.k8s.io/yaml makes of it for JSON; none for what cannot be one.
    pub(super) fn key(&self) -> Option<String> {
        match &self.value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Number(number) if self.is_float => number.as_f64().map(single),
            Value::Number(number) => number.as_i64().map(|whole| whole.to_string()),
            _ => None,
        }
    }
}

/// A scalar as it is written.
///
/// # Errors
/// It has no JSON form, or does not fit its tag.
pub(super) fn read(text: &str, style: ScalarStyle, tag: Option<&str>) -> Result<Read, String> {
    let value = match tag {
        None if style != ScalarStyle::Plain => Ok(Value::String(text.to_owned())),
        None => resolve(text),
        Some(tag) => match tag.strip_prefix(OWN) {
            Some(own) => tagged(own, text),
            // A tag that is not YAML's own means nothing, and its scalar is a text.
            None => Ok(Value::String(text.to_owned())),
        },
    }?;
    let is_float = value.is_number() && (tag.is_some_and(|tag| tag.ends_with(":float")) || is_float(text));
    Ok(Read { value, is_float })
}

/// A number as Go's `strconv.FormatFloat(f, 'g', -1, 32)` writes it.
fn single(number: f64) -> String {
    let number = number as f32;
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    // Rust, too, writes the shortest digits that are read as the same number.
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) { number.to_string() } else { format!("{digits}e{exponent:+03}") }
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

/// The value of a scalar under one of YAML's own tags (`!!int`, `!!binary` ...), by what follows `!!`.
///
/// # Errors
/// The text does not fit the tag.
fn tagged(tag: &str, text: &str) -> Result<Value, String> {
    // The value may be a secret: it is not repeated.
    let misfit = || format!("This is no `!!{tag}`.");
    let fitting = |fits: fn(&Value) -> bool| resolve(text).ok().filter(fits).ok_or_else(misfit);
    match tag {
        "binary" => {
            let compact = text.replace(['\r', '\n'], "");
            let bytes = base64::engine::general_purpose::STANDARD.decode(compact).map_err(|_| misfit())?;
            Ok(Value::String(replaced(&bytes)))
        }
        "int" => fitting(Value::is_number).and_then(|value| if is_float(text) { Err(misfit()) } else { Ok(value) }),
        "float" => fitting(|value| value.is_i64() || value.is_f64()),
        "bool" => fitting(Value::is_boolean),
        "null" => fitting(Value::is_null),
        "timestamp" if !is_time(text) => Err(misfit()),
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// Bytes as a text, each that is not UTF-8 replaced, as Go's JSON does.
fn replaced(bytes: &[u8]) -> String {
    let chunks = bytes.utf8_chunks();
    chunks.flat_map(|chunk| [chunk.valid().to_owned(), "\u{fffd}".repeat(chunk.invalid().len())]).collect()
}

/// Whether go-yaml reads a text as a time: `2006-01-02`, or such a date with `T`, `t` or a blank and a time behind it.
fn is_time(text: &str) -> bool {
    let Some((year, rest)) = text.split_once('-') else { return false };
    let Some((month, rest)) = rest.split_once('-') else { return false };
    let day = rest.trim_start_matches(digit);
    let number = |text: &str, low: u32, high: u32| text.parse().is_ok_and(|n: u32| (low..=high).contains(&n));
    year.len() == 4
        && year.chars().all(digit)
        && number(month, 1, 12)
        && number(&rest[..rest.len() - day.len()], 1, 31)
        && (day.is_empty() || day.starts_with(['T', 't', ' ']))
}

/// Whether a number is one with a point or an exponent.
fn is_float(text: &str) -> bool {
    integer(&text.replace('_', "")).is_none()
}

/// Whether a text in double quotes, as it is written, has escapes that stand for one half of a character (`\\ud83d`).
pub(super) fn has_surrogates(written: &str) -> bool {
    let mut rest = written;
    while let Some((_, after)) = rest.split_once('\\') {
        let code = after.strip_prefix('u').and_then(|code| code.get(..4));
        if code.and_then(|code| u32::from_str_radix(code, 16).ok()).is_some_and(|code| (0xd800..0xe000).contains(&code))
        {
            return true;
        }
        rest = after.get(1..).unwrap_or_default();
    }
    false
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
    // After a point Go reads the text itself, in which `_` stands between digits only; else it leaves all of them out.
    if text.starts_with('.')
        && !text.split('_').all(|part| part.ends_with(digit) && (part.starts_with(digit) || part.starts_with('.')))
    {
        return None;
    }
    let plain = text.replace('_', "");
    integer(&plain).or_else(|| float(&plain))
}

fn digit(c: char) -> bool {
    c.is_ascii_digit()
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
            ("._5", json!("._5")),
            (".5_", json!(".5_")),
        ];
        for (text, value) in cases {
            assert_eq!(resolve(text), Ok(value), "{text}");
        }
        assert!(resolve(".inf").is_err() && resolve(".nan").is_err());
    }

    #[test]
    fn tags_decide_over_the_text() {
        let plain = |text: &str, tag: &str| read(text, ScalarStyle::Plain, Some(tag)).map(|read| read.value);
        for (tag, text, value) in [
            ("tag:yaml.org,2002:binary", "aGk=", "hi"),
            ("tag:yaml.org,2002:str", "yes", "yes"),
            ("!", "0123", "0123"),
            ("!colour", "yes", "yes"),
            ("tag:yaml.org,2002:colour", "1", "1"),
            ("tag:yaml.org,2002:timestamp", "2001-12-14", "2001-12-14"),
        ] {
            assert_eq!(plain(text, tag), Ok(json!(value)), "{tag} {text}");
        }
        assert_eq!(plain("7", "tag:yaml.org,2002:int"), Ok(json!(7)));
        assert_eq!(plain("7", "tag:yaml.org,2002:float"), Ok(json!(7)));
        for (tag, text) in [("int", "x"), ("int", "1.5"), ("bool", "1"), ("null", "x"), ("timestamp", "x")] {
            assert!(plain(text, &format!("{OWN}{tag}")).is_err(), "{tag} {text}");
        }
    }

    #[test]
    fn a_key_is_written_as_go_writes_it() {
        let key = |text| read(text, ScalarStyle::Plain, None).ok().and_then(|read| read.key());
        for (text, expected) in [
            ("0123456789", "1.2345679e+08"),
            ("010", "8"),
            ("1.50", "1.5"),
            ("1e3", "1000"),
            ("0.00001", "1e-05"),
            ("yes", "true"),
            ("1234567.0", "1.234567e+06"),
        ] {
            assert_eq!(key(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(key("~"), None);
        assert_eq!(key("18446744073709551615"), None);
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
