//! The rules of a definition in CEL (`x-kubernetes-validations`), evaluated as the API server does on a create.

use super::{Schema, Violation};
use kube_cel::{CompiledSchema, ErrorKind, ValidationError, compile_schema};
use serde_json::Value;
use std::collections::HashMap;

/// The rules of the definitions that were asked for, each compiled once.
///
/// They are kept by the address of their schema: a set of rules must not outlive the [`Schemas`](super::Schemas) that it is
/// used with, which the lifetime says.
#[derive(Default)]
pub(super) struct Rules<'a> {
    engine: Option<kube_cel::Validator>,
    compiled: HashMap<*const serde_json::Map<String, Value>, Option<CompiledSchema>>,
    schemas: std::marker::PhantomData<Schema<'a>>,
}

impl<'a> Rules<'a> {
    /// What the rules of a schema say of a value whose structure is right.
    ///
    /// A rule that cannot be evaluated here is the server's to judge. `oldSelf` is not known, so rules about changes are left
    /// to the server too.
    pub(super) fn broken(&mut self, value: &Value, schema: Schema<'a>) -> Vec<Violation> {
        let key: *const serde_json::Map<String, Value> = schema.node;
        let compiled = self
            .compiled
            .entry(key)
            .or_insert_with(|| has_rules(schema.node).then(|| compile_schema(&Value::Object(schema.node.clone()))));
        let Some(compiled) = compiled else { return Vec::new() };
        let engine = self.engine.get_or_insert_with(kube_cel::Validator::new);
        match engine.validate_compiled(compiled, value, None) {
            Ok(()) => Vec::new(),
            Err(errors) => errors.iter().filter_map(violation).collect(),
        }
    }
}

fn violation(error: &ValidationError) -> Option<Violation> {
    let (kind, reason) = (&error.kind, error.reason.as_deref());
    // Whatever else fails is no answer: an evaluation that ends in an error is a refusal, there as here.
    if !matches!(kind, ErrorKind::ValidationFailure | ErrorKind::EvaluationError) {
        return None;
    }
    let message = match reason {
        Some("FieldValueRequired") => format!("Required value: {}", error.message),
        Some("FieldValueForbidden") => format!("Forbidden: {}", error.message),
        Some("FieldValueDuplicate") => format!("Duplicate value: {}", error.message),
        _ => format!("Invalid value: {}", error.message),
    };
    Some(Violation::new(pointer(&error.field_path), message))
}

/// The JSON pointer of a path such as `spec.rules[0].name`.
fn pointer(path: &str) -> String {
    let mut made = String::new();
    for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
        made.push('/');
        made.push_str(&crate::object::escape(step.trim_end_matches(']').trim_matches(['\'', '"'])));
    }
    made
}

/// Whether a rule stands at or below a node.
fn has_rules(node: &serde_json::Map<String, Value>) -> bool {
    node.contains_key("x-kubernetes-validations")
        || node.values().any(|child| match child {
            Value::Object(map) => has_rules(map),
            Value::Array(items) => items.iter().filter_map(Value::as_object).any(has_rules),
            _ => false,
        })
}
