//! Who owns a live object, as its labels, annotations and owner references say.

use super::PART_OF;
use crate::object::{Untrusted, annotation, label};
use serde_json::Value;

/// The owner of a live object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This environment; the partition.
    Ours(String),
    /// Nobody that says so.
    Nobody,
    /// Another tool, inventory or controller, by name.
    Other(Untrusted),
}

/// Annotations and labels by which other tools claim objects: the tool, the annotation, the label.
const CLAIMS: [(&str, &str, &str); 6] = [
    ("Argo CD application", "argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance"),
    ("Flux Kustomization", "", "kustomize.toolkit.fluxcd.io/name"),
    ("Flux HelmRelease", "", "helm.toolkit.fluxcd.io/name"),
    ("kapp app", "", "kapp.k14s.io/app"),
    ("kluctl deployment", "", "kluctl.io/discriminator"),
    ("kpt inventory", "config.k8s.io/owning-inventory", ""),
];

/// The annotation in which Helm names the release that an object is part of.
const HELM_RELEASE: &str = "meta.helm.sh/release-name";

/// Annotations or labels, and the value with which they keep an object from being pruned.
const KEEP_MARKS: [(&str, &str); 7] = [
    ("argocd.argoproj.io/sync-options", "Prune=false"),
    ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
    ("helm.sh/resource-policy", "keep"),
    ("kluctl.io/skip-delete", "true"),
    ("cli-utils.sigs.k8s.io/on-remove", "keep"),
    ("client.lifecycle.config.k8s.io/deletion", "detach"),
    ("spinway.dev/prune", "disabled"),
];

/// Whether an annotation is one by which the owner of an object is found, or whether it may be pruned.
pub fn is_mark(annotation: &str) -> bool {
    annotation == HELM_RELEASE
        || CLAIMS.iter().any(|(_, name, _)| *name == annotation)
        || KEEP_MARKS.iter().any(|(name, _)| *name == annotation)
}

/// Finds the owner of a live object; `ids` are the ids of this environment with their partitions.
pub fn owner(live: &Value, ids: &[(String, String)]) -> Owner {
    let other = |text: String| Owner::Other(Untrusted::new(text));
    if let Some(part_of) = label(live, PART_OF) {
        let ours = ids.iter().find(|(id, _)| id == part_of);
        return ours
            .map_or_else(|| other(format!("ApplySet {part_of}")), |(_, partition)| Owner::Ours(partition.clone()));
    }
    let references = live.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(controller) = references.into_iter().flatten().find(|r| r.get("controller") == Some(&Value::Bool(true)))
    {
        return other(format!("controller {} {}", text(controller, "kind"), text(controller, "name")));
    }
    let helm = annotation(live, HELM_RELEASE)
        .or_else(|| (label(live, "app.kubernetes.io/managed-by") == Some("Helm")).then_some("unknown"));
    let others =
        CLAIMS.iter().map(|(tool, name, labelled)| (*tool, annotation(live, name).or_else(|| label(live, labelled))));
    let mut claims = std::iter::once(("Helm release", helm)).chain(others);
    let claimed = claims.find_map(|(tool, name)| Some(format!("{tool} {}", name?)));
    claimed.map_or(Owner::Nobody, other)
}

/// Whether another tool's mark says that an object must not be pruned.
pub fn keep_mark(live: &Value) -> Option<&'static str> {
    let is = |name: &str, wanted: &str| {
        let value = annotation(live, name).or_else(|| label(live, name));
        value.is_some_and(|value| value.split(',').any(|v| v.trim().eq_ignore_ascii_case(wanted)))
    };
    KEEP_MARKS.into_iter().find(|(name, wanted)| is(name, wanted)).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_claim_is_named() {
        let ids = [("applyset-a-v1".to_owned(), "platform".to_owned())];
        let cases = [
            (json!({"labels": {PART_OF: "applyset-a-v1"}}), Owner::Ours("platform".into())),
            (json!({"labels": {PART_OF: "applyset-b-v1"}}), Owner::Other("ApplySet applyset-b-v1".into())),
            (json!({"annotations": {"meta.helm.sh/release-name": "web"}}), Owner::Other("Helm release web".into())),
            (json!({"labels": {"argocd.argoproj.io/instance": "x"}}), Owner::Other("Argo CD application x".into())),
            (json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "x"}}), Owner::Other("Flux Kustomization x".into())),
            (json!({"labels": {"kapp.k14s.io/app": "1"}}), Owner::Other("kapp app 1".into())),
            (
                json!({"ownerReferences": [{"controller": true, "kind": "SpinApp", "name": "cart"}]}),
                Owner::Other("controller SpinApp cart".into()),
            ),
            (json!({}), Owner::Nobody),
        ];
        for (metadata, expected) in cases {
            assert_eq!(owner(&json!({"metadata": metadata}), &ids), expected);
        }
    }

    #[test]
    fn keep_marks_of_others_are_read() {
        assert!(
            keep_mark(
                &json!({"metadata": {"annotations": {"argocd.argoproj.io/sync-options": "Force=true,Prune=false"}}})
            )
            .is_some()
        );
        assert!(keep_mark(&json!({"metadata": {"annotations": {"helm.sh/resource-policy": "keep"}}})).is_some());
        assert_eq!(keep_mark(&json!({"metadata": {"annotations": {"helm.sh/resource-policy": "delete"}}})), None);
    }
}
