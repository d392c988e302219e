//! SPW004.

use super::{Check, Context};
use crate::desired::{Channel, Desired};
use crate::kinds::{is_filled_in, wrong_values};
use crate::live::Live;
use crate::object::{Diagnostic, GroupKind, Object, ObjectRef, Severity, dotted, escape};
use crate::schema::{Installed, Released, Schema, Schemas, Validator, Violation, released, who_has};
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
          SpinKube. Rules in CEL are only known where there is a definition; what built-in kinds demand beyond their schema is \
          known in part, and the rest is verified at apply. Plans hold an object of a custom kind back that its definition refuses, \
          unless spinway.yaml suppresses that.",
    example: "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec:\n  \
              parentRef: [{namespace: infra, name: public}]",
    remedy: "Mend the field: `kubectl explain httproute.spec` says what there is, and for an App `spinway schema App`.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let own = context.desired.schemas();
    let gateway_api = &context.rules.gateway_api;
    let installed = Installed {
        release: gateway_api.release.as_deref(),
        experimental: gateway_api.channel.map(|channel| channel == Channel::Experimental),
    };
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
}

/// What of some environments is verified at apply.
pub fn at_apply(environments: &[Desired], live: Option<&Live>) -> AtApply {
    let mut made = AtApply::default();
    for desired in environments {
        let context = Context::new(desired).beside(live);
        let own = context.desired.schemas();
        for object in context.objects() {
            let kind = object.reference.group_kind();
            let custom = [&own, context.schemas()].iter().any(|schemas| schemas.is_custom(&kind, &object.version));
            if custom || released(&kind, &object.version, Installed::default()).is_some() {
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
    let wrong = match schemas.of(&kind, &object.version) {
        Some(schema) if schemas.is_custom(&kind, &object.version) => validator.violations(&object.value, schema),
        Some(schema) => validator.structure(&object.value, schema),
        None => Vec::new(),
    };
    findings(object, wrong)
}

/// What is wrong with the fields of an object of which there is no definition, by the tables of releases.
fn by_table<'a>(object: &Object, installed: Installed<'_>, validator: &mut Validator<'a>) -> Vec<Diagnostic> {
    match released(&object.reference.group_kind(), &object.version, installed) {
        Some(Released::Schema(schema)) => {
            let mut found = findings(object, validator.violations(&object.value, schema));
            if installed.experimental.is_none() {
                found.extend(experimental(object, installed));
            }
            found
        }
        Some(Released::Elsewhere) => {
            // Which release is installed is not known where nobody says it.
            let severity = if installed.release.is_some() { CHECK.severity } else { Severity::Warning };
            vec![Diagnostic { severity, ..not_released(object) }]
        }
        None => findings(object, Vec::new()),
    }
}

fn not_released(object: &Object) -> Diagnostic {
    let kind = object.reference.group_kind();
    let who = who_has(&kind, &object.version, "").unwrap_or_else(|| "another version of it".to_owned());
    let message = format!("{} {} is not in this release of Gateway API.", object.api_version(), kind.kind);
    let help = format!("{who} has it. `gatewayApi` in spinway.yaml says which release and channel are installed.");
    Diagnostic::new(CHECK.severity, CHECK.id, message)
        .at(object.origin_of("/apiVersion"))
        .about(&object.reference)
        .help(help)
}

/// Fields that only the experimental channel has: whether they are there depends on the definition that is installed.
fn experimental(object: &Object, installed: Installed<'_>) -> Vec<Diagnostic> {
    let schema = |experimental: bool| {
        let installed = Installed { experimental: Some(experimental), ..installed };
        match released(&object.reference.group_kind(), &object.version, installed) {
            Some(Released::Schema(schema)) => Some(schema),
            _ => None,
        }
    };
    let mut pointers = Vec::new();
    match (schema(false), schema(true)) {
        (Some(standard), Some(all)) => beyond(&object.value, standard, all, "", &mut pointers),
        (None, Some(_)) => pointers.push("/kind".to_owned()),
        _ => {}
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
