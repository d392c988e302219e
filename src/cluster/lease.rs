//! The Lease of an environment (coordination.k8s.io/v1): who may write. It is judged by observed change on our own clock,
//! never by comparing times that different machines wrote, and every write of it builds on what was read.

use super::{Cluster, Fence};
use crate::live::Served;
use crate::object::{ObjectRef, meta};
use crate::plan::Refused;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How often a lease of others is looked at while it is judged.
const LOOK: Duration = Duration::from_millis(500);

/// A Lease that is held.
#[derive(Debug)]
pub struct Lease {
    object: ObjectRef,
    served: Served,
    holder: String,
    duration: Duration,
    current: Value,
    fence: Fence,
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
    /// It cannot be read or written.
    #[error("the lease {object} cannot be used: {message}")]
    Refused {
        /// The Lease.
        object: String,
        /// What the API server says.
        message: String,
    },
}

impl Cluster {
    /// Takes a Lease. While someone else holds it, it is watched for as long as it lasts: if it changes it is held, if not
    /// its holder is gone and it is taken over.
    ///
    /// # Errors
    /// It is held, or cannot be read or written.
    pub async fn take_lease(
        &self,
        (namespace, name): (&str, &str),
        served: &Served,
        holder: &str,
        duration: Duration,
    ) -> Result<Lease, LeaseError> {
        let object = ObjectRef::new("coordination.k8s.io", "Lease", namespace, name);
        let refused = |refused: Refused| LeaseError::Refused {
            object: object.path(),
            message: format!("{} {}", refused.code, refused.message.terminal()),
        };
        let held = |lease: &Value| LeaseError::Held { object: object.path(), holder: holder_of(lease).to_owned() };
        let mut seen: Option<(String, Instant)> = None;
        loop {
            let start = Instant::now();
            let found = self.get(&object, "v1", served).await.map_err(refused)?;
            let written = match &found {
                None => self.create(&object, "v1", served, &text(&object, None, holder, duration)).await,
                Some(lease) if is_free(lease) => {
                    self.replace(&object, "v1", served, &text(&object, Some(lease), holder, duration)).await
                }
                Some(lease) => {
                    let version = meta(lease, "resourceVersion").to_owned();
                    match &seen {
                        Some((known, since)) if *known == version && since.elapsed() > lasts(lease, duration) => {
                            self.replace(&object, "v1", served, &text(&object, Some(lease), holder, duration)).await
                        }
                        Some((known, _)) if *known == version => {
                            tokio::time::sleep(LOOK).await;
                            continue;
                        }
                        // It was renewed, or someone else took it: there is a living holder.
                        Some(_) => return Err(held(lease)),
                        None => {
                            seen = Some((version, start));
                            continue;
                        }
                    }
                }
            };
            return match written {
                Ok(current) => {
                    let fence = Fence::until(start + duration / 2);
                    Ok(Lease { object, served: served.clone(), holder: holder.to_owned(), duration, current, fence })
                }
                // Another one was faster.
                Err(conflict) if conflict.code == 409 => {
                    let now = self.get(&object, "v1", served).await.map_err(refused)?;
                    Err(held(&now.unwrap_or_default()))
                }
                Err(error) => Err(refused(error)),
            };
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

impl Lease {
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

fn is_free(lease: &Value) -> bool {
    holder_of(lease).is_empty()
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
