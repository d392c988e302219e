//! SPW004.

use super::{Check, Context};
use crate::desired::Desired;
use crate::kinds::{broken_rules, is_filled_in, wrong_values};
use crate::live::Live;
use crate::object::{Diagnostic, GroupKind, Object, ObjectRef, Severity, dotted, escape};
use crate::schema::{
    Edition, Installed, Schema, Schemas, Validator, Violation, has_editions, is_released, released, who_has,
    with_defaults,
};
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};

pub(super) const CHECK: Check = Check {
    id: "SPW004",
    name: "fields",
    severity: Severity::Error,
    guards: false,
    what: "A field that its kind does not have, or a value that it refuses.",
    why: "The API server would refuse the object, at the time when it is applied. It is told by the schema and the rules (CEL) of \
          the definition in the repository, the snapshot or the cluster, else by built-in tables of Kubernetes, Gateway API and \
          SpinKube, which have the rules of Gateway API 1.5 to 1.7 too (`gatewayApi` in spinway.yaml says which release and channel \
          are installed). What is not in them is verified at apply: to have all of it checked before, keep the definitions of Gateway \
          API in the repository or use `--snapshot`. What built-in kinds require beyond their schema is known in part. Plans hold an object of a custom kind back that its definition refuses, \
          unless spinway.yaml suppresses that.",
    example: "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec:\n  \
              parentRef: [{namespace: infra, name: public}]",
    remedy: "Mend the field: `kubectl explain httproute.spec` says what there is, and for an App `spinway schema App`.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let own = context.desired.schemas();
    let installed = context.rules.gateway_api.installed();
    let mut validator = Validator::default();
    let mut found = Vec::new();
    for object in context.objects() {
        let is_own = own.is_custom(&object.reference.group_kind(), &object.version);
        let schemas = if is_own { &own } else { context.schemas() };
        if schemas.of(&object.reference.group_kind(), &object.version).is_some() {
            found.extend(wrong_fields(object, schemas, &mut validator));
        } else {
            found.extend(by_table(object, installed, &mut validator));
        }
    }
    found
}

/// What checks cannot know of the fields of objects: the API server says it at the apply.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AtApply {
    /// Objects of Kubernetes' own kinds, of which more than their schema is demanded.
    pub built_in: BTreeSet<ObjectRef>,
    /// Kinds of which there is no definition.
    pub undefined: BTreeSet<GroupKind>,
    /// Kinds of Gateway API that were judged by tables, since there is no definition.
    pub by_table: BTreeSet<GroupKind>,
}

/// What of some environments is verified at apply.
pub fn at_apply(environments: &[Desired], live: Option<&Live>) -> AtApply {
    let mut made = AtApply::default();
    for desired in environments {
        let context = Context::new(desired).beside(live);
        let own = context.desired.schemas();
        let installed = context.rules.gateway_api.installed();
        for object in context.objects() {
            let kind = object.reference.group_kind();
            let custom = [&own, context.schemas()].iter().any(|schemas| schemas.is_custom(&kind, &object.version));
            if custom {
                continue;
            }
            if has_editions(&kind) && !installed.editions().is_empty() {
                made.by_table.insert(kind);
                continue;
            }
            if is_released(&kind) && !has_editions(&kind) {
                continue;
            }
            match context.schemas().of(&kind, &object.version) {
                Some(_) => drop(made.built_in.insert(object.reference.clone())),
                None => drop(made.undefined.insert(kind)),
            }
        }
    }
    made
}

/// What is wrong with the fields of an object: by its schema, where one is known, and by its kind.
pub fn wrong_fields<'a>(object: &Object, schemas: &'a Schemas, validator: &mut Validator<'a>) -> Vec<Diagnostic> {
    let kind = object.reference.group_kind();
    if let Some(installed) = schemas.assumed_for(&kind, &object.version) {
        return by_table(object, installed, validator);
    }
    let wrong = match schemas.of(&kind, &object.version) {
        Some(schema) if schemas.is_custom(&kind, &object.version) => validator.violations(&object.value, schema),
        Some(schema) => validator.structure(&object.value, schema),
        None => Vec::new(),
    };
    findings(object, wrong)
}

