//! Keeping the inventory: what is announced before an apply, and what is recorded after it.

use super::owed::{is_judged, recovered};
use super::{Outcome, Planned, Settings};
use crate::api::Refused;
use crate::apply::StepOutcome;
use crate::cluster::{Cluster, Mode, with_identity};
use crate::desired::Budget;
use crate::fields::MANAGER;
use crate::inventory::{self, Correction, Deletion, Entry, Parent, comes_back};
use crate::kinds::Verdict;
use crate::live::{Coverage, Observed};
use crate::object::{ObjectRef, meta};
use crate::plan::{self, Action, Cause, Change, FieldChange};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What is kept of an object that was written.
pub(super) struct Written {
    pub(super) uid: String,
    /// The digest of what was applied.
    pub(super) digest: String,
}

/// An object that was deleted.
pub(super) struct Deleted {
    pub(super) object: ObjectRef,
    pub(super) partition: String,
    pub(super) uid: String,
}

/// Before anything is done, the inventory learns where members will be (hints grow first) and what will be deleted (so that
/// a crash cannot forget a deletion).
pub(super) async fn write_ahead(
    cluster: &Cluster,
    planned: &Planned,
    parents: &mut [Parent],
    now: i64,
) -> Result<(), Refused> {
    let plan = &planned.plan;
    for parent in parents.iter_mut().filter(|p| !plan.broken.contains(&p.partition)) {
        let own = is_current(planned, parent);
        let acts = |c: &&Change| own && c.partition == parent.partition && c.action.is_acting();
        let changes: Vec<&Change> = plan.changes.iter().filter(acts).collect();
        let mut wanted = parent.clone();
        // A turn of one change leaves nothing to do when it is killed after it: `was_forgotten` finds that.
        wanted.state.begun |= changes.len() > 1 && changes.iter().any(|change| is_changed_in_place(change));
        for change in changes {
            let deletion = Deletion::of(now, &change.uid, change.successor.as_ref());
            let renamed = |known: &Deletion| known.uid == deletion.uid && known.successor == deletion.successor;
            if change.is_loss() || change.successor.is_some() && !wanted.state.deletions.iter().any(renamed) {
                wanted.state.deletions.push(deletion);
            }
            if change.action != Action::Delete {
                wanted.kinds.insert(change.object.group_kind());
                wanted.namespaces.extend(change.object.namespace.clone());
            }
        }
        if wanted != *parent {
            bind(planned, &mut wanted);
            write_parent(cluster, planned, &mut wanted).await?;
            *parent = wanted;
        }
    }
    Ok(())
}

/// Whether a change may make an object unhealthy that was there before.
fn is_changed_in_place(change: &Change) -> bool {
    matches!(change.action, Action::Update | Action::Adopt) && is_judged(&change.object)
}

/// Whether a parent stands under today's name of the Config.
fn is_current(planned: &Planned, parent: &Parent) -> bool {
    let desired = &planned.desired;
    parent.name == inventory::parent_name(&desired.name, &desired.environment.name, &parent.partition)
}

/// Binds an inventory to its repository and cluster.
fn bind(planned: &Planned, parent: &mut Parent) {
    parent.state.source.clone_from(&planned.repository.source);
    parent.state.cluster.clone_from(&planned.reading.live.cluster_uid);
}

/// Whether an inventory belonged to another source so far. It is taken over as a whole with the first turn that may, so that
/// no partition in which nothing changes stays behind.
fn is_taken_over(planned: &Planned, parent: &Parent) -> bool {
    let (recorded, source) = (&parent.state.source, &planned.repository.source);
    planned.plan.refused.is_none() && !recorded.is_empty() && recorded != source
}

/// The inventory's namespace is made when it does not exist yet.
///
/// # Errors
/// It cannot be read or made.
pub async fn ensure_namespace(cluster: &Cluster, planned: &Planned, namespace: &str) -> Result<(), Refused> {
    let reference = ObjectRef::new("", "Namespace", "", namespace);
    let Some(served) = planned.reading.live.kinds.get(&reference.group_kind()) else { return Ok(()) };
    if planned.reading.live.get(&reference).is_some() || cluster.get_metadata(&reference, "v1", served).await?.is_some()
    {
        return Ok(());
    }
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {"app.kubernetes.io/managed-by": MANAGER}}});
    cluster.apply(&reference, "v1", served, &body, Mode::default()).await.map(|_| ())
}

