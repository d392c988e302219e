//! The wording of facts: the only place that knows how a reason reads.

use crate::inventory::{Paused, Stop};
use crate::kinds::{Health, Verdict};
use crate::object::{Origin, Untrusted};
use crate::plan::{Break, DefinitionLoss, Destructive, Ownership, Reason};

/// A reason, in a sentence.
pub fn reason(reason: &Reason) -> Untrusted {
    Untrusted::new(match reason {
        Reason::Ownership(change) => ownership(change),
        Reason::Definition(loss) => definition(loss),
        Reason::Destructive(why) => destructive(why),
        Reason::Paused(pause) => paused(pause),
        Reason::Stopped(of) => return stop(of),
        other => assessed(other).or_else(|| answered(other)).or_else(|| withheld(other)).unwrap_or_default(),
    })
}

/// What the comparison with live state found.
fn assessed(reason: &Reason) -> Option<String> {
    Some(match reason {
        Reason::Scope { namespaced: true } => "Its kind is namespaced: add `metadata.namespace`.".to_owned(),
        Reason::Scope { namespaced: false } => "Its kind is cluster-scoped: remove `metadata.namespace`.".to_owned(),
        Reason::Unknown(Some(why)) => format!("It is unknown whether it exists: {}.", why.raw()),
        Reason::Unknown(None) => "It is unknown whether it exists: nobody looked for it.".to_owned(),
        Reason::NotInSnapshot => "It is not in the snapshot; verified at apply.".to_owned(),
        Reason::Terminating => "It is being deleted. The next apply creates it again when it is gone.".to_owned(),
        Reason::OwnedBy(owner) => format!("It belongs to {}; release it there first.", owner.raw()),
        Reason::Unowned => {
            "It exists and no inventory owns it. Adopt it with `--adopt`, or list it under `adopt` in spinway.yaml."
                .to_owned()
        }
        Reason::RanAndExpired => "It ran, and was removed by its `ttlSecondsAfterFinished`.".to_owned(),
        Reason::Vanished => "It existed after the last apply, and someone deleted it.".to_owned(),
        Reason::DriftReported => "Drift is reported and not corrected (`drift: report`).".to_owned(),
        Reason::Contested { path, by } => format!(
            "{path} is contested by {}: corrected three times, now left as it is.",
            by.as_ref().map_or("a writer that is not recorded", Untrusted::raw)
        ),
        Reason::SecretUnknown => "A snapshot has no Secret values: unknown until apply.".to_owned(),
        Reason::LeftTo { path, by } => format!("{path} is left to {}.", by.raw()),
        Reason::KeptForAutoscaler { path } => format!("{path} stays as it is until its autoscaler writes it."),
        Reason::IgnoreMisses { rule, list } => {
            format!("The `ignore` rule {rule} does not apply: list {list} has another length in the cluster.")
        }
        Reason::HeldBy { path, by, operation } => format!(
            "{path} is held by {} ({operation:?}). Decide with `conflicts` in spinway.yaml, `ignore` it, or remove it from one side.",
            by.raw()
        ),
        Reason::HeldUnseen { path, by } => {
            format!("{path} is held by {}, and its value is not in the snapshot; verified at apply.", by.raw())
        }
        Reason::Taken { path, from } => format!("{path} is taken from {}.", from.raw()),
        Reason::Undecided => "Only the API server can tell whether it would change; verified at apply.".to_owned(),
        Reason::Undeclared => "It is no longer in the repository.".to_owned(),
        Reason::Superseded { app } => {
            format!("App {app} has another version; this one is deleted when no route leads to it any more.")
        }
        Reason::Renamed { successor } => {
            format!("{successor} takes its place: a rename does not count as a deletion.")
        }
        _ => return None,
    })
}

