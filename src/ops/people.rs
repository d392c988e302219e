//! What people tell an environment through its inventory: stop, go on, consent; and what they ask it: its history.

use super::Error;
use crate::api::Refused;
use crate::cluster::{Cluster, Error as ClusterError};
use crate::inventory::{APPROVED, MAX_PAUSE, Parent, STOPS, Scope, Stop, seconds};
use crate::live::Served;
use crate::object::{GroupKind, meta};
use serde_json::json;

/// An environment as its inventories tell of it.
pub struct Environment {
    cluster: Cluster,
    served: Served,
    /// The inventories.
    pub parents: Vec<Parent>,
}

/// Which part of an environment is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// One app, `NAMESPACE/NAME`.
    App(String),
    /// One tenant.
    Tenant(String),
    /// All of it.
    All,
}

/// Why an environment cannot be told something.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// The API server cannot be used.
    #[error(transparent)]
    Read(#[from] Error),
    /// What was asked for is not there, or not to be had.
    #[error("{0}")]
    Asked(String),
    /// The API server refuses.
    #[error("{0}")]
    Refused(String),
}

impl From<Refused> for PeopleError {
    fn from(refused: Refused) -> Self {
        Self::Refused(format!("the inventory cannot be written: {} {}", refused.code, refused.message.terminal()))
    }
}

