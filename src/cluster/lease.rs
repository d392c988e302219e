//! The Lease of an environment (coordination.k8s.io/v1): who may write. It is judged by observed change on our own clock,
//! never by comparing times that different machines wrote, and every write of it builds on what was read.

use super::{Cluster, Fence};
use crate::api::Refused;
use crate::apply::{Class, classify};
use crate::live::Served;
use crate::object::{ObjectRef, meta};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How often a lease of others is looked at while it is judged.
const LOOK: Duration = Duration::from_millis(500);

/// What is asked for when a Lease is taken.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Who will hold it; no two who may ask for it have the same name.
    pub holder: &'a str,
    /// How long it lasts without being renewed.
    pub duration: Duration,
    /// How long it is waited for while others hold and renew it; none to give up as soon as that is seen.
    pub patience: Option<Duration>,
}

/// A Lease that is held.
#[derive(Debug)]
pub struct Lease {
    object: ObjectRef,
    served: Served,
    holder: String,
    duration: Duration,
    current: Value,
    fence: Fence,
    waited: bool,
}

/// Why a Lease is not held.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Someone else holds it and renews it.
    #[error("the lease {object} is held by {holder}")]
    Held {
        /// The Lease.
        object: String,
        /// Who holds it.
        holder: String,
    },
    /// This account has no right to it.
    #[error("the lease {object} cannot be used: {message}")]
    Forbidden {
        /// The Lease.
        object: String,
        /// What the API server says.
        message: String,
    },
    /// The API server has no Leases.
    #[error("the API server serves no Leases (coordination.k8s.io/v1)")]
    NotServed,
    /// It cannot be read or written.
    #[error("the lease {object} cannot be used: {message}")]
    Refused {
        /// The Lease.
        object: String,
        /// What the API server says.
        message: String,
    },
}

/// The Lease of someone else: the version that was seen last, and since when it has stood.
struct Seen {
    version: String,
    since: Instant,
}

