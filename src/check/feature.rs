//! SPW031.

use super::context::listening_parent;
use super::{Check, Context};
use crate::kinds::{GATEWAY, each};
use crate::live::Presence;
use crate::object::{Diagnostic, Object, ObjectRef, Severity};
use crate::routing::features;
use crate::schema::{Release, Support, project_of};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const CHECK: Check = Check {
    id: "SPW031",
    name: "feature",
    severity: Severity::Warning,
    guards: false,
    what: "A route or Gateway uses what the controller that serves it does not have, or may not have.",
    why: "Most of Gateway API is optional. A controller that lacks a feature either refuses the whole route or, worse, accepts it \
          and leaves the field out: the conditions say so in a reason that nobody reads.",
    example: "# spinway.yaml: controllers: [{gatewayClass: nginx, release: nginx-gateway-fabric@2.7.0}]\napiVersion: gateway.networking.k8s.io/v1\n\
              kind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec: {parentRefs: [{namespace: infra, name: public}], rules: [{timeouts: {request: 5s}}]}",
    remedy: "Do without it, use the controller's own policy where the finding names one, or have the route served by another \
             Gateway. `controllers` in spinway.yaml says which release serves which GatewayClass; `check --controller RELEASE` \
             asks for another one. What is known comes from the GatewayClass itself, with `--snapshot`, else from the conformance \
             reports of Gateway API.",
    run,
};

/// Features that decide which requests are meant or where they go: without them a route does something else.
const DECISIVE: [&str; 11] = [
    "HTTPRouteQueryParamMatching",
    "HTTPRouteMethodMatching",
    "HTTPRouteParentRefPort",
    "HTTPRoutePathRewrite",
    "HTTPRouteHostRewrite",
    "HTTPRouteSchemeRedirect",
    "HTTPRoutePortRedirect",
    "HTTPRoutePathRedirect",
    "GRPCRoute",
    "TLSRoute",
    "TCPRoute",
];

/// What a controller has in the place of a feature: project, the beginning of the feature's name, and what.
const INSTEAD: [(&str, &str, &str); 3] = [
    (
        "nginx-gateway-fabric",
        "HTTPRouteRequestTimeout",
        "Use ProxySettingsPolicy: it limits the wait for each part of an answer.",
    ),
    (
        "nginx-gateway-fabric",
        "HTTPRouteBackendTimeout",
        "Use ProxySettingsPolicy: it limits the wait for each part of an answer.",
    ),
    ("traefik", "HTTPRouteRetry", "Use a Middleware of type retry by extensionRef."),
];

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let objects = context.objects().filter(|o| o.reference.group == GATEWAY);
    objects.flat_map(|object| of_object(context, object)).collect()
}

fn of_object(context: &Context<'_>, object: &Object) -> Vec<Diagnostic> {
    let used = features(&object.reference, &object.value);
    if used.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for release in releases(context, object).values() {
        for (pointer, feature) in used.iter().filter(|(_, feature)| release.supports(feature) == Support::No) {
            let field = crate::object::dotted(pointer);
            let message = if release.ignores(feature) {
                format!("{release} accepts this {} and ignores `{field}` ({feature}).", object.reference.kind)
            } else {
                format!("{release} does not have `{field}` ({feature}).")
            };
            let instead = INSTEAD.iter().find(|row| row.0 == release.project && feature.starts_with(row.1));
            let help = instead.map_or("Do without it, or have it served by another Gateway.", |row| row.2);
            let finding = context.finding(&CHECK, object, pointer, message).help(help);
            let severity = if DECISIVE.contains(feature) { Severity::Error } else { CHECK.severity };
            found.push(Diagnostic { severity, ..finding });
        }
        for (pointer, feature) in &used {
            let Some(suite) = release.tested_before(feature) else { continue };
            let field = crate::object::dotted(pointer);
            let message = format!(
                "It is not known whether {release} has `{field}` ({feature}): it was tested with Gateway API {suite}, whose tests did \
                 not have it yet."
            );
            let help = "Look into its documentation, or declare the release in `controllers` of spinway.yaml that is installed.";
            let finding = context.finding(&CHECK, object, pointer, message).help(help);
            found.push(Diagnostic { severity: Severity::Note, ..finding });
        }
    }
    found
}

