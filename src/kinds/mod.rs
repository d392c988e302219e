//! What spinway knows of kinds: what they refer to, what they make, when they are healthy, what cannot be changed.
//! Every kind that is not here goes by the general rules (`general.rs`).
//!
//! **Invariant:** rules are data where they can be; a rule reads one object, and other objects only through [`World`].

mod autoscaling;
mod extension;
mod facts;
mod fixed;
mod gateway;
mod general;
mod health;
mod issued;
mod names;
mod namespace;
mod pods;
mod rbac;
mod reference;
mod rendered;
mod route;
mod secrets;
mod service;
mod serving;
mod spin;
mod storage;
mod values;
mod workload;

#[cfg(test)]
mod tests;

pub use facts::{Fact, facts};
pub use fixed::{fallback, fill_in, fixed};
pub use health::{Health, Verdict, World, condition};
pub use issued::is_issued_through;
pub use names::wrong_name;
pub use namespace::comes_with_its_namespace;
pub use reference::{Key, Reference, Section, each};
pub use serving::{leads_to, serving};
pub use spin::labels_of_app;
pub(crate) use values::is_subdomain;
pub use values::{broken_rules, wrong_values};

use crate::object::{GroupKind, ObjectRef};
use reference::Rule;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// The group of Gateway API.
pub const GATEWAY: &str = "gateway.networking.k8s.io";
/// The group of SpinKube.
pub const SPIN: &str = "core.spinkube.dev";
/// The label of everything that an App makes, its pods included: the name of the App.
pub const APP: &str = "spinway.dev/app";
/// The annotation of a SpinApp that says how long it stays after the last route left it, in seconds.
pub const SETTLE: &str = "spinway.dev/settle";
/// The annotation of a route that names the path which is asked through the Gateway until this state of it answers.
pub const PROBE: &str = "spinway.dev/settle-probe";
/// The annotation of a SpinApp that lets its last healthy version come back when a change of it does not become healthy.
pub const ON_FAILURE: &str = "spinway.dev/on-failure";

/// Health of a kind by one of its conditions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthRule {
    /// The API group; absent means any.
    #[serde(default)]
    pub group: Option<String>,
    /// The kind.
    pub kind: String,
    /// The condition that makes it `current` when true, `progressing` while absent or unknown.
    pub condition: String,
    /// Reasons with which a false condition means `failed`; any other means `progressing`.
    #[serde(default)]
    pub failed: Vec<String>,
}

/// The rules of one kind.
pub struct Kind {
    /// The API group.
    pub group: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// Where it refers to other objects.
    references: &'static [Rule],
    /// The objects that its controller makes for it.
    provides: fn(&ObjectRef, &Value) -> Vec<ObjectRef>,
    /// When it is healthy.
    health: fn(&Value, &dyn World) -> Health,
    /// Whether deleting one always needs approval (law 6).
    pub held: bool,
    /// Paths that cannot be changed in place.
    immutable: &'static [&'static str],
    /// Paths below those that can be changed all the same.
    mutable: &'static [&'static str],
    /// Paths that can be given a value once, though they cannot be changed.
    once: &'static [&'static str],
    /// Paths that the API server keeps when they are no longer declared.
    carried: &'static [&'static str],
    /// Paths that cannot be changed because of what the object says.
    sealed: fn(&Value) -> &'static [&'static str],
    /// The values, in JSON, that fields without a value get though no schema says so.
    fallback: &'static [(&'static str, &'static str)],
    /// Lists that the API server takes as a whole and whose items have names all the same, with the field of the name.
    named: &'static [(&'static str, &'static str)],
    /// The JSON pointers of fields that an admission webhook of the kind fills in before a schema is applied.
    filled: &'static [&'static str],
    /// Paths, beside those of references, at which rules read a live object of this kind, whoever wrote them.
    evidence: &'static [&'static str],
}

/// The defaults from which each kind's rules are built.
const PLAIN: Kind = Kind {
    group: "",
    kind: "",
    references: &[],
    provides: |_, _| Vec::new(),
    health: general::health,
    held: false,
    immutable: &[],
    mutable: &[],
    once: &[],
    carried: &[],
    sealed: |_| &[],
    fallback: &[],
    named: &[],
    filled: &[],
    evidence: &[],
};

const TABLES: [&[Kind]; 11] = [
    namespace::KINDS,
    extension::KINDS,
    gateway::KINDS,
    route::KINDS,
    spin::KINDS,
    workload::KINDS,
    service::KINDS,
    rbac::KINDS,
    autoscaling::KINDS,
    secrets::KINDS,
    storage::KINDS,
];

