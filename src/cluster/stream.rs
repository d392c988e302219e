//! The state of the objects of one LIST as a stream: what there is, then what becomes of it, in one request.

use super::list::List;
use super::watch::lines;
use super::{Cluster, get, in_time};
use crate::object::meta;
use http::{HeaderValue, header};
use kube::client::Body;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long one request lasts, in seconds; a stream that ended is followed by LISTs.
const LASTS: u64 = 3600;
/// Marks the end of what there is.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// What was last heard of an object.
pub(super) struct Heard {
    /// Its resource version.
    pub(super) version: u64,
    pub(super) now: Now,
}

/// How an object was when it was last heard of.
pub(super) enum Now {
    /// It is so, and nobody has looked at it yet.
    Fresh(Value),
    /// As it was when it was last looked at.
    Shown,
    /// It left the list: it is gone, or has its label no more.
    Left,
    /// It is gone.
    Gone,
}

/// What is known of the objects of a LIST, by [`key`].
#[derive(Default)]
pub(super) struct Known {
    pub(super) objects: HashMap<String, Heard>,
    /// Whether all objects that there were are known.
    pub(super) whole: bool,
    /// Whether nothing more will be heard.
    pub(super) ended: bool,
}

impl Known {
    /// Takes in how an object is, unless something newer is known.
    pub(super) fn put(&mut self, key: String, version: u64, now: Now) {
        if self.objects.get(&key).is_none_or(|known| known.version <= version) {
            self.objects.insert(key, Heard { version, now });
        }
    }

    /// It was asked for and is not there.
    pub(super) fn gone(&mut self, key: String) {
        let version = self.objects.get(&key).map_or(0, |known| known.version);
        self.objects.insert(key, Heard { version, now: Now::Gone });
    }
}

/// What names an object within its kind.
pub(super) fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// What is known of a list, and the stream that it is heard by; that ends with this value.
pub(super) struct Stream {
    known: Arc<Mutex<Known>>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.iter().for_each(JoinHandle::abort);
    }
}

impl Stream {
    /// Begins to read; objects that `keeps` does not want are passed over.
    pub(super) fn begin(cluster: &Cluster, list: &List, keeps: Keeps) -> Self {
        let known: Arc<Mutex<Known>> = Arc::default();
        let (cluster, list, heard) = (cluster.clone(), list.clone(), Arc::clone(&known));
        let task = tokio::spawn(async move {
            if let Err(reason) = read(&cluster, &list, &heard, &keeps).await {
                tracing::debug!(path = list.url(""), reason, "a stream ended");
            }
            lock(&heard).ended = true;
        });
        Self { known, task: Some(task) }
    }

    /// One that hears nothing: what is known is asked for.
    pub(super) fn none() -> Self {
        let known = Known { ended: true, ..Known::default() };
        Self { known: Arc::new(Mutex::new(known)), task: None }
    }

    /// What is known by now.
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }
}

/// Says which objects of a stream are kept.
pub(super) type Keeps = Box<dyn Fn(&str) -> bool + Send + Sync>;

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read(cluster: &Cluster, list: &List, known: &Mutex<Known>, keeps: &Keeps) -> Result<(), String> {
    let mut request = get(&list.stream_url(LASTS), "application/json").map_err(|refused| refused.message.terminal())?;
    // A stream that is packed piece by piece is unpacked only to the end of the first.
    request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    cluster.count(|traffic| *traffic.requests.entry("WATCH").or_default() += 1);
    let answer = in_time(cluster.client.send(request.map(Body::from))).await.map_err(|r| r.message.terminal())?;
    if !answer.status().is_success() {
        return Err(format!("{}", answer.status()));
    }
    let end = Duration::from_secs(LASTS + 30);
    lines(answer.into_body(), end, &mut |line| take(line, &mut lock(known), keeps)).await
}

/// Takes in one event.
fn take(line: &[u8], known: &mut Known, keeps: &Keeps) -> Result<(), String> {
    let mut event: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let object = event.get_mut("object").map(Value::take).unwrap_or_default();
    let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "ERROR" => return Err(object.get("message").and_then(Value::as_str).unwrap_or_default().to_owned()),
        "BOOKMARK" => {
            let end = object.pointer("/metadata/annotations").and_then(|all| all.get(INITIAL_EVENTS_END));
            known.whole |= end.is_some();
        }
        "ADDED" | "MODIFIED" | "DELETED" => {
            let key = key(meta(&object, "namespace"), meta(&object, "name"));
            if keeps(&key) {
                let version = version(&object);
                let now = if kind == "DELETED" { Now::Left } else { Now::Fresh(object) };
                known.put(key, version, now);
            }
        }
        _ => {}
    }
    Ok(())
}

/// The resource version as a number: later ones of one kind are larger. Zero where it is none.
pub(super) fn version(object: &Value) -> u64 {
    meta(object, "resourceVersion").parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keeps() -> Keeps {
        Box::new(|key| key != "/other")
    }

    fn event(known: &mut Known, kind: &str, name: &str, version: &str) {
        let line = json!({"type": kind, "object": {"metadata": {"name": name, "resourceVersion": version}}});
        assert_eq!(take(line.to_string().as_bytes(), known, &keeps()), Ok(()));
    }

    #[test]
    fn a_stream_is_whole_at_its_bookmark_and_knows_the_last_event_of_each_object() {
        let mut known = Known::default();
        event(&mut known, "ADDED", "a", "7");
        event(&mut known, "ADDED", "other", "8");
        assert!(!known.whole);
        let end = json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9", "annotations": {INITIAL_EVENTS_END: "true"}}}});
        assert_eq!(take(end.to_string().as_bytes(), &mut known, &keeps()), Ok(()));
        assert!(known.whole);
        event(&mut known, "MODIFIED", "a", "10");
        event(&mut known, "MODIFIED", "a", "9");
        assert!(matches!(known.objects.get("/a"), Some(Heard { version: 10, now: Now::Fresh(_) })));
        event(&mut known, "DELETED", "a", "11");
        assert!(matches!(known.objects.get("/a"), Some(Heard { version: 11, now: Now::Left })));
        assert_eq!(known.objects.len(), 1);
        let error = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "expired"}});
        assert_eq!(take(error.to_string().as_bytes(), &mut known, &keeps()), Err("expired".to_owned()));
    }
}
