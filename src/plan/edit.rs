//! Small edits of JSON at field paths.

use crate::fields::{Declared, Element, FieldPath, pointer_of, value_at};
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

/// Puts a value at a path, or takes it away with none; false when there is nothing that it could be a field of.
pub(super) fn put_at(value: &mut Value, path: &FieldPath, new: Option<&Value>) -> bool {
    let Some(new) = new else { return remove(value, path) };
    if set(value, path, new) {
        return true;
    }
    let Some((last, parent)) = path.0.split_last() else { return false };
    let pointer = pointer_of(value, &FieldPath(parent.to_vec()));
    match (value.pointer_mut(&pointer), last.name()) {
        (Some(Value::Object(map)), Some(name)) => {
            map.insert(name.to_owned(), new.clone());
            true
        }
        _ => false,
    }
}

/// Brings the items of a keyed list into the order that they have in another value; false when there is no such list.
pub(super) fn order_as(value: &mut Value, path: &FieldPath, other: &Value, declared: &Declared<'_>) -> bool {
    let Some((_, elements)) = declared.lists.iter().find(|(list, _)| list == path) else { return false };
    let position = |element: &Element| {
        let pointer = pointer_of(other, &path.join(element.clone()));
        pointer.rsplit('/').next().and_then(|index| index.parse().ok()).unwrap_or(usize::MAX)
    };
    let places: Vec<usize> = elements.iter().map(position).collect();
    let pointer = pointer_of(value, path);
    let Some(Value::Array(items)) = value.pointer_mut(&pointer) else { return false };
    if items.len() != places.len() {
        return false;
    }
    let mut placed: Vec<(usize, Value)> = places.into_iter().zip(items.drain(..)).collect();
    placed.sort_by_key(|(place, _)| *place);
    items.extend(placed.into_iter().map(|(_, item)| item));
    true
}
