//! SPW014.

use super::{Check, Context};
use crate::kinds::{GATEWAY, each};
use crate::object::{Diagnostic, Object, Severity};
use crate::routing::meet;
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "SPW014",
    name: "grpc-and-http",
    severity: Severity::Warning,
    guards: false,
    what: "An HTTPRoute and a GRPCRoute share a hostname of a Gateway.",
    why: "A controller may refuse one of them, the younger (Gateway API since 1.6), or serve both: which is not portable.",
    example: "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web, namespace: a}\nspec: \
              {parentRefs: [{name: g}], hostnames: [api.example]}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\n\
              metadata: {name: rpc, namespace: a}\nspec: {parentRefs: [{name: g}], hostnames: [api.example]}",
    remedy: "Give each kind of route a hostname of its own.",
    run,
};

fn parents(route: &Object) -> BTreeSet<String> {
    let own = route.reference.namespace();
    let parents = each(&route.value, "spec.parentRefs[]");
    let path = |parent: &Value| {
        let text = |field: &str, default: &str| parent.get(field).and_then(Value::as_str).unwrap_or(default).to_owned();
        format!("{}/{}", text("namespace", own), text("name", ""))
    };
    parents.into_iter().map(|(_, parent)| path(parent)).collect()
}

fn hostnames(route: &Object) -> Vec<Option<&str>> {
    let found: Vec<Option<&str>> =
        each(&route.value, "spec.hostnames[]").into_iter().map(|(_, h)| h.as_str()).collect();
    if found.is_empty() { vec![None] } else { found }
}

/// What a route is served by and for.
struct Place<'a> {
    route: &'a Object,
    parents: BTreeSet<String>,
    hostnames: Vec<Option<&'a str>>,
}

impl<'a> Place<'a> {
    fn of(route: &'a Object) -> Self {
        Self { route, parents: parents(route), hostnames: hostnames(route) }
    }

    fn shares(&self, other: &Self) -> bool {
        let meets = || self.hostnames.iter().any(|a| other.hostnames.iter().any(|b| meet(*a, *b)));
        !self.parents.is_disjoint(&other.parents) && meets()
    }
}

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let of = |kind: &str| -> Vec<Place<'_>> {
        context.desired.of_kind(GATEWAY, kind, None).map(|(_, member)| Place::of(&member.object)).collect()
    };
    let (grpc, http) = (of("GRPCRoute"), of("HTTPRoute"));
    let pairs = grpc.iter().filter_map(|grpc| Some((grpc.route, http.iter().find(|http| http.shares(grpc))?.route)));
    pairs
        .map(|(grpc, http)| {
            let message = format!("{} and {} share a hostname.", grpc.reference, http.reference);
            let finding = context.finding(&CHECK, grpc, "/spec/hostnames", message);
            finding.and(http.origin_of("/spec/hostnames"), "and here").help(CHECK.remedy)
        })
        .collect()
}
