//! The first half of planning: what seems to differ, decided without a request.

use super::conclude::fixed_fields;
use super::drift::{Text, differences};
use super::left::Leaving;
use super::policy::{Case, Ruling};
use super::{Action, Cause, Change, FieldChange, Options, Reason};
use crate::desired::{Desired, Member};
use crate::fields::{FieldPath, Managers, declare, value_at};
use crate::inventory::{APPLIED, Applied, Owner, PART_OF, Parent, ids, owner, parent_of};
use crate::live::{Live, Presence, Source};
use crate::object::{ObjectRef, Untrusted, meta};
use crate::schema::Schema;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One object of the repository, assessed.
#[derive(Clone, Debug)]
pub struct Assessed {
    /// The change as far as it is known; `intended` is what would be done.
    pub change: Change,
    /// Whether a dry-run must say what would happen.
    pub probe: bool,
    /// The object's live value.
    pub live: Option<Value>,
}

impl Assessed {
    /// An object of which it was proven as it was read that it is as it is wanted.
    fn proven(reference: &ObjectRef, member: &Member) -> Self {
        let origin = Some(member.object.origin.clone());
        let change = Change { origin, ..Change::unchanged(reference, &member.object.version, &member.partition) };
        Self { change, probe: false, live: None }
    }
}

/// The text that is sent for a member, before the conflict policy: with its inventory label and the record of what it
/// declares.
pub fn outgoing(member: &Member, id: Option<&str>, schema: Option<Schema<'_>>) -> (Value, Applied) {
    let mut body = member.object.value.clone();
    if let Some(id) = id {
        put(&mut body, "labels", PART_OF, id);
    }
    let applied = Applied::of(&body, &declare(&body, schema).set);
    (body, applied)
}

/// Sets a label or annotation.
pub(super) fn put(body: &mut Value, map: &str, key: &str, value: &str) {
    let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let entries = metadata.entry(map).or_insert_with(|| json!({}));
    if entries.is_null() {
        *entries = json!({});
    }
    if let Some(entries) = entries.as_object_mut() {
        entries.insert(key.to_owned(), json!(value));
    }
}

/// Takes our record out again, with the map if there is nothing else in it.
pub(super) fn take_record(body: &mut Value) -> bool {
    let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) else { return false };
    let Some(entries) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { return false };
    let taken = entries.shift_remove(APPLIED).is_some();
    if entries.is_empty() {
        metadata.shift_remove("annotations");
    }
    taken
}

/// Assesses every object of the repository.
pub fn assess(desired: &Desired, live: &Live, parents: &[Parent], options: &Options) -> Vec<Assessed> {
    let erroneous = desired.erroneous();
    let ids = ids(parents);
    let (config, environment) = (&desired.name, &desired.environment.name);
    let partitions: BTreeSet<&str> = desired.objects.values().map(|m| m.partition.as_str()).collect();
    let parent = |partition| Some((partition, parent_of(parents, config, environment, partition)?));
    let current = partitions.into_iter().filter_map(parent).collect();
    let context = Context { desired, live, parents, current, options, ids: &ids };
    live.beside(&desired.objects)
        .map(|(reference, member, stored)| {
            let mut assessed = match stored {
                Some(stored) if stored.is_unchanged() => Assessed::proven(reference, member),
                _ => context.object(reference, member),
            };
            if erroneous.contains(reference) {
                assessed.change.action = Action::Blocked;
                assessed.probe = false;
                assessed.change.because.push(Reason::Erroneous(BTreeSet::new()));
            }
            assessed
        })
        .collect()
}

struct Context<'a> {
    desired: &'a Desired,
    live: &'a Live,
    parents: &'a [Parent],
    /// The inventory that new members of each partition belong to.
    current: BTreeMap<&'a str, &'a Parent>,
    options: &'a Options,
    ids: &'a [(String, String)],
}

