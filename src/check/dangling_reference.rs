//! SPW001.

use super::{Check, Context};
use crate::live::Presence;
use crate::object::{Diagnostic, ObjectRef, Severity, distance};
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "SPW001",
    name: "dangling-reference",
    severity: Severity::Warning,
    guards: false,
    what: "A field names an object that the repository does not have.",
    why: "A route without its Service answers 500, an app without its executor or Secret never starts. A wrong name is the most \
          common cause, and most controllers say nothing.",
    example: "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec:\n  \
              parentRefs: [{namespace: infra, name: pubilc}]\n  rules: [{backendRefs: [{name: cart, port: 80}]}]",
    remedy: "Mend the name, declare the object, or list it under `externals` in spinway.yaml when it lives elsewhere. Without a \
             cluster (`--snapshot`) that is all that can be known: a name that resembles another one is a warning, any other a note.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let links = context.graph().outside_links();
    let mut namespaces = BTreeSet::new();
    let found = links.into_iter().filter(|(_, to, _)| !context.is_external(to));
    let found = found.filter(|(_, to, _)| !matches!(context.presence(to), Presence::Present(_)));
    // All of a namespace refers to it: once is enough.
    let found = found.filter(|(_, to, _)| !to.is("", "Namespace") || namespaces.insert((*to).clone()));
    found
        .map(|(from, to, link)| {
            let near = context.nearest(to);
            let absent = matches!(context.presence(to), Presence::Absent);
            let severity = if near.is_some() || absent { Severity::Warning } else { Severity::Note };
            let who =
                if absent { "neither the repository nor the cluster has" } else { "the repository does not have" };
            let message = format!("{from} refers to {to}, which {who}.");
            let help = near.map_or_else(
                || "Declare it, or list it under `externals` when it lives elsewhere.".to_owned(),
                |near| format!("There is {near}. Mend the name, or list {} under `externals`.", to.name),
            );
            let mut finding = Diagnostic::new(severity, CHECK.id, message).about(from).help(help);
            finding.origin.clone_from(&link.origin);
            finding
        })
        .collect()
}

/// Whether a name may have been meant by another one.
pub(super) fn resembles(a: &ObjectRef, b: &ObjectRef) -> bool {
    // The same name elsewhere, or a slip of the hand. Most names are of another length, which is quickly seen.
    let slips = 2.min(a.name.len() / 3);
    a.name.len().abs_diff(b.name.len()) <= slips && distance(&a.name, &b.name) <= slips
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_resembles_another_after_a_slip_for_each_third_letter() {
        let service = |name: &str| ObjectRef::new("", "Service", "shop", name);
        for (a, b, expected) in [
            ("public", "pubilc", true),
            ("cart", "cart", true),
            ("cart", "carts", true),
            ("cart", "crat", false),
            ("ab", "ac", false),
            ("a-long-name", "a-lung-nome", true),
            ("a-long-name", "a-lung-nomes", false),
        ] {
            assert_eq!(resembles(&service(a), &service(b)), expected, "{a} {b}");
        }
    }
}