/// Writes a parent as the successor of what was read; another writer in between is a conflict.
async fn write_parent(cluster: &Cluster, planned: &Planned, parent: &mut Parent) -> Result<(), Refused> {
    let reference = parent.reference();
    let Some(served) = planned.reading.live.kinds.get(&reference.group_kind()) else { return Ok(()) };
    ensure_namespace(cluster, planned, &parent.namespace).await?;
    let body = with_identity(&parent.render(), &parent.uid, &parent.resource_version);
    let written = cluster.apply(&reference, "v1", served, &body, Mode { dry_run: false, force: true }).await?;
    meta(&written, "uid").clone_into(&mut parent.uid);
    meta(&written, "resourceVersion").clone_into(&mut parent.resource_version);
    Ok(())
}

/// What an apply did, as it is recorded.
pub(super) struct Done<'a> {
    pub(super) written: &'a BTreeMap<ObjectRef, Written>,
    pub(super) deleted: &'a [Deleted],
    /// Partitions in which everything is healthy by now that was not at the end of the turn before.
    pub(super) recovered: &'a BTreeSet<String>,
    pub(super) outcome: &'a Outcome,
    pub(super) settings: &'a Settings,
    pub(super) milliseconds: u64,
}

/// Afterwards the inventory learns what was done; a parent that would not change is not written.
pub(super) async fn save(
    cluster: &Cluster,
    planned: &Planned,
    parents: Vec<Parent>,
    done: &Done<'_>,
) -> Result<(), Refused> {
    let mut failed = Vec::new();
    for mut parent in recorded(planned, parents, done) {
        let mut written = write_parent(cluster, planned, &mut parent).await;
        if written.as_ref().is_err_and(|refused| refused.code == 409) && reread(cluster, planned, &mut parent).await {
            written = write_parent(cluster, planned, &mut parent).await;
        }
        failed.extend(written.err());
    }
    failed.into_iter().next().map_or(Ok(()), Err)
}

/// Takes a parent's newest version, when only what people say stands in it: nobody else wrote its state.
async fn reread(cluster: &Cluster, planned: &Planned, parent: &mut Parent) -> bool {
    let reference = parent.reference();
    let Some(served) = planned.reading.live.kinds.get(&reference.group_kind()) else { return false };
    let Ok(Some(live)) = cluster.get(&reference, "v1", served).await else { return false };
    let Ok(now) = parent.read(&live) else { return false };
    let before = planned.plan.parents.iter().find(|before| before.name == parent.name);
    // Our own announcement adds deletions; all else must be as it was planned with.
    let unchanged = before.is_some_and(|before| {
        before.uid == now.uid && before.state.history == now.state.history && before.state.objects == now.state.objects
    });
    if unchanged {
        parent.resource_version = now.resource_version;
    }
    unchanged
}

/// Whether the inventory has something to learn although the plan has nothing to do: a run before ended too early for it.
pub fn is_unrecorded(planned: &Planned) -> bool {
    let (outcome, settings, recovered) = (Outcome::default(), Settings::default(), recovered(planned));
    let nothing = Done {
        written: &BTreeMap::new(),
        deleted: &[],
        recovered: &recovered,
        outcome: &outcome,
        settings: &settings,
        milliseconds: 0,
    };
    !recorded(planned, planned.plan.parents.clone(), &nothing).is_empty()
}