/// What is wrong with the fields of an object of which there is no definition, by the tables of releases. What may be installed
/// and accepts it makes that a warning.
fn by_table<'a>(object: &Object, installed: Installed, validator: &mut Validator<'a>) -> Vec<Diagnostic> {
    let kind = object.reference.group_kind();
    let editions = if has_editions(&kind) { installed.editions() } else { Installed::default().editions() };
    let mut judged: Vec<(Edition, Vec<Violation>)> =
        editions.iter().filter_map(|edition| Some((*edition, violations(object, *edition, validator)?))).collect();
    let Some((_, mut wrong)) = judged.pop() else { return findings(object, Vec::new()) };
    let narrower = judged.pop();
    if wrong.is_empty() {
        // The standard channel may be installed: its rules count, its fields are looked at below.
        wrong.extend(narrower.into_iter().flat_map(|(edition, wrong)| {
            let known = wrong.into_iter().filter(|violation| violation.help.is_some());
            known.map(move |violation| unsure(violation, &format!("{edition} refuses it.")))
        }));
    } else if let Some(edition) = accepting(object, installed, narrower.as_ref(), validator) {
        let wrong_here = std::mem::take(&mut wrong).into_iter();
        wrong.extend(wrong_here.map(|violation| unsure(violation, &format!("{edition} accepts it."))));
    }
    let mut found = findings(object, wrong);
    if installed.experimental.is_none() {
        found.extend(experimental(object, &editions));
    }
    found
}

/// What an edition refuses of an object; none where it does not have the kind in this version.
fn violations(object: &Object, edition: Edition, validator: &mut Validator<'_>) -> Option<Vec<Violation>> {
    let kind = object.reference.group_kind();
    let schema = released(&kind, &object.version, edition)?;
    let mut wrong = validator.violations(&object.value, schema);
    let broken = broken_rules(&kind, &object.version, &with_defaults(&object.value, schema), edition);
    let said: HashSet<String> = wrong.iter().map(|violation| violation.pointer.clone()).collect();
    wrong.extend(broken.into_iter().filter(|violation| !said.contains(&violation.pointer)));
    Some(wrong)
}

/// An edition that may be installed and accepts an object which the newest one refuses.
fn accepting(
    object: &Object,
    installed: Installed,
    narrower: Option<&(Edition, Vec<Violation>)>,
    validator: &mut Validator<'_>,
) -> Option<Edition> {
    if let Some((edition, _)) = narrower.filter(|(_, wrong)| wrong.is_empty()) {
        return Some(*edition);
    }
    if !has_editions(&object.reference.group_kind()) {
        return None;
    }
    let older = installed.possible().into_iter().filter(|edition| !installed.editions().contains(edition));
    older.rev().find(|edition| violations(object, *edition, validator).is_some_and(|wrong| wrong.is_empty()))
}

/// A violation that depends on what is installed.
fn unsure(violation: Violation, why: &str) -> Violation {
    let said = violation.help.as_ref().map(|help| format!("{help} ")).unwrap_or_default();
    let help = format!("{said}{why} `gatewayApi` in spinway.yaml says which release and channel are installed.");
    Violation { sure: false, help: Some(help), ..violation }
}

/// Fields that only the experimental channel has: whether they are there depends on the definition that is installed.
fn experimental(object: &Object, editions: &[Edition]) -> Vec<Diagnostic> {
    let schema = |experimental: bool| {
        let edition = editions.iter().find(|edition| edition.experimental == experimental)?;
        released(&object.reference.group_kind(), &object.version, *edition)
    };
    let mut pointers = Vec::new();
    // Versions that only one of them has are for another check.
    if let (Some(standard), Some(all)) = (schema(false), schema(true)) {
        beyond(&object.value, standard, all, "", &mut pointers);
    }
    let finding = |pointer: &String| {
        let message = format!("{}: of the experimental channel of Gateway API", dotted(pointer));
        let help = "The API server refuses it where the standard channel is installed. `gatewayApi: {channel: experimental}` in \
                    spinway.yaml says that it is not.";
        let finding = Diagnostic::new(Severity::Warning, CHECK.id, message).at(object.origin_of(pointer));
        finding.about(&object.reference).help(help)
    };
    pointers.iter().map(finding).collect()
}

