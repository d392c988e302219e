//! SPW090, and the way in which a repository asks not to be told of a finding.

use super::{CHECKS, Check};
use crate::desired::Desired;
use crate::object::{Diagnostic, ObjectRef, Origin, Severity};
use std::collections::{BTreeMap, BTreeSet};

/// The annotation of an object: `ID: reason`, several by `;`.
const IGNORE: &str = "spinway.dev/ignore";

pub(super) const CHECK: Check = Check {
    id: "SPW090",
    name: "suppression",
    severity: Severity::Warning,
    guards: false,
    what: "An object asks not to be told of a finding, without need or without a reason.",
    why: "A suppression that fits nothing hides the next mistake of its kind. One without a reason cannot be judged by whoever \
          reads it next. Rules for tenants and protected environments cannot be suppressed by those whom they bind.",
    example: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b, annotations: {spinway.dev/ignore: \"SPW021: not a secret\"}}",
    remedy: "Write `spinway.dev/ignore: \"SPW021: example values\"`, several by `;`, and remove it when it is no longer needed.",
    run: |_| Vec::new(),
};

/// One request not to be told.
struct Wish {
    id: String,
    origin: Origin,
    /// What is wrong with it in itself.
    wrong: Option<&'static str>,
}

/// Leaves out the findings that objects ask not to be told of, and adds what is wrong with their asking.
pub(super) fn suppress(desired: &Desired, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let wishes = wishes(desired);
    let mut used: BTreeSet<(&str, &Origin)> = BTreeSet::new();
    let mut kept = Vec::new();
    for finding in found {
        let of_object = finding.object.as_ref().and_then(|object| wishes.get(object)).into_iter().flatten();
        match of_object.into_iter().find(|wish| wish.wrong.is_none() && wish.id == finding.id) {
            Some(wish) => {
                used.insert((&wish.id, &wish.origin));
            }
            None => kept.push(finding),
        }
    }
    // The annotation of an App is that of all its objects: it is needed when one of them needs it.
    let mut said: BTreeSet<(&str, &Origin)> = BTreeSet::new();
    for (object, wish) in wishes.iter().flat_map(|(object, wishes)| wishes.iter().map(move |wish| (object, wish))) {
        let key = (wish.id.as_str(), &wish.origin);
        let unused = (!used.contains(&key)).then_some("fits nothing");
        let Some(wrong) = wish.wrong.or(unused).filter(|_| said.insert(key)) else { continue };
        let message = format!("The suppression of {} {wrong}.", wish.id);
        let finding = Diagnostic::new(CHECK.severity, CHECK.id, message).at(wish.origin.clone());
        kept.push(finding.about(object).help(CHECK.remedy));
    }
    kept
}

fn wishes(desired: &Desired) -> BTreeMap<&ObjectRef, Vec<Wish>> {
    let mut all: BTreeMap<&ObjectRef, Vec<Wish>> = BTreeMap::new();
    for (reference, member) in &desired.objects {
        let Some(text) = member.object.annotation(IGNORE) else { continue };
        let origin = member.object.origin_of("/metadata/annotations/spinway.dev~1ignore");
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (id, reason) = part.split_once(':').unwrap_or((part, ""));
            let check = CHECKS.iter().find(|check| check.id == id.trim());
            let wrong = match check {
                None => Some("names no check"),
                Some(check) if check.guards => Some("is not for those whom the rule binds"),
                Some(_) if reason.trim().is_empty() => Some("has no reason"),
                Some(_) => None,
            };
            all.entry(reference).or_default().push(Wish { id: id.trim().to_owned(), origin: origin.clone(), wrong });
        }
    }
    all
}
