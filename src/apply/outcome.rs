//! What became of a change, as values: `report` words them.

use super::State;
use crate::api::Refused;
use crate::kinds::Health;
use crate::object::{GroupKind, ObjectRef, Untrusted};

/// What became of the change of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// It is done, and what is waited for is healthy.
    Done,
    /// It was written, and the run ended before it was known to be healthy.
    Written,
    /// It was not begun, since the run was interrupted.
    NotBegun,
    /// What it waits for was still on its way when its time was over; the next run goes on with it.
    Late(Trouble),
    /// It failed.
    Failed(Trouble),
    /// What it needs failed or is sick, so it was not begun.
    Blocked(Trouble),
}

/// What went wrong with a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The API server refused the request for good.
    Refused(Box<Refused>),
    /// The object was written and is not healthy.
    Unhealthy(Health),
    /// The object was not healthy when its time was over.
    NotHealthy {
        /// The object that is waited for; none for the step's own.
        object: Option<ObjectRef>,
        /// The time that it had, in seconds.
        seconds: u64,
        /// How it was then.
        health: Health,
    },
    /// The object was not gone when its time was over.
    NotGone {
        /// The time that it had, in seconds.
        seconds: u64,
        /// What holds it, as the API server says.
        why: Untrusted,
    },
    /// Someone deleted the object after it was written.
    Deleted,
    /// Someone changed the object, and it does not belong to this inventory any more.
    NotOurs,
    /// Another object still refers to the one that is to be deleted.
    Used(ObjectRef),
    /// Objects that may refer to the one that is to be deleted cannot be listed.
    Unreadable {
        /// Their kind.
        kind: GroupKind,
        /// Why.
        why: Untrusted,
    },
    /// The Gateway went on answering as before; how it answered.
    NotSwitched(Untrusted),
    /// What it needs is not healthy.
    NeedSick {
        /// What it needs.
        need: ObjectRef,
        /// How it is.
        health: Health,
    },
    /// What it needs failed.
    NeedFailed {
        /// What it needs.
        need: ObjectRef,
        /// What went wrong with that.
        why: Box<Trouble>,
    },
    /// What it needs was not healthy in time.
    NeedLate(ObjectRef),
    /// What it needs is blocked.
    NeedBlocked(ObjectRef),
}

impl StepOutcome {
    /// The outcome of a step that ended, or will not go on, in a state.
    pub fn of(state: &State) -> Self {
        match state {
            State::Done => Self::Done,
            State::Failed(why) => Self::Failed(why.clone()),
            State::NotBegun => Self::NotBegun,
            State::Blocked(why) => Self::Blocked(why.clone()),
            State::Late(why) => Self::Late(why.clone()),
            State::Settling(_) | State::Sent | State::Waiting => Self::Written,
        }
    }

    /// Whether the next run may complete it without a change of the repository.
    pub fn is_under_way(&self) -> bool {
        matches!(self, Self::Written | Self::Late(_))
    }
}
