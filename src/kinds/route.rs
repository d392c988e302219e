//! Routes of Gateway API: HTTPRoute, GRPCRoute, TLSRoute, TCPRoute, UDPRoute.

use super::health::{Health, Verdict, World, condition, conditions, from_condition, is_stale, message, reason, status};
use super::reference::{Rule, To, each};
use super::{GATEWAY, Kind, PLAIN};
use crate::object::{ObjectRef, Untrusted, meta};
use serde_json::Value;

const ROUTE: Kind = Kind {
    group: GATEWAY,
    references: &[
        Rule { at: "spec.parentRefs[]", to: To::Parent },
        Rule { at: "spec.rules[].backendRefs[]", to: To::Object("", "Service") },
        Rule { at: "spec.rules[].filters[].requestMirror.backendRef", to: To::Object("", "Service") },
        Rule { at: "spec.rules[].filters[].externalAuth.backendRef", to: To::Object("", "Service") },
        Rule { at: "spec.rules[].filters[].extensionRef", to: To::Local("", "ConfigMap") },
        Rule { at: "spec.rules[].backendRefs[].filters[].requestMirror.backendRef", to: To::Object("", "Service") },
        Rule { at: "spec.rules[].backendRefs[].filters[].extensionRef", to: To::Local("", "ConfigMap") },
    ],
    health,
    ..PLAIN
};

pub(super) const KINDS: &[Kind] = &[
    Kind { kind: "HTTPRoute", ..ROUTE },
    Kind { kind: "GRPCRoute", ..ROUTE },
    Kind { kind: "TLSRoute", ..ROUTE },
    Kind { kind: "TCPRoute", ..ROUTE },
    Kind { kind: "UDPRoute", ..ROUTE },
];

/// Every parent must have answered for this generation, and accepted.
fn health(live: &Value, world: &dyn World) -> Health {
    let namespace = meta(live, "namespace");
    let mut worst = Health::current();
    for (_, parent) in each(live, "spec.parentRefs[]") {
        let health = parent_health(live, parent, namespace, world);
        if rank(&health) > rank(&worst) {
            worst = Health { warning: worst.warning.or(health.warning.clone()), ..health };
        } else if worst.warning.is_none() {
            worst.warning = health.warning;
            if worst.verdict == Verdict::Current {
                worst.reason = health.reason;
            }
        }
    }
    worst
}

fn rank(health: &Health) -> u8 {
    match health.verdict {
        Verdict::Failed => 2,
        Verdict::Progressing => 1,
        _ => 0,
    }
}

fn parent_health(live: &Value, parent: &Value, namespace: &str, world: &dyn World) -> Health {
    let shown = shown(parent, namespace);
    let answers: Vec<&Value> = conditions(live, "/status/parents")
        .filter(|answer| answer.get("parentRef").is_some_and(|p| key(p, namespace) == key(parent, namespace)))
        .collect();
    if answers.is_empty() {
        return Health::progressing("NotClaimed", format!("No controller claimed parent {shown}."));
    }
    let mut found = Health::current();
    for answer in answers {
        let partial =
            condition(answer, "/conditions", "PartiallyInvalid").filter(|c| status(c) == "True" && !is_stale(live, c));
        for kind in ["Accepted", "ResolvedRefs"] {
            let Some(c) = condition(answer, "/conditions", kind) else {
                return Health::progressing("NoCondition", format!("Parent {shown} has not said {kind} yet."));
            };
            // Falling back, Accepted is that of the last good generation (Gateway API, PartiallyInvalid).
            if is_stale(live, c) && partial.is_none() {
                return Health::progressing(
                    "Stale",
                    format!("Parent {shown} has only answered for an older generation."),
                );
            }
            let about = |verdict| {
                let health = from_condition(verdict, c);
                Health::new(verdict, reason(c), format!("Parent {shown}: {}", health.message.raw()))
            };
            match status(c) {
                "True" => {}
                // Backends that the repository wants are on their way.
                "False" if reason(c) == "BackendNotFound" && missing_are_desired(live, namespace, world) => {
                    return about(Verdict::Progressing);
                }
                "False" if reason(c) == "Pending" => return about(Verdict::Progressing),
                "False" => return about(Verdict::Failed),
                _ => return about(Verdict::Progressing),
            }
            // Not the standard reason: the controller accepted and ignored something (NGINX Gateway Fabric: UnsupportedField).
            if kind == "Accepted" && !matches!(reason(c), "Accepted" | "") {
                found.warning = Some(Untrusted::new(format!("Parent {shown}: {}: {}", reason(c), message(c))));
            }
        }
        if let Some(c) = partial {
            found.reason = Untrusted::new("PartiallyInvalid");
            found.warning = Some(Untrusted::new(format!("Parent {shown} serves only a part of it: {}", message(c))));
        }
    }
    found
}

/// Whether every backend is there or wanted, and one is wanted.
fn missing_are_desired(live: &Value, namespace: &str, world: &dyn World) -> bool {
    let backends = super::references(&ObjectRef::new(GATEWAY, "HTTPRoute", namespace, ""), live);
    let mut backends = backends.iter().filter(|r| r.pointer.contains("backendRef")).peekable();
    // One that is there by now is only not seen yet by the controller.
    let comes = |to: &ObjectRef| world.is_desired(to) || world.live(to).is_some();
    backends.peek().is_some() && backends.clone().any(|r| world.is_desired(&r.to)) && backends.all(|r| comes(&r.to))
}

/// What tells parents apart, with the API's defaults.
fn key(parent: &Value, namespace: &str) -> (String, String, String, String, String, i64) {
    let text = |field: &str, default: &str| parent.get(field).and_then(Value::as_str).unwrap_or(default).to_owned();
    let port = parent.get("port").and_then(Value::as_i64).unwrap_or_default();
    (
        text("group", GATEWAY),
        text("kind", "Gateway"),
        text("namespace", namespace),
        text("name", ""),
        text("sectionName", ""),
        port,
    )
}

fn shown(parent: &Value, namespace: &str) -> String {
    let (_, kind, namespace, name, section, _) = key(parent, namespace);
    if section.is_empty() {
        format!("{kind} {namespace}/{name}")
    } else {
        format!("{kind} {namespace}/{name} listener {section}")
    }
}