impl Cluster {
    /// Takes a Lease. While someone else holds it, it is watched for as long as it lasts: if it changes it is held, if not
    /// its holder is gone and it is taken over. `tell` hears of each holder that is waited for.
    ///
    /// # Errors
    /// It is held, or cannot be read or written.
    pub async fn take_lease(
        &self,
        claim: &Claim<'_>,
        served: &Served,
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Lease, LeaseError> {
        let object = ObjectRef::new("coordination.k8s.io", "Lease", claim.namespace, claim.name);
        let end = claim.patience.map(|patience| Instant::now() + patience);
        let held = |holder: &str| LeaseError::Held { object: object.path(), holder: holder.to_owned() };
        let mut seen: Option<Seen> = None;
        let (mut waited, mut holder) = (false, String::new());
        loop {
            match self.try_lease(&object, claim, served, &mut seen).await {
                Ok(Tried::Taken(mut lease)) => {
                    lease.waited = waited;
                    return Ok(*lease);
                }
                Ok(Tried::Held { by, .. } | Tried::Faster { by }) if end.is_some_and(|end| Instant::now() >= end) => {
                    return Err(held(&by));
                }
                Ok(Tried::Held { by, renewed: true } | Tried::Faster { by }) if end.is_none() => return Err(held(&by)),
                Ok(Tried::Held { by, .. } | Tried::Faster { by }) => {
                    if by != holder {
                        tell(&by);
                        holder = by;
                    }
                }
                Err(refused) => {
                    if classify(&refused) == Class::Permanent || end.is_none_or(|end| Instant::now() >= end) {
                        return Err(refusal(&object, &refused));
                    }
                }
            }
            waited = true;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Looks at a Lease, and takes it when it is free or its holder is gone.
    async fn try_lease(
        &self,
        object: &ObjectRef,
        claim: &Claim<'_>,
        served: &Served,
        seen: &mut Option<Seen>,
    ) -> Result<Tried, Refused> {
        let start = Instant::now();
        let found = self.get(object, "v1", served).await?;
        if let Some(lease) = found.as_ref().filter(|lease| !is_free(lease, claim.holder)) {
            let (version, by) = (meta(lease, "resourceVersion").to_owned(), holder_of(lease).to_owned());
            match seen {
                Some(known) if known.version != version => {
                    // It was renewed, or someone else took it: there is a living holder.
                    *known = Seen { version, since: start };
                    return Ok(Tried::Held { by, renewed: true });
                }
                Some(known) if known.since.elapsed() > lasts(lease, claim.duration) => {}
                Some(_) => return Ok(Tried::Held { by, renewed: false }),
                None => {
                    *seen = Some(Seen { version, since: start });
                    return Ok(Tried::Held { by, renewed: false });
                }
            }
        }
        let body = text(object, found.as_ref(), claim.holder, claim.duration);
        let written = match &found {
            None => self.create(object, "v1", served, &body).await,
            Some(_) => self.replace(object, "v1", served, &body).await,
        };
        match written {
            Ok(current) => Ok(Tried::Taken(Box::new(Lease {
                object: object.clone(),
                served: served.clone(),
                holder: claim.holder.to_owned(),
                duration: claim.duration,
                current,
                fence: Fence::until(start + claim.duration / 2),
                waited: false,
            }))),
            Err(conflict) if conflict.code == 409 => {
                let now = self.get(object, "v1", served).await?.unwrap_or_default();
                Ok(Tried::Faster { by: holder_of(&now).to_owned() })
            }
            Err(refused) => Err(refused),
        }
    }

    /// Renews a Lease, which extends its fence. Once someone else wrote it, it is lost for good.
    ///
    /// # Errors
    /// It is lost (409), or the API server does not answer; then the fence ends by itself.
    pub async fn renew_lease(&self, lease: &mut Lease) -> Result<(), Refused> {
        let start = Instant::now();
        let body = text(&lease.object, Some(&lease.current), &lease.holder, lease.duration);
        match self.replace(&lease.object, "v1", &lease.served, &body).await {
            Ok(current) => {
                lease.current = current;
                lease.fence.extend(start + lease.duration / 2);
                Ok(())
            }
            Err(refused) => {
                if matches!(refused.code, 404 | 409) {
                    lease.fence.close();
                }
                Err(refused)
            }
        }
    }

    /// Gives a Lease back. One that is lost already is left alone.
    pub async fn release_lease(&self, mut lease: Lease) {
        if lease.fence.is_closed() {
            return;
        }
        lease.fence.close();
        lease.holder.clear();
        let body = text(&lease.object, Some(&lease.current), "", lease.duration);
        // If this fails it ends by itself.
        let _ = self.replace(&lease.object, "v1", &lease.served, &body).await;
    }
}

/// What came of one look at a Lease.
enum Tried {
    /// It is ours.
    Taken(Box<Lease>),
    /// Someone else holds it, and may have renewed it since the last look.
    Held { by: String, renewed: bool },
    /// It was free, and another one was faster.
    Faster { by: String },
}

fn refusal(object: &ObjectRef, refused: &Refused) -> LeaseError {
    let forbidden = refused.code == 403 && classify(refused) == Class::Permanent;
    let (object, message) = (object.path(), format!("{} {}", refused.code, refused.message.terminal()));
    if forbidden { LeaseError::Forbidden { object, message } } else { LeaseError::Refused { object, message } }
}

impl Lease {
    /// Whether it was not free at the first look: someone else held it, who may have written until then.
    pub fn was_waited_for(&self) -> bool {
        self.waited
    }

    /// The limit of writes.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// How often it must be renewed: thrice before its fence ends.
    pub fn pace(&self) -> Duration {
        self.duration / 6
    }
}

fn holder_of(lease: &Value) -> &str {
    lease.pointer("/spec/holderIdentity").and_then(Value::as_str).unwrap_or_default()
}

/// Whether nobody else holds it: a write of our own whose answer was lost is ours.
fn is_free(lease: &Value, holder: &str) -> bool {
    holder_of(lease).is_empty() || holder_of(lease) == holder
}

/// How long the holder said that it lasts; at least as long as ours, so that nobody says a second.
fn lasts(lease: &Value, ours: Duration) -> Duration {
    let seconds = lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_u64).unwrap_or_default();
    Duration::from_secs(seconds.min(3600)).max(ours)
}

/// The Lease as it is written: the times are for people, nobody judges by them. An identical text with an old
/// resourceVersion would be accepted, so the time of renewal always moves.
fn text(object: &ObjectRef, before: Option<&Value>, holder: &str, duration: Duration) -> Value {
    let now = jiff::Timestamp::now();
    let now = format!("{now:.6}");
    let spec = |field: &str| before.and_then(|lease| lease.pointer(&format!("/spec/{field}"))).cloned();
    let same = before.is_some_and(|lease| holder_of(lease) == holder);
    let transitions = spec("leaseTransitions").and_then(|n| n.as_u64()).unwrap_or_default();
    let taken = if same { spec("acquireTime").unwrap_or_else(|| json!(now)) } else { json!(now) };
    let mut lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": object.name, "namespace": object.namespace()},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": duration.as_secs(),
            "acquireTime": taken,
            "renewTime": now,
            "leaseTransitions": transitions + u64::from(!same && !holder.is_empty()),
        },
    });
    if let Some(before) = before {
        for field in ["uid", "resourceVersion"] {
            lease["metadata"][field] = json!(meta(before, field));
        }
    }
    lease
}
