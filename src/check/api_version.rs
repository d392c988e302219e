//! SPW024.

use super::{Check, Context};
use crate::kinds::GATEWAY;
use crate::object::{Diagnostic, GroupKind, Object, Severity};
use crate::schema::{Edition, Installed, crd_versions, has_editions, is_set, version_names, versions_in};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const CHECK: Check = Check {
    id: "SPW024",
    name: "api-version",
    severity: Severity::Error,
    guards: false,
    what: "An object is written in a version that is not served, or will not be for long.",
    why: "The API server does not know it, so it cannot be applied; a cluster that still does loses it with the next upgrade. What \
          serves a kind decides: its definition in the repository, else that of the cluster (`--snapshot`), else the release and \
          channel of Gateway API that `gatewayApi` in spinway.yaml names.",
    example: "# spinway.yaml: gatewayApi: {release: \"1.7\", channel: standard}\napiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TCPRoute\n\
              metadata: {name: db, namespace: data}\nspec: {}",
    remedy: "Write the version that the finding names.",
    run,
};

/// Versions that are gone: group, version, kind (empty for all), what to write instead, and since when.
/// Kubernetes: the deprecated API migration guide. SpinKube 0.4. Versions of Gateway API are in the tables of its releases.
const GONE: [(&str, &str, &str, &str, &str); 17] = [
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
    ("core.spinoperator.dev", "v1alpha1", "", "core.spinkube.dev/v1alpha1", "SpinKube 0.4"),
    (
        "gateway.networking.x-k8s.io",
        "v1alpha1",
        "XListenerSet",
        "gateway.networking.k8s.io/v1 (ListenerSet)",
        "Gateway API 1.5",
    ),
];

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let definitions: BTreeMap<GroupKind, &Value> =
        context.definitions().filter_map(|crd| Some((crd_versions(&crd.value)?.0, &crd.value))).collect();
    let installed = context.rules.gateway_api.installed();
    let of_object = |object: &Object| {
        let kind = object.reference.group_kind();
        // What serves it decides: the repository's own definition, that of the cluster, else the releases that may be installed.
        let (severity, message, help) = match definitions.get(&kind) {
            Some(definition) => by_definition(object, definition)?,
            None if context.schemas().is_custom(&kind, &object.version) => return None,
            None if has_editions(&kind) => by_release(object, &kind, installed)?,
            None => by_table(object)?,
        };
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
    let (.., instead, since) = gone?;
    let message = format!("{written} of {kind} is not served any more, since {since}.");
    Some((CHECK.severity, message, format!("Write {instead}.")))
}

/// What the releases of Gateway API that may be installed say of the version.
fn by_release(object: &Object, kind: &GroupKind, installed: Installed) -> Option<(Severity, String, String)> {
    let (version, written) = (object.version.as_str(), object.api_version());
    let judging = installed.editions();
    let Some(newest) = judging.last() else {
        // Of older releases than the tables have, nothing is known but that none had more than this.
        let may_be = version == "v1" || version.starts_with("v1alpha") || version.starts_with("v1beta");
        let message = format!("{written} of {kind} is not served by any release of Gateway API.", kind = kind.kind);
        return (!may_be).then(|| (CHECK.severity, message, format!("Write {GATEWAY}/v1.")));
    };
    let serves = |edition: &Edition| versions_in(kind, *edition).contains(&version);
    let instead = versions_in(kind, *newest).first().map(|version| format!("{}/{version}", kind.group));
    if judging.iter().all(serves) {
        return older(object, kind, &judging);
    }
    if let Some(serving) = judging.iter().find(|edition| serves(edition)) {
        let message = format!("{written} of {} is served by the experimental channel of Gateway API alone.", kind.kind);
        let help = other_version(kind, &judging, instead).unwrap_or_else(|| format!("{serving} has it."));
        return Some((
            Severity::Warning,
            message,
            format!("{help} `gatewayApi: {{channel: experimental}}` in spinway.yaml says that it is installed."),
        ));
    }
    let serving: Vec<String> =
        Installed::default().possible().iter().filter(|edition| serves(edition)).map(ToString::to_string).collect();
    if serving.is_empty() {
        let message = format!("{written} of {} is not served by any known release of Gateway API.", kind.kind);
        return Some((
            CHECK.severity,
            message,
            instead.map_or_else(String::new, |instead| format!("Write {instead}.")),
        ));
    }
    // Which release is installed is not known where nobody says it.
    let may_be = installed.possible().iter().any(serves);
    let severity = if may_be { Severity::Warning } else { CHECK.severity };
    let message = format!("{written} of {} is not served by {newest}.", kind.kind);
    let instead = instead.map(|instead| format!("Write {instead}. ")).unwrap_or_default();
    let help = format!(
        "{instead}`gatewayApi` in spinway.yaml says which release and channel are installed; it is served by {}.",
        serving.join(", ")
    );
    Some((severity, message, help))
}

/// What to write instead, where all editions have it.
fn other_version(kind: &GroupKind, judging: &[Edition], instead: Option<String>) -> Option<String> {
    let instead = instead?;
    let (_, version) = instead.rsplit_once('/')?;
    let all = judging.iter().all(|edition| versions_in(kind, *edition).contains(&version));
    all.then(|| format!("Write {instead}."))
}

/// A version that is served beside a newer one.
fn older(object: &Object, kind: &GroupKind, judging: &[Edition]) -> Option<(Severity, String, String)> {
    let newer = versions_in(kind, *judging.last()?).first().copied().filter(|newest| *newest != object.version)?;
    // Clusters store ReferenceGrants in the older one.
    if kind.kind == "ReferenceGrant" {
        return None;
    }
    let message = format!("{} of {} is served for the sake of older manifests alone.", object.api_version(), kind.kind);
    Some((Severity::Note, message, format!("Write {}/{newer}.", kind.group)))
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
