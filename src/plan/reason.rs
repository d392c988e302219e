//! Why a change is as it is: facts, worded in `report` only (design law 8).

use crate::fields::{FieldPath, Holder, Operation};
use crate::inventory::{Paused, Stop};
use crate::kinds::{Health, Verdict};
use crate::object::{GroupKind, ObjectRef, Origin, Untrusted};
use std::collections::BTreeSet;

/// Why something is done to an object, or not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Findings of severity error are about the object: these.
    Erroneous(BTreeSet<&'static str>),
    /// Findings of severity error are about another object of its App, of which nothing is changed then.
    OfErroneousApp {
        /// The other object.
        object: ObjectRef,
        /// The App, `NAMESPACE/NAME`.
        app: String,
    },
    /// `metadata.namespace` does not fit the scope of its kind.
    Scope {
        /// Whether the kind is namespaced.
        namespaced: bool,
    },
    /// Whether the object exists could not be found out; none when nobody looked.
    Unknown(Option<Untrusted>),
    /// A snapshot says nothing of the object.
    NotInSnapshot,
    /// The live object is being deleted.
    Terminating,
    /// Another inventory, tool or release owns the live object.
    OwnedBy(Untrusted),
    /// The live object belongs to no inventory, and adopting was not asked for.
    Unowned,
    /// A Job that ran to its end and was removed by its `ttlSecondsAfterFinished`.
    RanAndExpired,
    /// The object was there after the last apply; someone else deleted it.
    Vanished,
    /// It drifted, and the environment reports drift without correcting it.
    DriftReported,
    /// A field that someone changes back each time and that is left for now.
    Contested {
        /// The field.
        path: FieldPath,
        /// Who changes it, where recorded.
        by: Option<Untrusted>,
    },
    /// A snapshot has no Secret values, so they could not be compared.
    SecretUnknown,
    /// Only who holds a field differs.
    Ownership(Ownership),
    /// A field is left to the manager that holds it, as controllers own it by its nature.
    LeftTo {
        /// The field.
        path: FieldPath,
        /// Its manager.
        by: Untrusted,
    },
    /// A field that is no longer declared keeps its value until its autoscaler writes it.
    KeptForAutoscaler {
        /// The field.
        path: FieldPath,
    },
    /// An `ignore` rule that cannot be followed, since a list has another length live.
    IgnoreMisses {
        /// The rule's path.
        rule: String,
        /// The list.
        list: FieldPath,
    },
    /// A field that another manager holds with another value.
    HeldBy {
        /// The field.
        path: FieldPath,
        /// Its manager.
        by: Untrusted,
        /// How it was written.
        operation: Operation,
    },
    /// A field that another manager holds, with a value that a snapshot does not show.
    HeldUnseen {
        /// The field.
        path: FieldPath,
        /// Its manager.
        by: Untrusted,
    },
    /// A field is taken from another manager.
    Taken {
        /// The field.
        path: FieldPath,
        /// Its manager until now.
        from: Untrusted,
    },
    /// Only the API server can tell whether anything would change, and it cannot be asked.
    Undecided,
    /// The plan changes the definition of the object's kind first, so a dry-run proves nothing.
    DefinitionFirst,
    /// The object's kind is not served yet.
    KindNotServed,
    /// The object's namespace does not exist yet.
    NamespaceAbsent,
    /// The request would take a field that no rule decided about.
    Unjudged {
        /// The field.
        path: FieldPath,
        /// Its manager.
        from: Untrusted,
    },
    /// Admission of the cluster overrides what is declared.
    Overridden,
    /// Only the record of who holds which field changes.
    RecordOnly,
    /// Fields that cannot be changed in place.
    Immutable(Vec<String>),
    /// The new object would be refused under another name too, so replacing it would lose it.
    ReplacementRefused,
    /// No dry-run can show that the new object is valid.
    Unproved,
    /// The API server refuses the request because another manager holds a field.
    Conflict {
        /// The field.
        field: Untrusted,
        /// What the server says of who holds it.
        manager: Untrusted,
    },
    /// The API server refuses the request.
    Refused {
        /// The HTTP status code.
        code: u16,
        /// The reason as Kubernetes names it.
        reason: String,
        /// The server's message.
        message: Untrusted,
    },
    /// A definition loses something.
    Definition(DefinitionLoss),
    /// The partition's inventory cannot be read.
    InventoryUnreadable {
        /// The partition.
        partition: String,
        /// The fault.
        why: String,
    },
    /// A protected environment requires a `serviceAccount`, which the tenant does not have.
    NoAccount {
        /// The tenant.
        tenant: String,
    },
    /// The object is at fault in a dependency cycle.
    InCycle,
    /// What it needs is blocked.
    NeedBlocked {
        /// What it needs.
        need: ObjectRef,
        /// Where the reference is.
        place: Option<Origin>,
    },
    /// What it needs is not healthy.
    NeedSick {
        /// What it needs.
        need: ObjectRef,
        /// How it is.
        health: Box<Health>,
        /// Where the reference is.
        place: Option<Origin>,
    },
    /// What it needs is held, or blocked by something that is.
    NeedWaits {
        /// What it needs.
        need: ObjectRef,
    },
    /// Something live uses it and goes on to after the plan.
    StillUsed {
        /// What uses it.
        by: ObjectRef,
    },
    /// Something live needs a part that the change takes away.
    StillNeeded {
        /// What needs it.
        by: ObjectRef,
    },
    /// The policy that restricts its egress is not applied.
    Unlimited {
        /// The policy.
        policy: ObjectRef,
    },
    /// Without it nothing would restrict the egress of pods that run.
    LastLimit {
        /// What has the pods.
        pods: ObjectRef,
    },
    /// It gives up requests that another route takes over, which the plan does not change.
    GivesUp {
        /// The other route.
        route: ObjectRef,
    },
    /// What would serve its requests cannot.
    BackendSick {
        /// The backend, or what makes it.
        object: ObjectRef,
        /// How it is.
        health: Box<Health>,
    },
    /// It waits for another object to become healthy.
    WaitsFor {
        /// The other object.
        object: ObjectRef,
        /// How it is.
        health: Box<Health>,
    },
    /// It is approved, except that a replace without proof must be named in the approval.
    ApprovalMustName(String),
    /// The destruction is approved.
    Approved,
    /// The repository does not have it any more.
    Undeclared,
    /// A version of an App that another one takes the place of.
    Superseded {
        /// The App, `NAMESPACE/NAME`.
        app: String,
    },
    /// It is deleted, and another object takes its place.
    Renamed {
        /// The other object.
        successor: ObjectRef,
    },
    /// It destroys something, which waits for approval.
    Destructive(Destructive),
    /// Someone paused the object in the cluster.
    Paused(Paused),
    /// Someone suspended it, or holds it at a revision.
    Stopped(Stop),
    /// It is a part of what the agent is or may do, which the agent never changes.
    AgentsOwn,
}

