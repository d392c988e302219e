//! What is worth telling of a turn.

use crate::apply::StepOutcome;
use crate::kinds::Verdict;
use crate::live::Observed;
use crate::object::hex;
use crate::object::{ObjectRef, Untrusted};
use crate::ops::{Outcome, Planned, owed};
use crate::plan::{Action, Cause, Change, OwnDrift, Reason};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// What kind of news it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It was changed by the turn.
    Applied,
    /// Others changed it, and it was left.
    Drifted,
    /// Others change it back each time.
    Contested,
    /// Something is wrong with it or with what it needs.
    Blocked,
    /// It waits for people.
    Held,
    /// Its change failed.
    Failed,
    /// It is not healthy.
    Unhealthy,
    /// The whole turn was refused or could not be done.
    Refused,
}

impl What {
    /// As one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "Applied",
            Self::Drifted => "Drifted",
            Self::Contested => "Contested",
            Self::Blocked => "Blocked",
            Self::Held => "Held",
            Self::Failed => "Failed",
            Self::Unhealthy => "Unhealthy",
            Self::Refused => "Refused",
        }
    }

    /// Whether someone should look.
    pub fn is_trouble(self) -> bool {
        self != Self::Applied
    }
}

/// One piece of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The kind.
    pub what: What,
    /// The object; none when it is about the whole turn or a destruction.
    pub object: Option<ObjectRef>,
    /// The object's uid; empty when it does not exist.
    pub uid: String,
    /// The object's version.
    pub version: String,
    /// The partition; empty for all.
    pub partition: String,
    /// In words.
    pub text: Untrusted,
    /// What tells it from other news; the same for the same trouble from turn to turn.
    pub fingerprint: String,
}

impl News {
    /// News about the whole turn.
    pub fn of_turn(environment: &str, text: String) -> Self {
        let fingerprint = fingerprint(&[environment, "turn", &text]);
        Self {
            what: What::Refused,
            object: None,
            uid: String::new(),
            version: String::new(),
            partition: String::new(),
            text: Untrusted::new(text),
            fingerprint,
        }
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let about = self
            .object
            .as_ref()
            .map_or_else(String::new, |object| format!(" {}", Untrusted::new(object.to_string()).terminal()));
        format!("{}{about}: {}", self.what.word(), self.text.terminal())
    }
}

fn fingerprint(parts: &[&str]) -> String {
    let mut state = Sha256::new();
    for part in parts {
        state.update(part);
        state.update([0]);
    }
    hex(&state.finalize()[..16])
}

/// Gathers the news of a turn. All objects are looked at, so those that were packed are packed again.
pub fn gather(planned: &mut Planned, outcome: Option<&Outcome>) -> Vec<News> {
    let environment = planned.plan.environment.as_str();
    let mut found: Vec<News> = Vec::new();
    for change in &planned.plan.changes {
        if let Some((what, text)) = of_change(change, outcome) {
            // An object's trouble is the same whatever the words for it today; what was applied is told once a revision.
            let revision = planned.repository.revision.as_ref().map_or("", |r| r.id.as_str());
            let once = if what == What::Applied { revision } else { "" };
            let mut news = about(environment, what, change, &text, once);
            // One that was made has its uid only now.
            if let (true, Some(uid)) = (news.uid.is_empty(), planned.reading.live.uid(&change.object)) {
                uid.clone_into(&mut news.uid);
            }
            found.push(news);
        }
    }
    found.extend(held_destruction(planned));
    // Nobody looked at them in a turn that had nothing to do; what has failed is told below.
    let owed = if outcome.is_some() { Vec::new() } else { owed(planned) };
    for owed in owed.into_iter().filter(|owed| owed.health.verdict == Verdict::Progressing) {
        let Some(change) = planned.plan.change(&owed.object) else { continue };
        let text =
            format!("It still waits to become healthy: {} {}", owed.health.reason.raw(), owed.health.message.raw());
        found.push(about(environment, What::Unhealthy, change, &text, "waits"));
    }
    found.extend(unhealthy(planned, &found));
    found
}

/// The news of drift that the cluster alone tells.
pub fn of_drift(environment: &str, found: &[OwnDrift]) -> Vec<News> {
    let news = found.iter().map(|drift| {
        let mut words: Vec<String> = drift.fields.iter().map(left).collect();
        if drift.removed > 0 {
            words.push(format!("declared fields were removed: {}", drift.removed));
        }
        if drift.gone {
            words.push("it was deleted".to_owned());
        }
        let object = drift.object.to_string();
        News {
            what: What::Drifted,
            fingerprint: fingerprint(&[environment, What::Drifted.word(), &object, &drift.uid, ""]),
            object: Some(drift.object.clone()),
            uid: drift.uid.clone(),
            version: String::new(),
            partition: drift.partition.clone(),
            text: Untrusted::new(words.join("; ")),
        }
    });
    news.collect()
}

/// So many objects are looked at before they are packed again.
const AT_ONCE: usize = 500;