impl Environment {
    /// Finds the inventories of an environment in a namespace; with one environment there its name need not be given.
    ///
    /// # Errors
    /// The API server cannot be used, or there is no such environment, or several.
    pub async fn find(cluster: Cluster, namespace: &str, asked: Option<&str>) -> Result<Self, PeopleError> {
        let kinds = cluster.discover().await.map_err(Error::from)?;
        let Some(served) = kinds.get(&GroupKind::new("", "ConfigMap")).cloned() else {
            return Err(Error::from(ClusterError::Server("it serves no ConfigMaps".to_owned())).into());
        };
        let maps = cluster.inventories(Some(namespace), &kinds).await?;
        let mut parents = Vec::new();
        let mut names = std::collections::BTreeSet::new();
        for map in &maps {
            let mut parts = meta(map, "name").splitn(4, '.').skip(1);
            let (Some(config), Some(environment), Some(partition)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            let read = Parent::new(config, environment, partition, namespace).read(map);
            let Some(parent) = read.ok().filter(|_| asked.is_none_or(|asked| asked == environment)) else { continue };
            names.insert(format!("{config}.{environment}"));
            parents.push(parent);
        }
        match names.len() {
            1 => Ok(Self { cluster, served, parents }),
            0 => Err(PeopleError::Asked(format!(
                "there is no inventory of such an environment in namespace {namespace}"
            ))),
            _ => {
                let names: Vec<String> = names.into_iter().collect();
                Err(PeopleError::Asked(format!("choose an environment with --env: {}", names.join(", "))))
            }
        }
    }

    /// Stops a part, or sets the stop that it has anew. With a revision it is held there; the revision must be one that was
    /// applied to it, or a full commit id. Gives the stop.
    ///
    /// # Errors
    /// The part or the revision is not known, the end is no time ahead (at most 24 hours for a rollback), or the API server
    /// refuses.
    pub async fn stop(
        &self,
        part: &Part,
        until: &str,
        reason: &str,
        rollback: Option<Option<&str>>,
        now: i64,
    ) -> Result<Stop, PeopleError> {
        let (parent, scope) = self.place(part)?;
        let end = seconds(until).filter(|end| *end > now);
        let end = end.ok_or_else(|| PeopleError::Asked(format!("`{until}` is no time ahead (RFC 3339)")))?;
        if rollback.is_some() && end - now > MAX_PAUSE {
            return Err(PeopleError::Asked(
                "a rollback holds for at most 24 hours; put what shall stay into Git".to_owned(),
            ));
        }
        let revision = rollback.map(|asked| revision(parent, asked)).transpose()?;
        let stop = Stop {
            scope,
            until: until.to_owned(),
            by: self.cluster.who().await?,
            reason: reason.to_owned(),
            failed: None,
            revision,
        };
        let others = parent.stops.iter().filter(|known| known.scope != stop.scope || !known.is_in_force(now));
        let mut stops: Vec<Stop> = others.filter(|known| known.is_in_force(now)).cloned().collect();
        stops.push(stop.clone());
        self.write_stops(parent, &stops).await?;
        Ok(stop)
    }

    /// Brings the last healthy version of an app back, because the text with that digest did not become healthy. Gives the
    /// stop; none when no version of it is known to have been healthy, or that one failed too.
    ///
    /// # Errors
    /// The app is not known, or the API server refuses.
    pub async fn bring_back(
        &self,
        app: &str,
        failed: &str,
        reason: &str,
        now: i64,
    ) -> Result<Option<Stop>, PeopleError> {
        let (parent, scope) = self.place(&Part::App(app.to_owned()))?;
        let Some(revision) = parent.state.healthy.get(app) else { return Ok(None) };
        // One that another text caused is over by now.
        let holds = |stop: &Stop| stop.failed.as_deref().is_none_or(|text| text == failed);
        if parent.stops.iter().any(|stop| stop.scope == scope && stop.is_in_force(now) && holds(stop)) {
            return Ok(None);
        }
        let end = jiff::Timestamp::from_second(now + MAX_PAUSE).unwrap_or_default();
        let stop = Stop {
            scope,
            until: end.to_string(),
            by: "spinway (on-failure)".to_owned(),
            reason: reason.to_owned(),
            failed: Some(failed.to_owned()),
            revision: Some(revision.clone()),
        };
        let mut stops: Vec<Stop> =
            parent.stops.iter().filter(|known| known.scope != stop.scope && known.is_in_force(now)).cloned().collect();
        stops.push(stop.clone());
        self.write_stops(parent, &stops).await?;
        Ok(Some(stop))
    }

    /// Ends what stops a part; gives what it ended.
    ///
    /// # Errors
    /// The part is not known, nothing stops it, or the API server refuses.
    pub async fn resume(&self, part: &Part) -> Result<Vec<Stop>, PeopleError> {
        let (parent, scope) = self.place(part)?;
        let (ended, kept): (Vec<Stop>, Vec<Stop>) = parent.stops.iter().cloned().partition(|stop| stop.scope == scope);
        if ended.is_empty() {
            return Err(PeopleError::Asked("nothing stops it".to_owned()));
        }
        self.write_stops(parent, &kept).await?;
        Ok(ended)
    }

    /// Consents to one destruction until then.
    ///
    /// # Errors
    /// It is no digest, the end is no time ahead, or the API server refuses.
    pub async fn approve(&self, digest: &str, until: &str, now: i64) -> Result<(), PeopleError> {
        let hex =
            digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        if hex.is_none() {
            return Err(PeopleError::Asked(
                "a digest is `sha256:` and 64 hexadecimal digits, as a plan prints it".to_owned(),
            ));
        }
        if seconds(until).is_none_or(|end| end <= now || end - now > 7 * MAX_PAUSE) {
            return Err(PeopleError::Asked(format!("`{until}` is no time within the next seven days (RFC 3339)")));
        }
        let parent = self.parents.iter().find(|p| p.partition == crate::desired::PLATFORM).or(self.parents.first());
        let Some(parent) = parent else { return Err(PeopleError::Asked("there is no inventory".to_owned())) };
        let kept = parent.approvals.iter().filter(|(_, end)| seconds(end).is_some_and(|end| end > now));
        let mut all: Vec<String> = kept.filter(|(d, _)| *d != digest).map(|(d, e)| format!("{d}={e}")).collect();
        all.push(format!("{digest}={until}"));
        self.annotate(parent, APPROVED, Some(&all.join(","))).await
    }

    /// The inventory on which a part is told something, and the scope of it there.
    fn place(&self, part: &Part) -> Result<(&Parent, Scope), PeopleError> {
        let of = |partition: &str| self.parents.iter().find(|parent| parent.partition == partition);
        match part {
            Part::All => of(crate::desired::PLATFORM)
                .map(|parent| (parent, Scope::Environment))
                .ok_or_else(|| PeopleError::Asked("the platform's partition has no inventory yet".to_owned())),
            Part::Tenant(name) => {
                let known: Vec<&str> = self.parents.iter().map(|parent| parent.partition.as_str()).collect();
                let unknown =
                    || PeopleError::Asked(format!("there is no tenant `{name}`; there are: {}", known.join(", ")));
                of(name).map(|parent| (parent, Scope::Tenant)).ok_or_else(unknown)
            }
            Part::App(app) => {
                let (namespace, name) = app.split_once('/').unwrap_or_default();
                let owner = self.parents.iter().find(|parent| parent.knows_app(namespace, name));
                let unknown =
                    || PeopleError::Asked(format!("no inventory knows an app `{app}`; name it NAMESPACE/NAME"));
                owner.map(|parent| (parent, Scope::App(app.clone()))).ok_or_else(unknown)
            }
        }
    }

    async fn write_stops(&self, parent: &Parent, stops: &[Stop]) -> Result<(), PeopleError> {
        let text = (!stops.is_empty()).then(|| json!(stops).to_string());
        self.annotate(parent, STOPS, text.as_deref()).await
    }

    async fn annotate(&self, parent: &Parent, name: &str, value: Option<&str>) -> Result<(), PeopleError> {
        let patch = json!({"metadata": {"resourceVersion": parent.resource_version, "annotations": {name: value}}});
        Ok(self.cluster.merge(&parent.reference(), "v1", &self.served, &patch).await?)
    }
}

/// The revision to which a partition is rolled back: by the beginning of its id, else the one before the current one.
fn revision(parent: &Parent, asked: Option<&str>) -> Result<String, PeopleError> {
    let known: Vec<&str> = parent.state.history.iter().rev().map(|entry| entry.revision.as_str()).collect();
    let current = known.first().copied().unwrap_or_default();
    let found = match asked {
        Some(asked) if asked.len() >= 4 => known.iter().find(|id| id.starts_with(asked)).copied(),
        Some(_) => None,
        None => {
            let good = parent.state.history.iter().rev().filter(|entry| entry.result == "done");
            good.map(|entry| entry.revision.as_str()).find(|id| *id != current)
        }
    };
    let full = asked.filter(|id| id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    let found = found.or(full).filter(|id| !id.is_empty());
    found.map(str::to_owned).ok_or_else(|| {
        PeopleError::Asked(match asked {
            Some(asked) => format!("revision `{asked}` is not in the history of partition {}", parent.partition),
            None => format!("partition {} has no earlier revision in its history", parent.partition),
        })
    })
}