/// The rules of a kind.
pub fn of(kind: &GroupKind) -> &'static Kind {
    static GENERAL: Kind = Kind { references: general::REFERENCES, ..PLAIN };
    let known = TABLES.iter().flat_map(|table| table.iter());
    known.into_iter().find(|k| k.group == kind.group && k.kind == kind.kind).unwrap_or(&GENERAL)
}

/// Every kind with rules of its own.
pub fn known() -> impl Iterator<Item = GroupKind> {
    TABLES.iter().flat_map(|table| table.iter()).map(|k| GroupKind::new(k.group, k.kind))
}

/// The references that an object's fields make.
pub fn references(reference: &ObjectRef, value: &Value) -> Vec<Reference> {
    let mut found = Vec::new();
    for rule in of(&reference.group_kind()).references {
        rule.apply(reference, value, &mut found);
    }
    reference::depends_on(value, &mut found);
    found
}

/// The paths at which a live object of a kind is read, whoever wrote them: what it refers to, and what it and others are
/// judged by. `[]` stands for every item, `{}` for every value of a map.
pub fn read_at(kind: &GroupKind) -> Vec<&'static str> {
    if kind.group == GATEWAY {
        // Who attaches to what, and what came of it.
        return vec!["spec", "status"];
    }
    let known = of(kind);
    let references = known.references.iter().map(|rule| rule.at);
    references.chain(known.evidence.iter().copied()).chain(general::EVIDENCE).collect()
}

/// The kinds that scale others, by group and kind.
pub const SCALERS: [(&str, &str); 2] = [("autoscaling", "HorizontalPodAutoscaler"), ("keda.sh", "ScaledObject")];

/// Whether an autoscaler comes before the SpinApp that it scales: when autoscaling of a live app is switched on, its
/// operator drops its hold on `replicas`, and the API server would fall back to 1 until an autoscaler sets it.
pub fn scales_first(user: &ObjectRef, (app, before, after): (&ObjectRef, Option<&Value>, Option<&Value>)) -> bool {
    let on =
        |value: Option<&Value>| value.and_then(|v| v.pointer("/spec/enableAutoscaling")) == Some(&Value::Bool(true));
    let scaler = SCALERS.iter().any(|(group, kind)| user.is(group, kind));
    scaler && app.is(SPIN, "SpinApp") && before.is_some() && !on(before) && on(after)
}

/// The app that an object is, or that made it: `NAMESPACE/NAME` of an App, or of a SpinApp that stands for itself.
pub fn app_of(reference: &ObjectRef, value: &Value) -> Option<String> {
    match crate::object::label(value, APP) {
        Some(name) => Some(format!("{}/{name}", reference.namespace())),
        None => reference.is(SPIN, "SpinApp").then(|| reference.path()),
    }
}

/// The lists of a kind that the API server takes as a whole and whose items have names all the same, with the field of the name.
pub fn named_lists(kind: &GroupKind) -> &'static [(&'static str, &'static str)] {
    of(kind).named
}

/// Whether an admission webhook of a kind fills in the field at a JSON pointer before a schema is applied.
pub fn is_filled_in(kind: &GroupKind, pointer: &str) -> bool {
    of(kind).filled.contains(&pointer)
}

/// The objects that a controller makes for an object.
pub fn provides(reference: &ObjectRef, value: &Value) -> Vec<ObjectRef> {
    (of(&reference.group_kind()).provides)(reference, value)
}

/// The health of a live object: a rule of the Config, the rule of its kind, or the general one.
pub fn health(reference: &ObjectRef, live: &Value, world: &dyn World, rules: &[HealthRule]) -> Health {
    if !crate::object::meta(live, "deletionTimestamp").is_empty() {
        let finalizers = each(live, "metadata.finalizers[]");
        let names: Vec<&str> = finalizers.iter().filter_map(|(_, v)| v.as_str()).collect();
        let waits = if names.is_empty() { String::new() } else { format!("It waits for {}.", names.join(", ")) };
        return Health::new(Verdict::Terminating, "Terminating", waits);
    }
    let rule = rules
        .iter()
        .find(|rule| rule.kind == reference.kind && rule.group.as_ref().is_none_or(|group| *group == reference.group));
    match rule {
        Some(rule) => by_rule(live, rule),
        None => (of(&reference.group_kind()).health)(live, world),
    }
}

fn by_rule(live: &Value, rule: &HealthRule) -> Health {
    match condition(live, "/status/conditions", &rule.condition) {
        None => Health::progressing("NoCondition", format!("There is no condition {} yet.", rule.condition)),
        Some(c) if health::is_stale(live, c) => {
            Health::progressing("Stale", "The condition is of an older generation.")
        }
        Some(c) => match health::status(c) {
            "True" => Health::current(),
            "False" if rule.failed.iter().any(|r| r == health::reason(c)) => health::from_condition(Verdict::Failed, c),
            _ => health::from_condition(Verdict::Progressing, c),
        },
    }
}