/// The parents as they are to be written, of those that change.
fn recorded(planned: &Planned, parents: Vec<Parent>, done: &Done<'_>) -> Vec<Parent> {
    let live = &planned.reading.live;
    let settled: HashSet<&ObjectRef> =
        planned.plan.changes.iter().filter(|c| c.action == Action::Unchanged).map(|c| &c.object).collect();
    let mut members: BTreeMap<&str, Vec<&ObjectRef>> = BTreeMap::new();
    for (reference, member) in &planned.desired.objects {
        members.entry(&member.partition).or_default().push(reference);
    }
    let healthy = if done.written.is_empty() { Vec::new() } else { healthy_apps(planned, done) };
    let rules = planned.desired.rules();
    // The window may become longer again.
    let remembered = rules.budget(&planned.desired.environment).window.max(Budget::default().window);
    let mut changed = Vec::new();
    for before in parents.into_iter().filter(|p| !planned.plan.broken.contains(&p.partition)) {
        let mut parent = before.clone();
        let own = is_current(planned, &parent);
        parent.state.begun = false;
        forget(&mut parent, planned, own, done);
        for reference in members.get(before.partition.as_str()).into_iter().flatten().filter(|_| own) {
            let written = done.written.get(*reference);
            let uid = written.map(|w| w.uid.as_str());
            match uid.or_else(|| live.uid(reference).filter(|_| settled.contains(reference))) {
                Some(uid) => parent.record(reference, uid),
                None => continue,
            }
            if let (true, Some(written)) = (reference.is("batch", "Job"), written) {
                parent.state.ran(reference, &written.digest);
            }
        }
        take_back(&mut parent, planned, done);
        if let Some(fields) = corrected(planned, &before.partition, done).filter(|_| own) {
            parent.state.renewed(&renewed(planned, &before.partition, done));
            parent.state.corrected(fields, done.settings.now);
        }
        let turn = own.then(|| entry(planned, &before, done)).flatten();
        let moved = is_taken_over(planned, &before);
        if turn.is_some() || moved || parent.state != before.state || parent.kinds != before.kinds {
            bind(planned, &mut parent);
            // That entries grow old is no reason to write: an unchanged turn writes nothing (law 5).
            parent.state.deletions.retain(|d| d.at > done.settings.now - remembered);
            // What was blocked as a whole was not applied.
            let applied = turn.as_ref().is_none_or(|entry| !entry.blocked);
            if applied {
                parent.state.revision = revision(planned);
            }
            if let Some(texts) = planned.plan.texts.get(&before.partition).filter(|_| own && applied) {
                parent.state.texts.clone_from(texts);
            }
            if let Some(entry) = turn {
                let apps = healthy.iter().filter(|(of, _)| *of == parent.partition);
                parent.state.healthy.extend(apps.map(|(_, app)| (app.clone(), entry.revision.clone())));
                parent.state.record_turn(entry);
            }
            changed.push(parent);
        }
    }
    changed
}

/// The apps that may be brought back by themselves and are healthy as this revision has them, with their partitions.
fn healthy_apps<'a>(planned: &'a Planned, done: &Done<'_>) -> Vec<(&'a str, String)> {
    // What is held is not as this revision has it.
    let here =
        planned.desired.objects.iter().filter(|(reference, _)| !planned.desired.held_back.contains_key(reference));
    let asking: Vec<_> = here
        .filter_map(|(reference, member)| Some((reference, member, comes_back(&planned.desired, reference)?)))
        .collect();
    if asking.is_empty() || planned.repository.revision.is_none() {
        return Vec::new();
    }
    let observed = Observed::new(&planned.desired, &planned.reading.live);
    let as_wanted: HashSet<&ObjectRef> = planned
        .plan
        .changes
        .iter()
        .filter(|change| change.action == Action::Unchanged && change.left.iter().all(|f| f.cause == Cause::Pending))
        .map(|change| &change.object)
        .collect();
    let good = |reference: &ObjectRef| match done.outcome.results.get(reference) {
        Some(result) => *result == StepOutcome::Done,
        None => as_wanted.contains(reference) && observed.health(reference).verdict == Verdict::Current,
    };
    let good = asking.into_iter().filter(|(reference, ..)| good(reference));
    good.map(|(_, member, app)| (member.partition.as_str(), app)).collect()
}

fn revision(planned: &Planned) -> String {
    planned.repository.revision.as_ref().map(|r| r.id.clone()).unwrap_or_default()
}

