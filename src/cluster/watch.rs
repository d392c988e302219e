//! Watching what is owned: not what an object becomes, only that someone changed it. Each watch has an end of its own, and
//! goes on from where it was.

use super::list::List;
use super::listing::{is_secret, secret_namespaces, wanted_version};
use super::{Cluster, get, in_time};
use crate::desired::Desired;
use crate::inventory::{ID, Parent};
use crate::live::Live;
use crate::object::{GroupKind, ObjectRef, meta};
use bytes::Bytes;
use http::{HeaderValue, header};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// How long one watch request lasts.
const LASTS: u64 = 290;
/// After a failure a watch begins again later, at most so much later.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest line that is taken: an object cannot be larger.
const MAX_LINE: usize = 16 << 20;

/// Watches under way; they end with it.
pub struct Watches {
    changed: Arc<Notify>,
    /// What is watched.
    paths: BTreeSet<String>,
    _tasks: JoinSet<()>,
}

impl Watches {
    /// Resolves when something was changed since it was asked last.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What is watched.
    pub fn paths(&self) -> &BTreeSet<String> {
        &self.paths
    }
}

impl Cluster {
    /// Watches what the inventories own, and the inventories themselves.
    pub fn watch(&self, desired: &Desired, live: &Live, parents: &[Parent]) -> Watches {
        let lists = owned(desired, live, parents);
        let changed = Arc::new(Notify::new());
        let mut tasks = JoinSet::new();
        let paths = lists.iter().map(|list| list.url("")).collect();
        for list in lists {
            tasks.spawn(follow(self.clone(), list, Arc::clone(&changed)));
        }
        Watches { changed, paths, _tasks: tasks }
    }
}

/// The paths that [`Cluster::watch`] would watch.
pub fn watched(desired: &Desired, live: &Live, parents: &[Parent]) -> BTreeSet<String> {
    owned(desired, live, parents).iter().map(|list| list.url("")).collect()
}

/// What is watched: the kinds of desired objects and of hints, by our labels.
fn owned(desired: &Desired, live: &Live, parents: &[Parent]) -> Vec<List> {
    let ids: Vec<&str> = parents.iter().map(|parent| parent.id.as_str()).collect();
    let selector = format!("{} in ({})", crate::inventory::PART_OF, ids.join(","));
    let kinds: BTreeSet<GroupKind> = desired.objects.keys().map(ObjectRef::group_kind).collect();
    let mut lists = Vec::new();
    for kind in kinds {
        let Some(served) = live.kinds.get(&kind) else { continue };
        let list = List::of(&kind, &wanted_version(desired, &kind, served), served).labelled(&selector);
        if is_secret(&kind) {
            lists.extend(secret_namespaces(desired, parents).iter().map(|n| list.clone().within(Some(n))));
        } else {
            lists.push(list);
        }
    }
    if let Some(served) = live.kinds.get(&GroupKind::new("", "ConfigMap")) {
        let namespace = desired.rules().inventory.namespace.as_str();
        lists.push(List::of(&GroupKind::new("", "ConfigMap"), "v1", served).within(Some(namespace)).labelled(ID));
    }
    lists
}

/// Follows one list for ever.
async fn follow(cluster: Cluster, list: List, changed: Arc<Notify>) {
    let mut seen = Seen::default();
    let mut pause = Duration::from_secs(1);
    loop {
        match once(&cluster, &list, &mut seen, &changed).await {
            Ok(()) => pause = Duration::from_secs(1),
            Err(reason) => {
                tracing::debug!(path = list.url(""), reason, "a watch begins again");
                // What happened meanwhile is not known.
                seen = Seen::default();
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                changed.notify_one();
            }
        }
    }
}

/// What was seen of a list.
#[derive(Default)]
struct Seen {
    /// Where the next request goes on; empty for the beginning.
    version: String,
    /// The content of each object, by uid.
    objects: HashMap<String, u64>,
}

