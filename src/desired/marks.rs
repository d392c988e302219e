//! Annotations and labels of ours on the objects of a repository: one that is misspelt does nothing, so it is an error.

use super::config::GROUP;
use super::spelling::resembles_ours;
use crate::kinds::{APP, ON_FAILURE, PROBE, SETTLE};
use crate::object::{escape, nearest};
use serde_json::Value;

/// The annotation that lets values of the environment be replaced in an object.
pub(super) const SUBSTITUTE: &str = "spinway.dev/substitute";

/// The annotation that keeps an object from being pruned.
const PRUNE: &str = "spinway.dev/prune";

/// The annotations that people write, with the values that they may have; none where the value is judged elsewhere.
const WRITTEN: [(&str, &[&str]); 6] = [
    (SUBSTITUTE, &["enabled", "disabled"]),
    ("spinway.dev/ignore", &[]),
    (PRUNE, &["disabled"]),
    (SETTLE, &[]),
    (PROBE, &[]),
    (ON_FAILURE, &["keep", "rollback"]),
];

/// Those that spinway writes itself: a manifest that was copied from a cluster has them.
const OWN: [&str; 8] = [
    APP,
    "spinway.dev/applied",
    "spinway.dev/approved",
    "spinway.dev/pause-until",
    "spinway.dev/stops",
    "spinway.dev/restart-on",
    "spinway.dev/not-enforced",
    "spinway.dev/masked",
];

/// The annotation that names what comes first, and its forms (cli-utils).
const DEPENDS_ON: &str = "config.kubernetes.io/depends-on";
const FORMS: &str = "Write `GROUP/namespaces/NAMESPACE/KIND/NAME`, without namespace `GROUP/KIND/NAME`, by comma; the group of core kinds is empty: `/namespaces/shop/Service/cart`.";

/// One mistake: where, what, and what is allowed.
pub(super) struct Wrong {
    pub(super) pointer: String,
    pub(super) message: String,
    pub(super) help: String,
}

/// What is wrong with the annotations and labels of ours.
pub(super) fn wrong(object: &Value) -> Vec<Wrong> {
    let mut found = Vec::new();
    for field in ["annotations", "labels"] {
        let pointer = format!("/metadata/{field}");
        let entries = object.pointer(&pointer).and_then(Value::as_object).into_iter().flatten();
        for (key, value) in entries {
            let Some((message, help)) = wrong_entry(field, key, value) else { continue };
            found.push(Wrong { pointer: format!("{pointer}/{}", escape(key)), message, help });
        }
    }
    found
}

fn wrong_entry(field: &str, key: &str, value: &Value) -> Option<(String, String)> {
    let (domain, name) = key.split_once('/')?;
    if field == "annotations" && domain == "config.kubernetes.io" {
        if key != DEPENDS_ON && nearest(key, [DEPENDS_ON]).is_some() {
            return Some((format!("There is no annotation `{key}`"), format!("Did you mean `{DEPENDS_ON}`?")));
        }
        let mut entries =
            value.as_str().filter(|_| key == DEPENDS_ON)?.split(',').filter(|entry| !entry.trim().is_empty());
        let wrong = entries.find(|entry| !names_an_object(entry))?;
        return Some((format!("`{}` of `{DEPENDS_ON}` names no object", wrong.trim()), FORMS.to_owned()));
    }
    let names = || WRITTEN.iter().map(|(known, _)| *known).chain(OWN);
    if domain == GROUP {
        let Some((_, values)) = WRITTEN.iter().find(|(known, _)| *known == key) else {
            let help = || match nearest(key, names()) {
                Some(meant) => format!("Did you mean `{meant}`?"),
                None => format!("Allowed: {}.", quoted(WRITTEN.iter().map(|(known, _)| *known))),
            };
            return (!OWN.contains(&key)).then(|| (format!("There is no `{key}` among `metadata.{field}`"), help()));
        };
        // Of these, one alone means the same as a label.
        if field == "labels" && key != PRUNE {
            return Some((
                format!("`{key}` is an annotation and means nothing as a label"),
                "Move it to `metadata.annotations`.".to_owned(),
            ));
        }
        let text = value.as_str()?;
        let is_right = values.is_empty() || values.contains(&text);
        let help = || format!("Allowed: {}.", quoted(values.iter().copied()));
        return (!is_right).then(|| (format!("`{text}` is not a value of `{key}`"), help()));
    }
    let own = format!("{GROUP}/{name}");
    let meant = nearest(&own, names()).filter(|_| resembles_ours(domain))?;
    Some((format!("`{key}` is none of spinway's annotations"), format!("Did you mean `{meant}`?")))
}

