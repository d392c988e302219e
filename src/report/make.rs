//! Making a report: the only place where values of objects become text for others, so secrets are masked here.

use super::{FactRow, FieldRow, Finding, HealthRow, Name, Place, Refused, Report, Row, SCHEMA, sentence};
use crate::check::KnownFindings;
use crate::desired::Desired;
use crate::fields::FieldPath;
use crate::inventory::{PART_OF, Parent};
use crate::kinds::{self, Health, Verdict, facts};
use crate::live::{Live, MASK, Observed, is_masked};
use crate::object::{Diagnostic, GroupKind, ObjectRef, Origin, Untrusted, label};
use crate::plan::{Action, Cause, Change, FieldChange, OwnDrift, Plan, Reason};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Numbers secret values, so that a reader sees which are equal and which are not.
#[derive(Default)]
struct Masker {
    numbers: BTreeMap<String, usize>,
}

impl Masker {
    fn value(&mut self, kind: &GroupKind, path: &FieldPath, value: &Value, public: &dyn Fn(&str) -> bool) -> Value {
        match value {
            // Below a masked path structure may be shown; scalars may not.
            Value::Object(map) => Value::Object(
                map.iter().map(|(k, v)| (k.clone(), self.value(kind, &path.field(k), v, public))).collect(),
            ),
            Value::Array(items) => Value::Array(
                items.iter().enumerate().map(|(i, v)| self.value(kind, &path.index(i), v, public)).collect(),
            ),
            scalar if is_masked(kind, path) => match scalar.as_str() {
                Some(MASK) => json!("(secret)"),
                Some(text) if kind.kind == "SpinApp" && public(text) => scalar.clone(),
                _ if scalar.is_null() => Value::Null,
                _ => {
                    let next = self.numbers.len() + 1;
                    let number = *self.numbers.entry(scalar.to_string()).or_insert(next);
                    json!(format!("(secret {number})"))
                }
            },
            other => other.clone(),
        }
    }
}

/// A value with its secrets masked; `public` says which literal values are in Git and so no secret.
pub fn mask_value(object: &ObjectRef, value: &Value, public: &dyn Fn(&str) -> bool) -> Value {
    Masker::default().value(&object.group_kind(), &FieldPath::default(), value, public)
}

/// The report of checks.
pub fn from_check(found: &[Diagnostic]) -> Report {
    let diagnostics = found.iter().map(finding).collect();
    Report { schema: SCHEMA.into(), verb: "check".into(), diagnostics, ..Report::default() }
}

/// The report of a plan; its health is [`health_rows`], for those who ask.
pub fn from_plan(verb: &'static str, plan: &Plan, desired: &Desired) -> Report {
    let mut masker = Masker::default();
    let public = literals(desired);
    let mut rows: Vec<Row> =
        plan.changes.iter().map(|change| row(change, &mut masker, &|text| public.contains(text))).collect();
    for step in &plan.steps {
        rows[step.change].steps.push(step.kind);
    }
    Report {
        schema: SCHEMA.into(),
        verb: verb.into(),
        environment: plan.environment.clone(),
        digest: plan.digest.clone(),
        snapshot: plan.snapshot.clone(),
        destruction: plan.destruction.clone(),
        approved: plan.approved,
        refused: plan.refused.as_ref().map(|r| Refused { message: r.message.clone(), help: r.help.into() }),
        summary: plan.summary(),
        changes: rows,
        diagnostics: plan.diagnostics.iter().map(finding).collect(),
        ..Report::default()
    }
}

/// The literal values of SpinApps in the repository.
fn literals(desired: &Desired) -> std::collections::BTreeSet<String> {
    let apps = desired.objects.iter().filter(|(r, _)| r.is(kinds::SPIN, "SpinApp"));
    let values = apps.flat_map(|(_, m)| kinds::each(&m.object.value, "spec.variables[].value"));
    values.filter_map(|(_, v)| v.as_str().map(str::to_owned)).collect()
}

/// Says of each finding of a plan whether the revision that it is compared with has it too.
pub fn mark_known(report: &mut Report, plan: &Plan, known: &KnownFindings) {
    let known = known.among(&plan.diagnostics);
    report.diagnostics.iter_mut().zip(known).for_each(|(finding, known)| finding.known = known);
}

/// Leaves only what drifted: the fields of that cause, and objects that are gone.
pub fn drift_only(report: &mut Report) {
    report.changes.retain_mut(|row| {
        row.fields.retain(|field| field.cause == Cause::Drift);
        row.fields.append(&mut row.left);
        row.fields.retain(|field| field.cause != Cause::Pending);
        if row.vanished && row.intended == Action::Create {
            row.fields = vec![missing()];
        }
        !row.fields.is_empty()
    });
    report.summary = Action::ALL
        .iter()
        .map(|action| (*action, report.changes.iter().filter(|row| row.action == *action).count()))
        .collect();
    report.digest.clear();
}

/// What is said of an object that is gone.
fn missing() -> FieldRow {
    FieldRow {
        path: Untrusted::default(),
        before: None,
        after: None,
        cause: Cause::Missing,
        manager: None,
        operation: None,
        time: None,
    }
}

