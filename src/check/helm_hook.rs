//! SPW029.

use super::{Check, Context};
use crate::object::{Diagnostic, Severity};

pub(super) const CHECK: Check = Check {
    id: "SPW029",
    name: "helm-hook",
    severity: Severity::Warning,
    guards: false,
    what: "An object from a rendered chart is a hook of Helm.",
    why: "Only Helm runs it at its moment and deletes it after. Here it is an object like any other: it is applied once, in the \
          order of its references, and stays.",
    example: "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, namespace: data, annotations: {helm.sh/hook: pre-upgrade}}\nspec: {}",
    remedy: "Leave it out when it is not needed, or remove the annotation and give it a reference or \
             `config.kubernetes.io/depends-on` that says when it comes.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let hooks = context.objects().filter_map(|object| Some((object, object.annotation("helm.sh/hook")?)));
    hooks
        .map(|(object, hook)| {
            let message = format!("{} is a hook of Helm ({hook}), which only Helm knows.", object.reference);
            context.finding(&CHECK, object, "/metadata/annotations/helm.sh~1hook", message).help(CHECK.remedy)
        })
        .collect()
}
