//! Fields that cannot be changed in place: another value takes a new object.

use super::{Kind, of};
use crate::fields::{FieldPath, schema_at};
use crate::object::GroupKind;
use crate::schema::{Schema, is_zero};
use serde_json::Value;

/// The fixed field that a change touches: `before` and `after` are the values at `path`, `live` is the object as it is.
/// `None` when the API server accepts the change as far as is known.
pub fn fixed(
    kind: &GroupKind,
    live: &Value,
    path: &FieldPath,
    before: Option<&Value>,
    after: Option<&Value>,
) -> Option<&'static str> {
    let known = of(kind);
    let patterns = known.immutable.iter().chain((known.sealed)(live));
    patterns.copied().find(|pattern| {
        if path.fits(pattern) {
            return is_changed(known, pattern, path, before, after);
        }
        // The whole that the field is a part of changes.
        below(path, pattern).is_some_and(|rest| {
            let part = |value: Option<&'_ Value>| value.and_then(|value| value.pointer(&rest).cloned());
            is_changed(known, pattern, path, part(before).as_ref(), part(after).as_ref())
        })
    })
}

/// The JSON pointer from a path of plain names to a field below it; `None` where the field is not below.
fn below(path: &FieldPath, pattern: &str) -> Option<String> {
    let mut names = pattern.split('.');
    for element in &path.0 {
        if names.next()? != element.name()? {
            return None;
        }
    }
    let rest: Vec<&str> = names.collect();
    let is_plain = !rest.is_empty() && rest.iter().all(|name| !name.ends_with("[]"));
    is_plain.then(|| format!("/{}", rest.join("/")))
}

fn is_changed(known: &Kind, pattern: &str, path: &FieldPath, before: Option<&Value>, after: Option<&Value>) -> bool {
    let fits_any = |patterns: &[&str]| patterns.iter().any(|pattern| path.fits(pattern));
    let falls_to = |value: &Value| unwritten(known, path).as_ref() == Some(value) || is_zero(value);
    if fits_any(known.mutable) {
        return false;
    }
    match (before, after) {
        (None, None) => false,
        (Some(before), Some(after)) => before != after,
        (None, Some(after)) => !falls_to(after) && !fits_any(known.once),
        (Some(before), None) => !falls_to(before) && !known.carried.contains(&pattern),
    }
}

/// The value that a field without a value gets.
pub fn fallback(kind: &GroupKind, schema: Option<Schema<'_>>, path: &FieldPath) -> Option<Value> {
    schema_at(schema, path).and_then(Schema::default).cloned().or_else(|| unwritten(of(kind), path))
}

/// Fills in what fields without a value get though no schema says so, as the API server does.
pub fn fill_in(kind: &GroupKind, value: &mut Value) {
    for (at, text) in of(kind).fallback {
        let (above, name) = at.rsplit_once('.').unwrap_or(("", at));
        let pointer: String = above.split('.').filter(|part| !part.is_empty()).map(|part| format!("/{part}")).collect();
        let (Some(Value::Object(map)), Ok(made)) = (value.pointer_mut(&pointer), serde_json::from_str(text)) else {
            continue;
        };
        if map.get(name).is_none_or(Value::is_null) {
            map.insert(name.to_owned(), made);
        }
    }
}

