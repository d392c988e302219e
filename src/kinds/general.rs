//! The rules of every kind that has none of its own (design law 3).

use super::health::{
    Health, Verdict, World, condition, conditions, count, from_condition, generation, is_stale, status,
};
use super::reference::{Rule, To};
use serde_json::Value;

/// Policy attachment (GEP-713): a policy names its targets.
pub(super) const REFERENCES: &[Rule] = &[
    Rule { at: "spec.targetRef", to: To::Local("", "Service") },
    Rule { at: "spec.targetRefs[]", to: To::Local("", "Service") },
];

/// What an object of any kind is judged by.
pub(super) const EVIDENCE: [&str; 3] = ["status.conditions", "status.observedGeneration", "status.phase"];

/// An observed generation behind, `Reconciling` or `Stalled`, then `Ready` or `Available`. An object without any status
/// is `unknown/NoStatus`: nobody may ever write one.
pub(super) fn health(live: &Value, _: &dyn World) -> Health {
    let Some(status_field) = live.get("status").filter(|s| s.as_object().is_some_and(|map| !map.is_empty())) else {
        return Health::new(Verdict::Unknown, "NoStatus", "Nothing has written a status.");
    };
    let observed = status_field.get("observedGeneration").and_then(Value::as_i64);
    if observed.is_some_and(|seen| seen < generation(live)) {
        return Health::progressing("Stale", "The status is of an older generation.");
    }
    let is = |kind: &str, wanted: &str| condition(live, "/status/conditions", kind).filter(|c| status(c) == wanted);
    if let Some(c) = is("Stalled", "True") {
        return from_condition(Verdict::Failed, c);
    }
    if let Some(c) = is("Reconciling", "True") {
        return from_condition(Verdict::Progressing, c);
    }
    for kind in ["Ready", "Available", "Accepted", "Programmed"] {
        match condition(live, "/status/conditions", kind) {
            Some(c) if is_stale(live, c) => {
                return Health::progressing("Stale", "A condition is of an older generation.");
            }
            Some(c) if status(c) != "True" => return from_condition(Verdict::Progressing, c),
            _ => {}
        }
    }
    Health::current()
}

/// An object that is right as soon as it exists.
pub(super) fn exists(_: &Value, _: &dyn World) -> Health {
    Health::current()
}

/// A kind that says it all in one condition.
pub(super) fn by_condition(live: &Value, kind: &str, failing: &[&str]) -> Health {
    match condition(live, "/status/conditions", kind) {
        None => Health::progressing("NoCondition", format!("There is no condition {kind} yet.")),
        Some(c) if is_stale(live, c) => Health::progressing("Stale", "The condition is of an older generation."),
        Some(c) if status(c) == "True" => Health::current(),
        Some(c) if failing.contains(&super::health::reason(c)) => from_condition(Verdict::Failed, c),
        Some(c) => from_condition(Verdict::Progressing, c),
    }
}

/// The replicas of a workload: observed, updated, available, and none of the old ones left.
pub(super) fn replicas(live: &Value, wanted: i64, updated: &str, available: &str) -> Health {
    if count(live, "/status/observedGeneration") < generation(live) {
        return Health::progressing("Stale", "Its controller has not seen this generation.");
    }
    let failed =
        conditions(live, "/status/conditions").find(|c| super::health::reason(c) == "ProgressDeadlineExceeded");
    if let Some(c) = failed {
        return from_condition(Verdict::Failed, c);
    }
    let (updated, available, all) = (count(live, updated), count(live, available), count(live, "/status/replicas"));
    if updated < wanted {
        return Health::progressing("Updating", format!("{updated} of {wanted} replicas are updated."));
    }
    if all > updated {
        return Health::progressing("Updating", format!("{} old replicas are left.", all - updated));
    }
    if available < wanted {
        return Health::progressing("Updating", format!("{available} of {wanted} replicas are available."));
    }
    Health::current()
}
