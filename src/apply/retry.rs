//! Which refused requests are worth sending again. The status code alone does not tell: server-side apply answers 500
//! for a text that is wrong for good, and 403 for a namespace that is still going (measured on kube-apiserver 1.36).

use super::BREACH;
use crate::plan::Refused;

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It will not be accepted as it is.
    Permanent,
    /// It may be accepted later.
    Again,
}

/// The reason of a refusal of our own: the lease is not held any more, so nothing may be written.
pub const LEASE_LOST: &str = "LeaseLost";
/// The most times a request is sent.
const ATTEMPTS: u32 = 8;

/// Classifies a refusal.
pub fn classify(refused: &Refused) -> Class {
    let message = refused.message.raw();
    let says = |text: &str| message.contains(text);
    let again = match refused.code {
        0 if refused.reason == LEASE_LOST || refused.reason == BREACH => false,
        // Transport: nothing was heard; server-side apply and deletes with a uid can be repeated.
        0 => true,
        403 => says("being terminated"),
        // A kind that was defined a moment ago, or a namespace that is being made.
        404 => says("could not find the requested resource") || says("namespaces \"") || says("page not found"),
        // A server that is too busy (429) is asked again where the request is sent.
        502..=504 => true,
        409 => {
            refused.reason == "Conflict"
                && refused.conflicts.is_empty()
                && says("please apply your changes to the latest version")
                && !says("uid")
        }
        500 => {
            says("failed calling webhook")
                || says("etcdserver: leader changed")
                || says("etcdserver: request timed out")
        }
        _ => false,
    };
    if again { Class::Again } else { Class::Permanent }
}

/// Seconds to wait before the next attempt; none when there is none. Attempts count from 1.
pub fn delay(refused: &Refused, attempt: u32) -> Option<f64> {
    let again = classify(refused) == Class::Again && attempt < ATTEMPTS;
    again.then(|| 0.1 * f64::from(1_u32 << attempt.min(6)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, reason: &str, message: &str) -> Refused {
        Refused { code, reason: reason.into(), message: message.into(), ..Refused::default() }
    }

    #[test]
    fn permanent_500s_are_not_sent_again() {
        assert_eq!(
            classify(&refused(
                500,
                "InternalError",
                "failed to create typed patch object (x): .spec.y: field not declared in schema"
            )),
            Class::Permanent
        );
        assert_eq!(
            classify(&refused(500, "InternalError", "Internal error occurred: failed calling webhook \"m\"")),
            Class::Again
        );
        assert_eq!(
            classify(&refused(
                403,
                "Forbidden",
                "unable to create new content in namespace a because it is being terminated"
            )),
            Class::Again
        );
        assert_eq!(classify(&refused(403, "Forbidden", "user cannot patch")), Class::Permanent);
        assert_eq!(classify(&refused(422, "Invalid", "")), Class::Permanent);
        assert_eq!(classify(&refused(0, "", "connection reset")), Class::Again);
    }

    #[test]
    fn attempts_end() {
        let away = refused(503, "ServiceUnavailable", "");
        assert!(delay(&away, 1).is_some_and(|d| d < 1.0));
        assert_eq!(delay(&away, 8), None);
        assert_eq!(delay(&refused(429, "TooManyRequests", ""), 1), None);
        assert_eq!(delay(&refused(422, "Invalid", ""), 1), None);
    }
}
