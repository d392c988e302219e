//! What a custom resource definition says of itself: where it comes from, and which versions it has.

use super::crd_versions;
use crate::object::annotation;
use serde_json::Value;
use std::collections::BTreeSet;

/// The annotation by which Gateway API names the channel that a definition comes from.
pub const CHANNEL: &str = "gateway.networking.k8s.io/channel";
/// The annotation by which Gateway API names the bundle that a definition comes from.
pub const BUNDLE: &str = "gateway.networking.k8s.io/bundle-version";

/// The names of the versions of a definition that are kept.
pub fn version_names(crd: &Value, keep: impl Fn(&Value) -> bool) -> BTreeSet<&str> {
    let versions = crd_versions(crd).map(|(_, versions)| versions.as_slice()).unwrap_or_default();
    versions.iter().filter(|version| keep(version)).filter_map(|version| version.get("name")?.as_str()).collect()
}

/// Whether a flag of a version of a definition is set: `served`, `storage`, `deprecated`.
pub fn is_set(version: &Value, flag: &str) -> bool {
    version.get(flag) == Some(&Value::Bool(true))
}

/// A version in which a cluster may have stored objects of a live definition and that the wanted one does not have.
pub fn lost_version<'a>(live: &'a Value, wanted: &Value) -> Option<&'a str> {
    let stored = live.pointer("/status/storedVersions")?.as_array()?;
    let kept = version_names(wanted, |_| true);
    stored.iter().filter_map(Value::as_str).find(|version| !kept.contains(version))
}

/// Whether the channel goes from experimental to standard.
pub fn is_narrowed(before: &Value, after: &Value) -> bool {
    annotation(before, CHANNEL) == Some("experimental") && annotation(after, CHANNEL) == Some("standard")
}

/// The bundles of two definitions, when the second one is older.
pub fn is_downgraded<'a>(before: &'a Value, after: &'a Value) -> Option<(&'a str, &'a str)> {
    let (old, new) = (annotation(before, BUNDLE)?, annotation(after, BUNDLE)?);
    (numbers(new) < numbers(old)).then_some((old, new))
}

fn numbers(version: &str) -> Vec<u64> {
    version.trim_start_matches('v').split(['.', '-']).map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bundles_are_compared_by_number() {
        let crd =
            |bundle: &str, channel: &str| json!({"metadata": {"annotations": {BUNDLE: bundle, CHANNEL: channel}}});
        let is_lower = |old: &str, new: &str| is_downgraded(&crd(old, "standard"), &crd(new, "standard")).is_some();
        assert!(is_lower("v1.10.0", "v1.9.1") && !is_lower("v1.9.1", "v1.10.0") && !is_lower("v1.6.0", "v1.6.0"));
        assert!(is_narrowed(&crd("v1.6.0", "experimental"), &crd("v1.7.0", "standard")));
        assert!(!is_narrowed(&crd("v1.6.0", "standard"), &crd("v1.7.0", "experimental")));
    }
}
