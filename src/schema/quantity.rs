//! Quantities of Kubernetes (`resource.Quantity`), as far as to tell whether two spellings mean the same.

/// The amount as an integer count of nanos; none when the text is no quantity or cannot be counted so.
pub fn nanos(text: &str) -> Option<i128> {
    let digits_end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits_end);
    let (multiplier, divisor): (i128, i128) = match suffix {
        "n" => (1, 1),
        "u" => (1_000, 1),
        "m" => (1_000_000, 1),
        "" => (NANO, 1),
        "k" => (NANO * 1_000, 1),
        "M" => (NANO * 1_000_000, 1),
        "G" => (NANO * 1_000_000_000, 1),
        "T" => (NANO * 1_000_000_000_000, 1),
        "P" => (NANO * 1_000_000_000_000_000, 1),
        "Ki" => (NANO << 10, 1),
        "Mi" => (NANO << 20, 1),
        "Gi" => (NANO << 30, 1),
        "Ti" => (NANO << 40, 1),
        "Pi" => (NANO << 50, 1),
        exponent => power(exponent)?,
    };
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 9 || !all_digits {
        return None;
    }
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let product = digits.checked_mul(multiplier)?;
    let divisor = scale.checked_mul(divisor)?;
    let amount = (product % divisor == 0).then(|| product / divisor)?;
    Some(if negative { -amount } else { amount })
}

/// Whether a text is a quantity at all, however large.
pub fn is_quantity(text: &str) -> bool {
    let digits_end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits_end);
    let number = number.strip_prefix(['+', '-']).unwrap_or(number);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let counted = !(whole.is_empty() && fraction.is_empty()) && digits(whole) && digits(fraction);
    let exponent = suffix.strip_prefix(['e', 'E']).is_some_and(|power| power.parse::<i32>().is_ok());
    const SUFFIXES: [&str; 16] = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    counted && (exponent || SUFFIXES.contains(&suffix))
}

/// The family of suffixes of a quantity, within which the API server chooses the spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Binary,
    Decimal,
    Exponent,
}

/// The family of a quantity; none for a leading `+`, which is kept.
pub(crate) fn family(text: &str) -> Option<Family> {
    if text.starts_with('+') {
        return None;
    }
    let suffix = text.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '-' | '.'));
    Some(match suffix {
        binary if binary.ends_with('i') => Family::Binary,
        exponent if exponent.starts_with(['e', 'E']) && exponent.len() > 1 => Family::Exponent,
        _ => Family::Decimal,
    })
}

const NANO: i128 = 1_000_000_000;

fn power(suffix: &str) -> Option<(i128, i128)> {
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    if exponent >= 0 { Some((NANO.checked_mul(power)?, 1)) } else { Some((NANO, power)) }
}

#[cfg(test)]
mod tests {
    use super::{is_quantity, nanos};

    #[test]
    fn spellings_of_one_amount_are_equal() {
        for (a, b) in [
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1000m", "1"),
            ("1.5Gi", "1536Mi"),
            ("1e3", "1k"),
            ("+1", "1"),
            ("1E-3", "1m"),
        ] {
            assert_eq!(nanos(a), nanos(b), "{a} {b}");
            assert!(nanos(a).is_some() && is_quantity(a) && is_quantity(b));
        }
        assert_ne!(nanos("1M"), nanos("1Mi"));
        assert_eq!(nanos("0.0005"), Some(500_000));
        assert_eq!((nanos("0.000000001e-38"), is_quantity("0.000000001e-38")), (None, true));
        assert!(is_quantity("1E") && is_quantity(".5") && is_quantity("2Ei"));
        for text in ["", "x", "1x", "1.2.3", "--1", "64MB", "1 Gi"] {
            assert!(nanos(text).is_none() && !is_quantity(text), "{text}");
        }
    }
}
