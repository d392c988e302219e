//! `onFailure: rollback`: the last healthy version of an app comes back when a change of it does not become healthy.

use super::{Environment, Outcome, PeopleError, Planned, owed};
use crate::inventory::{Stop, comes_back};
use crate::object::{ObjectRef, Untrusted};
use crate::plan;
use std::collections::BTreeMap;

/// An app that asks to come back, and what came of it.
pub struct Comeback {
    /// The app, `NAMESPACE/NAME`.
    pub app: String,
    /// Where it is held now, or why it stays as it is.
    pub held: Result<Stop, Stays>,
}

/// Why an app stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum Stays {
    /// Nothing to go back to.
    #[error("no revision at which it was healthy is recorded, or it is held at one already")]
    Nowhere,
    /// It could not be written.
    #[error(transparent)]
    People(#[from] PeopleError),
}

impl Comeback {
    /// In words.
    pub fn text(&self) -> Untrusted {
        Untrusted::new(match &self.held {
            Ok(stop) => format!("App {} was brought back. {}", self.app, crate::report::stop(stop).raw()),
            Err(stays) => format!("App {} has `onFailure: rollback` and was not brought back: {stays}.", self.app),
        })
    }
}

/// Brings back the last healthy version of apps that ask for it and did not become healthy. The next plan has that version
/// in the place of today's. An object may take `deadline` seconds.
pub async fn bring_back(planned: &Planned, outcome: Option<&Outcome>, deadline: f64) -> Vec<Comeback> {
    let Some(cluster) = &planned.cluster else { return Vec::new() };
    let desired = &planned.desired;
    let revision = planned.repository.revision.as_ref().map(|r| r.id.as_str()).unwrap_or_default();
    let mut found: Vec<Comeback> = Vec::new();
    for (object, why) in unhealthy(planned, outcome, deadline) {
        // What is held is the version that came back: there is nothing better.
        let Some(app) = comes_back(desired, &object).filter(|_| !desired.held_back.contains_key(&object)) else {
            continue;
        };
        let Some(digest) = plan::text_digest(desired, &app) else { continue };
        if found.iter().any(|known| known.app == app) {
            continue;
        }
        let (namespace, name) = (&desired.rules().inventory.namespace, &desired.environment.name);
        let reason = format!("revision {}: {}", revision.get(..12).unwrap_or_default(), why.raw());
        let now = jiff::Timestamp::now().as_second();
        let stop = match Environment::find(cluster.clone(), namespace, Some(name)).await {
            Ok(environment) => environment.bring_back(&app, &digest, &reason, now).await,
            Err(error) => Err(error),
        };
        let held = match stop {
            Ok(stop) => stop.ok_or(Stays::Nowhere),
            Err(error) => Err(error.into()),
        };
        found.push(Comeback { app, held });
    }
    found
}

/// What did not become healthy; of a turn that had nothing to do, what an earlier one wrote and that has failed since.
fn unhealthy(planned: &Planned, outcome: Option<&Outcome>, deadline: f64) -> BTreeMap<ObjectRef, Untrusted> {
    if let Some(outcome) = outcome {
        return outcome.unhealthy.clone();
    }
    let now = jiff::Timestamp::now().as_second();
    let failed = owed(planned).into_iter().filter(|owed| owed.has_failed(deadline, now));
    failed.map(|owed| (owed.object, owed.health.message)).collect()
}