/// What the API server answered, or why it could not be asked.
fn answered(reason: &Reason) -> Option<String> {
    Some(match reason {
        Reason::DefinitionFirst => "Verified at apply: the definition of its kind changes first.".to_owned(),
        Reason::KindNotServed => "Verified at apply: its kind is not served yet.".to_owned(),
        Reason::NamespaceAbsent => "Verified at apply: its namespace does not exist yet.".to_owned(),
        Reason::Unjudged { path, from } => {
            format!("It would take {path} from {}, about which no rule decides.", from.raw())
        }
        Reason::Overridden => "An admission policy or webhook of the cluster overrides what is declared.".to_owned(),
        Reason::RecordOnly => "Only the record of who holds its fields changes.".to_owned(),
        Reason::Immutable(fields) => format!("{} cannot be changed in place.", fields.join(", ")),
        Reason::ReplacementRefused => {
            "A field cannot be changed in place, and the API server would refuse the new object too.".to_owned()
        }
        Reason::Unproved => {
            "Unproved: no dry-run can show that the new object is valid, so the approval must name it.".to_owned()
        }
        Reason::Conflict { field, manager } => {
            format!("{} is held by another manager: {}", field.raw(), manager.raw())
        }
        Reason::Refused { code, reason, message } => {
            format!("The API server refuses it ({code} {reason}): {}", message.raw())
        }
        _ => return None,
    })
}

/// Why a change is blocked, held or waits, and what consent made of it.
fn withheld(reason: &Reason) -> Option<String> {
    Some(match reason {
        Reason::Erroneous(ids) if ids.is_empty() => "It has errors.".to_owned(),
        Reason::Erroneous(ids) => format!("It has errors: {}.", ids.iter().copied().collect::<Vec<_>>().join(", ")),
        Reason::OfErroneousApp { object, app } => format!("{object} has errors, so nothing of App {app} is changed."),
        Reason::InventoryUnreadable { partition, why } => {
            format!("The inventory of partition {partition} cannot be read: {why}.")
        }
        Reason::NoAccount { tenant } => {
            format!("Tenant {tenant} has no `serviceAccount`, which a protected environment requires.")
        }
        Reason::InCycle => "It is part of a dependency cycle.".to_owned(),
        Reason::NeedBlocked { need, place } => format!("It needs {need}, which is blocked{}.", at(place.as_ref())),
        Reason::NeedSick { need, health, place } => {
            format!("It needs {need}, which {}: {}{}", verb(health), details(health), at(place.as_ref()))
        }
        Reason::NeedWaits { need } => format!("It needs {need}, which waits."),
        Reason::StillUsed { by } => format!("{by} still uses it, and does after this plan."),
        Reason::StillNeeded { by } => format!("{by} still needs what this takes away, and does after this plan."),
        Reason::Unlimited { policy } => {
            format!("{policy} restricts its egress and is not applied, so it is not applied either.")
        }
        Reason::LastLimit { pods } => format!(
            "No other policy restricts the egress of the running pods of {pods}. Add another policy for them first."
        ),
        Reason::GivesUp { route } => {
            format!("It gives up requests that {route} takes over, and this plan does not change {route}.")
        }
        Reason::BackendSick { object, health } if health.verdict == Verdict::Failed => {
            format!("{object} would serve requests and has failed: {}", details(health))
        }
        Reason::BackendSick { object, health } => format!("{object} would serve requests and {}.", verb(health)),
        Reason::WaitsFor { object, health } => format!("It waits until {object} is healthy ({}).", details(health)),
        Reason::ApprovalMustName(name) => {
            format!(
                "Approved, but nothing proves that the API server accepts what comes instead: name it too, `--approve '{name}'` or `objects: [\"{name}\"]` of the Approval."
            )
        }
        Reason::Approved => "Approved.".to_owned(),
        Reason::AgentsOwn => "It is part of what the agent is or may do: an administrator applies it.".to_owned(),
        _ => return None,
    })
}

/// Where a reference is, in brackets.
fn at(place: Option<&Origin>) -> String {
    place.map(|origin| format!(" ({origin})")).unwrap_or_default()
}

pub(super) fn verb(health: &Health) -> &'static str {
    match health.verdict {
        Verdict::Failed => "has failed",
        Verdict::Terminating => "is being deleted",
        Verdict::Missing => "does not exist",
        _ => "is not healthy",
    }
}

/// The reason and the message of a verdict.
pub(super) fn details(health: &Health) -> String {
    let texts = [health.reason.raw(), health.message.raw()].into_iter().filter(|text| !text.is_empty());
    texts.collect::<Vec<_>>().join(": ")
}

fn ownership(change: &Ownership) -> String {
    match change {
        Ownership::Regained(path) => format!("{path} becomes ours again; its value stays."),
        Ownership::Kept(path) => format!("{path} is no longer declared; another manager keeps it."),
        Ownership::Released(path) => format!("{path} is no longer declared."),
        Ownership::Default(path) => format!("{path} is no longer declared; its value is the default."),
        Ownership::ApiVersion { from } => format!("The apiVersion changes from {from}."),
    }
}

