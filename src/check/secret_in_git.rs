//! SPW021.

use super::{Check, Context};
use crate::object::{Diagnostic, Severity};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW021",
    name: "secret-in-git",
    severity: Severity::Warning,
    guards: false,
    what: "A Secret stands in Git as it is.",
    why: "Whoever may read the repository, or any copy of it, has the value, for ever: Git forgets nothing.",
    example: "apiVersion: v1\nkind: Secret\nmetadata: {name: stripe, namespace: checkout}\nstringData: {key: sk_live_1}",
    remedy: "Keep it elsewhere: an ExternalSecret (External Secrets), a SealedSecret (Sealed Secrets), a Certificate \
             (cert-manager) make the Secret in the cluster. Then replace the value: this one is known.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let filled = |value: &Value| value.get("data").and_then(Value::as_object).is_some_and(|data| !data.is_empty());
    let secrets = context.objects().filter(|o| o.reference.is("", "Secret") && filled(&o.value));
    secrets
        .map(|object| {
            let message = format!("{} holds its values in Git.", object.reference);
            context.finding(&CHECK, object, "", message).help(CHECK.remedy)
        })
        .collect()
}
