//! Gateway API: GatewayClass, Gateway, ListenerSet, ReferenceGrant, BackendTLSPolicy.

use super::general::{by_condition, exists};
use super::health::{Health, Verdict, World, condition, conditions, from_condition, is_stale, message, reason, status};
use super::reference::{Rule, To, each};
use super::secrets::secret_to_come;
use super::{GATEWAY, Kind, PLAIN};
use crate::object::{ObjectRef, meta};
use serde_json::Value;

/// Reasons with which a Gateway is on its way (Gateway API, GatewayConditionReason).
const PENDING: [&str; 5] = ["Pending", "AddressNotAssigned", "NoResources", "AddressNotUsable", "NotReconciled"];

pub(super) const KINDS: &[Kind] = &[
    Kind {
        group: GATEWAY,
        kind: "GatewayClass",
        references: &[Rule { at: "spec.parametersRef", to: To::Object("", "ConfigMap") }],
        health: class,
        held: true,
        immutable: &["spec.controllerName"],
        ..PLAIN
    },
    Kind {
        group: GATEWAY,
        kind: "Gateway",
        references: &[
            Rule { at: "spec.gatewayClassName", to: To::ClusterName(GATEWAY, "GatewayClass") },
            Rule { at: "spec.infrastructure.parametersRef", to: To::Local("", "ConfigMap") },
            Rule { at: "spec.listeners[].tls.certificateRefs[]", to: To::Object("", "Secret") },
            Rule { at: "spec.tls.backend.clientCertificateRef", to: To::Object("", "Secret") },
            Rule { at: "spec.tls.frontend.default.validation.caCertificateRefs[]", to: To::Object("", "ConfigMap") },
            Rule {
                at: "spec.tls.frontend.perPort[].tls.validation.caCertificateRefs[]",
                to: To::Object("", "ConfigMap"),
            },
        ],
        health: gateway,
        held: true,
        ..PLAIN
    },
    Kind {
        group: GATEWAY,
        kind: "ListenerSet",
        references: &[
            Rule { at: "spec.parentRef", to: To::Object(GATEWAY, "Gateway") },
            Rule { at: "spec.listeners[].tls.certificateRefs[]", to: To::Object("", "Secret") },
        ],
        health: gateway,
        held: true,
        ..PLAIN
    },
    // Judged by who uses it: it has no status (Gateway API, ReferenceGrant).
    Kind { group: GATEWAY, kind: "ReferenceGrant", health: exists, ..PLAIN },
    Kind {
        group: GATEWAY,
        kind: "BackendTLSPolicy",
        references: &[
            Rule { at: "spec.targetRefs[]", to: To::Local("", "Service") },
            Rule { at: "spec.validation.caCertificateRefs[]", to: To::Local("", "ConfigMap") },
        ],
        health: ancestors,
        ..PLAIN
    },
];

fn class(live: &Value, _: &dyn World) -> Health {
    match condition(live, "/status/conditions", "Accepted") {
        None => Health::progressing("NotClaimed", "No controller has claimed this class."),
        Some(c) if is_stale(live, c) => Health::progressing("Stale", "The condition is of an older generation."),
        Some(c) if status(c) == "Unknown" && reason(c) == "Pending" => {
            Health::progressing("NotClaimed", "No controller has claimed this class.")
        }
        Some(c) if status(c) == "False" => from_condition(Verdict::Failed, c),
        Some(_) => by_condition(live, "Accepted", &[]),
    }
}

