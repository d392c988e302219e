//! Labels and annotations of any object.

use super::fact::{wrong_key, wrong_label_value};
use crate::object::escape;
use crate::schema::Violation;
use serde_json::Value;

/// Holds labels and the keys of annotations against what they may be.
pub(super) fn check(value: &Value, found: &mut Vec<Violation>) {
    for field in ["labels", "annotations"] {
        let entries = value.pointer(&format!("/metadata/{field}")).and_then(Value::as_object);
        for (key, value) in entries.into_iter().flatten() {
            let of_value = value.as_str().filter(|_| field == "labels").and_then(wrong_label_value);
            // The prefix of an annotation may have capitals.
            let of_key = wrong_key(&if field == "annotations" { key.to_lowercase() } else { key.clone() });
            let pointer = format!("/metadata/{field}/{}", escape(key));
            if let Some(wrong) =
                of_key.map(|wrong| format!("\"{key}\": {wrong}")).or(of_value.map(|wrong| format!("{value}: {wrong}")))
            {
                found.push(Violation::new(pointer, format!("Invalid value: {wrong}")));
            }
        }
    }
}
