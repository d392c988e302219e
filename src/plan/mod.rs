//! The plan: what has to be done to make a cluster as the repository wants it, in which order, and what needs consent.
//!
//! It is made in two halves around the only thing that the core cannot know: [`assess`] says of every object what seems
//! to differ and which requests would be sent; the world lets the API server answer them as dry-runs; [`conclude`] makes
//! the plan of both.
//!
//! **Invariants:** a plan is a value: it alone determines the apply; the same inputs give the same plan.

mod as_applied;
mod assess;
mod blocks;
mod conclude;
mod definitions;
mod drift;
mod edit;
mod gates;
mod guard;
mod handed;
mod left;
mod owned;
mod policy;
mod reason;
mod renamed;
mod restrain;
mod rollback;
mod rollout;
mod screen;
mod selection;
mod steps;

pub use as_applied::{AsApplied, take_for_granted};
pub use assess::{Assessed, assess, outgoing};
pub use conclude::{Prepared, conclude, proof_body};
pub use drift::Drift;
pub use gates::{Users, is_ours, makers};
pub use left::wanted;
pub use owned::{OwnDrift, drift_of_owned};
pub use policy::is_same_but_status;
pub use reason::{Break, DefinitionLoss, Destructive, Ownership, Reason};
pub use rollback::{hold_back, hold_unread, holds, text_digest};
pub use screen::{Listing, Screen};
pub use selection::Selection;
pub use steps::{Gate, Need, Proof, Step, StepKind, Stepped, available, needs_of, sequence};

use crate::api::Refused;
use crate::fields::{FieldPath, Holder};
use crate::inventory::{Destruction, Parent};
use crate::live::Age;
use crate::object::{Diagnostic, ObjectRef, Origin, Untrusted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is deleted and made again.
    Replace,
    /// It is deleted.
    Delete,
    /// It exists, nobody owns it, and it becomes ours.
    Adopt,
    /// Nothing is to be done.
    Unchanged,
    /// Something is wrong with it or with what it needs.
    Blocked,
    /// It waits for approval.
    Held,
}

impl Action {
    /// The sign of the action in every text.
    pub fn sign(self) -> char {
        match self {
            Self::Create => '+',
            Self::Update => '~',
            Self::Replace => '±',
            Self::Delete => '-',
            Self::Adopt => '&',
            Self::Unchanged => '=',
            Self::Blocked => '!',
            Self::Held => '?',
        }
    }

    /// Whether something is sent for it.
    pub fn is_acting(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Replace | Self::Delete | Self::Adopt)
    }

    /// All of them, in the order in which summaries list them.
    pub const ALL: [Self; 8] = [
        Self::Create,
        Self::Update,
        Self::Replace,
        Self::Delete,
        Self::Adopt,
        Self::Unchanged,
        Self::Blocked,
        Self::Held,
    ];
}

/// Why a field differs (design §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The repository changed.
    Pending,
    /// Declared at the last apply, now different and no longer ours, or gone.
    Drift,
    /// Never declared by us, held by another.
    Unowned,
    /// The whole object is absent.
    Missing,
}

/// One field that differs. The values are as they are: secrets are masked where a report is made.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldChange {
    /// The field.
    pub path: FieldPath,
    /// The live value.
    pub before: Option<Value>,
    /// The value after the apply.
    pub after: Option<Value>,
    /// Why it differs.
    pub cause: Cause,
    /// Who wrote the live value, where recorded.
    pub holder: Option<Holder>,
}

/// What the plan does to one object, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The object.
    pub object: ObjectRef,
    /// The version of its apiVersion.
    pub version: String,
    /// The partition.
    pub partition: String,
    /// What is done.
    pub action: Action,
    /// What would be done if it were neither blocked nor held.
    pub intended: Action,
    /// Where it is declared.
    pub origin: Option<Origin>,
    /// The fields that differ.
    pub fields: Vec<FieldChange>,
    /// The fields that are left as they are: drift that is only reported, and what is kept until who takes it over writes it.
    pub left: Vec<FieldChange>,
    /// The reasons; `report` words them.
    pub because: Vec<Reason>,
    /// The objects that it needs and that the plan changes.
    pub needs: Vec<ObjectRef>,
    /// The text to apply; none for deletes.
    pub body: Option<Value>,
    /// The live object's uid, sent with every write to it.
    pub uid: String,
    /// The live object's resourceVersion, sent where force is used.
    pub resource_version: String,
    /// The fields that are taken from others; the request is forced when there are any.
    pub taken: Vec<FieldPath>,
    /// Whether a replace could not be proved by a dry-run under another name.
    pub unproved: bool,
    /// Whether it deletes a version of an App that another one takes the place of: that is no loss.
    pub superseded: bool,
    /// The object that takes its place, when its deletion is a rename: that is no loss either.
    pub successor: Option<ObjectRef>,
    /// Why the change has no order that keeps every reference whole, if so.
    pub breaks: Option<Break>,
}