fn names_an_object(entry: &str) -> bool {
    let parts: Vec<&str> = entry.trim().split('/').collect();
    match parts.as_slice() {
        [_, kind, name] => !kind.is_empty() && !name.is_empty(),
        [_, "namespaces", rest @ ..] => rest.len() == 3 && rest.iter().all(|part| !part.is_empty()),
        _ => false,
    }
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_misspelt_annotation_of_ours_is_told() {
        let object = json!({"metadata": {
            "annotations": {
                "spinway.dev/substitue": "enabled", "spinway.io/substitute": "enabled", "spinway.dev/prune": "disable",
                "spinway.dev/substitute": "true", "spinway.dev/on-failure": "rollback", "spinway.dev/ignore": "SPW021: known",
                "spinway.dev/applied": "x", "spinway.dev/unheard": "of", "example.com/substitute": "enabled",
            },
            "labels": {"spinway.dev/app": "cart", "spinway.dev/ap": "cart", "spinway.dev/substitute": "enabled", "spinway.dev/prune": "disabled"},
        }});
        let found: Vec<(String, String)> =
            wrong(&object).into_iter().map(|wrong| (wrong.pointer, wrong.help)).collect();
        let at = |pointer: &str, help: &str| (format!("/metadata/{pointer}"), help.to_owned());
        assert_eq!(
            found,
            [
                at("annotations/spinway.dev~1substitue", "Did you mean `spinway.dev/substitute`?"),
                at("annotations/spinway.io~1substitute", "Did you mean `spinway.dev/substitute`?"),
                at("annotations/spinway.dev~1prune", "Allowed: `disabled`."),
                at("annotations/spinway.dev~1substitute", "Allowed: `enabled`, `disabled`."),
                at(
                    "annotations/spinway.dev~1unheard",
                    "Allowed: `spinway.dev/substitute`, `spinway.dev/ignore`, `spinway.dev/prune`, `spinway.dev/settle`, \
                     `spinway.dev/settle-probe`, `spinway.dev/on-failure`."
                ),
                at("labels/spinway.dev~1ap", "Did you mean `spinway.dev/app`?"),
                at("labels/spinway.dev~1substitute", "Move it to `metadata.annotations`."),
            ]
        );
    }

    #[test]
    fn an_order_that_names_no_object_is_told() {
        let told = |key: &str, text: &str| {
            wrong(&json!({"metadata": {"annotations": {key: text}}}))
                .into_iter()
                .map(|wrong| wrong.message)
                .collect::<Vec<_>>()
        };
        let key = "config.kubernetes.io/depends-on";
        for right in ["/namespaces/shop/Service/cart", "apps/namespaces/shop/Deployment/a, /Namespace/shop"] {
            assert_eq!(told(key, right), [""; 0], "{right}");
        }
        for wrong in ["garbage", "Service/cart", "/namespaces/shop/cart", "/namespaces//Service/cart"] {
            assert_eq!(told(key, wrong).len(), 1, "{wrong}");
        }
        assert_eq!(told("config.kubernetes.io/dependson", "/Namespace/a").len(), 1);
        assert_eq!(told("config.kubernetes.io/local-config", "true"), [""; 0]);
    }
}