/// What is not healthy, but for objects of which something is told that explains it.
fn unhealthy(planned: &mut Planned, told: &[News]) -> Vec<News> {
    let told: BTreeSet<&ObjectRef> =
        told.iter().filter(|news| news.what.is_trouble()).filter_map(|news| news.object.as_ref()).collect();
    let Planned { plan, desired, reading, .. } = planned;
    let made = Observed::made(desired);
    let mut found = Vec::new();
    for changes in plan.changes.chunks(AT_ONCE) {
        {
            let observed = Observed::with_made(desired, &reading.live, &made);
            let wanted =
                changes.iter().filter(|c| desired.objects.contains_key(&c.object) && !told.contains(&c.object));
            for change in wanted {
                let health = observed.health(&change.object);
                if matches!(health.verdict, Verdict::Failed | Verdict::Missing) {
                    let text = format!("{} {}", health.reason.raw(), health.message.raw());
                    found.push(about(&plan.environment, What::Unhealthy, change, &text, ""));
                }
            }
        }
        reading.live.pack();
    }
    found
}

fn about(environment: &str, what: What, change: &Change, text: &str, once: &str) -> News {
    let object = change.object.to_string();
    News {
        what,
        fingerprint: fingerprint(&[environment, what.word(), &object, &change.uid, once]),
        object: Some(change.object.clone()),
        uid: change.uid.clone(),
        version: change.version.clone(),
        partition: change.partition.clone(),
        text: Untrusted::new(text.trim()),
    }
}

fn of_change(change: &Change, outcome: Option<&Outcome>) -> Option<(What, String)> {
    let because = || {
        let reasons: Vec<Untrusted> = change.because.iter().map(crate::report::reason).collect();
        reasons.iter().map(Untrusted::raw).collect::<Vec<_>>().join(" ")
    };
    let result = outcome.and_then(|outcome| outcome.results.get(&change.object));
    match (change.action, result) {
        (Action::Blocked, _) => Some((What::Blocked, because())),
        (Action::Held, _) => Some((What::Held, because())),
        // What an earlier turn wrote is healthy by now: nothing was changed.
        (action, Some(StepOutcome::Done)) if action != Action::Unchanged => {
            Some((What::Applied, done(action).to_owned()))
        }
        (_, Some(result @ (StepOutcome::Failed(_) | StepOutcome::Blocked(_) | StepOutcome::Late(_)))) => {
            Some((What::Failed, crate::report::result(result).raw().to_owned()))
        }
        // A field that is kept for who takes it over is no drift.
        _ if change.left.iter().all(|field| field.cause == Cause::Pending) => None,
        _ => {
            let contested = change.because.iter().any(|reason| matches!(reason, Reason::Contested { .. }));
            let fields: Vec<String> = change.left.iter().map(left).collect();
            let what = if contested { What::Contested } else { What::Drifted };
            Some((what, fields.join("; ")))
        }
    }
}

fn done(action: Action) -> &'static str {
    match action {
        Action::Create => "It was made.",
        Action::Delete => "It was deleted.",
        Action::Replace => "It was deleted and made again.",
        Action::Adopt => "It was adopted.",
        Action::Update | Action::Unchanged | Action::Blocked | Action::Held => "It was changed.",
    }
}

fn left(field: &crate::plan::FieldChange) -> String {
    if field.cause == Cause::Missing {
        return "it was deleted".to_owned();
    }
    let by = field.holder.as_ref().map_or("writer not recorded", |holder| holder.manager.raw());
    format!("{} was changed by {by}", field.path)
}

/// Destruction that waits is told once for its digest, with the consent ready to be committed.
fn held_destruction(planned: &Planned) -> Option<News> {
    let plan = &planned.plan;
    if plan.destruction.objects.is_empty() || plan.approved {
        return None;
    }
    let (environment, digest) = (plan.environment.as_str(), plan.destruction.digest.as_str());
    let objects: Vec<String> =
        plan.destruction.objects.iter().map(|held| format!("{} {}", held.action, held.object)).collect();
    let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(72);
    let expires = expires.strftime("%Y-%m-%dT%H:%M:%SZ");
    let name = digest.trim_start_matches("sha256:").get(..12).unwrap_or_default();
    // What nothing proves must be named, which only an Approval does.
    let unproved = plan.changes.iter().filter(|change| change.unproved && change.action == Action::Held);
    let unproved: Vec<String> = unproved.map(|change| format!("\"{}\"", change.object)).collect();
    let (command, named) = match unproved.as_slice() {
        [] => (format!("spinway approve {digest} --env {environment}, or commit"), String::new()),
        names => ("commit".to_owned(), format!("objects: [{}], ", names.join(", "))),
    };
    let text = format!(
        "{} waits for approval: {command}:\n\
         apiVersion: spinway.dev/v1alpha1\nkind: Approval\nmetadata: {{name: approve-{name}}}\n\
         spec: {{environment: {environment}, digest: \"{digest}\", expires: \"{expires}\", {named}reason: \"\"}}",
        objects.join(", ")
    );
    Some(News {
        what: What::Held,
        object: None,
        uid: String::new(),
        version: String::new(),
        partition: String::new(),
        text: Untrusted::new(text),
        fingerprint: fingerprint(&[environment, "destruction", digest]),
    })
}
