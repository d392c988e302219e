//! SPW090, and the ways in which a repository asks not to be told of a finding: an annotation, a comment, the Config.

use super::{CHECKS, Check};
use crate::desired::{Desired, Selector};
use crate::object::{Diagnostic, ObjectRef, Origin, Severity};
use std::collections::BTreeMap;

/// The annotation of an object: `ID: reason`, several by `;`.
const IGNORE: &str = "spinway.dev/ignore";

pub(super) const CHECK: Check = Check {
    id: "SPW090",
    name: "suppression",
    severity: Severity::Warning,
    guards: false,
    what: "The repository asks not to be told of a finding, without need or without a reason.",
    why: "A suppression that fits nothing hides the next mistake of its kind. One without a reason cannot be judged by whoever \
          reads it next. Rules for tenants and protected environments cannot be suppressed by those whom they bind: only \
          `suppressions` in spinway.yaml does that.",
    example: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b, annotations: {spinway.dev/ignore: \"SPW021: not a secret\"}}",
    remedy: "Write the id and a reason, several by `;`: `# spinway:ignore SPW021: example values` at the end of the line of the \
             finding or above it; `spinway.dev/ignore: \"SPW021: example values\"` among the annotations for all findings of an \
             object; `suppressions: [{check: SPW021, namespace: demo, reason: example values}]` in spinway.yaml. Remove it when it \
             is no longer needed.",
    run: |_| Vec::new(),
};

/// Which findings a wish is about.
enum About {
    Object(ObjectRef),
    /// A line of the file in which the wish stands.
    Line(usize),
    /// Objects that the Config names.
    Objects(Selector),
}

/// One request not to be told.
struct Wish {
    id: String,
    about: About,
    origin: Origin,
    /// What is wrong with it in itself.
    wrong: Option<&'static str>,
}

impl Wish {
    /// A request as it is written: `ID: reason`.
    fn read(text: &str, about: About, origin: Origin) -> Self {
        let (id, reason) = text.split_once(':').unwrap_or((text, ""));
        Self::new(id.trim(), reason, about, origin)
    }

    fn new(id: &str, reason: &str, about: About, origin: Origin) -> Self {
        let wrong = match CHECKS.iter().find(|check| check.id == id) {
            None => Some("names no check"),
            Some(check) if check.guards && !matches!(about, About::Objects(_)) => {
                Some("is not for those whom the rule binds")
            }
            Some(_) if reason.trim().is_empty() => Some("has no reason"),
            Some(_) => None,
        };
        Self { id: id.to_owned(), about, origin, wrong }
    }

    fn fits(&self, finding: &Diagnostic) -> bool {
        let is_meant = match &self.about {
            About::Object(object) => finding.object.as_ref() == Some(object),
            About::Line(line) => finding
                .origin
                .as_ref()
                .is_some_and(|place| place.file == self.origin.file && place.position.line == *line),
            About::Objects(selector) if *selector == Selector::default() => true,
            About::Objects(selector) => finding.object.as_ref().is_some_and(|object| selector.matches(object)),
        };
        is_meant && self.id == finding.id && self.wrong.is_none()
    }
}

/// The requests of an environment, by what they are about.
pub(super) struct Wishes {
    /// Of all findings of an id.
    by_id: BTreeMap<String, Vec<Wish>>,
    /// Which were needed, by where they stand.
    used: BTreeMap<(String, Origin), bool>,
}

impl Wishes {
    /// Those of annotations, comments and the Config.
    pub(super) fn of(desired: &Desired) -> Self {
        let mut wishes = of_config(desired);
        for (reference, member) in &desired.objects {
            let Some(text) = member.object.annotation(IGNORE) else { continue };
            let origin = member.object.origin_of("/metadata/annotations/spinway.dev~1ignore");
            let about = || About::Object(reference.clone());
            wishes.extend(parts(text).map(|part| Wish::read(part, about(), origin.clone())));
        }
        for aside in &desired.asides {
            let about = || About::Line(aside.line);
            wishes.extend(parts(&aside.text).map(|part| Wish::read(part, about(), aside.origin.clone())));
        }
        let mut sorted = Self { by_id: BTreeMap::new(), used: BTreeMap::new() };
        for wish in wishes {
            sorted.used.insert((wish.id.clone(), wish.origin.clone()), false);
            sorted.by_id.entry(wish.id.clone()).or_default().push(wish);
        }
        sorted
    }

    /// Leaves out the findings that are not to be said.
    pub(super) fn leave_out(&mut self, found: &mut Vec<Diagnostic>) {
        found.retain(|finding| {
            let wishes = self.by_id.get(finding.id).into_iter().flatten();
            let fitting: Vec<&Wish> = wishes.filter(|wish| wish.fits(finding)).collect();
            for wish in &fitting {
                self.used.insert((wish.id.clone(), wish.origin.clone()), true);
            }
            fitting.is_empty()
        });
    }

    /// What is wrong with the requests; `elsewhere` are those of the other environments: one that is needed there is needed.
    pub(super) fn wrong(&self, elsewhere: &[Self]) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for ((id, origin), used) in &self.used {
            let place = (id.clone(), origin.clone());
            let is_needed = *used || elsewhere.iter().any(|other| other.used.get(&place) == Some(&true));
            let of_place = self.by_id.get(id).into_iter().flatten().find(|wish| wish.origin == *origin);
            let unused = (!is_needed).then_some("fits nothing");
            let Some(wrong) = of_place.and_then(|wish| wish.wrong).or(unused) else { continue };
            let message = format!("The suppression of {id} {wrong}.");
            found.push(Diagnostic::new(CHECK.severity, CHECK.id, message).at(origin.clone()).help(CHECK.remedy));
        }
        found
    }
}

/// The parts of a text that asks for several things.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').map(str::trim).filter(|part| !part.is_empty())
}

fn of_config(desired: &Desired) -> Vec<Wish> {
    let suppressions = desired.rules().suppressions.iter().enumerate();
    let wishes = suppressions.filter_map(|(index, suppression)| {
        let origin = desired.config_place(&format!("/spec/suppressions/{index}"))?;
        let about = About::Objects(suppression.selector());
        Some(Wish::new(&suppression.check, &suppression.reason, about, origin))
    });
    wishes.collect()
}

/// Leaves out what the Config alone asks not to be told of: nobody whom a rule binds takes part in that.
pub fn leave_out_by_config(desired: &Desired, found: &mut Vec<Diagnostic>) {
    let wishes = of_config(desired);
    found.retain(|finding| !wishes.iter().any(|wish| wish.fits(finding)));
}
