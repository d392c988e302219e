//! SPW044.

use super::{Check, Context};
use crate::object::{Diagnostic, Object, Severity, credential, credential_of, escape};
use serde_json::{Map, Value};

pub(super) const CHECK: Check = Check {
    id: "SPW044",
    name: "credential-in-git",
    severity: Severity::Warning,
    guards: false,
    what: "A variable, an argument or a value of a ConfigMap looks like a credential.",
    why: "Whoever may read the repository, or any copy of it, has the credential, for ever: Git forgets nothing. And whoever may read \
          the object in the cluster has it, since it is no Secret.",
    example: "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: cart, namespace: checkout}\nspec:\n  \
              image: \"a:1\"\n  executor: e\n  replicas: 1\n  variables: [{name: db_password, value: hunter2}]",
    remedy: "Revoke it, keep the new one in a Secret that is not in Git (ExternalSecret, SealedSecret), and read it from there: \
             `valueFrom: {secretKeyRef: {name: ..., key: ...}}`.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    context.objects().flat_map(|object| of_object(context, object)).collect()
}

fn of_object(context: &Context<'_>, object: &Object) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let parts = object.value.as_object().into_iter().flatten();
    // Of Secrets another check speaks; what is sealed is what it should be.
    let is_secret = matches!(object.reference.kind.as_str(), "Secret" | "SealedSecret" | "CustomResourceDefinition");
    for (name, part) in parts.filter(|(name, _)| !is_secret && !BESIDE.contains(&name.as_str())) {
        gather(part, &format!("/{}", escape(name)), name, &mut found);
    }
    found
        .into_iter()
        .map(|(pointer, name, what)| {
            // Never the value itself.
            let message = format!("{}: `{name}` holds what looks like {what}.", object.reference);
            context.finding(&CHECK, object, &pointer, message).help(CHECK.remedy)
        })
        .collect()
}

const BESIDE: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];

/// Where something stands that looks like a credential, under which name, and what it looks like.
type Found = Vec<(String, String, &'static str)>;

fn gather(value: &Value, pointer: &str, name: &str, found: &mut Found) {
    match value {
        Value::Object(map) => gather_map(map, pointer, found),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                gather(item, &format!("{pointer}/{index}"), name, found);
            }
        }
        Value::String(text) => {
            let in_data = pointer.starts_with("/data/");
            let what = if in_data { credential_of(name, text) } else { credential(text) };
            found.extend(what.map(|what| (pointer.to_owned(), name.to_owned(), what)));
        }
        _ => {}
    }
}

/// A setting has its name beside its value: `{name: ..., value: ...}`.
fn gather_map(map: &Map<String, Value>, pointer: &str, found: &mut Found) {
    let text = |field: &str| map.get(field).and_then(Value::as_str);
    let setting = text("name").zip(text("value"));
    if let Some((name, value)) = setting {
        let what = credential_of(name, value);
        found.extend(what.map(|what| (format!("{pointer}/value"), name.to_owned(), what)));
    }
    for (key, child) in map.iter().filter(|(key, _)| setting.is_none() || *key != "value") {
        gather(child, &format!("{pointer}/{}", escape(key)), key, found);
    }
}

/// Whether the line that a finding is about may be shown: not the one that holds a credential.
pub fn is_shown(finding: &Diagnostic) -> bool {
    finding.id != CHECK.id
}
