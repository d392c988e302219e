//! `WWW-Authenticate` (RFC 9110 section 11.6.1): how a server lets itself be shown who asks.
//!
//! It is read once, and what is not in its grammar, or is said twice, is refused: credentials follow what stands here.

use std::collections::BTreeMap;

/// How a registry lets itself be shown who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Not at all.
    None,
    /// By name and password.
    Basic,
    /// By a token that another server gives for name and password.
    Bearer {
        /// The address of that server; empty where none is said.
        realm: String,
        /// What the registry is called there.
        service: Option<String>,
    },
}

/// One of the ways that a header offers.
struct Offer {
    scheme: String,
    parameters: BTreeMap<String, String>,
}

/// How the headers of an answer want to be answered; nothing where they cannot be read in one way only.
pub fn challenge<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut offers = Vec::new();
    for header in headers {
        offers.extend(read(header)?);
    }
    if let Some(bearer) = offers.iter_mut().find(|offer| offer.scheme == "bearer") {
        let realm = bearer.parameters.remove("realm").unwrap_or_default();
        return Some(Challenge::Bearer { realm, service: bearer.parameters.remove("service") });
    }
    let is_basic = offers.iter().any(|offer| offer.scheme == "basic");
    Some(if is_basic { Challenge::Basic } else { Challenge::None })
}

/// The offers of one header.
fn read(header: &str) -> Option<Vec<Offer>> {
    let mut offers: Vec<Offer> = Vec::new();
    for item in items(header)? {
        let mut rest = item;
        if let Some((scheme, after)) = begins(item) {
            offers.push(Offer { scheme: scheme.to_ascii_lowercase(), parameters: BTreeMap::new() });
            if after.is_empty() || is_token68(after) {
                continue;
            }
            rest = after;
        }
        let (name, value) = parameter(rest)?;
        if offers.last_mut()?.parameters.insert(name, value).is_some() {
            return None;
        }
    }
    Some(offers)
}

/// What stands between the commas that are not in quotes.
fn items(header: &str) -> Option<Vec<&str>> {
    let (mut quoted, mut escaped) = (false, false);
    let ends = |c: char| {
        let is_end = c == ',' && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        is_end
    };
    let items: Vec<&str> = header.split(ends).map(str::trim).filter(|item| !item.is_empty()).collect();
    (!quoted).then_some(items)
}

/// The scheme with which an item begins an offer, and what follows it.
fn begins(item: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = item.split_once([' ', '\t']).unwrap_or((item, ""));
    is_token(scheme).then(|| (scheme, rest.trim()))
}

/// `NAME=VALUE`, with the value in quotes or without.
fn parameter(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let value = if is_token(value) { value.to_owned() } else { unquoted(value)? };
    is_token(name).then(|| (name.to_ascii_lowercase(), value))
}

/// What stands in quotes.
fn unquoted(text: &str) -> Option<String> {
    let mut chars = text.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut plain = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => plain.push(chars.next()?),
            c => plain.push(c),
        }
    }
    Some(plain)
}

/// Whether a text is a token of HTTP.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether a text is what other schemes than ours say instead of parameters.
fn is_token68(text: &str) -> bool {
    let plain = text.trim_end_matches('=');
    !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str) -> Option<Challenge> {
        challenge([header].into_iter())
    }

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
    }

    #[test]
    fn headers_are_read_as_http_has_them() {
        assert_eq!(challenge([].into_iter()), Some(Challenge::None));
        assert_eq!(of("Negotiate"), Some(Challenge::None));
        assert_eq!(of("Negotiate YWJj=="), Some(Challenge::None));
        assert_eq!(of("Basic realm=\"a, b=\\\"c\\\"\""), Some(Challenge::Basic));
        assert_eq!(of("BASIC"), Some(Challenge::Basic));
        let hub = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\"";
        assert_eq!(of(hub), bearer("https://auth.docker.io/token", Some("registry.docker.io")));
        assert_eq!(of("Basic realm=x , BEARER  Realm=\"y\", scope=\"a,b\""), bearer("y", None));
        assert_eq!(of("Bearer service=s,realm=\"a\\\"b\""), bearer("a\"b", Some("s")));
        assert_eq!(of("Bearer"), bearer("", None));
        assert_eq!(challenge(["Basic realm=x", "Bearer realm=y"].into_iter()), bearer("y", None));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        for header in [
            "Bearer realm=\"https://a\",realm=\"http://b\"",
            "Bearer realm=\"https://a\",REALM=\"http://b\"",
            "Bearer realm=\"https://a\",service=s,service=t",
            "Bearer realm=\"https://a\" realm=\"http://b\"",
            "Bearer realm=\"https://a\"realm=\"http://b\"",
            "Bearer realm=\"https://a",
            "Bearer realm=https://a",
            "Bearer realm=\"a\\\"",
            "Bearer realm =\"a\"",
            "Bearer realm= \"a\"",
            "realm=\"https://a\", Bearer",
            "Bearer \"realm\"=\"a\"",
        ] {
            assert_eq!(of(header), None, "{header}");
        }
    }
}