impl Context<'_> {
    fn object(&self, reference: &ObjectRef, member: &Member) -> Assessed {
        let kind = reference.group_kind();
        let schema = self.live.schemas.of(&kind, &member.object.version);
        let parent = self.current.get(member.partition.as_str()).copied();
        let (mut body, applied) = outgoing(member, parent.map(|p| p.id.as_str()), schema);
        let mut change = Change {
            origin: Some(member.object.origin.clone()),
            ..Change::unchanged(reference, &member.object.version, &member.partition)
        };
        if self.live.namespaced(&kind).is_some_and(|namespaced| namespaced != reference.namespace.is_some()) {
            let reason = Reason::Scope { namespaced: reference.namespace.is_none() };
            return Assessed { change: blocked(change, Action::Create, reason), probe: false, live: None };
        }
        let live = match self.live.presence(reference) {
            Presence::Present(live) => live,
            Presence::Unknown(why) => {
                let reason = Reason::Unknown(Some(Untrusted::new(why)));
                return Assessed { change: blocked(change, Action::Create, reason), probe: false, live: None };
            }
            Presence::Unseen if self.live.source == Source::Cluster => {
                let change = blocked(change, Action::Create, Reason::Unknown(None));
                return Assessed { change, probe: false, live: None };
            }
            Presence::Absent | Presence::Unseen => {
                if self.live.source == Source::Snapshot && self.live.presence(reference) == Presence::Unseen {
                    change.because.push(Reason::NotInSnapshot);
                }
                self.absent(&mut change, member, parent, &applied);
                put(&mut body, "annotations", APPLIED, &applied.text());
                change.body = Some(body);
                return Assessed { change, probe: false, live: None };
            }
        };
        change.uid = meta(live, "uid").to_owned();
        change.resource_version = meta(live, "resourceVersion").to_owned();
        if !meta(live, "deletionTimestamp").is_empty() {
            return Assessed {
                change: blocked(change, Action::Create, Reason::Terminating),
                probe: false,
                live: Some(live.clone()),
            };
        }
        let adopting = match self.adoption(reference, live) {
            Ok(adopting) => adopting,
            Err(reason) => {
                return Assessed {
                    change: blocked(change, Action::Adopt, *reason),
                    probe: false,
                    live: Some(live.clone()),
                };
            }
        };
        let probe = self.compare(&mut change, &mut body, &applied, live, schema, adopting);
        Assessed { change, probe, live: Some(live.clone()) }
    }

    /// An object that does not exist is created, unless it is a Job that ran and went by its TTL.
    fn absent(&self, change: &mut Change, member: &Member, parent: Option<&Parent>, applied: &Applied) {
        let ran = parent.and_then(|p| p.state.job(&change.object));
        let expires = member.object.value.pointer("/spec/ttlSecondsAfterFinished").is_some();
        if change.object.is("batch", "Job") && expires && ran == Some(applied.digest.as_str()) {
            change.because.push(Reason::RanAndExpired);
            return;
        }
        if parent.is_some_and(|p| p.known_uid(&change.object).is_some()) {
            change.because.push(Reason::Vanished);
            if self.options.leave.as_ref().is_some_and(|leave| !leave.renewed.contains_key(&change.object)) {
                change.because.push(Reason::DriftReported);
                let missing = FieldChange {
                    path: FieldPath::default(),
                    before: None,
                    after: None,
                    cause: Cause::Missing,
                    holder: None,
                };
                change.left.push(missing);
                return;
            }
        }
        change.action = Action::Create;
        change.intended = Action::Create;
    }

    /// Whether the object is being adopted; an error says why it cannot be.
    fn adoption(&self, reference: &ObjectRef, live: &Value) -> Result<bool, Box<Reason>> {
        let has_entry = Managers::of(live).ours().is_some();
        match owner(live, self.ids) {
            Owner::Ours(_) => Ok(false),
            Owner::Other(name) => Err(Box::new(Reason::OwnedBy(name))),
            Owner::Nobody if self.parents.is_empty() && has_entry => Ok(false),
            // The inventory's own namespace is made before anything else, and then has no label yet.
            Owner::Nobody
                if has_entry
                    && reference.is("", "Namespace")
                    && reference.name == self.desired.rules().inventory.namespace =>
            {
                Ok(false)
            }
            // A namespace that was applied by its name alone leaves no entry: the last apply remembers it.
            Owner::Nobody if self.parents.iter().any(|p| p.known_uid(reference) == Some(meta(live, "uid"))) => {
                Ok(false)
            }
            Owner::Nobody => {
                let config = self.desired.rules();
                let asked = self.options.adopt || config.adopt.iter().any(|selector| selector.matches(reference));
                if asked { Ok(true) } else { Err(Box::new(Reason::Unowned)) }
            }
        }
    }

    /// Compares with the live object; true when a dry-run must decide.
    fn compare(
        &self,
        change: &mut Change,
        body: &mut Value,
        applied: &Applied,
        live: &Value,
        schema: Option<Schema<'_>>,
        adopting: bool,
    ) -> bool {
        let managers = Managers::of(live);
        let config = self.desired.rules();
        let is_snapshot = self.live.source == Source::Snapshot;
        let case = Case { object: &change.object, live, managers: &managers, schema, config, adopting, is_snapshot };
        let before = Applied::read(live);
        let was_declared = |path: &FieldPath| before.as_ref().is_some_and(|b| b.declared(path, applied));
        let mut ruling = Ruling::default();
        case.soften(body, self.desired, self.live, &mut ruling);
        for path in case.configured_yields(body, &was_declared) {
            super::edit::remove(body, &path);
        }
        let softened = body.clone();
        let declared = declare(&softened, schema);
        let sent = applied.with_paths_of(&Applied::of(&softened, &declared.set));
        put(body, "annotations", APPLIED, &sent.text());
        let with_annotation = body.clone();
        let declared = declare(&with_annotation, schema);
        let custom = self.live.schemas.is_custom(&change.object.group_kind(), &change.version);
        let text = Text {
            value: &with_annotation,
            declared: &declared,
            custom,
            applied,
            source: self.live.source,
            was_member: self.is_member(change),
            ignored: &ruling.ignored,
            schema,
        };
        let mut drift = differences(&text, live);
        let leaving = Leaving {
            object: &change.object,
            state: self.current.get(change.partition.as_str()).map(|parent| &parent.state),
            options: self.options,
            declared: &declared,
            live,
            managers: &managers,
        };
        let (mut left, reasons) = leaving.leave(&mut drift, body);
        left.extend(ruling.kept.iter().map(|path| FieldChange {
            path: path.clone(),
            before: value_at(live, path).cloned(),
            after: None,
            cause: Cause::Pending,
            holder: None,
        }));
        case.judge(body, &was_declared, &mut ruling);
        change.because.extend(reasons);
        change.because.append(&mut ruling.notes);
        if drift.masked {
            change.because.push(Reason::SecretUnknown);
        }
        let differs = !drift.fields.is_empty() || !drift.ownership.is_empty() || adopting;
        let only_ignored = !drift.ask && drift.ownership.is_empty() && self.only_ignored(change, &drift.fields);
        change.left = left;
        if !differs && !drift.ask || only_ignored && !adopting && ruling.failed.is_empty() {
            return false;
        }
        if drift.fields.is_empty() {
            change.because.extend(drift.ownership.into_iter().map(Reason::Ownership));
        }
        change.fields = drift.fields;
        change.body = Some(std::mem::take(body));
        change.intended = if adopting { Action::Adopt } else { Action::Update };
        change.action = change.intended;
        if !ruling.failed.is_empty() {
            change.action = Action::Blocked;
            change.because.append(&mut ruling.failed);
            return false;
        }
        for (path, holder) in &ruling.taken {
            change.because.push(Reason::taken(path, holder));
        }
        change.taken = ruling.taken.iter().map(|(path, _)| path.clone()).collect();
        if self.live.source != Source::Cluster {
            replace_fixed(change, live);
        }
        let certain = differs && self.live.source != Source::Cluster;
        if !certain && self.live.source != Source::Cluster {
            // Nothing differs for certain and there is no server to ask.
            change.action = Action::Unchanged;
            change.intended = Action::Unchanged;
            change.because.push(Reason::Undecided);
        }
        self.live.source == Source::Cluster
    }

    /// Whether the inventory has the very object from an apply before.
    fn is_member(&self, change: &Change) -> bool {
        let parent = self.current.get(change.partition.as_str());
        parent.and_then(|parent| parent.known_uid(&change.object)).is_some_and(|uid| uid == change.uid)
    }

    /// Whether every difference is one that the Config ignores.
    fn only_ignored(&self, change: &Change, fields: &[FieldChange]) -> bool {
        let config = self.desired.rules();
        let rules: Vec<_> = config.ignore.iter().filter(|rule| rule.selector().matches(&change.object)).collect();
        !fields.is_empty()
            && !rules.is_empty()
            && fields.iter().all(|field| rules.iter().any(|rule| field.path.fits(&rule.path)))
    }
}

/// Without a server to refuse it, a change of a field that cannot be changed in place is known by the kind.
fn replace_fixed(change: &mut Change, live: &Value) {
    let fixed = fixed_fields(change, live);
    if !fixed.is_empty() {
        change.intended = Action::Replace;
        change.action = Action::Replace;
        change.because.push(Reason::Immutable(fixed));
    }
}

fn blocked(mut change: Change, intended: Action, reason: Reason) -> Change {
    change.action = Action::Blocked;
    change.intended = intended;
    change.because.push(reason);
    change
}
