//! SPW004.

use super::{Check, Context};
use crate::kinds::wrong_values;
use crate::object::{Diagnostic, Object, Severity, dotted};
use crate::schema::{Schema, Schemas, Validator, Violation, released};

pub(super) const CHECK: Check = Check {
    id: "SPW004",
    name: "fields",
    severity: Severity::Error,
    guards: false,
    what: "A field that its kind does not have, or a value that it refuses.",
    why: "The API server would refuse the object, at the time when it is applied. It is told by the schema and the rules (CEL) of \
          the definition in the repository, the snapshot or the cluster, else by built-in tables of Kubernetes, Gateway API and \
          SpinKube. Rules in CEL are only known where there is a definition; what built-in kinds demand beyond their schema is \
          known in part, and the rest is verified at apply.",
    example: "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec:\n  \
              parentRef: [{namespace: infra, name: public}]",
    remedy: "Mend the field: `kubectl explain httproute.spec` says what there is, and for an App `spinway schema App`.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let own = Schemas::with_crds(context.objects().map(|object| &object.value));
    let mut validator = Validator::default();
    let mut found = Vec::new();
    for object in context.objects() {
        let is_own = own.is_custom(&object.reference.group_kind(), &object.version);
        let schemas = if is_own { &own } else { context.schemas };
        found.extend(wrong_fields(object, schemas, &mut validator));
    }
    found
}

/// What is wrong with the fields of an object: by its schema, where one is known, and by its kind.
pub fn wrong_fields<'a>(object: &Object, schemas: &'a Schemas, validator: &mut Validator<'a>) -> Vec<Diagnostic> {
    let kind = object.reference.group_kind();
    let schema = schemas.of(&kind, &object.version);
    let table = released(&kind, &object.version);
    let mut wrong = match (schema, table) {
        (Some(schema), _) if schemas.is_custom(&kind, &object.version) => validator.violations(&object.value, schema),
        (Some(schema), _) => validator.structure(&object.value, schema),
        (None, Some(table)) => validator.violations(&object.value, table),
        (None, None) => Vec::new(),
    };
    let values = wrong_values(&object.reference, &object.value);
    let says = |all: &[Violation], pointer: &str| all.iter().any(|violation| violation.pointer == pointer);
    // Of what both say the surer is said.
    wrong.retain(|violation| violation.sure || !says(&values, &violation.pointer));
    let new: Vec<Violation> = values.into_iter().filter(|value| !says(&wrong, &value.pointer)).collect();
    wrong.extend(new);
    wrong.iter().map(|violation| finding(object, violation, table)).collect()
}

fn finding(object: &Object, violation: &Violation, newest: Option<Schema<'_>>) -> Diagnostic {
    let field = dotted(&violation.pointer);
    // The values of a Secret are for nobody to read.
    let secret = object.reference.is("", "Secret") && !violation.unknown;
    let message = if secret { "wrong type or value" } else { &violation.message };
    let severity = if violation.sure { CHECK.severity } else { Severity::Warning };
    Diagnostic::new(severity, CHECK.id, format!("{field}: {message}"))
        .at(object.origin_of(&violation.pointer))
        .about(&object.reference)
        .help(help(object, violation, newest))
}

fn help(object: &Object, violation: &Violation, newest: Option<Schema<'_>>) -> String {
    let kind = object.reference.kind.to_lowercase();
    let plain = |pointer: &str| {
        let steps = pointer.split('/').skip(1).filter(|step| !step.bytes().all(|b| b.is_ascii_digit()));
        std::iter::once(kind.as_str()).chain(steps).collect::<Vec<_>>().join(".")
    };
    let parent = violation.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    if violation.unknown {
        if newest.is_some_and(|newest| newest.at(&violation.pointer).is_some()) {
            return "The definition at hand does not have it: it is of the experimental channel of Gateway API, or of a \
                    newer release."
                .to_owned();
        }
        return match &violation.meant {
            Some(meant) => format!("`{meant}` may be meant. `kubectl explain {}` lists the fields.", plain(parent)),
            None => format!("`kubectl explain {}` lists the fields.", plain(parent)),
        };
    }
    format!("`kubectl explain {}` says what it takes.", plain(&violation.pointer))
}
