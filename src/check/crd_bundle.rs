//! SPW032.

use super::{Check, Context};
use crate::desired::Desired;
use crate::object::{Diagnostic, Object, Severity, escape};
use crate::schema::{BUNDLE, CHANNEL, CRD_GROUP, is_downgraded, is_narrowed};
use std::collections::BTreeMap;

pub(super) const CHECK: Check = Check {
    id: "SPW032",
    name: "crd-bundle",
    severity: Severity::Warning,
    guards: false,
    what: "Definitions of Gateway API come from several bundles or channels, in one environment or from one to the next.",
    why: "A bundle is tested as a whole, and a controller is made for one. Where an environment has an older bundle or the standard \
          channel and an earlier one the experimental, what was tried in the earlier one is refused or loses fields in the later.",
    example: "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: gateways.gateway.networking.k8s.io\n  \
              annotations: {gateway.networking.k8s.io/bundle-version: v1.6.1, gateway.networking.k8s.io/channel: standard}\n\
              spec: {group: gateway.networking.k8s.io, names: {kind: Gateway, plural: gateways}, scope: Namespaced, versions: \
              [{name: v1, served: true, storage: true}]}\n---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
              metadata:\n  name: httproutes.gateway.networking.k8s.io\n  annotations: {gateway.networking.k8s.io/bundle-version: v1.5.0, \
              gateway.networking.k8s.io/channel: standard}\nspec: {group: gateway.networking.k8s.io, names: {kind: HTTPRoute, plural: \
              httproutes}, scope: Namespaced, versions: [{name: v1, served: true, storage: true}]}",
    remedy: "Install all definitions from one release and one channel, in the environments in the order of promotion.",
    run,
};

/// The definitions of a repository that name an annotation, by name.
fn marked<'a>(desired: &'a Desired, name: &'a str) -> impl Iterator<Item = (&'a Object, &'a str)> {
    let definitions = desired.of_kind(CRD_GROUP, "CustomResourceDefinition", None);
    definitions.filter_map(move |(_, member)| Some((&member.object, member.object.annotation(name)?)))
}

fn pointer(annotation: &str) -> String {
    format!("/metadata/annotations/{}", escape(annotation))
}

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let bundles = differing(context, BUNDLE, "bundle", |_| String::new());
    // The experimental channel has groups of its own.
    let group = |definition: &Object| definition.value["spec"]["group"].to_string();
    bundles.into_iter().chain(differing(context, CHANNEL, "channel", group)).collect()
}

/// Definitions whose annotation differs from that of the first of what belongs together.
fn differing(context: &Context<'_>, name: &str, what: &str, together: impl Fn(&Object) -> String) -> Vec<Diagnostic> {
    let mut firsts: BTreeMap<String, (&Object, &str)> = BTreeMap::new();
    let mut found = Vec::new();
    for (definition, value) in marked(context.desired, name) {
        let (first, expected) = *firsts.entry(together(definition)).or_insert((definition, value));
        if value != expected {
            let names = (&definition.reference.name, &first.reference.name);
            let message = format!("{} is of {what} {value}, {} of {expected}.", names.0, names.1);
            let finding = context.finding(&CHECK, definition, &pointer(name), message);
            found.push(finding.and(first.origin_of(&pointer(name)), "and here").help(CHECK.remedy));
        }
    }
    found
}

/// What a later environment takes back of the definitions of an earlier one; in the order of promotion.
pub(super) fn across(environments: &[Desired]) -> Vec<Diagnostic> {
    let pairs = environments.windows(2).filter_map(|pair| <&[Desired; 2]>::try_from(pair).ok());
    pairs.flat_map(|[earlier, later]| taken_back(earlier, later)).collect()
}

fn taken_back(earlier: &Desired, later: &Desired) -> Vec<Diagnostic> {
    let (before, after) = (&earlier.environment.name, &later.environment.name);
    let mut found = Vec::new();
    let mut say = |object: &Object, annotation: &str, severity: Severity, message: String| {
        let finding = Diagnostic::new(severity, CHECK.id, message).at(object.origin_of(&pointer(annotation)));
        found.push(finding.about(&object.reference).help(CHECK.remedy));
    };
    for (definition, _) in marked(later, BUNDLE) {
        let Some(member) = earlier.objects.get(&definition.reference) else { continue };
        let (was, is) = (&member.object.value, &definition.value);
        let name = &definition.reference.name;
        if is_narrowed(was, is) {
            let message =
                format!("{name} is of the experimental channel in {before} and of the standard one in {after}.");
            say(definition, CHANNEL, CHECK.severity, message);
        }
        if let Some((old, new)) = is_downgraded(was, is) {
            let message = format!("{name} is of bundle {old} in {before} and of {new}, an older one, in {after}.");
            say(definition, BUNDLE, Severity::Note, message);
        }
        if let Some((new, old)) = is_downgraded(is, was) {
            let message =
                format!("{name} is of bundle {new} in {after} and of {old}, an older one, in {before} before it.");
            say(definition, BUNDLE, CHECK.severity, message);
        }
    }
    found
}
