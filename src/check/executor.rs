//! SPW007.

use super::{Check, Context};
use crate::kinds::SPIN;
use crate::object::{Diagnostic, Severity};

pub(super) const CHECK: Check = Check {
    id: "SPW007",
    name: "executor",
    severity: Severity::Error,
    guards: false,
    what: "A SpinApp names no executor.",
    why: "SpinKube's webhook then takes the first one of the whole cluster by the alphabet, and refuses it unless one of that \
          name is in the app's namespace: what becomes of the app depends on strangers.",
    example: "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: cart, namespace: checkout}\nspec: {image: a}",
    remedy: "Add `executor`, the name of a SpinAppExecutor of the same namespace.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let named = |value: &serde_json::Value| {
        value.pointer("/spec/executor").and_then(|e| e.as_str()).is_some_and(|e| !e.is_empty())
    };
    let without = context.objects().filter(|o| o.reference.is(SPIN, "SpinApp") && !named(&o.value));
    without
        .map(|object| {
            let message = format!("{} names no executor.", object.reference);
            context.finding(&CHECK, object, "/spec", message).help(CHECK.remedy)
        })
        .collect()
}
