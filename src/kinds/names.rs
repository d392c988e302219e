//! What the API server takes for the name of an object.

use super::is_subdomain;
use crate::object::{GroupKind, is_hidden};

/// What a name may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A segment of a path: anything but `/`, `%`, `.` and `..` (apimachinery, `IsValidPathSegmentName`).
    Segment,
    /// A label of DNS (RFC 1123), of at most 63 characters.
    Label,
    /// A subdomain of DNS (RFC 1123), of at most 253 characters: what custom resources have, and nearly all others.
    Subdomain,
}

fn form(kind: &GroupKind) -> Form {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("rbac.authorization.k8s.io", _) => Form::Segment,
        ("", "Namespace" | "Service") => Form::Label,
        _ => Form::Subdomain,
    }
}

/// What is wrong with the name of an object of a kind: what it has to be instead; none when the API server takes it.
pub fn wrong_name(kind: &GroupKind, name: &str) -> Option<&'static str> {
    let is_segment = !matches!(name, "" | "." | "..") && !name.contains(['/', '%']);
    // No server asks for that, but nobody could see or type such a name.
    let is_seen = !name.chars().any(|c| c.is_control() || c.is_whitespace() || is_hidden(c));
    match form(kind) {
        Form::Segment if is_segment && is_seen && name.len() <= 253 => None,
        Form::Segment => Some("Use at most 253 characters, without `/`, `%` and spaces."),
        Form::Label if is_subdomain(name) && !name.contains('.') && name.len() <= 63 => None,
        Form::Label => Some("Use at most 63 lower-case letters, digits and `-`; start and end with a letter or digit."),
        Form::Subdomain if is_subdomain(name) => None,
        Form::Subdomain => {
            Some("Use at most 253 lower-case letters, digits, `-` and `.`; start and end with a letter or digit.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_server_takes() {
        let config_map = GroupKind::new("", "ConfigMap");
        for wrong in ["Cart_1", "x?dryRun=All", "a..b", "-a", "a-", "a:b", "\u{441}art", "a\u{202e}b", "", "a/b", "a b"]
        {
            assert!(wrong_name(&config_map, wrong).is_some(), "{wrong}");
        }
        for (group, kind, right) in [
            ("", "ConfigMap", "kube-root-ca.crt"),
            ("", "ConfigMap", "0"),
            ("rbac.authorization.k8s.io", "ClusterRole", "system:aggregate-to-edit"),
            ("apiextensions.k8s.io", "CustomResourceDefinition", "spinapps.core.spinkube.dev"),
            ("", "Service", "cart-2"),
        ] {
            assert_eq!(wrong_name(&GroupKind::new(group, kind), right), None, "{right}");
        }
        assert!(wrong_name(&GroupKind::new("", "Service"), "a.b").is_some());
        for wrong in ["a%2f", "a/b", "..", "a b", "a\u{202e}b", "a\u{200b}", "a\n", "\u{e0041}"] {
            assert!(wrong_name(&GroupKind::new("rbac.authorization.k8s.io", "Role"), wrong).is_some(), "{wrong:?}");
        }
    }
}