/// What was deleted, is wanted by another partition now, or is neither wanted nor there any more, is no member.
fn forget(parent: &mut Parent, planned: &Planned, own: bool, done: &Done<'_>) {
    let live = &planned.reading.live;
    let partition = parent.partition.clone();
    for deleted in done.deleted.iter().filter(|deleted| deleted.partition == partition) {
        parent.forget(&deleted.object);
    }
    let drifted: HashSet<&ObjectRef> =
        planned.plan.changes.iter().filter(|change| !change.left.is_empty()).map(|change| &change.object).collect();
    for reference in parent.state.references() {
        let wanted = planned.desired.objects.get(&reference).map(|m| own && m.partition == partition);
        let listed = !matches!(live.coverage.get(&reference.group_kind()), None | Some(Coverage::Unknown(_)));
        let gone = wanted.is_none() && listed && !live.has(&reference);
        if (wanted == Some(false) || gone) && !drifted.contains(&reference) {
            parent.forget(&reference);
        }
    }
}

/// What was announced and not done is taken back.
fn take_back(parent: &mut Parent, planned: &Planned, done: &Done<'_>) {
    let planned_uids: HashSet<&str> = planned.plan.changes.iter().map(|c| c.uid.as_str()).collect();
    let gone = |uid: &str| done.deleted.iter().any(|deleted| deleted.uid == uid);
    // A rename that is not done yet is none the less one, also when what takes its place is there by then.
    let counts = |d: &Deletion| d.successor.is_none();
    let taken_back =
        |d: &Deletion| counts(d) && d.at == done.settings.now && planned_uids.contains(d.uid.as_str()) && !gone(&d.uid);
    parent.state.deletions.retain(|d| !taken_back(d));
}

/// The fields that this apply took back from others; none when it wrote nothing in the partition.
fn corrected(planned: &Planned, partition: &str, done: &Done<'_>) -> Option<Vec<(ObjectRef, Correction)>> {
    let changes = planned.plan.changes.iter().filter(|c| c.partition == partition);
    let written: Vec<&Change> = changes.filter(|c| done.written.contains_key(&c.object)).collect();
    let drifted = |change: &&Change| {
        let kind = change.object.group_kind();
        let correction = |field: &FieldChange| Correction {
            path: field.path.to_string(),
            wanted: change.body.as_ref().map(|body| plan::wanted(&kind, body, &field.path)).unwrap_or_default(),
            by: field.holder.as_ref().map(|holder| holder.manager.raw().to_owned()).unwrap_or_default(),
        };
        let fields = change.fields.iter().filter(|f| f.cause == Cause::Drift);
        fields.map(|field| (change.object.clone(), correction(field))).collect::<Vec<_>>()
    };
    (!written.is_empty()).then(|| written.iter().flat_map(drifted).collect())
}

/// The fields of a partition that this apply wrote because the repository changed them.
fn renewed(planned: &Planned, partition: &str, done: &Done<'_>) -> Vec<(ObjectRef, String)> {
    let changes = planned.plan.changes.iter().filter(|c| c.partition == partition);
    let written = changes.filter(|c| done.written.contains_key(&c.object));
    let fields = written.flat_map(|change| change.fields.iter().map(move |field| (change, field)));
    let pending = fields.filter(|(_, field)| field.cause == Cause::Pending);
    pending.map(|(change, field)| (change.object.clone(), field.path.to_string())).collect()
}

/// Whether all of a partition is as it is wanted, and that was not so when it was recorded last: the run that did it ended
/// too early to record it.
pub(super) fn was_forgotten(planned: &Planned, before: &Parent) -> bool {
    let texts = planned.plan.texts.get(&before.partition);
    !before.state.texts.is_empty()
        && texts.is_some_and(|texts| *texts != before.state.texts)
        && is_as_wanted(planned, &before.partition)
}

/// Whether all of a partition is as it is wanted.
fn is_as_wanted(planned: &Planned, partition: &str) -> bool {
    let changes = || planned.plan.changes.iter().filter(|change| change.partition == partition);
    let wanted = planned.desired.objects.values().filter(|member| member.partition == partition).count();
    // A selection leaves objects out of the plan.
    changes().count() == wanted && changes().all(|change| change.action == Action::Unchanged)
}

