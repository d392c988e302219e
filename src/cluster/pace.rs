//! How many requests are under way at once: as many as are allowed, fewer while the server says that it is busy.
//!
//! The server has the last word (API priority and fairness): each 429 halves what was under way, and as many successes as are
//! allowed at once let one more through again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The pace of one connection.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    limit: usize,
    active: usize,
    successes: usize,
}

/// A request that is under way; it ends with this value.
pub(super) struct Slot<'a>(&'a Pace);

impl Pace {
    pub(super) fn new(most: usize) -> Self {
        let state = State { limit: most.max(1), active: 0, successes: 0 };
        Self { most: most.max(1), state: Mutex::new(state), freed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one more request may be sent.
    pub(super) async fn slot(&self) -> Slot<'_> {
        loop {
            let freed = self.freed.notified();
            {
                let mut state = self.state();
                if state.active < state.limit {
                    state.active += 1;
                    return Slot(self);
                }
            }
            freed.await;
        }
    }

    /// The server answered.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        state.successes += 1;
        if state.limit < self.most && state.successes >= state.limit {
            state.limit += 1;
            state.successes = 0;
            drop(state);
            self.freed.notify_one();
        }
    }

    /// The server said that it is busy.
    pub(super) fn throttled(&self) {
        let mut state = self.state();
        state.limit = (state.limit.min(state.active) / 2).max(1);
        state.successes = 0;
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.state().active -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn the_server_slows_it_down_and_lets_it_recover() {
        let pace = Pace::new(4);
        let slots: Vec<_> = (0..4).filter_map(|_| pace.slot().now_or_never()).collect();
        assert_eq!(slots.len(), 4);
        assert!(pace.slot().now_or_never().is_none());
        pace.throttled();
        drop(slots);
        let slots: Vec<_> = (0..4).map_while(|_| pace.slot().now_or_never()).collect();
        assert_eq!(slots.len(), 2);
        pace.answered();
        pace.answered();
        assert!(pace.slot().now_or_never().is_some());
        pace.throttled();
        pace.throttled();
        pace.throttled();
        drop(slots);
        assert!(pace.slot().now_or_never().is_some(), "one is always allowed");
    }

    #[test]
    fn a_slot_that_is_freed_wakes_who_waits() {
        let pace = Pace::new(1);
        let first = pace.slot().now_or_never();
        let mut waiting = Box::pin(pace.slot());
        assert!((&mut waiting).now_or_never().is_none());
        drop(first);
        assert!((&mut waiting).now_or_never().is_some());
    }
}
