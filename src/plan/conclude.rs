//! The second half of planning: the plan, from the assessment and the API server's answers.

use super::assess::{Assessed, put};
use super::blocks::{
    block, block_apps, block_circles, block_dependents, block_erroneous, block_unlimited, block_unlimiting,
    block_used_deletes, block_waiting, hold_breaks, release,
};
use super::definitions::hold_definitions;
use super::drift::is_annotation;
use super::gates::{guard_steps, judge_gates};
use super::guard::{deletions, frozen, hold};
use super::restrain::{pauses_in_git, restrain};
use super::rollout::Rollouts;
use super::steps::{Stepped, sequence};
use super::{Action, Answer, Break, Cause, Change, FieldChange, Options, Plan, Reason, Refusal, handed};
use crate::api::{Invalid, Refused};
use crate::check;
use crate::desired::{Desired, Member, glob};
use crate::fields::{
    Element, FieldPath, FieldSet, Holder, Keys, Managers, Operation, change_root, declare, difference, schema_at,
    value_at,
};
use crate::graph::{Graph, executor_filled_in, issued_through};
use crate::inventory::{APPLIED, Destruction, Parent, approved};
use crate::kinds::{self};
use crate::live::{Live, Presence, Source, Stored};
use crate::object::{Diagnostic, GroupKind, ObjectRef, Severity, Untrusted, hex};
use crate::schema::{Validator, crd_versions};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// What planning needs of the repository alone, so that it can be made while live state is read.
pub struct Prepared {
    graph: Graph,
    /// The digest of the desired texts of each partition.
    texts: BTreeMap<String, String>,
}

impl Prepared {
    /// Links the objects and digests their texts.
    pub fn of(desired: &Desired) -> Self {
        let mut states: BTreeMap<&str, Sha256> = BTreeMap::new();
        let mut text = Vec::new();
        for member in desired.objects.values() {
            text.clear();
            // Writing to memory cannot fail.
            let _ = serde_json::to_writer(&mut text, &member.object.value);
            let state = states.entry(&member.partition).or_default();
            state.update(&text);
            state.update([0]);
        }
        let texts = states.into_iter().map(|(partition, state)| (partition.to_owned(), hex(&state.finalize())));
        let texts = texts.collect();
        Self { graph: Graph::of(desired), texts }
    }