async fn once(cluster: &Cluster, list: &List, seen: &mut Seen, changed: &Notify) -> Result<(), String> {
    let base = list.url("");
    let joint = if base.contains('?') { '&' } else { '?' };
    let version = if seen.version.is_empty() { String::new() } else { format!("&resourceVersion={}", seen.version) };
    let path = format!("{base}{joint}watch=true&allowWatchBookmarks=true&timeoutSeconds={LASTS}{version}");
    let mut request = get(&path, "application/json").map_err(|refused| refused.message.terminal())?;
    // A stream that is packed piece by piece is unpacked only to the end of the first.
    request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    cluster.count(|traffic| *traffic.requests.entry("WATCH").or_default() += 1);
    let answer = in_time(cluster.client.send(request.map(Body::from))).await.map_err(|r| r.message.terminal())?;
    if !answer.status().is_success() {
        return Err(format!("{}", answer.status()));
    }
    let end = Duration::from_secs(LASTS + 30);
    lines(answer.into_body(), end, &mut |line| take(line, seen, changed)).await
}

/// Shows each line of a body, until it ends; it is an error when it does not end within a time.
pub(super) async fn lines(
    mut body: Body,
    within: Duration,
    each: &mut (dyn FnMut(&[u8]) -> Result<(), String> + Send),
) -> Result<(), String> {
    let mut line = Vec::new();
    let end = tokio::time::Instant::now() + within;
    loop {
        let frame = tokio::time::timeout_at(end, body.frame()).await.map_err(|_| "it did not end".to_owned())?;
        let Some(frame) = frame else { return Ok(()) };
        let piece: Bytes = frame.map_err(|error| error.to_string())?.into_data().unwrap_or_default();
        let mut rest = &piece[..];
        while let Some(end) = memchr::memchr(b'\n', rest) {
            line.extend_from_slice(&rest[..end]);
            each(&line)?;
            line.clear();
            rest = &rest[end + 1..];
        }
        line.extend_from_slice(rest);
        if line.len() > MAX_LINE {
            return Err("an object is too large".to_owned());
        }
    }
}

fn take(line: &[u8], seen: &mut Seen, changed: &Notify) -> Result<(), String> {
    let event: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let (kind, object) = (event["type"].as_str().unwrap_or_default(), &event["object"]);
    if kind == "ERROR" {
        return Err(object["message"].as_str().unwrap_or_default().to_owned());
    }
    meta(object, "resourceVersion").clone_into(&mut seen.version);
    let uid = meta(object, "uid").to_owned();
    match kind {
        "DELETED" => {
            seen.objects.remove(&uid);
            changed.notify_one();
        }
        "ADDED" | "MODIFIED" => {
            let content = content(object);
            let before = seen.objects.insert(uid, content);
            if before.is_some_and(|before| before != content) {
                changed.notify_one();
            }
        }
        _ => {}
    }
    Ok(())
}

/// A number for what people declare of an object: what controllers report is left out.
fn content(object: &Value) -> u64 {
    let mut state = DefaultHasher::new();
    for (field, value) in object.as_object().into_iter().flatten() {
        match (field.as_str(), value) {
            ("status", _) => {}
            ("metadata", Value::Object(metadata)) => {
                for field in ["labels", "annotations", "ownerReferences", "deletionTimestamp"] {
                    metadata.get(field).map(ToString::to_string).hash(&mut state);
                }
            }
            _ => value.to_string().hash(&mut state),
        }
    }
    state.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_is_no_change_and_a_field_is() {
        let object =
            json!({"kind": "A", "metadata": {"uid": "u", "resourceVersion": "1"}, "spec": {"a": 1}, "status": {}});
        let mut reported = object.clone();
        reported["status"]["ready"] = json!(true);
        reported["metadata"]["resourceVersion"] = json!("2");
        assert_eq!(content(&object), content(&reported));
        for (pointer, value) in [("/spec/a", json!(2)), ("/metadata", json!({"uid": "u", "labels": {"a": "b"}}))] {
            let mut changed = object.clone();
            *changed.pointer_mut(pointer).unwrap_or(&mut Value::Null) = value;
            assert_ne!(content(&object), content(&changed), "{pointer}");
        }
    }
}