/// Gathers the pointers of fields that one schema has and another has not.
fn beyond(value: &Value, without: Schema<'_>, with: Schema<'_>, pointer: &str, found: &mut Vec<String>) {
    for (name, child) in value.as_object().into_iter().flatten() {
        let below = format!("{pointer}/{}", escape(name));
        match (without.property(name), with.property(name)) {
            (Some(without), Some(with)) => beyond(child, without, with, &below, found),
            (None, Some(_)) => found.push(below),
            _ => {}
        }
    }
    if let (Some(without), Some(with)) = (without.items(), with.items()) {
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            beyond(item, without, with, &format!("{pointer}/{index}"), found);
        }
    }
}

/// Findings of what is wrong by the schema, and of what is wrong whatever the schema says.
fn findings(object: &Object, mut wrong: Vec<Violation>) -> Vec<Diagnostic> {
    // An admission webhook fills in what is missing before the schema is applied.
    let kind = object.reference.group_kind();
    wrong.retain(|found| object.value.pointer(&found.pointer).is_some() || !is_filled_in(&kind, &found.pointer));
    let values = wrong_values(&object.reference, &object.value);
    let pointers = |all: &[Violation]| all.iter().map(|violation| violation.pointer.clone()).collect::<HashSet<_>>();
    // Of what both say the surer is said.
    let said = pointers(&values);
    wrong.retain(|violation| violation.sure || !said.contains(&violation.pointer));
    let said = pointers(&wrong);
    wrong.extend(values.into_iter().filter(|value| !said.contains(&value.pointer)));
    // The sure ones first: they are what keeps the object from being applied.
    wrong.sort_by_key(|violation| !violation.sure);
    wrong.iter().take(MOST_TOLD).map(|violation| finding(object, violation)).collect()
}

/// So many findings of one object are told: whoever mends them sees the next.
const MOST_TOLD: usize = 100;

fn finding(object: &Object, violation: &Violation) -> Diagnostic {
    let field = dotted(&violation.pointer);
    // The values of a Secret are for nobody to read.
    let secret = object.reference.is("", "Secret") && !violation.unknown;
    let message = if secret { "wrong type or value" } else { &violation.message };
    let severity = if violation.sure { CHECK.severity } else { Severity::Warning };
    Diagnostic::new(severity, CHECK.id, format!("{field}: {message}"))
        .at(object.origin_of(&violation.pointer))
        .about(&object.reference)
        .help(help(object, violation))
}

fn help(object: &Object, violation: &Violation) -> String {
    let kind = object.reference.kind.to_lowercase();
    let explain = |pointer: &str| {
        let steps = pointer.split('/').skip(1).filter(|step| !step.bytes().all(|b| b.is_ascii_digit()));
        std::iter::once(kind.as_str()).chain(steps).collect::<Vec<_>>().join(".")
    };
    if let Some(help) = &violation.help {
        return help.clone();
    }
    if !violation.unknown {
        return format!("`kubectl explain {}` says what it takes.", explain(&violation.pointer));
    }
    if let Some(who) = who_has(&object.reference.group_kind(), &object.version, &violation.pointer) {
        return format!("The definition at hand does not have it; {who} has.");
    }
    let parent = violation.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    let meant = violation.meant.as_ref().map(|meant| format!("`{meant}` may be meant. ")).unwrap_or_default();
    format!("{meant}`kubectl explain {}` lists the fields.", explain(parent))
}