impl Reason {
    /// What is to be said of a backend that is waited for; none when nothing stands in the way.
    pub(super) fn of_backend(object: &ObjectRef, health: &Health) -> Option<Self> {
        let (object, of) = (object.clone(), Box::new(health.clone()));
        match health.verdict {
            Verdict::Failed | Verdict::Terminating | Verdict::Missing => Some(Self::BackendSick { object, health: of }),
            Verdict::Progressing => Some(Self::WaitsFor { object, health: of }),
            Verdict::Current | Verdict::Unknown => None,
        }
    }

    /// A field that is taken from its manager.
    pub(super) fn taken(path: &FieldPath, holder: &Holder) -> Self {
        Self::Taken { path: path.clone(), from: holder.manager.clone() }
    }
}

/// Why no order of the changes keeps every request whole (law 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Break {
    /// Two changes each have to come before the other.
    Circular {
        /// The other change.
        with: ObjectRef,
        /// Whose references or requests would not be whole.
        of: ObjectRef,
    },
    /// What the object's operator made goes with it, and the repository declares it: it comes back with the next turn.
    GoesWithIt {
        /// What goes.
        wanted: ObjectRef,
    },
    /// The operator makes one of this name for an app, and nothing answers until it has.
    MadeLater {
        /// The app.
        app: ObjectRef,
    },
    /// The pods of a backend are replaced in place.
    PodsReplaced {
        /// The backend.
        backend: ObjectRef,
    },
    /// The pods of an app fall to one until its autoscaler writes their number.
    ScaledDown {
        /// What has the pods.
        target: ObjectRef,
        /// How many there are.
        from: i64,
        /// The autoscaler, where there is one.
        scaler: Option<ObjectRef>,
    },
    /// What serves requests is deleted and created again.
    Recreated {
        /// The route or the Service through which the requests come.
        through: ObjectRef,
    },
}

/// A difference in who holds a field, without one in its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The field becomes ours again.
    Regained(FieldPath),
    /// We give the field up, and another manager keeps it.
    Kept(FieldPath),
    /// We give the field up, and it is gone already.
    Released(FieldPath),
    /// We give the field up, and its value is the default.
    Default(FieldPath),
    /// Our entry is of another apiVersion.
    ApiVersion {
        /// The one that it is of.
        from: String,
    },
}

/// What a changed definition of a kind loses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefinitionLoss {
    /// A version in which objects may be stored: they could not be read any more.
    Stored {
        /// The version.
        version: String,
    },
    /// The experimental channel is replaced by the standard one.
    Channel,
    /// The bundle is an older one.
    Bundle {
        /// The version that is live.
        from: String,
        /// The version in the repository.
        to: String,
    },
    /// A version that an object of the repository is written in.
    Unserved {
        /// The object.
        object: ObjectRef,
        /// Its version.
        version: String,
    },
    /// A field that a live object has.
    Field {
        /// The object.
        object: ObjectRef,
        /// The field.
        field: String,
    },
}

/// Why a destruction waits for approval (design law 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destructive {
    /// Replacing deletes the object first.
    Replace,
    /// Deleting an object of this kind always waits.
    Kind(GroupKind),
    /// It is one of spinway's own objects.
    Own,
    /// The environment is protected.
    Protected,
    /// It is the last route of a hostname.
    LastRoute {
        /// The hostname.
        hostname: String,
    },
    /// The deletions pass the budget.
    Budget {
        /// How many there are within the window, with those of earlier applies.
        deletions: usize,
        /// The partition whose budget is passed; none for the environment's.
        partition: Option<String>,
        /// The window, in seconds.
        window: i64,
        /// How many are allowed.
        allowed: usize,
    },
}
