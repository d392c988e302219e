//! What an image does when a pod is to run it: its name says so, until the cause is taken away.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is wrong with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be pulled.
    Bad,
    /// It starts and exits.
    Crash,
    /// It runs and never becomes ready.
    Never,
    /// Its pull takes so long.
    Slow(Duration),
}

/// The registry as the kubelet meets it.
#[derive(Clone, Default)]
pub struct Images {
    healed: Arc<Mutex<HashSet<String>>>,
}

impl Images {
    /// What is wrong with an image now: `NAME-bad`, `NAME-crash`, `NAME-never`, `NAME-slow-SECONDS`, by its repository.
    pub fn fault(&self, image: &str) -> Option<Fault> {
        let name = image.split(['@', ':']).next().unwrap_or_default();
        let name = name.rsplit('/').next().unwrap_or_default();
        if self.healed.lock().expect("a lock").contains(name) {
            return None;
        }
        let words: Vec<&str> = name.split('-').collect();
        let slow = words.iter().position(|word| *word == "slow").and_then(|at| words.get(at + 1)?.parse().ok());
        match &words[..] {
            _ if slow.is_some() => slow.map(|seconds| Fault::Slow(Duration::from_secs(seconds))),
            words if words.contains(&"bad") => Some(Fault::Bad),
            words if words.contains(&"crash") => Some(Fault::Crash),
            words if words.contains(&"never") => Some(Fault::Never),
            _ => None,
        }
    }

    /// Takes the cause away: the image of that name (without registry, tag and digest) is sound from now on.
    pub fn heal(&self, name: &str) {
        self.healed.lock().expect("a lock").insert(name.to_owned());
    }
}
