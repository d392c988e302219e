//! SPW041.

use super::{Check, Context};
use crate::fields::{FieldPath, Managers};
use crate::kinds::{Key, references};
use crate::live::Presence;
use crate::object::{Diagnostic, Object, ObjectRef, Severity, distance};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW041",
    name: "missing-key",
    severity: Severity::Error,
    guards: false,
    what: "A field reads a key that the ConfigMap or Secret of the repository does not have.",
    why: "Kubernetes does not start a container whose variable has no value (CreateContainerConfigError), and does not mount a volume \
          of which a key is missing. The pods of the last version go on running, so nobody notices at once.",
    example: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: prices, namespace: checkout}\ndata: {currency: EUR}\n---\n\
              apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: cart, namespace: checkout}\nspec:\n  \
              image: \"a:1\"\n  executor: e\n  replicas: 1\n  \
              variables: [{name: currency, valueFrom: {configMapKeyRef: {name: prices, key: curency}}}]",
    remedy: "Fix the key, add it to the ConfigMap or Secret, or set `optional: true` where the app can do without it.",
    run,
};

/// So many keys that there are instead are named.
const MOST_NAMED: usize = 8;

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    context.objects().flat_map(|object| of_object(context, object)).collect()
}

fn of_object(context: &Context<'_>, object: &Object) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for reference in references(&object.reference, &object.value).into_iter().filter(|reference| !reference.optional) {
        let Some(holder) = context.desired.counting(&reference.to).map(|member| &member.object) else { continue };
        // What a controller makes has keys that no file says.
        if reference.keys.is_empty() || context.makers().contains_key(&reference.to) {
            continue;
        }
        let lacking = reference.keys.iter().filter(|key| !has(&holder.value, &key.name));
        let lacking = lacking.filter(|key| !has_from_others(context, &reference.to, &key.name));
        found.extend(lacking.map(|key| finding(context, object, key, holder)));
    }
    found
}

fn finding(context: &Context<'_>, object: &Object, key: &Key, holder: &Object) -> Diagnostic {
    let names: Vec<&str> = keys(&holder.value).collect();
    let near = names.iter().filter(|name| distance(name, &key.name) <= 2.min(name.len() / 3));
    let near = near.min_by_key(|name| distance(name, &key.name));
    let there = match names.as_slice() {
        [] => "it has none".to_owned(),
        names => {
            let shown: Vec<String> = names.iter().take(MOST_NAMED).map(|name| format!("`{name}`")).collect();
            let more = names.len().saturating_sub(MOST_NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("it has {}{more}", shown.join(", "))
        }
    };
    let message = format!(
        "{} reads key `{}` of {}, which does not have it: {there}.",
        object.reference, key.name, holder.reference
    );
    let help = match near {
        Some(near) => format!("Did you mean `{near}`? {}", CHECK.remedy),
        None => CHECK.remedy.to_owned(),
    };
    context.finding(&CHECK, object, &key.pointer, message).help(help)
}

fn keys(holder: &Value) -> impl Iterator<Item = &str> {
    let parts = ["data", "binaryData"].into_iter().filter_map(|part| holder.get(part)?.as_object());
    parts.flatten().map(|(name, _)| name.as_str())
}

fn has(holder: &Value, key: &str) -> bool {
    keys(holder).any(|name| name == key)
}

/// Whether the cluster has the key from someone else: what we hold and no longer declare goes.
fn has_from_others(context: &Context<'_>, holder: &ObjectRef, key: &str) -> bool {
    let Presence::Present(live) = context.presence(holder) else { return false };
    let managers = Managers::of(live);
    let is_ours = ["data", "binaryData"].iter().any(|part| {
        let path = FieldPath::of(&[part, key]);
        managers.ours().is_some_and(|ours| ours.contains(&path)) && managers.other_of(&path).is_none()
    });
    context.cluster().is_some() && has(live, key) && !is_ours
}
