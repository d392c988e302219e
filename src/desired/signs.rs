//! What an object shows of other tools and of mistakes, whatever its kind: values that nobody replaces, misspelt annotations of ours,
//! ciphertext, directives of patches.

use super::manifest::{File, START};
use super::marks::{self, SUBSTITUTE};
use super::values;
use crate::object::{Diagnostic, ObjectRef, Positions, Severity};
use serde_json::Value;

/// What values begin with that SOPS has encrypted.
pub(super) const CIPHERTEXT: &str = "ENC[AES256_GCM,";
/// The directive of a strategic merge patch: a document with it is no object.
pub(super) const DIRECTIVE: &str = "$patch";

impl File<'_> {
    /// Tells of `${name}` in an object in which no values are replaced.
    pub(super) fn literals(&mut self, value: &Value, positions: &Positions) {
        let Some(object) = ObjectRef::of(value).filter(|object| object.kind != "CustomResourceDefinition") else {
            return;
        };
        let environment = &self.desired.environment;
        for literal in values::literals(value, &environment.values) {
            let values::Literal { pointer, name, value: known } = literal;
            // What stands in a Secret is for nobody to read, unless it is the name of a value.
            if known.is_none() && object.is("", "Secret") {
                continue;
            }
            let message = format!("`${{{name}}}` is applied as it is written: no values are replaced in this object.");
            let annotate = format!("`{SUBSTITUTE}: enabled`");
            let (severity, help) = match known {
                Some(known) if known == name => (
                    Severity::Warning,
                    format!("To use the value of the environment, annotate the object with {annotate}."),
                ),
                Some(known) => {
                    (Severity::Warning, format!("Did you mean `${{{known}}}`, with the annotation {annotate}?"))
                }
                None => (
                    Severity::Note,
                    format!(
                        "If a value of the environment is meant, add it to `values` in spinway.yaml and annotate the object with {annotate}."
                    ),
                ),
            };
            let origin =
                positions.nearest(&pointer).map_or_else(|| self.origin(START), |position| self.origin(position));
            let diagnostic = Diagnostic::new(severity, "value-literal", message).at(origin).about(&object).help(help);
            self.found.diagnostics.push(diagnostic);
        }
    }

    /// Tells of annotations and labels of ours that are misspelt.
    pub(super) fn marks(&mut self, value: &Value, positions: &Positions) {
        for marks::Wrong { pointer, message, help } in marks::wrong(value) {
            let origin =
                positions.nearest(&pointer).map_or_else(|| self.origin(START), |position| self.origin(position));
            let mut diagnostic = Diagnostic::error("object-mark", format!("{message}.")).at(origin).help(help);
            diagnostic.object = ObjectRef::of(value);
            self.found.diagnostics.push(diagnostic);
        }
    }

    /// Where an object shows that SOPS has encrypted it; what SOPS added to it goes.
    pub(super) fn encrypted(&self, value: &mut Value) -> Option<String> {
        let map = value.as_object_mut()?;
        if map.get("sops").is_some_and(|block| block.get("mac").is_some() || block.get("version").is_some()) {
            map.shift_remove("sops");
            return Some("/sops".to_owned());
        }
        if self.is_encrypted { text_beginning(value, CIPHERTEXT, "") } else { None }
    }
}

/// The pointer of the first key of a name.
pub(super) fn key_named(value: &Value, name: &str, pointer: &str) -> Option<String> {
    let below = |key: &str| format!("{pointer}/{}", crate::object::escape(key));
    match value {
        Value::Object(map) if map.contains_key(name) => Some(below(name)),
        Value::Object(map) => map.iter().find_map(|(key, value)| key_named(value, name, &below(key))),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(at, item)| key_named(item, name, &below(&at.to_string())))
        }
        _ => None,
    }
}

/// The pointer of the first text that begins so.
fn text_beginning(value: &Value, start: &str, pointer: &str) -> Option<String> {
    let below = |key: &str| format!("{pointer}/{}", crate::object::escape(key));
    match value {
        Value::String(text) => text.starts_with(start).then(|| pointer.to_owned()),
        Value::Object(map) => map.iter().find_map(|(key, value)| text_beginning(value, start, &below(key))),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(at, item)| text_beginning(item, start, &below(&at.to_string())))
        }
        _ => None,
    }
}