/// The value that a field without a value gets though no schema says so.
fn unwritten(known: &Kind, path: &FieldPath) -> Option<Value> {
    let is_it = |at: &str| path.fits(at) && path.0.len() == at.split('.').count();
    let (_, value) = known.fallback.iter().find(|(at, _)| is_it(at))?;
    serde_json::from_str(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn is_fixed(group: &str, kind: &str, live: &Value, path: &str, before: &Value, after: &Value) -> bool {
        let path = FieldPath::of(&path.split('.').collect::<Vec<_>>());
        let given = |value: &'_ Value| Some(value.clone()).filter(|value| !value.is_null());
        let (before, after) = (given(before), given(after));
        fixed(&GroupKind::new(group, kind), live, &path, before.as_ref(), after.as_ref()).is_some()
    }

    #[test]
    fn fields_are_fixed_by_kind() {
        let (a, b, none) = (json!("a"), json!("b"), Value::Null);
        for (group, kind, path, expected) in [
            ("apps", "Deployment", "spec.selector.matchLabels.app", true),
            ("apps", "Deployment", "spec.replicas", false),
            ("apps", "ReplicaSet", "spec.selector.matchLabels.app", true),
            ("apps", "StatefulSet", "spec.serviceName", true),
            ("apps", "StatefulSet", "spec.template.spec.priorityClassName", false),
            ("batch", "Job", "spec.template.spec.restartPolicy", true),
            ("batch", "Job", "spec.parallelism", false),
            ("batch", "CronJob", "spec.schedule", false),
            ("", "Pod", "spec.nodeName", true),
            ("", "Pod", "spec.activeDeadlineSeconds", false),
            ("", "PersistentVolumeClaim", "spec.accessModes", true),
            ("", "PersistentVolumeClaim", "spec.resources.requests.storage", false),
            ("", "PersistentVolume", "spec.nfs.server", true),
            ("", "PersistentVolume", "spec.persistentVolumeReclaimPolicy", false),
            ("storage.k8s.io", "StorageClass", "provisioner", true),
            ("storage.k8s.io", "StorageClass", "allowVolumeExpansion", false),
            ("rbac.authorization.k8s.io", "ClusterRoleBinding", "roleRef.name", true),
            ("networking.k8s.io", "IngressClass", "spec.controller", true),
            ("", "Secret", "type", true),
            ("", "Secret", "data.key", false),
        ] {
            assert_eq!(is_fixed(group, kind, &json!({}), path, &a, &b), expected, "{kind} {path}");
            assert!(!is_fixed(group, kind, &json!({}), path, &none, &none), "{kind} {path}");
        }
    }

    #[test]
    fn what_an_object_says_seals_other_fields() {
        let sealed = json!({"immutable": true});
        for (kind, path) in [("ConfigMap", "data.a"), ("Secret", "data.a"), ("ConfigMap", "immutable")] {
            assert!(is_fixed("", kind, &sealed, path, &json!("1"), &json!("2")), "{kind} {path}");
            assert!(!is_fixed("", kind, &json!({"immutable": false}), path, &json!("1"), &json!("2")), "{kind} {path}");
        }
        assert!(!is_fixed("", "ConfigMap", &sealed, "metadata.labels.a", &json!("1"), &json!("2")));
        let (template, image) = ("spec.template.metadata.labels.a", json!([{"name": "c", "image": "i"}]));
        let suspended = json!({"spec": {"suspend": true}});
        assert!(!is_fixed("batch", "Job", &suspended, template, &json!("1"), &json!("2")));
        assert!(is_fixed("batch", "Job", &json!({}), template, &json!("1"), &json!("2")));
        assert!(is_fixed("batch", "Job", &json!({}), "spec.template.spec.containers", &image, &json!([])));
        let indexed = json!({"spec": {"completionMode": "Indexed"}});
        assert!(!is_fixed("batch", "Job", &indexed, "spec.completions", &json!(1), &json!(2)));
        let named = json!({"spec": {"type": "ExternalName"}});
        assert!(is_fixed("", "Service", &json!({}), "spec.clusterIP", &json!("10.0.0.1"), &json!("10.0.0.2")));
        assert!(!is_fixed("", "Service", &named, "spec.clusterIP", &Value::Null, &json!("10.0.0.2")));
    }

    #[test]
    fn a_default_that_is_written_or_left_out_changes_nothing() {
        let none = Value::Null;
        for (group, kind, path, default) in [
            ("", "Secret", "type", "Opaque"),
            ("apps", "StatefulSet", "spec.podManagementPolicy", "OrderedReady"),
            ("storage.k8s.io", "StorageClass", "reclaimPolicy", "Delete"),
        ] {
            assert!(!is_fixed(group, kind, &json!({}), path, &none, &json!(default)), "{path}");
            assert!(!is_fixed(group, kind, &json!({}), path, &json!(default), &none), "{path}");
            assert!(is_fixed(group, kind, &json!({}), path, &none, &json!("x")), "{path}");
            assert!(is_fixed(group, kind, &json!({}), path, &json!("x"), &none), "{path}");
        }
        // The API server keeps an address that is no longer declared, and a claim may be given a volume.
        assert!(!is_fixed("", "Service", &json!({}), "spec.clusterIP", &json!("10.0.0.1"), &none));
        assert!(!is_fixed("", "PersistentVolumeClaim", &json!({}), "spec.volumeName", &none, &json!("v")));
    }

    #[test]
    fn a_whole_that_holds_a_fixed_field_is_looked_into() {
        let (old, new) = (json!({"kind": "Role", "name": "a"}), json!({"kind": "Role", "name": "b"}));
        assert!(is_fixed("rbac.authorization.k8s.io", "RoleBinding", &json!({}), "roleRef", &old, &new));
        let spec = |mode: &str| json!({"serviceName": mode, "replicas": 1});
        assert!(is_fixed("apps", "StatefulSet", &json!({}), "spec", &spec("a"), &spec("b")));
        assert!(!is_fixed("apps", "StatefulSet", &json!({}), "spec", &spec("a"), &json!({"serviceName": "a"})));
    }

    #[test]
    fn a_field_without_value_falls_to_what_schema_or_kind_say() {
        let schemas = crate::schema::Schemas::default();
        let of = |group: &str, kind: &str, path: &FieldPath| {
            let kind = GroupKind::new(group, kind);
            fallback(&kind, schemas.of(&kind, "v1"), path)
        };
        assert_eq!(of("apps", "Deployment", &FieldPath::of(&["spec", "replicas"])), Some(json!(1)));
        assert_eq!(of("apps", "Deployment", &FieldPath::of(&["spec", "paused"])), None);
        let protocol = FieldPath::spelt(&["f:spec", "f:ports", "k:{\"port\":80,\"protocol\":\"TCP\"}", "f:protocol"]);
        assert_eq!(of("", "Service", &protocol), Some(json!("TCP")));
    }
}
