//! Consent to destruction (design law 6): the digest that names it, and the places it may come from.

use super::{Parent, hex};
use crate::desired::Approval;
use crate::object::ObjectRef;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The longest an `Approval` may run, in seconds: seven days.
const MAX_AHEAD: i64 = 7 * 24 * 3600;

/// One held destruction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Held {
    /// `delete` or `replace`.
    pub action: String,
    /// What would be destroyed.
    pub object: ObjectRef,
    /// Its uid, which makes an approval good for this one alone.
    pub uid: String,
    /// For a replace: the digest of what comes instead.
    pub new: String,
}

/// All destruction that one plan holds, and the digest that approves it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Destruction {
    /// The digest; empty when nothing is held.
    pub digest: String,
    /// What is held.
    pub objects: Vec<Held>,
}

impl Destruction {
    /// Names a destruction. No commit and no resourceVersion is in it, so it survives a merge and a status write.
    pub fn new(cluster: &str, environment: &str, mut objects: Vec<Held>) -> Self {
        if objects.is_empty() {
            return Self::default();
        }
        objects.sort();
        let mut state = Sha256::new();
        for part in [cluster, environment] {
            state.update(part);
            state.update([0]);
        }
        for held in &objects {
            let object = format!("{} {} {}", held.object.group_kind(), held.object.namespace(), held.object.name);
            for part in [&held.action, &object, &held.uid, &held.new] {
                state.update(part);
                state.update([0]);
            }
        }
        Self { digest: format!("sha256:{}", hex(&state.finalize())), objects }
    }
}

/// Whether a destruction is approved: by option, by an `Approval` of the repository, or on the inventory. `now` is in
/// seconds since 1970.
pub fn approved(
    destruction: &Destruction,
    options: &[String],
    files: &[Approval],
    parents: &[Parent],
    now: i64,
) -> bool {
    let digest = &destruction.digest;
    let in_time = |expires: &str| seconds(expires).is_some_and(|end| now < end && end - now <= MAX_AHEAD);
    !digest.is_empty()
        && (options.contains(digest)
            || files.iter().any(|a| a.digest == *digest && in_time(&a.expires))
            || parents.iter().any(|p| p.approvals.get(digest).is_some_and(|expires| in_time(expires))))
}

/// Seconds since 1970 of an RFC 3339 time in UTC or with an offset.
pub fn seconds(time: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| time.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let valid = time.as_bytes().get(4) == Some(&b'-')
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60;
    let rest = time.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match rest.as_bytes().first()? {
        b'Z' | b'z' => 0,
        sign => {
            let (hours, minutes) = (rest.get(1..3)?.parse::<i64>().ok()?, rest.get(4..6)?.parse::<i64>().ok()?);
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
    };
    // Days from civil, counted from March so that the leap day is the last.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 719_468;
    valid.then_some(days * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(uid: &str) -> Held {
        Held {
            action: "delete".into(),
            object: ObjectRef::new("", "Namespace", "", "old"),
            uid: uid.into(),
            new: String::new(),
        }
    }

    #[test]
    fn a_digest_is_for_these_objects_in_this_cluster_and_environment() {
        let one = Destruction::new("c", "staging", vec![held("1"), held("2")]);
        assert_eq!(one.digest, Destruction::new("c", "staging", vec![held("2"), held("1")]).digest);
        for other in [
            Destruction::new("d", "staging", vec![held("1"), held("2")]),
            Destruction::new("c", "production", vec![held("1"), held("2")]),
            Destruction::new("c", "staging", vec![held("1"), held("3")]),
        ] {
            assert_ne!(one.digest, other.digest);
        }
    }

    #[test]
    fn an_approval_ends_and_cannot_be_given_for_long() {
        let destruction = Destruction::new("c", "staging", vec![held("1")]);
        let file = |expires: &str| {
            [Approval {
                environment: "staging".into(),
                digest: destruction.digest.clone(),
                expires: expires.into(),
                reason: String::new(),
            }]
        };
        let now = seconds("2026-11-22T12:00:00Z").unwrap_or_default();
        assert!(approved(&destruction, &[], &file("2026-11-23T12:00:00Z"), &[], now));
        assert!(!approved(&destruction, &[], &file("2026-11-22T11:00:00Z"), &[], now));
        assert!(!approved(&destruction, &[], &file("2027-11-22T11:00:00Z"), &[], now));
        assert!(!approved(&Destruction::default(), &[String::new()], &[], &[], now));
    }

    #[test]
    fn times_are_read() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2026-11-22T15:30:00Z"), Some(1_795_361_400));
        assert_eq!(seconds("2026-11-22T15:30:00.25+01:00"), Some(1_795_361_400 - 3600));
        assert_eq!(seconds("tomorrow"), None);
    }
}
