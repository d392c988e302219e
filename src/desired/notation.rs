//! Notations of Gateway API that the files of people have too.

/// A duration as Gateway API writes it (GEP-2257), in seconds.
pub(super) fn duration(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut seconds = 0.0;
    for parts in 0.. {
        if rest.is_empty() {
            return (parts > 0).then_some(seconds);
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if parts == 4 || digits == 0 || digits > 5 {
            return None;
        }
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, factor) = [("ms", 0.001), ("h", 3600.0), ("m", 60.0), ("s", 1.0)]
            .into_iter()
            .find(|(unit, _)| rest.starts_with(unit))?;
        seconds += number * factor;
        rest = &rest[unit.len()..];
    }
    None
}

/// Whether each `%` begins an octet of two digits (RFC 3986 section 2.1).
fn is_escaped(path: &str) -> bool {
    let octet = |rest: &str| rest.as_bytes().iter().take(2).filter(|b| b.is_ascii_hexdigit()).count() == 2;
    path.split('%').skip(1).all(octet)
}

/// Whether Gateway API takes a path (HTTPPathMatch).
pub(super) fn path_is_plain(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&b);
    path.starts_with('/')
        && path.len() <= 1024
        && path.bytes().all(plain)
        && is_escaped(path)
        && !["//", "/./", "/../", "%2f"].iter().any(|wrong| lower.contains(wrong))
        && !path.ends_with("/..")
        && !path.ends_with("/.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_gep_2257() {
        for (text, seconds) in [("5s", 5.0), ("1h30m", 5400.0), ("250ms", 0.25), ("1m5s", 65.0)] {
            assert_eq!(duration(text), Some(seconds), "{text}");
        }
        for wrong in ["", "5", "s", "-1s", "1.5s", "123456s", "1d", "1s1s1s1s1s", " 1s"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
