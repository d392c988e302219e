//! The wording of what became of a change.

use super::sentence::{details, verb};
use crate::apply::{StepOutcome, Trouble};
use crate::object::Untrusted;

/// What became of a change, in words.
pub fn result(outcome: &StepOutcome) -> Untrusted {
    let after = |word: &str, why: &Trouble| Untrusted::new(format!("{word}: {}", trouble(why).raw()));
    match outcome {
        StepOutcome::Done => Untrusted::new("done"),
        StepOutcome::Written => Untrusted::new("Written; the run ended before it was healthy."),
        StepOutcome::NotBegun => Untrusted::new("Not written: the run was interrupted."),
        StepOutcome::Late(why) => after("Waiting", why),
        StepOutcome::Failed(why) => after("Failed", why),
        StepOutcome::Blocked(why) => after("Blocked", why),
    }
}

/// What went wrong with a step, in words.
pub fn trouble(trouble: &Trouble) -> Untrusted {
    Untrusted::new(match trouble {
        Trouble::Refused(refused) => {
            let conflicts =
                refused.conflicts.iter().map(|(field, manager)| format!("{}: {}", field.raw(), manager.raw()));
            let conflicts: Vec<String> = conflicts.collect();
            let said = if conflicts.is_empty() { refused.message.raw().to_owned() } else { conflicts.join("; ") };
            format!("the API server refused it ({} {}): {said}", refused.code, refused.reason)
        }
        Trouble::Unhealthy(health) => details(health),
        Trouble::NotHealthy { object: None, seconds, health } => {
            format!("not healthy after {seconds} s: {}", details(health))
        }
        Trouble::NotHealthy { object: Some(object), seconds, health } => {
            format!("{object} is not healthy after {seconds} s: {}", details(health))
        }
        Trouble::NotGone { seconds, why } => format!("it is not gone after {seconds} s. {}", why.raw()),
        Trouble::Deleted => "someone deleted it meanwhile.".to_owned(),
        Trouble::NotOurs => {
            "someone changed it meanwhile, and it does not belong to this inventory any more.".to_owned()
        }
        Trouble::Used(user) => format!("{user} still refers to it."),
        Trouble::Unreadable { kind, why } => format!(
            "{kind} cannot be listed ({}), so it is unknown whether a route still references it. Grant `list` on {kind} in all \
             namespaces; `spinway install --permissions` prints the Roles.",
            why.raw()
        ),
        Trouble::NotSwitched(how) => {
            format!("the Gateway did not switch to the new version of the route in time: {}", how.raw())
        }
        Trouble::NeedSick { need, health } => format!("It needs {need}, which {}: {}", verb(health), details(health)),
        Trouble::NeedFailed { need, why } => format!("It needs {need}, which failed: {}", self::trouble(why).raw()),
        Trouble::NeedLate(need) => format!("It needs {need}, which is not healthy yet."),
        Trouble::NeedBlocked(need) => format!("It needs {need}, which is blocked."),
    })
}
