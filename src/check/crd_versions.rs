//! SPW033.

use super::{Check, Context};
use crate::desired::Desired;
use crate::live::Presence;
use crate::object::{Diagnostic, Object, Severity};
use crate::schema::{CRD_GROUP, crd_versions, is_set, lost_version, version_names};

pub(super) const CHECK: Check = Check {
    id: "SPW033",
    name: "crd-versions",
    severity: Severity::Error,
    guards: false,
    what: "The versions of a custom resource definition cannot be stored or read.",
    why: "Objects are stored in one version, so exactly one has `storage: true`: the API server refuses anything else. One that is \
          stored and not served cannot be written again in its own version, which a later removal needs. And a version in which \
          a cluster has stored objects (`status.storedVersions`) cannot go there: the API server refuses the definition.",
    example: "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: carts.shop.example}\nspec:\n  \
              group: shop.example\n  names: {kind: Cart, plural: carts}\n  scope: Namespaced\n  versions:\n    \
              - {name: v1alpha1, served: true, storage: true}\n    - {name: v1, served: true, storage: true}",
    remedy: "Set `storage: true` at exactly one version, which is served. To remove an older one: store in the new one, write all \
             objects again (storage version migration), take the old one out of `status.storedVersions`, and only then out of \
             `versions`.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    context.definitions().flat_map(|definition| of_definition(context, definition)).collect()
}

fn of_definition(context: &Context<'_>, definition: &Object) -> Vec<Diagnostic> {
    let Some((kind, versions)) = crd_versions(&definition.value) else { return Vec::new() };
    let mut found = Vec::new();
    let mut say = |pointer: &str, severity: Severity, message: String| {
        let finding = context.finding(&CHECK, definition, pointer, message).help(CHECK.remedy);
        found.push(Diagnostic { severity, ..finding });
    };
    let stored: Vec<_> = versions.iter().enumerate().filter(|(_, version)| is_set(version, "storage")).collect();
    match stored.as_slice() {
        [(index, version)] if !is_set(version, "served") => {
            let message = format!("{kind} is stored in a version that is not served.");
            say(&format!("/spec/versions/{index}"), Severity::Warning, message);
        }
        [_] => {}
        [] => say("/spec/versions", Severity::Error, format!("{kind} has no version that is stored.")),
        [_, (index, _), ..] => {
            let message = format!("{kind} has {} versions that are stored.", stored.len());
            say(&format!("/spec/versions/{index}"), Severity::Error, message);
        }
    }
    if let Presence::Present(live) = context.presence(&definition.reference)
        && let Some(lost) = lost_version(live, &definition.value)
    {
        let message = format!(
            "{} has no version {lost}, in which the cluster may have stored objects (`status.storedVersions`).",
            definition.reference
        );
        say("/spec/versions", Severity::Error, message);
    }
    found
}

/// Versions that an earlier environment has removed and a later one stores objects in.
pub(super) fn across(environments: &[Desired]) -> Vec<Diagnostic> {
    let pairs = environments.windows(2).filter_map(|pair| <&[Desired; 2]>::try_from(pair).ok());
    pairs.flat_map(|[earlier, later]| removed(earlier, later)).collect()
}

fn removed(earlier: &Desired, later: &Desired) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (reference, member) in later.of_kind(CRD_GROUP, "CustomResourceDefinition", None) {
        let Some(before) = earlier.objects.get(reference).map(|member| &member.object) else { continue };
        let Some((kind, _)) = crd_versions(&before.value) else { continue };
        let kept = version_names(&before.value, |_| true);
        for stored in version_names(&member.object.value, |version| is_set(version, "storage")).difference(&kept) {
            let (here, there) = (&earlier.environment.name, &later.environment.name);
            let message = format!("{kind} is stored as {stored} in {there}, and has no such version in {here}.");
            let finding = Diagnostic::warning(CHECK.id, message).at(before.origin_of("/spec/versions"));
            found.push(finding.about(reference).help(CHECK.remedy));
        }
    }
    found
}
