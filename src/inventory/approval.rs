//! Consent to destruction (design law 6): the digest that names it, and the places it may come from.

use super::Parent;
use crate::desired::Approval;
use crate::object::{ObjectRef, hex, seconds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest an `Approval` may run, in seconds: seven days.
const MAX_AHEAD: i64 = 7 * 24 * 3600;

/// One held destruction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Destruction {
    /// The digest; empty when nothing is held, or by a snapshot that is too old to issue one.
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
    !digest.is_empty()
        && (options.contains(digest)
            || of(destruction, files, now).next().is_some()
            || parents.iter().any(|p| p.approvals.get(digest).is_some_and(|expires| in_time(expires, now))))
}

/// Whether an approval of a destruction names an object too: an option, or an `Approval` that counts now, exactly.
pub fn names(destruction: &Destruction, object: &ObjectRef, options: &[String], files: &[Approval], now: i64) -> bool {
    let name = object.to_string();
    options.contains(&name) || of(destruction, files, now).any(|approval| approval.objects.contains(&name))
}

/// The `Approval`s of a destruction that count now.
fn of<'a>(destruction: &Destruction, files: &'a [Approval], now: i64) -> impl Iterator<Item = &'a Approval> {
    files.iter().filter(move |approval| approval.digest == destruction.digest && in_time(&approval.expires, now))
}

fn in_time(expires: &str, now: i64) -> bool {
    seconds(expires).is_some_and(|end| now < end && end - now <= MAX_AHEAD)
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
                objects: vec!["Deployment shop/cart".into()],
                reason: "Deployment shop/pay".into(),
            }]
        };
        let now = seconds("2026-11-22T12:00:00Z").unwrap_or_default();
        assert!(approved(&destruction, &[], &file("2026-11-23T12:00:00Z"), &[], now));
        assert!(!approved(&destruction, &[], &file("2026-11-22T11:00:00Z"), &[], now));
        assert!(!approved(&destruction, &[], &file("2027-11-22T11:00:00Z"), &[], now));
        assert!(!approved(&Destruction::default(), &[String::new()], &[], &[], now));
        let names = |object: &str, expires: &str| {
            let object = ObjectRef::new("apps", "Deployment", "shop", object);
            names(&destruction, &object, &[], &file(expires), now)
        };
        assert!(names("cart", "2026-11-23T12:00:00Z"));
        assert!(!names("cart", "2026-11-22T11:00:00Z"), "it has ended");
        // Neither a part of a name nor a sentence is a name.
        for other in ["car", "cart-2", "pay"] {
            assert!(!names(other, "2026-11-23T12:00:00Z"), "{other}");
        }
        let other = Destruction::new("c", "staging", vec![held("2")]);
        let cart = ObjectRef::new("apps", "Deployment", "shop", "cart");
        assert!(!super::names(&other, &cart, &[], &file("2026-11-23T12:00:00Z"), now), "of another destruction");
        assert!(super::names(&other, &cart, &["Deployment shop/cart".to_owned()], &[], now));
    }

    #[test]
    fn times_are_read() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2026-11-22T15:30:00Z"), Some(1_795_361_400));
        assert_eq!(seconds("2026-11-22T15:30:00.25+01:00"), Some(1_795_361_400 - 3600));
        assert_eq!(seconds("tomorrow"), None);
    }
}
