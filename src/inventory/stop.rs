//! What people stop: an environment, a tenant or an app is suspended, or held at an older revision; a single object is
//! paused in the cluster. Each has an end.

use crate::desired::{Desired, MAX_PAUSE, Scope, Stop};
use crate::fields::{FieldPath, Managers};
use crate::kinds::{self, ON_FAILURE, SPIN};
use crate::object::{ObjectRef, Untrusted, annotation, seconds};
use serde_json::Value;

/// The annotation of an object in the cluster that pauses it until then (RFC 3339).
pub const PAUSE: &str = "spinway.dev/pause-until";
/// Where the stops of a partition stand, on its parent.
pub const STOPS: &str = "spinway.dev/stops";

/// The app (`NAMESPACE/NAME`) whose last healthy version is asked for when a change of this SpinApp does not become healthy.
pub fn comes_back(desired: &Desired, object: &ObjectRef) -> Option<String> {
    let member = desired.objects.get(object).filter(|_| object.is(SPIN, "SpinApp"))?;
    let asks = member.object.annotation(ON_FAILURE) == Some("rollback");
    asks.then(|| kinds::app_of(object, &member.object.value)).flatten()
}

/// The stops on a parent. Ones that cannot be read stop everything that they may have been about, for the same reason.
pub(super) fn read(parent: &Value) -> Vec<Stop> {
    let Some(text) = annotation(parent, STOPS) else { return Vec::new() };
    serde_json::from_str(text).unwrap_or_else(|error| {
        let reason = format!("the annotation {STOPS} cannot be read: {error}");
        let stop = |scope| Stop {
            scope,
            until: "it is mended".to_owned(),
            by: "spinway".to_owned(),
            reason: reason.clone(),
            failed: None,
            revision: None,
        };
        vec![stop(Scope::Tenant), stop(Scope::Environment)]
    })
}

/// A pause that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// Until when, RFC 3339.
    pub until: String,
    /// Who set it, where recorded.
    pub by: Option<Untrusted>,
    /// When they set it, where recorded.
    pub at: Option<String>,
}

/// The pause of an object in the cluster, if it has one that is in force. An error says why its pause does not count.
///
/// # Errors
/// The time cannot be read, or is too far ahead.
pub fn paused(live: &Value, now: i64) -> Result<Option<Paused>, Untrusted> {
    let Some(until) = annotation(live, PAUSE) else { return Ok(None) };
    let Some(end) = seconds(until) else {
        return Err(Untrusted::new(format!("{PAUSE} is no time (RFC 3339), so it does not pause: {until}")));
    };
    if end - now > MAX_PAUSE {
        return Err(Untrusted::new(format!("{PAUSE} is more than 24 hours ahead, so it does not pause: {until}")));
    }
    if end <= now {
        return Ok(None);
    }
    let path = FieldPath::of(&["metadata", "annotations", PAUSE]);
    let managers = Managers::of(live);
    let holder = managers.other_of(&path);
    Ok(Some(Paused {
        until: until.to_owned(),
        by: holder.map(|holder| holder.manager.clone()),
        at: holder.and_then(|holder| holder.time.clone()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pause_ends_and_cannot_be_long() {
        let now = seconds("2026-11-22T12:00:00Z").unwrap_or_default();
        let at = |until: &str| paused(&json!({"metadata": {"annotations": {PAUSE: until}}}), now);
        assert!(matches!(at("2026-11-22T13:00:00Z"), Ok(Some(_))));
        assert!(matches!(at("2026-11-22T11:00:00Z"), Ok(None)));
        for ignored in ["2026-11-24T12:00:00Z", "", "tomorrow", "\u{0}", "9999999999999-01-01T00:00:00Z"] {
            assert!(at(ignored).is_err(), "{ignored}");
        }
    }

    #[test]
    fn a_stop_that_cannot_be_read_stops() {
        for text in ["", "{", "[{\"scope\": \"everything\"}]", "[1]"] {
            let stops = read(&json!({"metadata": {"annotations": {STOPS: text}}}));
            assert!(stops.iter().any(|stop| stop.is_in_force(i64::MAX) && stop.revision.is_none()), "{text}");
        }
        assert!(read(&json!({"metadata": {}})).is_empty());
    }
}
