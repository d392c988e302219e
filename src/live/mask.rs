//! Secret values never leave the object they are in (design law 9): what is shown, saved or logged goes through here.

use crate::fields::{Element, FieldPath};
use crate::object::{GroupKind, ObjectRef, label};
use serde_json::Value;

/// What stands in a snapshot in place of a value.
pub const MASK: &str = "spinway.dev/masked";

/// The annotation in which kubectl keeps a whole object, values included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether a value at a path is secret: data of Secrets, copies of whole objects, literal values of SpinApp variables
/// and of runtime configuration.
pub fn is_masked(kind: &GroupKind, path: &FieldPath) -> bool {
    if path.fits(&format!("metadata.annotations.{LAST_APPLIED}"))
        || path.0.get(2).and_then(Element::name).is_some_and(|name| name.ends_with(LAST_APPLIED))
    {
        return true;
    }
    match (kind.group.as_str(), kind.kind.as_str()) {
        // Whatever stands at the top of a Secret may be a misspelt `data`, in whatever group it is written.
        (_, "Secret") => !["apiVersion", "kind", "metadata", "type", "immutable"].iter().any(|known| path.fits(known)),
        ("core.spinkube.dev", "SpinApp") => {
            ["spec.variables", "spec.runtimeConfig"].iter().any(|part| path.fits(part)) && !is_label(path)
        }
        _ => false,
    }
}

/// Whether a value in a list of settings only says which setting it is, of what type, or where its value comes from. What is
/// not known to be one of these may be a misspelt `value`.
fn is_label(path: &FieldPath) -> bool {
    const LABELS: [&str; 3] = ["name", "type", "loadFromSecret"];
    let in_item = path.0.iter().skip(2).any(|element| element.name().is_none());
    let in_runtime = path.0.get(1).is_some_and(|element| element.is("runtimeConfig"));
    let names_source = path.0.iter().skip(2).any(|element| element.is("valueFrom"));
    (in_item || in_runtime) && (names_source || LABELS.iter().any(|label| path.ends_with(label)))
}

/// A live object without its secret values. `public` says which literal values are in Git and so no secret.
pub(super) fn masked(value: Value, public: &dyn Fn(&str) -> bool) -> Value {
    let mut made = value;
    let kind = ObjectRef::of(&made).map(|r| r.group_kind());
    if let Some(annotation) =
        made.pointer_mut("/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration")
    {
        *annotation = Value::String(MASK.to_owned());
    }
    match kind.as_ref().map(|k| (k.group.as_str(), k.kind.as_str())) {
        Some(("", "Secret")) => {
            for field in ["data", "stringData"] {
                for value in made.get_mut(field).and_then(Value::as_object_mut).into_iter().flat_map(|m| m.values_mut())
                {
                    *value = Value::String(MASK.to_owned());
                }
            }
        }
        Some(("core.spinkube.dev", "SpinApp")) => {
            for pointer in ["/spec/variables", "/spec/runtimeConfig"] {
                if let Some(part) = made.pointer_mut(pointer) {
                    mask_literals(part, public);
                }
            }
        }
        // The operator copies variables into the environment of what it makes.
        _ if label(&made, "core.spinkube.dev/app-name").is_some() => {
            if let Some(spec) = made.get_mut("spec") {
                mask_literals(spec, public);
            }
        }
        _ => {}
    }
    made
}

fn mask_literals(value: &mut Value, public: &dyn Fn(&str) -> bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mask_literals(item, public)),
        Value::Object(map) => {
            for (name, child) in map.iter_mut() {
                match child {
                    Value::String(text) if name == "value" && !public(text) => *text = MASK.to_owned(),
                    child => mask_literals(child, public),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secret_values_are_masked_and_names_kept() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "annotations": {LAST_APPLIED: "{\"data\":1}"}}, "data": {"k": "dg=="}});
        let shown = masked(secret, &|_| false);
        assert_eq!(shown["data"], json!({"k": MASK}));
        assert!(!shown.to_string().contains("dg=="));
        assert!(!shown.to_string().contains("{\\\"data"));
        let app = json!({"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinApp", "metadata": {"name": "a"},
            "spec": {"variables": [{"name": "level", "value": "info"}, {"name": "key", "value": "hush"}]}});
        let shown = masked(app, &|text| text == "info");
        assert_eq!(
            shown["spec"]["variables"],
            json!([{"name": "level", "value": "info"}, {"name": "key", "value": MASK}])
        );
    }

    #[test]
    fn paths_into_secret_values_are_known() {
        let secret = GroupKind::new("", "Secret");
        assert!(is_masked(&secret, &FieldPath::of(&["data", "k"])));
        assert!(!is_masked(&secret, &FieldPath::of(&["type"])));
        assert!(is_masked(
            &GroupKind::new("", "ConfigMap"),
            &FieldPath::of(&["metadata", "annotations", LAST_APPLIED])
        ));
        let app = GroupKind::new("core.spinkube.dev", "SpinApp");
        let path = FieldPath::spelt(&["f:spec", "f:variables", "i:0", "f:value"]);
        assert!(is_masked(&app, &path));
        assert!(!is_masked(&app, &FieldPath::of(&["spec", "image"])));
    }

    #[test]
    fn which_setting_it_is_is_no_secret() {
        let app = GroupKind::new("core.spinkube.dev", "SpinApp");
        let is_masked = |path: &[&str]| is_masked(&app, &FieldPath::spelt(path));
        let variable = ["f:spec", "f:variables", "i:0"];
        let below = |rest: &[&'static str]| [&variable[..], rest].concat();
        assert!(!is_masked(&below(&["f:name"])));
        assert!(!is_masked(&below(&["f:valueFrom", "f:secretKeyRef", "f:name"])));
        assert!(!is_masked(&below(&["f:valueFrom", "f:secretKeyRef", "f:key"])));
        for secret in [&["f:value"][..], &["f:vaule"], &[]] {
            assert!(is_masked(&below(secret)), "{secret:?}");
        }
        assert!(is_masked(&["f:spec", "f:variables"]), "no list at all");
        assert!(is_masked(&["f:spec", "f:variables", "f:name"]), "a map in place of the list");
        let runtime = |rest: &[&'static str]| [&["f:spec", "f:runtimeConfig"][..], rest].concat();
        assert!(!is_masked(&runtime(&["f:loadFromSecret"])));
        assert!(!is_masked(&runtime(&["f:keyValueStores", "i:0", "f:type"])));
        assert!(!is_masked(&runtime(&["f:keyValueStores", "i:0", "f:options", "i:1", "f:name"])));
        assert!(is_masked(&runtime(&["f:keyValueStores", "i:0", "f:options", "i:1", "f:value"])));
        assert!(is_masked(&runtime(&["f:keyValueStores", "i:0", "f:options", "i:1", "f:vaule"])));
        assert!(is_masked(&runtime(&["f:typo"])));
    }
}
