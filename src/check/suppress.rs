//! SPW090, and the ways in which a repository asks not to be told of a finding: an annotation, a comment, the Config.

use super::{CHECKS, Check, tenant_bounds, tenant_identity};
use crate::desired::{Desired, Selector};
use crate::object::{Diagnostic, ObjectRef, Origin, Severity};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

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
        // Those of the rules themselves refuse a plan whatever is suppressed.
        let is_of_rules = [tenant_bounds::CHECK.id, tenant_identity::CHECK.id].contains(&finding.id);
        is_meant && self.id == finding.id && self.wrong.is_none() && !is_of_rules
    }
}

/// The requests of an environment.
pub(super) struct Wishes {
    /// All of them, each with whether it was needed.
    all: Vec<(Wish, bool)>,
    /// Those of an id by what they are about.
    index: HashMap<String, Index>,
}

/// Where among the requests those of one id are: by line and by object, of which there may be thousands, and those of the Config.
#[derive(Default)]
struct Index {
    lines: HashMap<(Arc<str>, usize), Vec<usize>>,
    objects: HashMap<ObjectRef, Vec<usize>>,
    selectors: Vec<usize>,
}

impl Index {
    fn add(&mut self, wish: &Wish, at: usize) {
        match &wish.about {
            About::Line(line) => self.lines.entry((Arc::clone(&wish.origin.file), *line)).or_default().push(at),
            About::Object(object) => self.objects.entry(object.clone()).or_default().push(at),
            About::Objects(_) => self.selectors.push(at),
        }
    }

    /// Those that may be about a finding.
    fn near(&self, finding: &Diagnostic) -> impl Iterator<Item = usize> {
        let line = finding.origin.as_ref().map(|place| (Arc::clone(&place.file), place.position.line));
        let of_line = line.and_then(|line| self.lines.get(&line));
        let of_object = finding.object.as_ref().and_then(|object| self.objects.get(object));
        of_line.into_iter().chain(of_object).flatten().chain(&self.selectors).copied()
    }
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
        let mut index: HashMap<String, Index> = HashMap::new();
        for (at, wish) in wishes.iter().enumerate() {
            index.entry(wish.id.clone()).or_default().add(wish, at);
        }
        Self { all: wishes.into_iter().map(|wish| (wish, false)).collect(), index }
    }

    /// Leaves out the findings that are not to be said.
    pub(super) fn leave_out(&mut self, found: &mut Vec<Diagnostic>) {
        found.retain(|finding| {
            let Some(index) = self.index.get(finding.id) else { return true };
            let mut is_wanted = true;
            for at in index.near(finding) {
                let (wish, used) = &mut self.all[at];
                if wish.fits(finding) {
                    (*used, is_wanted) = (true, false);
                }
            }
            is_wanted
        });
    }

    /// What is wrong with the requests of several environments, each told once: one that is needed in any of them is needed.
    pub(super) fn wrong(all: &[Self]) -> Vec<Diagnostic> {
        let place = |wish: &Wish| (wish.id.clone(), wish.origin.clone());
        let wishes = || all.iter().flat_map(|wishes| &wishes.all);
        let needed: BTreeSet<(String, Origin)> =
            wishes().filter(|(_, used)| *used).map(|(wish, _)| place(wish)).collect();
        let mut by_place: BTreeMap<_, &Wish> = BTreeMap::new();
        for (wish, _) in wishes() {
            by_place.entry(place(wish)).or_insert(wish);
        }
        let mut found = Vec::new();
        for ((id, origin), wish) in by_place {
            let unused = (!needed.contains(&(id.clone(), origin.clone()))).then_some("fits nothing");
            let Some(wrong) = wish.wrong.or(unused) else { continue };
            let which = if id.is_empty() { "This suppression".to_owned() } else { format!("The suppression of {id}") };
            let message = format!("{which} {wrong}.");
            found.push(Diagnostic::new(CHECK.severity, CHECK.id, message).at(origin).help(CHECK.remedy));
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
