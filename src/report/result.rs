//! The wording of what became of a change.

use crate::apply::StepOutcome;
use crate::object::Untrusted;

/// What became of a change, in words.
pub fn result(outcome: &StepOutcome) -> Untrusted {
    match outcome {
        StepOutcome::Done => Untrusted::new("done"),
        StepOutcome::Written => Untrusted::new("Written; the run ended before it was healthy."),
        StepOutcome::NotBegun => Untrusted::new("Not written: the run was interrupted."),
        StepOutcome::Late(why) => Untrusted::new(format!("Waiting: {}", why.raw())),
        StepOutcome::Failed(why) => Untrusted::new(format!("Failed: {}", why.raw())),
        StepOutcome::Blocked(why) => Untrusted::new(format!("Blocked: {}", why.raw())),
    }
}