fn definition(loss: &DefinitionLoss) -> String {
    match loss {
        DefinitionLoss::Stored { version } => format!(
            "Objects may be stored as {version} (status.storedVersions), which the new definition does not have. First write them \
             in the new version and remove {version} from status.storedVersions."
        ),
        DefinitionLoss::Channel => {
            "The channel changes from experimental to standard: experimental fields are lost with the next write."
                .to_owned()
        }
        DefinitionLoss::Bundle { from, to } => format!("The bundle goes back from {from} to {to}."),
        DefinitionLoss::Unserved { object, version } => {
            format!("{object} is written as {version}, which is no longer served.")
        }
        DefinitionLoss::Field { object, field } => {
            format!("{object} uses {field}, which the new definition does not have.")
        }
    }
}

fn destructive(why: &Destructive) -> String {
    match why {
        Destructive::Replace => "Replacing deletes it first.".to_owned(),
        Destructive::Kind(kind) => format!("Deleting a {} always waits for approval.", kind.kind),
        Destructive::Own => "It is one of spinway's own objects.".to_owned(),
        Destructive::Protected => "The environment is protected.".to_owned(),
        Destructive::LastRoute { hostname } => format!("It is the last route of {hostname}."),
        Destructive::Budget { deletions, partition, window, allowed } => {
            let place =
                partition.as_ref().map_or_else(|| "the environment".to_owned(), |name| format!("partition {name}"));
            format!("{deletions} deletions in {place} within {} are more than {allowed}.", span(*window))
        }
    }
}

/// A span of time in its largest whole unit.
fn span(seconds: i64) -> String {
    let (count, unit) = match seconds {
        _ if seconds % 3600 == 0 => (seconds / 3600, "hour"),
        _ if seconds % 60 == 0 => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn paused(pause: &Paused) -> String {
    let by = pause.by.as_ref().map_or("a writer that is not recorded", Untrusted::raw);
    let at = pause.at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
    format!("Paused in the cluster until {} by {by}{at}.", pause.until)
}

/// Why a change has no order that keeps every request whole, in a sentence.
pub fn broken(why: &Break) -> Untrusted {
    Untrusted::new(match why {
        Break::Circular { with, of } => format!(
            "There is no order in which this and the change of {with} keep every reference and every request of {of} whole."
        ),
        Break::GoesWithIt { wanted } => {
            format!(
                "{wanted} was made for it and is deleted with it; the one of the repository comes with the next turn."
            )
        }
        Break::MadeLater { app } => {
            format!("The operator makes one of this name for {app}; until it has, nothing answers under the name.")
        }
        Break::PodsReplaced { backend } => {
            format!("The pods behind {backend} are replaced in place; requests to them may fail meanwhile.")
        }
        Break::ScaledDown { target, from, scaler } => {
            let who = scaler.as_ref().map_or_else(|| "an autoscaler".to_owned(), ToString::to_string);
            format!(
                "`spec.replicas` of {target} falls from {from} to 1 until {who} writes it. To keep {from} pods, set its minimum \
                 above {from} for this change."
            )
        }
        Break::Recreated { through } => {
            format!("It is deleted and recreated; requests through {through} fail until it is ready again.")
        }
    })
}

/// What people stopped, in a sentence.
pub fn stop(stop: &Stop) -> Untrusted {
    let what = stop.revision.as_ref().map_or_else(
        || "Suspended".to_owned(),
        |revision| format!("Held at revision {}", revision.get(..12).unwrap_or(revision)),
    );
    let reason = if stop.reason.is_empty() { String::new() } else { format!(": {}", stop.reason) };
    Untrusted::new(format!("{what} until {} by {}{reason}.", stop.until, stop.by))
}

/// How many declared fields are gone without a record of which.
pub(super) fn removed(count: usize) -> Untrusted {
    let noun = if count == 1 { "field" } else { "fields" };
    Untrusted::new(format!("{count} declared {noun} removed, path not recorded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_said_in_its_largest_whole_unit() {
        let said: Vec<String> = [86_400, 3600, 1800, 90].into_iter().map(span).collect();
        assert_eq!(said, ["24 hours", "1 hour", "30 minutes", "90 seconds"]);
    }
}
