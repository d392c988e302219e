//! Kubernetes Events on the objects. The name of an Event is made of what it tells, so that the API server itself keeps the
//! same news from being told twice while it remembers the first (an hour, by default).

use super::{News, What};
use crate::cluster::Cluster;
use crate::live::Served;
use crate::object::{ObjectRef, api_version};
use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The most Events of one turn.
const MOST: usize = 50;
/// The namespace of Events about objects that have none.
const CLUSTERED: &str = "default";
/// The most characters of an Event's message (1,024 bytes are taken).
const MESSAGE: usize = 250;

/// Sends an Event for each piece of news about an object that exists; gives the fingerprints that were told before.
pub async fn send_events(cluster: &Cluster, served: &Served, news: &[News]) -> BTreeSet<String> {
    let about = news.iter().filter_map(|news| Some((news, news.object.as_ref().filter(|_| !news.uid.is_empty())?)));
    let sending = about.take(MOST).map(|(news, object)| async move {
        let (reference, body) = event(news, object);
        match cluster.create(&reference, "v1", served, &body).await {
            Err(refused) if refused.code == 409 => Some(news.fingerprint.clone()),
            Err(refused) => {
                tracing::warn!(code = refused.code, reason = refused.reason, "an Event was not taken");
                None
            }
            Ok(_) => None,
        }
    });
    stream::iter(sending).buffer_unordered(8).filter_map(std::future::ready).collect().await
}

fn event(news: &News, object: &ObjectRef) -> (ObjectRef, Value) {
    let namespace = object.namespace.as_deref().unwrap_or(CLUSTERED);
    let name = format!("spinway.{}", news.fingerprint);
    let now = jiff::Timestamp::now().round(jiff::Unit::Second).map(|now| now.to_string()).unwrap_or_default();
    let kind = if news.what == What::Applied { "Normal" } else { "Warning" };
    let mut involved = json!({
        "apiVersion": api_version(&object.group, &news.version), "kind": object.kind, "name": object.name, "uid": news.uid,
    });
    if let Some(namespace) = &object.namespace {
        involved["namespace"] = json!(namespace);
    }
    let body = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": involved,
        "type": kind, "reason": news.what.word(),
        "message": news.text.terminal().chars().take(MESSAGE).collect::<String>(),
        "source": {"component": "spinway"}, "reportingComponent": "spinway",
        "firstTimestamp": now, "lastTimestamp": now, "count": 1,
    });
    (ObjectRef::new("", "Event", namespace, &name), body)
}
