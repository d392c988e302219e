//! What became of a change, as a value: `report::result` words it.

use super::State;
use crate::object::Untrusted;

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
    Late(Untrusted),
    /// It failed, and why.
    Failed(Untrusted),
    /// What it needs failed or is sick, and why it was not begun.
    Blocked(Untrusted),
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