/// The report of drift that live objects tell by themselves, without the repository.
pub fn from_drift(environment: &str, found: &[OwnDrift]) -> Report {
    let mut masker = Masker::default();
    let rows = found.iter().map(|OwnDrift { object, partition, fields, removed, gone, .. }| {
        let mut because = Vec::new();
        if *removed > 0 {
            because.push(sentence::removed(*removed));
        }
        let mut fields: Vec<FieldRow> = fields.iter().map(|f| field_row(object, f, &mut masker, &|_| false)).collect();
        if *gone {
            because.push(Untrusted::new("Someone deleted it, or it is no longer part of the inventory."));
            fields.push(missing());
        }
        Row {
            fields,
            object: name(object, ""),
            partition: partition.clone(),
            facts: Vec::new(),
            left: Vec::new(),
            action: Action::Update,
            intended: Action::Update,
            origin: None,
            steps: Vec::new(),
            breaks: None,
            irreversible: None,
            because,
            removed: *removed,
            vanished: *gone,
            needs: Vec::new(),
            result: None,
        }
    });
    Report {
        schema: SCHEMA.into(),
        verb: "drift".into(),
        environment: environment.to_owned(),
        changes: rows.collect(),
        ..Report::default()
    }
}

/// The health of every desired object.
pub fn health_rows(desired: &Desired, live: &Live) -> Vec<HealthRow> {
    let observed = Observed::new(desired, live);
    desired
        .objects
        .iter()
        .map(|(reference, member)| health_row(reference, &member.object.version, observed.health(reference)))
        .collect()
}

/// The health of live objects that an inventory owns, and of those that it remembers and that are gone.
pub fn owned_health(live: &Live, parents: &[Parent]) -> Vec<HealthRow> {
    let nothing = Desired::default();
    let observed = Observed::new(&nothing, live);
    let ids: Vec<&str> = parents.iter().map(|p| p.id.as_str()).collect();
    let owned = live.objects().filter(|(_, value)| label(value, PART_OF).is_some_and(|id| ids.contains(&id)));
    let mut rows: Vec<HealthRow> =
        owned.map(|(reference, _)| health_row(reference, "", observed.health(reference))).collect();
    for reference in parents.iter().flat_map(|p| p.state.references()).filter(|r| live.get(r).is_none()) {
        rows.push(health_row(
            &reference,
            "",
            Health::new(Verdict::Missing, "Missing", "It was there after the last apply."),
        ));
    }
    rows.sort_by(|a, b| a.object.cmp(&b.object));
    rows
}

fn health_row(object: &ObjectRef, version: &str, health: Health) -> HealthRow {
    HealthRow {
        object: name(object, version),
        verdict: health.verdict,
        reason: health.reason,
        message: health.message,
        warning: health.warning,
    }
}

/// An object as reports name it.
pub(super) fn name(object: &ObjectRef, version: &str) -> Name {
    Name {
        group: object.group.clone(),
        version: version.to_owned(),
        kind: object.kind.clone(),
        namespace: object.namespace.clone(),
        name: Untrusted::new(object.name.clone()),
    }
}

fn row(change: &Change, masker: &mut Masker, public: &dyn Fn(&str) -> bool) -> Row {
    Row {
        object: name(&change.object, &change.version),
        partition: change.partition.clone(),
        action: change.action,
        intended: change.intended,
        origin: change.origin.as_ref().map(place),
        steps: Vec::new(),
        fields: change.fields.iter().map(|f| field_row(&change.object, f, masker, public)).collect(),
        facts: fact_rows(change),
        left: change.left.iter().map(|f| field_row(&change.object, f, masker, public)).collect(),
        because: change.because.iter().map(sentence::reason).collect(),
        removed: 0,
        vanished: change.because.contains(&Reason::Vanished),
        breaks: change.breaks.as_ref().map(sentence::broken),
        irreversible: change.irreversible().map(Untrusted::new),
        needs: change.needs.iter().map(|n| name(n, "")).collect(),
        result: None,
    }
}

/// What an object serves and runs that is made, or made anew.
fn fact_rows(change: &Change) -> Vec<FactRow> {
    let is_made = matches!(change.intended, Action::Create | Action::Replace);
    let mut rows: Vec<FactRow> = Vec::new();
    for (fact, value) in change.body.iter().filter(|_| is_made).flat_map(|body| facts(&change.object, body)) {
        let value = Untrusted::new(value);
        match rows.iter_mut().find(|row| row.what == fact) {
            Some(row) => row.values.push(value),
            None => rows.push(FactRow { what: fact, values: vec![value] }),
        }
    }
    rows
}

fn field_row(object: &ObjectRef, field: &FieldChange, masker: &mut Masker, public: &dyn Fn(&str) -> bool) -> FieldRow {
    let kind = object.group_kind();
    let mut mask = |value: &Option<Value>| value.as_ref().map(|v| masker.value(&kind, &field.path, v, public));
    let holder = field.holder.as_ref();
    FieldRow {
        path: Untrusted::new(field.path.to_string()),
        before: mask(&field.before),
        after: mask(&field.after),
        cause: field.cause,
        manager: holder.map(|h| h.manager.clone()),
        operation: holder.map(|h| h.operation),
        time: holder.and_then(|h| h.time.clone()),
    }
}

fn place(origin: &Origin) -> Place {
    Place { file: Untrusted::new(origin.file.as_ref()), line: origin.position.line, column: origin.position.column }
}

fn finding(diagnostic: &Diagnostic) -> Finding {
    Finding {
        id: diagnostic.id.into(),
        severity: diagnostic.severity,
        place: diagnostic.origin.as_ref().map(place),
        message: diagnostic.message.clone(),
        help: diagnostic.help.clone(),
        related: diagnostic.related.as_ref().map(|(origin, _)| place(origin)),
        known: false,
    }
}
