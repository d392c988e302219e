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
    let helm = annotation(live, "meta.helm.sh/release-name")
        .or_else(|| (label(live, "app.kubernetes.io/managed-by") == Some("Helm")).then_some("unknown"));
    let claims = [
        ("Helm release", helm),
        (
            "Argo CD application",
            annotation(live, "argocd.argoproj.io/tracking-id").or_else(|| label(live, "argocd.argoproj.io/instance")),
        ),
        ("Flux Kustomization", label(live, "kustomize.toolkit.fluxcd.io/name")),
        ("Flux HelmRelease", label(live, "helm.toolkit.fluxcd.io/name")),
        ("kapp app", label(live, "kapp.k14s.io/app")),
        ("kluctl deployment", label(live, "kluctl.io/discriminator")),
        ("kpt inventory", annotation(live, "config.k8s.io/owning-inventory")),
    ];
    let claimed = claims.into_iter().find_map(|(tool, name)| Some(format!("{tool} {}", name?)));
    claimed.map_or(Owner::Nobody, other)
}

/// Whether another tool's mark says that an object must not be pruned.
pub fn keep_mark(live: &Value) -> Option<&'static str> {
    let is = |name: &str, wanted: &str| {
        let value = annotation(live, name).or_else(|| label(live, name));
        value.is_some_and(|value| value.split(',').any(|v| v.trim().eq_ignore_ascii_case(wanted)))
    };
    let marks = [
        ("argocd.argoproj.io/sync-options", "Prune=false"),
        ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
        ("helm.sh/resource-policy", "keep"),
        ("kluctl.io/skip-delete", "true"),
        ("cli-utils.sigs.k8s.io/on-remove", "keep"),
        ("client.lifecycle.config.k8s.io/deletion", "detach"),
        ("spinway.dev/prune", "disabled"),
    ];
    marks.into_iter().find(|(name, wanted)| is(name, wanted)).map(|(name, _)| name)
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
