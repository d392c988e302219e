//! Which refused requests are worth sending again.

use crate::api::{Fault, Refused};

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It will not be accepted as it is.
    Permanent,
    /// It may be accepted later.
    Again,
}

/// The most times a request is sent.
const ATTEMPTS: u32 = 8;

/// Classifies a refusal.
pub fn classify(refused: &Refused) -> Class {
    match refused.fault {
        // Nothing was heard; server-side apply and deletes with a uid can be repeated.
        Fault::Unheard | Fault::Terminating | Fault::NotServed | Fault::Stale | Fault::Unavailable => Class::Again,
        Fault::Final | Fault::LeaseLost | Fault::Breach => Class::Permanent,
    }
}

/// Seconds to wait before the next attempt; none when there is none. Attempts count from 1.
pub fn delay(refused: &Refused, attempt: u32) -> Option<f64> {
    let again = classify(refused) == Class::Again && attempt < ATTEMPTS;
    again.then(|| 0.1 * f64::from(1_u32 << attempt.min(6)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_end() {
        let of = |fault| Refused { fault, ..Refused::default() };
        assert!(delay(&of(Fault::Unavailable), 1).is_some_and(|d| d < 1.0));
        assert_eq!(delay(&of(Fault::Unavailable), 8), None);
        for fault in [Fault::Final, Fault::LeaseLost, Fault::Breach] {
            assert_eq!(delay(&of(fault), 1), None, "{fault:?}");
        }
    }
}