/// Accepted and Programmed of this generation, and no listener in conflict or refused. A listener whose certificate is still to
/// be issued is on its way, and so is the Gateway that says that it has such a listener.
fn gateway(live: &Value, world: &dyn World) -> Health {
    let mut progressing = None;
    for listener in conditions(live, "/status/listeners") {
        match listener_failure(live, listener, world) {
            Some(health) if health.verdict == Verdict::Failed => return health,
            health => progressing = progressing.or(health),
        }
    }
    let awaits = progressing.is_some();
    let is_pending = |c: &Value| PENDING.contains(&reason(c)) || awaits && OF_LISTENERS.contains(&reason(c));
    for kind in ["Accepted", "Programmed"] {
        match condition(live, "/status/conditions", kind) {
            None => {
                progressing = progressing.or(Some(Health::progressing(
                    "NotClaimed",
                    format!("No controller has written the condition {kind}."),
                )));
            }
            Some(c) if is_stale(live, c) => {
                progressing = progressing
                    .or(Some(Health::progressing("Stale", format!("The condition {kind} is of an older generation."))));
            }
            Some(c) => match status(c) {
                "True" => {}
                "False" if !is_pending(c) => return from_condition(Verdict::Failed, c),
                "Unknown" if message(c).starts_with("Waiting for controller") => {
                    progressing = progressing
                        .or(Some(Health::progressing("NotClaimed", "No controller has claimed this gateway.")));
                }
                _ => progressing = progressing.or(Some(from_condition(Verdict::Progressing, c))),
            },
        }
    }
    progressing.unwrap_or_else(Health::current)
}

/// Reasons by which a Gateway says that something is wrong with its listeners (Gateway API, GatewayConditionReason).
const OF_LISTENERS: [&str; 2] = ["ListenersNotValid", "Invalid"];

/// A listener that is in conflict, not accepted or without its references makes its Gateway fail, by name. One that lacks
/// nothing but certificates that are still to be issued is on its way.
fn listener_failure(live: &Value, listener: &Value, world: &dyn World) -> Option<Health> {
    let name = listener.get("name").and_then(Value::as_str).unwrap_or_default();
    let failing = conditions(listener, "/conditions").filter(|c| !is_stale(live, c)).find(|c| {
        match (c.get("type").and_then(Value::as_str).unwrap_or_default(), status(c)) {
            ("Conflicted", "True") => true,
            ("Accepted" | "ResolvedRefs", "False") => !PENDING.contains(&reason(c)),
            _ => false,
        }
    })?;
    if reason(failing) == "InvalidCertificateRef"
        && let Some(secret) = awaited_secret(live, name, world)
    {
        let text = format!("Listener `{name}` waits for {secret}, which is not there yet.");
        return Some(Health::progressing("CertificatePending", text));
    }
    let health = from_condition(Verdict::Failed, failing);
    Some(Health::new(Verdict::Failed, reason(failing), format!("Listener `{name}`: {}", health.message.raw())))
}

/// A Secret of a listener that something is about to make. `None` where any other of its Secrets is missing for good: then the
/// listener does not become valid by itself.
fn awaited_secret(live: &Value, listener: &str, world: &dyn World) -> Option<ObjectRef> {
    let named = each(live, "spec.listeners[]").into_iter().map(|(_, l)| l);
    let spec = named.into_iter().find(|l| l.get("name").is_some_and(|name| name == listener))?;
    let text = |value: &'_ Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut awaited = None;
    for (_, reference) in each(spec, "tls.certificateRefs[]") {
        let namespace = Some(text(reference, "namespace")).filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or_else(|| meta(live, "namespace").to_owned());
        let secret = ObjectRef::new("", "Secret", &namespace, &text(reference, "name"));
        if is_to_come(&secret, world) {
            awaited = awaited.or(Some(secret));
        } else if world.live(&secret).is_none() && !world.is_unread(&secret) && world.has_read("", "Secret") {
            return None;
        }
    }
    awaited
}

fn is_to_come(secret: &ObjectRef, world: &dyn World) -> bool {
    match secret_to_come(secret, world) {
        Some(is_to_come) => is_to_come,
        // Nothing live makes it: it is wanted itself, or what makes it is.
        None => world.live(secret).is_none() && world.is_desired(secret),
    }
}

/// A policy by each ancestor that answered.
fn ancestors(live: &Value, _: &dyn World) -> Health {
    let mut answered = false;
    for ancestor in conditions(live, "/status/ancestors") {
        for c in conditions(ancestor, "/conditions") {
            if is_stale(live, c) {
                return Health::progressing("Stale", "A condition is of an older generation.");
            }
            if status(c) == "False" {
                return from_condition(Verdict::Failed, c);
            }
            answered = true;
        }
    }
    if answered {
        Health::current()
    } else {
        Health::progressing("NotClaimed", "No controller has answered for this policy.")
    }
}
