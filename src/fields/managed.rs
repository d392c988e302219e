//! `metadata.managedFields`: who holds which fields of a live object.

use super::set::{FieldPath, FieldSet};
use crate::object::Untrusted;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Our field manager.
pub const MANAGER: &str = "spinway";

/// How a manager wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Operation {
    /// Server-side apply.
    Apply,
    /// Any other write.
    Update,
}

/// A manager that holds a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Its name.
    pub manager: Untrusted,
    /// How it wrote.
    pub operation: Operation,
    /// The subresource it wrote through, empty for the object itself.
    pub subresource: String,
    /// When, where recorded (RFC 3339).
    pub time: Option<String>,
}

struct Entry {
    holder: Holder,
    api_version: String,
    fields: FieldSet,
}

/// All managers of one live object.
pub struct Managers {
    entries: Vec<Entry>,
}

impl Managers {
    /// Reads them from an object.
    pub fn of(live: &Value) -> Self {
        let rows = live.pointer("/metadata/managedFields").and_then(Value::as_array);
        let entries = rows.into_iter().flatten().map(|row| {
            let text = |field: &str| row.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            let operation = if text("operation") == "Apply" { Operation::Apply } else { Operation::Update };
            Entry {
                holder: Holder {
                    manager: Untrusted::new(text("manager")),
                    operation,
                    subresource: text("subresource"),
                    time: row.get("time").and_then(Value::as_str).map(str::to_owned),
                },
                api_version: text("apiVersion"),
                fields: FieldSet::parse(row.get("fieldsV1").unwrap_or(&Value::Null)),
            }
        });
        Self { entries: entries.collect() }
    }

    fn our_entry(&self) -> Option<&Entry> {
        self.entries.iter().find(|e| is_ours(&e.holder))
    }

    /// The fields that we hold by apply; none when we have no entry (which proves nothing: all may have been taken).
    pub fn ours(&self) -> Option<&FieldSet> {
        self.our_entry().map(|e| &e.fields)
    }

    /// The apiVersion of our entry.
    pub fn our_api_version(&self) -> Option<&str> {
        self.our_entry().map(|e| e.api_version.as_str())
    }

    /// Whether anyone but us holds exactly this path.
    pub fn other_of(&self, path: &FieldPath) -> Option<&Holder> {
        let holding = self
            .entries
            .iter()
            .filter(|e| !is_ours(&e.holder) && e.holder.subresource != "status" && e.fields.contains(path));
        holding.map(|e| &e.holder).max_by(|a, b| a.time.cmp(&b.time))
    }

    /// Everyone but us who holds exactly this path.
    pub fn holders_of(&self, path: &FieldPath) -> Vec<&Holder> {
        let holding = self
            .entries
            .iter()
            .filter(|e| !is_ours(&e.holder) && e.holder.subresource != "status" && e.fields.contains(path));
        holding.map(|e| &e.holder).collect()
    }

    /// Every path that someone else holds, with the latest holder.
    pub fn foreign(&self) -> Vec<(FieldPath, &Holder)> {
        let foreign = self.entries.iter().filter(|e| !is_ours(&e.holder) && e.holder.subresource != "status");
        foreign.flat_map(|e| e.fields.paths().into_iter().map(|path| (path, &e.holder))).collect()
    }

    /// The fieldsets of all entries without their times: what ownership is, for comparison.
    pub fn ownership(&self) -> Vec<(String, Operation, String, String, Value)> {
        let mut rows: Vec<_> = self
            .entries
            .iter()
            .map(|e| {
                (
                    e.holder.manager.raw().to_owned(),
                    e.holder.operation,
                    e.holder.subresource.clone(),
                    e.api_version.clone(),
                    e.fields.to_json(),
                )
            })
            .collect();
        rows.sort_by(|a, b| (&a.0, a.1, &a.2, &a.3).cmp(&(&b.0, b.1, &b.2, &b.3)));
        rows
    }
}

fn is_ours(holder: &Holder) -> bool {
    holder.manager.raw() == MANAGER && holder.operation == Operation::Apply && holder.subresource.is_empty()
}
