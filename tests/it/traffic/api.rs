//! Requests to the bed's API server, and its objects as they come and go.

use futures::TryStreamExt as _;
use kube::core::WatchEvent;
use serde_json::Value;
use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;

pub const MERGE: &str = "application/merge-patch+json";
pub const APPLY: &str = "application/apply-patch+yaml";
pub const JSON: &str = "application/json";

/// The API server, as the administrator.
#[derive(Clone)]
pub struct Api {
    pub client: kube::Client,
}

/// What became of an object.
pub enum Seen {
    Is(Value),
    Gone(Value),
}

impl Api {
    /// The body of a GET; none unless it succeeds.
    pub async fn get(&self, path: &str) -> Option<Value> {
        self.send("GET", path, JSON, &Value::Null).await.ok()
    }

    pub async fn send(&self, method: &str, path: &str, content: &str, body: &Value) -> Result<Value, kube::Error> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = http::Request::builder().method(method).uri(path).header("content-type", content).body(body);
        self.client.request(request.expect("a request")).await
    }

    /// A server-side apply with force, as controllers do.
    pub async fn apply(&self, path: &str, manager: &str, body: &Value) -> Result<Value, kube::Error> {
        self.send("PATCH", &format!("{path}?fieldManager={manager}&force=true"), APPLY, body).await
    }

    /// Follows all objects of a collection, from those that are there.
    pub fn follow(&self, path: &'static str) -> mpsc::UnboundedReceiver<Seen> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let api = self.clone();
        tokio::spawn(async move {
            let mut known = HashMap::new();
            while !sender.is_closed() {
                if api.follow_once(path, &mut known, &sender).await.is_none() {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        });
        receiver
    }

    /// One LIST, and the watch after it until that ends.
    async fn follow_once(
        &self,
        path: &str,
        known: &mut HashMap<String, Value>,
        sender: &mpsc::UnboundedSender<Seen>,
    ) -> Option<()> {
        let list = self.get(path).await?;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let uid = |object: &Value| object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let mut gone = std::mem::take(known);
        for item in items {
            gone.remove(&uid(&item));
            known.insert(uid(&item), item.clone());
            sender.send(Seen::Is(item)).ok()?;
        }
        gone.into_values().for_each(|object| drop(sender.send(Seen::Gone(object))));
        let version = list["metadata"]["resourceVersion"].as_str()?;
        let uri = format!("{path}?watch=true&resourceVersion={version}&timeoutSeconds=280");
        let request = http::Request::get(uri).body(Vec::new()).expect("a request");
        let events = self.client.request_events::<Value>(request).await.ok()?;
        let mut events = pin!(events);
        while let Ok(Some(event)) = events.try_next().await {
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    known.insert(uid(&object), object.clone());
                    sender.send(Seen::Is(object)).ok()?;
                }
                WatchEvent::Deleted(object) => {
                    known.remove(&uid(&object));
                    sender.send(Seen::Gone(object)).ok()?;
                }
                WatchEvent::Bookmark(_) => {}
                WatchEvent::Error(_) => break,
            }
        }
        Some(())
    }
}

/// A text of an object by JSON pointer; empty when it is not there.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The time as Kubernetes writes it.
pub fn now() -> String {
    jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).expect("a time").to_string()
}