/// The releases that serve an object. What one lacks is said once, however many of its Gateways serve the route.
pub(super) fn releases(context: &Context<'_>, object: &Object) -> BTreeMap<String, Release> {
    let classes = classes(context, object).into_iter();
    classes.filter_map(|class| release(context, &class)).map(|release| (release.to_string(), release)).collect()
}

/// The GatewayClasses that serve an object; empty names stand for Gateways that are not in the repository. A parent without listeners,
/// such as the Service of a mesh, is served by no class.
fn classes(context: &Context<'_>, object: &Object) -> Vec<String> {
    let class_of =
        |gateway: &Value| gateway.pointer("/spec/gatewayClassName").and_then(Value::as_str).map(str::to_owned);
    if object.reference.kind == "Gateway" {
        return class_of(&object.value).into_iter().collect();
    }
    let own = object.reference.namespace();
    let declared = |parent: &ObjectRef| context.desired.counting(parent).map(|member| &member.object.value);
    let parents = ["spec.parentRefs[]", "spec.parentRef"].into_iter().flat_map(|path| each(&object.value, path));
    let mut classes: Vec<String> = parents
        .filter_map(|(_, parent)| listening_parent(parent, own))
        .map(|parent| {
            let set = declared(&parent)
                .filter(|_| parent.kind == "ListenerSet")
                .and_then(|set| set.pointer("/spec/parentRef"));
            let gateway = set.and_then(|of_set| listening_parent(of_set, parent.namespace())).unwrap_or(parent);
            declared(&gateway).and_then(class_of).unwrap_or_default()
        })
        .collect();
    classes.sort();
    classes.dedup();
    classes
}

/// The release that serves a class: the one that is asked for, else what the Config says or the controller of the class, with
/// what it says of itself in the cluster.
fn release(context: &Context<'_>, class: &str) -> Option<Release> {
    if let Some(asked) = &context.controller {
        return Some(asked.clone());
    }
    let reference = ObjectRef::new(GATEWAY, "GatewayClass", "", class);
    let live = match context.presence(&reference) {
        Presence::Present(live) => Some(live),
        _ => None,
    };
    let declared = context.desired.counting(&reference).map(|member| &member.object.value);
    let controller = declared.or(live).and_then(|class| class.pointer("/spec/controllerName")).and_then(Value::as_str);
    let found = named(context, class).or_else(|| Release::newest(project_of(controller?)?));
    match (found, live.and_then(reported)) {
        (found, None) => found,
        (Some(found), reported) => Some(Release { reported, ..found }),
        (None, reported) => {
            let project = controller.unwrap_or(class).to_owned();
            Some(Release { project, version: String::new(), reported })
        }
    }
}

/// The release that the Config names for a class.
fn named(context: &Context<'_>, class: &str) -> Option<Release> {
    let controllers = &context.rules.controllers;
    let named = controllers.iter().find(|controller| controller.gateway_class == class);
    let named = named.or(match controllers.as_slice() {
        [only] if class.is_empty() => Some(only),
        _ => None,
    });
    Release::parse(&named?.release).ok()
}

/// The features that a live GatewayClass reports; older releases of Gateway API have a list of texts.
fn reported(class: &Value) -> Option<Vec<String>> {
    let features = class.pointer("/status/supportedFeatures")?.as_array().filter(|features| !features.is_empty())?;
    let name = |feature: &Value| feature.as_str().or_else(|| feature.get("name")?.as_str()).map(str::to_owned);
    Some(features.iter().filter_map(name).collect())
}
