//! An object as YAML, with the place of each field beside it.

use crate::object::{Object, Untrusted, escape, seen, unobeyed};
use serde_json::Value;

/// The column at which places stand, where the text leaves room.
const COLUMN: usize = 56;

/// An object as YAML; each line that holds a value says where that was written. `shown` is its value as it may be seen.
pub fn explained(object: &Object, shown: &Value) -> String {
    let mut text = Text { object, lines: vec!["---".to_owned()] };
    text.entries(shown, "", 0, None);
    let text: String = text.lines.iter().map(|line| format!("{line}\n")).collect();
    unobeyed(&text)
}

struct Text<'a> {
    object: &'a Object,
    lines: Vec<String>,
}

impl Text<'_> {
    fn line(&mut self, text: &str, pointer: &str) {
        let place = Untrusted::new(self.object.origin_of(pointer).to_string()).terminal();
        self.lines.push(format!("{text:<COLUMN$} # {place}"));
    }

    /// The entries of a map or items of a list; `lead` begins the first line in place of its indentation.
    fn entries(&mut self, value: &Value, pointer: &str, indent: usize, lead: Option<String>) {
        let mut lead = lead;
        let mut start = || lead.take().unwrap_or_else(|| " ".repeat(indent));
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    let begin = format!("{}{}:", start(), scalar(&Value::String(key.clone())));
                    let pointer = format!("{pointer}/{}", escape(key));
                    let deeper = if value.is_array() { indent } else { indent + 2 };
                    self.node(value, &pointer, begin, deeper);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    let pointer = format!("{pointer}/{index}");
                    let begin = format!("{}-", start());
                    if is_filled(value) {
                        self.entries(value, &pointer, indent + 2, Some(format!("{begin} ")));
                    } else {
                        self.node(value, &pointer, begin, indent + 2);
                    }
                }
            }
            _ => {}
        }
    }

    fn node(&mut self, value: &Value, pointer: &str, begin: String, indent: usize) {
        if is_filled(value) {
            self.lines.push(begin);
            self.entries(value, pointer, indent, None);
        } else {
            self.line(&format!("{begin} {}", scalar(value)), pointer);
        }
    }
}

fn is_filled(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => false,
    }
}

/// A value on one line. JSON is YAML, so what is not plain in every reader is written as JSON.
fn scalar(value: &Value) -> String {
    let plain = |text: &str| {
        let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '/');
        let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
        first
            && !words.contains(&text.to_ascii_lowercase().as_str())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._/@:".contains(c))
            && !text.ends_with(':')
    };
    match value {
        Value::String(text) if plain(text) => text.clone(),
        other => seen(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::yaml;
    use crate::object::{ObjectRef, Origin, Position};
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn each_value_says_its_place_and_the_text_is_the_object() {
        let file: Arc<str> = Arc::from("a.yaml");
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata:\n  a: \"yes\"\n  b: |\n    x\n    y\nlists: [[1, {c: 2}], [], {}]\n";
        let (mut documents, _) = yaml::read(&file, text);
        let document = documents.remove(0);
        let object = Object {
            reference: ObjectRef::new("", "ConfigMap", "", "m"),
            version: "v1".to_owned(),
            value: document.value.clone(),
            origin: Origin { file: Arc::clone(&file), position: Position { line: 1, column: 1 } },
            positions: Arc::new(document.positions),
        };
        let shown = explained(&object, &document.value);
        let (again, _) = yaml::read(&file, &shown);
        assert_eq!(again[0].value, document.value, "{shown}");
        assert_eq!(again[0].value["lists"], json!([[1, {"c": 2}], [], {}]));
        assert!(shown.contains("  a: \"yes\"") && shown.contains("# a.yaml:5:3"), "{shown}");
    }
}
