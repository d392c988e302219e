//! Hostnames (Gateway API, Hostname): exact, or with a wildcard that stands for one or more labels.

/// Whether a pattern covers every hostname that another one stands for.
pub fn covers(pattern: &str, hostname: &str) -> bool {
    let (pattern, hostname) = (pattern.to_ascii_lowercase(), hostname.to_ascii_lowercase());
    match pattern.strip_prefix("*.") {
        Some(suffix) => {
            hostname == pattern
                || hostname.strip_suffix(suffix).is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
        }
        None => pattern == hostname,
    }
}

/// Whether any hostname is meant by both; none means all.
pub fn meet(a: Option<&str>, b: Option<&str>) -> bool {
    match (a.filter(|a| !a.is_empty()), b.filter(|b| !b.is_empty())) {
        (Some(a), Some(b)) => covers(a, b) || covers(b, a),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_one_or_more_labels() {
        for (pattern, hostname, expected) in [
            ("shop.example", "SHOP.example", true),
            ("shop.example", "a.shop.example", false),
            ("*.shop.example", "a.shop.example", true),
            ("*.shop.example", "a.b.shop.example", true),
            ("*.shop.example", "*.shop.example", true),
            ("*.shop.example", "*.b.shop.example", true),
            ("*.shop.example", "shop.example", false),
            ("*.shop.example", "ashop.example", false),
            ("*.shop.example", ".shop.example", false),
            ("shop.example", "*.example", false),
        ] {
            assert_eq!(covers(pattern, hostname), expected, "{pattern} {hostname}");
        }
    }

    #[test]
    fn hostnames_meet_when_one_covers_the_other() {
        assert!(meet(None, Some("a.b")) && meet(Some("*.b"), Some("a.b")) && meet(Some("a.b"), Some("*.b")));
        assert!(!meet(Some("a.b"), Some("c.b")) && !meet(Some("*.a.b"), Some("*.c.b")));
    }
}
