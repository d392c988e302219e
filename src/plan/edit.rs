//! Small edits of JSON at field paths.

use crate::fields::{FieldPath, pointer_of, value_at};
use serde_json::Value;

/// Removes the value at a path; false when there was none.
pub(super) fn remove(value: &mut Value, path: &FieldPath) -> bool {
    if value_at(value, path).is_none() {
        return false;
    }
    let pointer = pointer_of(value, path);
    let Some((parent, last)) = pointer.rsplit_once('/') else { return false };
    match value.pointer_mut(parent) {
        Some(Value::Object(map)) => map.shift_remove(&last.replace("~1", "/").replace("~0", "~")).is_some(),
        Some(Value::Array(items)) => match last.parse::<usize>() {
            Ok(index) if index < items.len() => {
                items.remove(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

/// Replaces the value at a path; false when there was none.
pub(super) fn set(value: &mut Value, path: &FieldPath, new: &Value) -> bool {
    if value_at(value, path).is_none() {
        return false;
    }
    let pointer = pointer_of(value, path);
    match value.pointer_mut(&pointer) {
        Some(slot) => {
            slot.clone_from(new);
            true
        }
        None => false,
    }
}