impl Change {
    /// Whether its request is forced.
    pub fn is_forced(&self) -> bool {
        !self.taken.is_empty()
    }

    /// Whether it counts as a deletion.
    pub fn is_loss(&self) -> bool {
        matches!(self.action, Action::Delete | Action::Replace) && !self.superseded && self.successor.is_none()
    }

    /// Why going back to an earlier revision would not undo it, if so.
    pub fn irreversible(&self) -> Option<&'static str> {
        let destroys = matches!(self.intended, Action::Delete | Action::Replace);
        match (self.object.kind.as_str(), self.intended) {
            ("CustomResourceDefinition", Action::Delete) => Some("all objects of its kind go with it"),
            ("CustomResourceDefinition", Action::Update) => Some("definitions of kinds are not rolled back"),
            ("Namespace", _) if destroys => Some("everything in it goes with it"),
            ("PersistentVolume" | "PersistentVolumeClaim" | "StatefulSet", _) if destroys => {
                Some("its data may go with it")
            }
            ("Job", Action::Create | Action::Replace) => Some("it runs"),
            _ => None,
        }
    }

    /// An object to which nothing is done.
    pub fn unchanged(object: &ObjectRef, version: &str, partition: &str) -> Self {
        Self {
            object: object.clone(),
            version: version.to_owned(),
            partition: partition.to_owned(),
            action: Action::Unchanged,
            intended: Action::Unchanged,
            origin: None,
            fields: Vec::new(),
            left: Vec::new(),
            because: Vec::new(),
            needs: Vec::new(),
            body: None,
            uid: String::new(),
            resource_version: String::new(),
            taken: Vec::new(),
            unproved: false,
            superseded: false,
            successor: None,
            breaks: None,
        }
    }
}

/// Why a plan is refused as a whole (exit code 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub message: Untrusted,
    /// What to do next.
    pub help: &'static str,
}

/// What alters a plan beside the repository and the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Adopt objects that nobody owns.
    pub adopt: bool,
    /// Destruction digests that are approved.
    pub approve: Vec<String>,
    /// Refuse everything when anything is wrong.
    pub strict: bool,
    /// Take over an inventory of another source.
    pub take_inventory: bool,
    /// Go on although the revision that was applied last is not in the history of this one.
    pub rewrites: bool,
    /// What the run is limited to.
    pub select: Selection,
    /// The time, in seconds since 1970.
    pub now: i64,
    /// The kubeconfig context that is used; empty offline.
    pub context: String,
    /// Repository URL and path.
    pub source: String,
    /// The revision; empty for a directory.
    pub revision: String,
    /// Whether it is the agent that plans, which never changes what it may do, and leaves what it corrected too often.
    pub by_agent: bool,
    /// Whether drift is reported and left; none when it is corrected.
    pub leave: Option<Leave>,
}

/// Drift is reported and left: what the repository did not change is not written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leave {
    /// Objects whose text has changed since the last apply, with the text then: one of these that someone deleted is made
    /// again, and a field that the repository changed itself is no mere drift.
    pub renewed: BTreeMap<ObjectRef, Option<Value>>,
}

/// How the API server answered a dry-run.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It would be accepted, and become this.
    Accepted(Value),
    /// It would be refused.
    Refused(Refused),
}

/// Everything that is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The environment.
    pub environment: String,
    /// The objects, in the order of their names.
    pub changes: Vec<Change>,
    /// The steps, in an order in which they can be done.
    pub steps: Vec<Step>,
    /// Which step comes before which, by index.
    pub order: Vec<(usize, usize)>,
    /// The digest of the plan.
    pub digest: String,
    /// What is held, and the digest that approves it.
    pub destruction: Destruction,
    /// Whether that was approved.
    pub approved: bool,
    /// How old the live state is, when it is a snapshot.
    pub snapshot: Option<Age>,
    /// Findings.
    pub diagnostics: Vec<Diagnostic>,
    /// Why nothing may be done.
    pub refused: Option<Refusal>,
    /// The inventory as it is now.
    pub parents: Vec<Parent>,
    /// The partitions whose inventory cannot be read: it is not written either.
    pub broken: BTreeSet<String>,
    /// The digest of the desired texts of each partition.
    pub texts: BTreeMap<String, String>,
}

impl Plan {
    /// How many objects have each action.
    pub fn summary(&self) -> BTreeMap<Action, usize> {
        let mut counts: BTreeMap<Action, usize> = Action::ALL.iter().map(|a| (*a, 0)).collect();
        for change in &self.changes {
            *counts.entry(change.action).or_default() += 1;
        }
        counts
    }

    /// Whether anything is to be done or waits.
    pub fn has_differences(&self) -> bool {
        self.changes.iter().any(|c| c.action != Action::Unchanged)
    }

    /// Whether a write is to be sent.
    pub fn has_work(&self) -> bool {
        !self.steps.is_empty()
    }

    /// The change of an object.
    pub fn change(&self, object: &ObjectRef) -> Option<&Change> {
        self.changes.iter().find(|c| c.object == *object)
    }
}
