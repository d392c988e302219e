//! SPW007.

use super::{Check, Context};
use crate::kinds::SPIN;
use crate::live::Coverage;
use crate::object::{Diagnostic, GroupKind, Severity};
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "SPW007",
    name: "executor",
    severity: Severity::Error,
    guards: false,
    what: "A SpinApp names no executor.",
    why: "SpinKube's webhook then takes the first one of the whole cluster by the alphabet, and refuses it unless one of that \
          name is in the app's namespace: what becomes of the app depends on strangers. As far as that one is known to be in the \
          app's namespace, it is a warning.",
    example: "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinAppExecutor\nmetadata: {name: shim, namespace: platform}\nspec: {createDeployment: false}\n---\n\
              apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: cart, namespace: checkout}\nspec: {image: \"a:1\", replicas: 1}",
    remedy: "Add `executor`, the name of a SpinAppExecutor of the same namespace.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let named = |value: &serde_json::Value| {
        value.pointer("/spec/executor").and_then(|e| e.as_str()).is_some_and(|e| !e.is_empty())
    };
    let without: Vec<_> = context.objects().filter(|o| o.reference.is(SPIN, "SpinApp") && !named(&o.value)).collect();
    if without.is_empty() {
        return Vec::new();
    }
    let known = executors(context);
    let judged = without.into_iter().map(|object| {
        let (severity, what) = filled_in(context, &known, object.reference.namespace());
        let message = format!("{} has no `spec.executor`{what}.", object.reference);
        let finding = context.finding(&CHECK, object, "/spec", message).help(CHECK.remedy);
        Diagnostic { severity, ..finding }
    });
    judged.collect()
}

/// The executors that are known, by name and namespace.
fn executors(context: &Context<'_>) -> BTreeSet<(String, String)> {
    let wanted = context.desired.of_kind(SPIN, "SpinAppExecutor", None).map(|(executor, _)| executor);
    let live = context.cluster().into_iter().flat_map(|live| live.of_kind(SPIN, "SpinAppExecutor", None));
    let all = wanted.chain(live.map(|(executor, _)| executor));
    all.map(|executor| (executor.name.clone(), executor.namespace().to_owned())).collect()
}

/// What the Spin operator makes of a missing executor in a namespace: how bad that is, and what is filled in.
fn filled_in(context: &Context<'_>, known: &BTreeSet<(String, String)>, namespace: &str) -> (Severity, String) {
    if let Some((first, _)) = known.first() {
        return if known.contains(&(first.clone(), namespace.to_owned())) {
            (Severity::Warning, format!("; the Spin operator fills in `{first}`, the first of the cluster by name"))
        } else {
            let what = format!(
                "; the Spin operator fills in `{first}`, the first of the cluster by name, which namespace `{namespace}` does not have"
            );
            (CHECK.severity, what)
        };
    }
    let kind = GroupKind::new(SPIN, "SpinAppExecutor");
    let sees_all = context.cluster().is_some_and(|live| live.coverage.get(&kind) == Some(&Coverage::All));
    match sees_all {
        true => (CHECK.severity, ", and there is no SpinAppExecutor to fill in".to_owned()),
        false => (Severity::Warning, ", and the executors of the cluster are not known here".to_owned()),
    }
}
