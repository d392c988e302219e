//! SPW024.

use super::{Check, Context};
use crate::kinds::GATEWAY;
use crate::object::{Diagnostic, GroupKind, Object, Severity};
use crate::schema::{crd_versions, is_set, version_names};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const CHECK: Check = Check {
    id: "SPW024",
    name: "api-version",
    severity: Severity::Error,
    guards: false,
    what: "An object is written in a version that is not served any more, or will not be for long.",
    why: "The API server does not know it, so it cannot be applied; a cluster that still does loses it with the next upgrade.",
    example: "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TCPRoute\nmetadata: {name: db, namespace: data}\nspec: {}",
    remedy: "Write the version that the finding names.",
    run,
};

/// Versions that are gone: group, version, kind (empty for all), what to write instead, and since when.
/// What the repository's own definitions say comes after that.
/// Kubernetes: the deprecated API migration guide. Gateway API 1.7, standard channel. SpinKube 0.4.
const GONE: [(&str, &str, &str, &str, &str); 19] = [
    ("extensions", "v1beta1", "Ingress", "networking.k8s.io/v1", "Kubernetes 1.22"),
    ("extensions", "v1beta1", "", "apps/v1 or networking.k8s.io/v1", "Kubernetes 1.16"),
    ("apps", "v1beta1", "", "apps/v1", "Kubernetes 1.16"),
    ("apps", "v1beta2", "", "apps/v1", "Kubernetes 1.16"),
    ("batch", "v1beta1", "CronJob", "batch/v1", "Kubernetes 1.25"),
    ("networking.k8s.io", "v1beta1", "", "networking.k8s.io/v1", "Kubernetes 1.22"),
    ("policy", "v1beta1", "", "policy/v1", "Kubernetes 1.25"),
    ("autoscaling", "v2beta1", "", "autoscaling/v2", "Kubernetes 1.25"),
    ("autoscaling", "v2beta2", "", "autoscaling/v2", "Kubernetes 1.26"),
    ("rbac.authorization.k8s.io", "v1beta1", "", "rbac.authorization.k8s.io/v1", "Kubernetes 1.22"),
    ("apiextensions.k8s.io", "v1beta1", "", "apiextensions.k8s.io/v1", "Kubernetes 1.22"),
    (
        "admissionregistration.k8s.io",
        "v1beta1",
        "MutatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1",
        "Kubernetes 1.22",
    ),
    (
        "admissionregistration.k8s.io",
        "v1beta1",
        "ValidatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1",
        "Kubernetes 1.22",
    ),
    ("discovery.k8s.io", "v1beta1", "", "discovery.k8s.io/v1", "Kubernetes 1.25"),
    ("storage.k8s.io", "v1beta1", "", "storage.k8s.io/v1", "Kubernetes 1.27"),
    (GATEWAY, "v1alpha2", "", "gateway.networking.k8s.io/v1", "Gateway API 1.7 (standard channel)"),
    (GATEWAY, "v1alpha3", "", "gateway.networking.k8s.io/v1", "Gateway API 1.7 (standard channel)"),
    ("core.spinoperator.dev", "v1alpha1", "", "core.spinkube.dev/v1alpha1", "SpinKube 0.4"),
    (
        "gateway.networking.x-k8s.io",
        "v1alpha1",
        "XListenerSet",
        "gateway.networking.k8s.io/v1 (ListenerSet)",
        "Gateway API 1.5",
    ),
];

/// Versions that are served beside a newer one.
const OLD: [(&str, &str, &str); 1] = [(GATEWAY, "v1beta1", "gateway.networking.k8s.io/v1")];

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let definitions: BTreeMap<GroupKind, &Value> =
        context.definitions().filter_map(|crd| Some((crd_versions(&crd.value)?.0, &crd.value))).collect();
    let of_object = |object: &Object| {
        let definition = definitions.get(&object.reference.group_kind());
        let (severity, message, help) = by_table(object).or_else(|| by_definition(object, definition?))?;
        let finding = context.finding(&CHECK, object, "/apiVersion", message).help(help);
        Some(Diagnostic { severity, ..finding })
    };
    context.objects().filter_map(of_object).collect()
}

/// What is known of the version without a definition.
fn by_table(object: &Object) -> Option<(Severity, String, String)> {
    let (group, kind, version) =
        (object.reference.group.as_str(), object.reference.kind.as_str(), object.version.as_str());
    let written = object.api_version();
    let gone = GONE.iter().find(|row| row.0 == group && row.1 == version && (row.2.is_empty() || row.2 == kind));
    if let Some((.., instead, since)) = gone {
        let message = format!("{written} of {kind} is not served any more, since {since}.");
        return Some((CHECK.severity, message, format!("Write {instead}.")));
    }
    let (.., instead) = OLD.iter().find(|row| row.0 == group && row.1 == version && kind != "ReferenceGrant")?;
    let message = format!("{written} of {kind} is served for the sake of older manifests alone.");
    Some((Severity::Note, message, format!("Write {instead}.")))
}

/// What the definition of the repository says of the version.
fn by_definition(object: &Object, definition: &Value) -> Option<(Severity, String, String)> {
    let (kind, written) = (&object.reference.kind, object.api_version());
    let is_named = |version: &Value| version.get("name").is_some_and(|name| *name == *object.version);
    let current = |version: &Value| is_set(version, "served") && !is_set(version, "deprecated");
    let current: Vec<&str> = version_names(definition, current).into_iter().collect();
    let help = format!("Write one of: {}.", current.join(", "));
    if version_names(definition, |version| is_named(version) && is_set(version, "served")).is_empty() {
        let message = format!("{written} of {kind} is not served by its definition in the repository.");
        return Some((CHECK.severity, message, help));
    }
    let message = format!("{written} of {kind} is deprecated, says its definition in the repository.");
    let deprecated = version_names(definition, |version| is_named(version) && is_set(version, "deprecated"));
    (!deprecated.is_empty()).then_some((Severity::Warning, message, help))
}
