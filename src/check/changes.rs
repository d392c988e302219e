//! What checks find of the objects that a plan changes: a change that takes a route off the air is not made (design law 12).

use super::suppress::Wishes;
use super::{
    Check, Context, app_name, backend_port, cors_credentials, prefix_condition, reference_grant, route_attachment,
    zero_weights,
};
use crate::desired::Desired;
use crate::kinds::{self, GATEWAY};
use crate::live::Live;
use crate::object::{Diagnostic, ObjectRef, Severity};
use std::collections::BTreeSet;

/// The checks that say of an object by itself, with what it refers to, that it will not work. Fields are held against
/// schemas, and versions against what is served, by the plan itself.
const OF_OBJECTS: [&Check; 7] = [
    &reference_grant::CHECK,
    &route_attachment::CHECK,
    &backend_port::CHECK,
    &app_name::CHECK,
    &cors_credentials::CHECK,
    &prefix_condition::CHECK,
    &zero_weights::CHECK,
];

/// Whether a check is among those that plans hold what they change against.
pub(super) fn is_of_changes(check: &Check) -> bool {
    OF_OBJECTS.iter().any(|of| of.id == check.id)
}

/// The errors and warnings about objects that change, beside live state. What only depends on one that changes, as a route on
/// its Gateway, is not held back: of it there are warnings.
pub fn of_changes(desired: &Desired, live: &Live, changing: &BTreeSet<ObjectRef>) -> Vec<Diagnostic> {
    if changing.is_empty() {
        return Vec::new();
    }
    let mut asked = changing.clone();
    asked.extend(dependent(desired, changing));
    let context = Context::new(desired).beside(Some(live)).about(&asked);
    let mut found: Vec<Diagnostic> = OF_OBJECTS.iter().flat_map(|check| check.run(&context)).collect();
    found.retain(|finding| finding.severity != Severity::Note);
    let changes = |finding: &Diagnostic| finding.object.as_ref().is_some_and(|object| changing.contains(object));
    for finding in found.iter_mut().filter(|finding| !changes(finding)) {
        finding.severity = Severity::Warning;
    }
    if !found.is_empty() {
        Wishes::of(desired).leave_out(&mut found);
    }
    found
}

/// The routes whose Gateway, Namespace or Service changes.
fn dependent(desired: &Desired, changing: &BTreeSet<ObjectRef>) -> Vec<ObjectRef> {
    let kinds = [(GATEWAY, "Gateway"), (GATEWAY, "ListenerSet"), ("", "Namespace"), ("", "Service")];
    let matters = |object: &&ObjectRef| kinds.iter().any(|(group, kind)| object.is(group, kind));
    let changing: BTreeSet<&ObjectRef> = changing.iter().filter(matters).collect();
    if changing.is_empty() {
        return Vec::new();
    }
    let uses = |route: &ObjectRef, value| {
        let namespace = ObjectRef::new("", "Namespace", "", route.namespace());
        changing.contains(&namespace) || kinds::references(route, value).iter().any(|to| changing.contains(&to.to))
    };
    let routes = ["GRPCRoute", "HTTPRoute", "TCPRoute", "TLSRoute", "UDPRoute"];
    let routes = routes.iter().flat_map(|kind| desired.of_kind(GATEWAY, kind, None));
    routes.filter(|(route, member)| uses(route, &member.object.value)).map(|(route, _)| route.clone()).collect()
}