    /// The graph of the repository.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

/// Makes the plan. `broken` names the partitions whose inventory cannot be read, and why.
pub fn conclude(
    desired: &Desired,
    live: &Live,
    prepared: Prepared,
    assessed: Vec<Assessed>,
    answers: &BTreeMap<ObjectRef, Answer>,
    parents: Vec<Parent>,
    broken: &BTreeMap<String, String>,
    options: &Options,
) -> Plan {
    let Prepared { mut graph, texts } = prepared;
    graph.add_live(desired, live);
    let mut plan = Plan {
        environment: desired.environment.name.clone(),
        diagnostics: desired.diagnostics.clone(),
        ..Plan::default()
    };
    plan.diagnostics.extend(pauses_in_git(desired));
    let circles = graph.circles(desired);
    plan.diagnostics.extend(circles.iter().map(|circle| circle.finding.clone()));
    plan.diagnostics.extend(graph.dangling(desired, live));
    let mut wrong = check_schemas(desired, live, &redefined(&assessed));
    check::leave_out_by_config(desired, &mut wrong);
    plan.diagnostics.extend(wrong);
    plan.changes = answered(assessed, answers, live, &mut plan.diagnostics);
    let frozen = frozen(desired, live, &parents, broken);
    let (deletes, findings) = deletions(desired, live, &parents, &frozen);
    plan.changes.extend(deletes);
    plan.diagnostics.extend(findings);
    plan.parents = parents;
    options.select.retain(&mut plan.changes, desired, live, &graph);
    plan.diagnostics.extend(check::of_changes(desired, live, &changing(&plan.changes)));
    block_erroneous(&mut plan, desired, broken);
    block_apps(&mut plan, desired, live);
    block_circles(&mut plan, &circles);
    block_unlimiting(&mut plan, desired, live);
    block_unlimited(&mut plan, desired);
    block_dependents(&mut plan, desired, live, &graph);
    restrain(&mut plan, desired, live, options);
    let mut held = hold(&mut plan.changes, desired, live, &plan.parents, options);
    held.extend(hold_definitions(&mut plan, desired, live));
    if desired.environment.protected {
        sequence_steps(&mut plan, desired, live);
        hold_breaks(&mut plan, &mut held);
    }
    plan.destruction = Destruction::new(&live.cluster_uid, &plan.environment, held);
    plan.snapshot = live.age(options.now);
    // An approval names objects by their uids, which only a cluster knows.
    if live.source == Source::Revision || plan.snapshot.as_ref().is_some_and(|age| age.stale) {
        plan.destruction.digest.clear();
    } else {
        plan.approved = approved(&plan.destruction, &options.approve, &desired.approvals, &plan.parents, options.now);
    }
    if plan.approved {
        release(&mut plan, desired, options);
    }
    block_waiting(&mut plan, desired, &graph);
    block_used_deletes(&mut plan, live);
    plan.changes.sort_by(|a, b| a.object.cmp(&b.object));
    loop {
        // Pods whose end waits go on running.
        block_unlimiting(&mut plan, desired, live);
        sequence_steps(&mut plan, desired, live);
        guard_steps(&mut plan, desired, live);
        // What is blocked leaves others with another order.
        if !judge_gates(&mut plan, desired, live, &graph) {
            break;
        }
    }
    check::add_findings(desired, live, &mut plan.diagnostics);
    plan.refused = refusal(&plan, desired, live, options);
    plan.diagnostics
        .sort_by(|a, b| (&a.origin, a.severity, a.id, &a.object).cmp(&(&b.origin, b.severity, b.id, &b.object)));
    plan.diagnostics.dedup();
    plan.texts = texts;
    plan.digest = digest(&plan, options);
    plan
}

/// The assessed changes with what the API server answered about them.
fn answered(
    assessed: Vec<Assessed>,
    answers: &BTreeMap<ObjectRef, Answer>,
    live: &Live,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Change> {
    let redefined = redefined(&assessed);
    let mut changes = Vec::with_capacity(assessed.len());
    for Assessed { mut change, probe, live: before } in assessed {
        let answer = answers.get(&change.object);
        if redefined.contains(&change.object.group_kind()) && matches!(answer, Some(Answer::Refused(_))) {
            change.because.push(Reason::DefinitionFirst);
        } else if let (true, Some(answer), Some(before)) = (probe, answer, &before) {
            settle(&mut change, answer, before, live, diagnostics);
        }
        put_record(&mut change);
        change.because.extend(verified_at_apply(&change, live));
        changes.push(change);
    }
    changes
}

/// The objects that are made or changed.
fn changing(changes: &[Change]) -> BTreeSet<ObjectRef> {
    let changing = changes.iter().filter(|change| change.action.is_acting() && change.action != Action::Delete);
    changing.map(|change| change.object.clone()).collect()
}

/// The kinds whose definition this plan changes.
fn redefined(assessed: &[Assessed]) -> BTreeSet<GroupKind> {
    let definitions =
        assessed.iter().filter(|a| a.change.object.kind == "CustomResourceDefinition" && a.change.action.is_acting());
    definitions.filter_map(|a| Some(crd_versions(a.change.body.as_ref()?)?.0)).collect()
}

/// Why a create could not be asked about, if so: its kind or its namespace comes with the same plan.
fn verified_at_apply(change: &Change, live: &Live) -> Option<Reason> {
    let namespace = change.object.namespace.as_ref().map(|name| ObjectRef::new("", "Namespace", "", name));
    let absent = |namespace: &ObjectRef| live.presence(namespace) == Presence::Absent;
    match change.action {
        _ if live.source != Source::Cluster => None,
        Action::Create if !live.kinds.contains_key(&change.object.group_kind()) => Some(Reason::KindNotServed),
        Action::Create if namespace.as_ref().is_some_and(absent) => Some(Reason::NamespaceAbsent),
        _ => None,
    }
}

/// Objects of custom kinds are held against their schema; what is wrong is an error with a position, before any request.
fn check_schemas(desired: &Desired, live: &Live, redefined: &BTreeSet<GroupKind>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    // A definition that the repository holds is the one that its objects will be held against.
    let own = desired.schemas();
    let mut validator = Validator::default();
    // What is in the cluster as it is wanted was accepted by it, with the definition that is there.
    for (reference, member, stored) in live.beside(&desired.objects) {
        let kind = reference.group_kind();
        let object = &member.object;
        if stored.is_some_and(Stored::is_unchanged) && !redefined.contains(&kind) {
            continue;
        }
        let schemas = if own.is_custom(&kind, &object.version) { &own } else { &live.schemas };
        let custom = schemas.is_custom(&kind, &object.version);
        // Of built-in kinds the server knows more, so there it has the last word.
        let mut wrong = check::wrong_fields(object, schemas, &mut validator);
        if !custom {
            wrong.iter_mut().for_each(|finding| finding.severity = Severity::Warning);
        }
        found.extend(wrong);
    }
    found
}

/// Takes the API server's answer into a change.
fn settle(change: &mut Change, answer: &Answer, before: &Value, live: &Live, diagnostics: &mut Vec<Diagnostic>) {
    match answer {
        Answer::Accepted(after) => accepted(change, before, after, live),
        Answer::Refused(refused) => refuse(change, refused, before, diagnostics),
    }
}

fn accepted(change: &mut Change, before: &Value, after: &Value, live: &Live) {
    let body = change.body.clone().unwrap_or_default();
    let schema = live.schemas.of(&change.object.group_kind(), &change.version);
    let declared = declare(&body, schema);
    let (old, new) = (Managers::of(before), Managers::of(after));
    let is_index = |element: &Element| matches!(element, Element::Index(_));
    let mut paths: Vec<FieldPath> = declared.leaves.iter().map(|l| l.path.clone()).collect();
    paths.extend(old.ours().map(FieldSet::paths).unwrap_or_default().into_iter().filter(|p| !declared.set.contains(p)));
    paths.extend(change.fields.iter().map(|f| f.path.clone()).filter(|p| !p.0.iter().any(is_index)));
    let mut fields: Vec<FieldChange> = Vec::new();
    for path in paths {
        if path.ends_with(APPLIED) && old.ours().is_some_and(|o| o.contains(&path)) {
            continue;
        }
        let path = change_root(&path, before);
        let keys = Keys { schema: schema_at(schema, &path), named: kinds::named_lists(&change.object.group_kind()) };
        for (path, before, after) in difference(&path, value_at(before, &path), value_at(after, &path), keys) {
            let nested = fields.iter().any(|f| path.is_below(&f.path));
            if !nested {
                fields.push(attributed(change, path, before, after));
            }
        }
    }
    if let Some((path, from)) = unjudged_loss(change, &old, &new) {
        return block(change, Reason::Unjudged { path, from });
    }
    let local = std::mem::take(&mut change.fields);
    // An order of list items shows in no value at a keyed path.
    let shown = |path: &FieldPath| fields.iter().any(|f| f.path.is_below(path));
    let lists: Vec<FieldChange> =
        local.iter().filter(|f| is_list(f) && !shown(&f.path) && moved(&f.path, before, after)).cloned().collect();
    fields.extend(lists);
    fields.sort_by(|a, b| a.path.cmp(&b.path));
    if fields.is_empty() && old.ownership() == new.ownership() && change.intended != Action::Adopt {
        change.action = Action::Unchanged;
        change.intended = Action::Unchanged;
        change.because.clear();
        if local.iter().any(|f| f.cause == Cause::Pending && f.after.is_some()) {
            change.because.push(Reason::Overridden);
        }
    }
    if fields.is_empty() && change.action == Action::Update && change.because.is_empty() {
        change.because.push(Reason::RecordOnly);
    }
    change.fields = fields;
}

/// Puts our record back into what is written: it was left out to see whether anything else is.
fn put_record(change: &mut Change) {
    let record = change.left.iter().find(|field| is_annotation(&field.path));
    if let (true, Some(record), Some(body)) = (change.action.is_acting(), record, &mut change.body)
        && let Some(Value::String(wanted)) = &record.after
    {
        put(body, "annotations", APPLIED, wanted);
    }
}

/// A field that an applier would lose by a forced request although nobody decided that it is taken.
fn unjudged_loss(change: &Change, old: &Managers, new: &Managers) -> Option<(FieldPath, Untrusted)> {
    if !change.is_forced() {
        return None;
    }
    let kept = new.foreign();
    let lost = old.foreign().into_iter().filter(|(path, holder)| {
        let same =
            |(p, h): &(FieldPath, &Holder)| p == path && h.manager == holder.manager && h.operation == holder.operation;
        holder.operation == Operation::Apply && !kept.iter().any(same)
    });
    let decided = |path: &FieldPath| change.taken.iter().any(|t| path.is_below(t) || t.is_below(path));
    lost.filter(|(path, _)| !decided(path)).map(|(path, holder)| (path, holder.manager.clone())).next()
}

fn is_list(field: &FieldChange) -> bool {
    field.before.as_ref().is_some_and(Value::is_array) && field.after.as_ref().is_some_and(Value::is_array)
}

fn moved(path: &FieldPath, before: &Value, after: &Value) -> bool {
    value_at(before, path) != value_at(after, path)
}

/// A field change with the cause that the local comparison found for it.
fn attributed(change: &Change, path: FieldPath, before: Option<Value>, after: Option<Value>) -> FieldChange {
    let near = change.fields.iter().find(|f| f.path == path || path.is_below(&f.path) || f.path.is_below(&path));
    let (cause, holder) = near.map_or((Cause::Pending, None), |f| (f.cause, f.holder.clone()));
    FieldChange { path, before, after, cause, holder }
}

/// The fields of a change that cannot be changed in place.
pub(super) fn fixed_fields(change: &Change, live: &Value) -> Vec<String> {
    let kind = change.object.group_kind();
    let fixed = change.fields.iter().filter_map(|field| {
        kinds::fixed(&kind, live, &field.path, field.before.as_ref(), field.after.as_ref()).map(str::to_owned)
    });
    fixed.collect::<BTreeSet<String>>().into_iter().collect()
}

fn refuse(change: &mut Change, refused: &Refused, before: &Value, diagnostics: &mut Vec<Diagnostic>) {
    if is_immutable(change, refused, before) {
        change.intended = Action::Replace;
        match refused.proved {
            Some(false) => {
                change.action = Action::Blocked;
                change.because.push(Reason::ReplacementRefused);
            }
            proved => {
                change.action = Action::Replace;
                change.unproved = proved.is_none();
                let server = || refused.invalid.iter().map(|invalid| invalid.field.clone()).collect();
                let names = Some(fixed_fields(change, before)).filter(|names| !names.is_empty()).unwrap_or_else(server);
                change.because.push(Reason::Immutable(names));
                if change.unproved {
                    change.because.push(Reason::Unproved);
                }
                return;
            }
        }
    }
    change.action = Action::Blocked;
    for (field, manager) in &refused.conflicts {
        change.because.push(Reason::Conflict { field: field.clone(), manager: manager.clone() });
    }
    let message = match refused.conflicts.last() {
        Some((field, manager)) => {
            format!("The API server refuses {}: {}: {}", change.object, field.raw(), manager.raw())
        }
        None => {
            let (code, reason, message) = (refused.code, refused.reason.clone(), refused.message.clone());
            change.because.push(Reason::Refused { code, reason, message });
            format!("The API server refuses {} ({code} {}): {}", change.object, refused.reason, refused.message.raw())
        }
    };
    let mut diagnostic = Diagnostic::error("server-refused", message).about(&change.object);
    diagnostic.origin.clone_from(&change.origin);
    diagnostics.push(diagnostic);
}

/// Whether a request was refused because a field cannot be changed: by what is known of the kind, or by what the server says.
fn is_immutable(change: &Change, refused: &Refused, before: &Value) -> bool {
    let fixed = fixed_fields(change, before);
    // The server names the field, a part of it, or the whole that the field is a part of.
    let is_part = |of: &str, field: &str| {
        field.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    refused.code == 422
        && !refused.invalid.is_empty()
        && refused.invalid.iter().all(|Invalid { field, immutable, .. }| {
            *immutable || fixed.iter().any(|known| is_part(known, field) || is_part(field, known))
        })
}

/// The object under another name, to prove by a dry-run that a replace would succeed; none where that proves nothing: a
/// definition's name is part of it, and a fixed address is taken while the old object lives.
pub fn proof_body(change: &Change) -> Option<Value> {
    let mut body = change.body.clone()?;
    let fixed =
        body.pointer("/spec/clusterIP").and_then(Value::as_str).is_some_and(|ip| !ip.is_empty() && ip != "None");
    if change.object.kind == "CustomResourceDefinition" || fixed {
        return None;
    }
    let name: String = change.object.name.chars().take(40).collect();
    body["metadata"]["name"] = json!(format!("{}-spinway-proof", name.trim_end_matches(['-', '.'])));
    Some(body)
}

/// What of a change's order stands in other objects.
struct Beside<'a> {
    enablers: &'a [&'a ObjectRef],
    executor: Option<ObjectRef>,
    through: BTreeSet<ObjectRef>,
}

/// Gives every acting change its steps.
pub(super) fn sequence_steps(plan: &mut Plan, desired: &Desired, live: &Live) {
    let enablers = desired.enablers();
    let acting: Vec<usize> = (0..plan.changes.len()).filter(|i| plan.changes[*i].action.is_acting()).collect();
    let beside: Vec<Beside<'_>> = acting
        .iter()
        .map(|index| {
            let change = &plan.changes[*index];
            let executor = change.body.as_ref().and_then(|body| executor_filled_in(&change.object, body, desired));
            let enablers = enablers.get(change.partition.as_str()).map_or(&[][..], Vec::as_slice);
            Beside { enablers, executor, through: issued_through(&change.object, desired, live) }
        })
        .collect();
    let also: Vec<Vec<&ObjectRef>> =
        beside.iter().map(|beside| beside.enablers.iter().copied().chain(&beside.executor).collect()).collect();
    let stepped: Vec<Stepped<'_>> = acting
        .iter()
        .zip(beside.iter().zip(&also))
        .map(|(index, (beside, also))| {
            let change = &plan.changes[*index];
            Stepped {
                object: &change.object,
                before: live.get(&change.object),
                after: change.body.as_ref(),
                replace: change.action == Action::Replace,
                also,
                through: &beside.through,
            }
        })
        .collect();
    let (mut steps, order, breaks) = sequence(&stepped);
    for step in &mut steps {
        step.change = acting[step.change];
    }
    let mut needs: BTreeMap<usize, Vec<ObjectRef>> = BTreeMap::new();
    for (first, then) in &order {
        let (first, then) = (steps[*first].change, steps[*then].change);
        if first != then {
            needs.entry(then).or_default().push(plan.changes[first].object.clone());
        }
    }
    let rollouts = Rollouts::new(desired, live);
    let mut broken: BTreeMap<usize, Break> = breaks.into_iter().map(|(at, why)| (acting[at], why)).collect();
    for (index, change) in plan.changes.iter_mut().enumerate() {
        change.needs = needs.remove(&index).unwrap_or_default();
        change.needs.sort();
        change.needs.dedup();
        let breaks = broken.remove(&index).or_else(|| handover(change, desired, live));
        change.breaks = breaks.or_else(|| handed::falls_back(change, desired, live)).or_else(|| rollouts.told(change));
    }
    plan.steps = steps;
    plan.order = order;
}

/// Why a deletion takes away what is wanted, if it does: what a SpinApp's operator made and what the repository declares by the
/// same name change hands, as when an App goes from one kind of rollout to the other.
fn handover(change: &Change, desired: &Desired, live: &Live) -> Option<Break> {
    if change.action != Action::Delete {
        return None;
    }
    let made = live.get(&change.object).map(|value| kinds::provides(&change.object, value)).unwrap_or_default();
    if let Some(wanted) = made.iter().find(|made| desired.objects.contains_key(*made)) {
        return Some(Break::GoesWithIt { wanted: wanted.clone() });
    }
    let mut apps = desired.of_kind(kinds::SPIN, "SpinApp", Some(change.object.namespace()));
    let makes =
        |member: &Member| kinds::provides(&member.object.reference, &member.object.value).contains(&change.object);
    let (app, _) = apps.find(|(_, member)| makes(member))?;
    Some(Break::MadeLater { app: app.clone() })
}

/// Why nothing at all may be done.
fn refusal(plan: &Plan, desired: &Desired, live: &Live, options: &Options) -> Option<Refusal> {
    let say = |message: String, help| Some(Refusal { message: Untrusted::new(message), help });
    let environment = &desired.environment;
    if matches!(live.source, Source::Cluster | Source::Snapshot) {
        let is_cluster = live.source == Source::Cluster;
        if let Some(uid) = environment.cluster.uid.as_ref().filter(|uid| **uid != live.cluster_uid) {
            return say(
                format!("This is the cluster {}; environment `{}` is for {uid}.", live.cluster_uid, environment.name),
                "Choose the right kubeconfig context, or mend `cluster.uid`.",
            );
        }
        // Which context a snapshot was taken by is not known.
        let pattern = environment.cluster.context.as_ref().filter(|_| is_cluster);
        if let Some(pattern) = pattern.filter(|p| !glob(p, &options.context)) {
            return say(
                format!(
                    "The context `{}` does not match `{pattern}` of environment `{}`.",
                    options.context, environment.name
                ),
                "Choose the right kubeconfig context, or mend `cluster.context`.",
            );
        }
        for parent in &plan.parents {
            let (recorded, source) = (&parent.state.cluster, &parent.state.source);
            if !recorded.is_empty() && *recorded != live.cluster_uid {
                return say(
                    format!("The inventory was written for cluster {recorded}, this is {}.", live.cluster_uid),
                    "The inventory was copied; delete its ConfigMaps in the wrong cluster.",
                );
            }
            if is_cluster && !source.is_empty() && *source != options.source && !options.take_inventory {
                return say(
                    format!("The inventory belongs to {source}, this is {}.", options.source),
                    "Use --take-inventory when the repository has moved.",
                );
            }
        }
    }
    if let Some(tenant) = check::without_namespaces(desired.rules()).next() {
        return say(
            format!("The tenant {} has no `namespaces` in spinway.yaml, so nothing is planned.", tenant.name),
            "Add the lists of the tenant: `spinway check --suggest-rules` prints those that its files need now.",
        );
    }
    let owned = plan.changes.iter().filter(|c| c.intended == Action::Delete).count();
    if desired.objects.is_empty() && (owned > 0 || plan.parents.iter().any(|p| !p.state.objects.is_empty())) {
        return say(
            "The repository wants no object at all, and objects of it are in the cluster.".to_owned(),
            "Check the sources and the directory. To remove everything, delete the objects step by step in Git.",
        );
    }
    if options.strict && plan.diagnostics.iter().any(|d| d.severity == Severity::Error) {
        return say(
            "There are errors, and --strict is set.".to_owned(),
            "Mend the errors, or leave --strict out to apply what is right.",
        );
    }
    None
}

/// The digest of the plan (law 8): neither commit nor resourceVersion nor status is in it.
fn digest(plan: &Plan, options: &Options) -> String {
    let mut state = Sha256::new();
    let mut part = |text: &[u8]| {
        state.update(text);
        state.update([0]);
    };
    part(b"spinway.dev/plan/v1");
    part(plan.environment.as_bytes());
    for parent in &plan.parents {
        part(parent.id.as_bytes());
    }
    part(format!("{} {} {} {:?}", options.adopt, options.strict, options.take_inventory, options.select).as_bytes());
    if options.leave.is_some() {
        part(b"drift is left");
    }
    for (partition, texts) in &plan.texts {
        part(partition.as_bytes());
        part(texts.as_bytes());
    }
    for change in plan.changes.iter().filter(|c| c.action != Action::Unchanged) {
        let object = &change.object;
        part(format!("{:?} {} {} {}", change.action, object.group_kind(), object.path(), change.uid).as_bytes());
        for field in &change.fields {
            part(format!("{} {}", field.path, json!(field.before)).as_bytes());
        }
    }
    format!("sha256:{}", hex(&state.finalize()))
}