/// The record of the turn in a partition; none when it changed nothing there, and no run before did without saying so.
fn entry(planned: &Planned, before: &Parent, done: &Done<'_>) -> Option<Entry> {
    let partition = before.partition.as_str();
    let changed = |change: &&Change| {
        let deleted = || done.deleted.iter().any(|deleted| deleted.object == change.object);
        change.partition == partition && (done.written.contains_key(&change.object) || deleted())
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for change in planned.plan.changes.iter().filter(changed) {
        *counts.entry(format!("{:?}", change.action).to_lowercase()).or_default() += 1;
    }
    let result = result(planned, partition, done.outcome);
    let was_blocked = before.state.history.last().is_some_and(|entry| entry.blocked);
    let learns = was_forgotten(planned, before)
        || was_blocked && is_as_wanted(planned, partition)
        || done.recovered.contains(partition);
    if counts.is_empty() && !learns && !belies(result, before.state.history.last()) {
        return None;
    }
    let found = planned.repository.revision.clone().unwrap_or_default();
    let all = planned.plan.parents.iter().flat_map(|parent| &parent.state.history);
    Some(Entry {
        blocked: counts.is_empty() && !learns && is_blocked(planned, partition),
        number: 1 + all.map(|entry| entry.number).max().unwrap_or_default(),
        at: done.settings.now,
        revision: found.id,
        subject: shortened(found.subject.raw()),
        author: shortened(found.author.raw()),
        plan: planned.plan.digest.clone(),
        counts,
        result: result.to_owned(),
        milliseconds: done.milliseconds,
        waits: waits(planned, before, done),
        superseded: done.settings.superseded.clone(),
    })
}

/// Whether a turn that could change nothing shows that what the history says last is not so: it says that all was done. Turns
/// after it that can change nothing either say nothing new.
fn belies(result: &str, last: Option<&Entry>) -> bool {
    ["failed", "unfinished"].contains(&result) && last.is_some_and(|entry| entry.result == "done")
}

/// The objects of a partition that are not healthy at the end of a turn, though this turn or one before wrote them.
fn waits(planned: &Planned, before: &Parent, done: &Done<'_>) -> Vec<String> {
    let owed = before.state.waits();
    let changes = planned.plan.changes.iter().filter(|change| change.partition == before.partition);
    let waits = changes.filter(|change| {
        let wrote = done.written.contains_key(&change.object) || owed.contains(&change.object.to_string());
        match done.outcome.results.get(&change.object) {
            Some(result) => (wrote || change.action == Action::Unchanged) && *result != StepOutcome::Done,
            // Nobody looked, so nothing is known that was not known before.
            None => owed.contains(&change.object.to_string()) && !done.recovered.contains(&before.partition),
        }
    });
    waits.map(|change| change.object.to_string()).collect()
}

/// History is kept for years: of a commit only so much.
fn shortened(text: &str) -> String {
    text.chars().take(120).collect()
}

fn is_blocked(planned: &Planned, partition: &str) -> bool {
    planned.plan.changes.iter().any(|change| change.partition == partition && change.action == Action::Blocked)
}

fn result(planned: &Planned, partition: &str, outcome: &Outcome) -> &'static str {
    let of_partition = planned.plan.changes.iter().filter(|change| change.partition == partition);
    let blocked = is_blocked(planned, partition);
    let results: Vec<&StepOutcome> = of_partition.filter_map(|change| outcome.results.get(&change.object)).collect();
    let not_begun = |result: &StepOutcome| *result == StepOutcome::NotBegun;
    let is_fine = |result: &&StepOutcome| {
        **result == StepOutcome::Done || result.is_under_way() || outcome.overtaken && not_begun(result)
    };
    if !blocked && results.iter().all(|result| **result == StepOutcome::Done) {
        "done"
    } else if outcome.interrupted {
        "interrupted"
    } else if blocked || !results.iter().all(is_fine) {
        "failed"
    } else if outcome.overtaken {
        "overtaken"
    } else {
        "unfinished"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_could_change_nothing_is_recorded_once_when_the_last_entry_says_done() {
        let entry = |result: &str| Entry { result: result.to_owned(), ..Entry::default() };
        assert!(belies("failed", Some(&entry("done"))));
        assert!(belies("unfinished", Some(&entry("done"))));
        // The one before said so already; what was interrupted or superseded is said by the next turn.
        assert!(!belies("failed", Some(&entry("failed"))));
        assert!(!belies("failed", Some(&entry("unfinished"))));
        assert!(!belies("interrupted", Some(&entry("done"))) && !belies("overtaken", Some(&entry("done"))));
        assert!(!belies("done", Some(&entry("done"))) && !belies("failed", None));
    }
}
