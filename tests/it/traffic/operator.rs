//! A stand-in for the Spin operator, which is in no registry: what can be observed of it, by its timing.
//!
//! As the real one does, each look at a SpinApp first copies the status of the Deployment as it is then (so a SpinApp's
//! conditions are those of before the change and carry no observedGeneration), and then applies by server-side apply with
//! force: the Secret of the runtime configuration (a new name for new contents, old ones stay), the Deployment and the
//! Service, with an owner reference of a controller. A look is taken 0.45 s after a change of the SpinApp or of its Deployment,
//! one at a time: measured of the real one under load. A SpinApp without its executor gets an Event and no status.
//!
//! It differs from the real one: no webhooks, no certificates of authorities, the runtime configuration holds only its stores'
//! names, the container's command does not matter, and changes of the executor are noticed with the next look only.

use super::api::{Api, MERGE, Seen, text};
use super::children;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

const LOOK: Duration = Duration::from_millis(450);
const SPINAPPS: &str = "/apis/core.spinkube.dev/v1alpha1/spinapps";
const MANAGER: &str = "spin-operator";

type Key = (String, String);

/// Starts it.
pub fn start(api: Api) {
    tokio::spawn(run(api));
}

async fn run(api: Api) {
    let mut apps = api.follow(SPINAPPS);
    let mut deployments = api.follow("/apis/apps/v1/deployments");
    let mut known: HashMap<Key, Value> = HashMap::new();
    let mut due: HashMap<Key, Instant> = HashMap::new();
    loop {
        let next = due.values().min().copied().unwrap_or_else(|| Instant::now() + Duration::from_secs(60));
        tokio::select! {
            Some(seen) = apps.recv() => match seen {
                Seen::Is(app) => {
                    let changed = known.get(&key(&app)).is_none_or(|old| old["metadata"]["generation"] != app["metadata"]["generation"] || old["metadata"]["uid"] != app["metadata"]["uid"]);
                    if changed {
                        due.entry(key(&app)).or_insert_with(|| Instant::now() + LOOK);
                    }
                    known.insert(key(&app), app);
                }
                Seen::Gone(app) => {
                    known.remove(&key(&app));
                    due.remove(&key(&app));
                }
            },
            Some(seen) = deployments.recv() => {
                let (Seen::Is(deployment) | Seen::Gone(deployment)) = seen;
                let owner = deployment.pointer("/metadata/ownerReferences/0").cloned().unwrap_or_default();
                if owner["kind"] == "SpinApp" {
                    let of = (text(&deployment, "/metadata/namespace").to_owned(), text(&owner, "/name").to_owned());
                    due.entry(of).or_insert_with(|| Instant::now() + LOOK);
                }
            }
            () = tokio::time::sleep_until(next) => {
                let ready: Vec<Key> = due.iter().filter(|(_, at)| **at <= Instant::now()).map(|(key, _)| key.clone()).collect();
                for of in ready {
                    due.remove(&of);
                    if let Some(app) = known.get(&of).cloned() {
                        look(&api, &app, &mut due).await;
                    }
                }
            }
        }
    }
}

fn key(object: &Value) -> Key {
    (text(object, "/metadata/namespace").to_owned(), text(object, "/metadata/name").to_owned())
}

/// One reconciliation.
async fn look(api: &Api, app: &Value, due: &mut HashMap<Key, Instant>) {
    let (namespace, name) = key(app);
    if app["metadata"].get("deletionTimestamp").is_some() {
        return;
    }
    let executor = text(app, "/spec/executor");
    let path = format!("/apis/core.spinkube.dev/v1alpha1/namespaces/{namespace}/spinappexecutors/{executor}");
    let Some(executor) = api.get(&path).await else {
        let event = children::missing_executor(app);
        let _ = api.send("POST", &format!("/api/v1/namespaces/{namespace}/events"), super::api::JSON, &event).await;
        due.insert((namespace, name), Instant::now() + Duration::from_secs(2));
        return;
    };
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
    let deployment = api.get(&path).await;
    copy_status(api, app, deployment.as_ref()).await;
    if executor["spec"]["createDeployment"] == true {
        let secret = children::secret(app);
        let at = format!("/api/v1/namespaces/{namespace}/secrets/{}", text(&secret, "/metadata/name"));
        let _ = api.apply(&at, MANAGER, &secret).await;
        let applied = api.apply(&path, MANAGER, &children::deployment(app, text(&secret, "/metadata/name"))).await;
        if applied.is_err() {
            due.insert((namespace.clone(), name.clone()), Instant::now() + Duration::from_secs(1));
        }
    }
    let service = format!("/api/v1/namespaces/{namespace}/services/{name}");
    let _ = api.apply(&service, MANAGER, &children::service(app)).await;
}

/// The status is that of the Deployment before this look changes it.
async fn copy_status(api: &Api, app: &Value, deployment: Option<&Value>) {
    let copied = |condition: &Value| {
        json!({"type": condition["type"], "status": condition["status"], "reason": condition["reason"],
               "message": text(condition, "/message"), "lastTransitionTime": condition["lastTransitionTime"]})
    };
    let conditions: Vec<Value> = match deployment {
        Some(deployment) => {
            let all = deployment["status"]["conditions"].as_array().into_iter().flatten();
            all.filter(|c| c["type"] == "Available" || c["type"] == "Progressing").map(copied).collect()
        }
        None => ["Available", "Progressing"]
            .map(|kind| json!({"type": kind, "status": "Unknown", "reason": "DeploymentNotFound", "message": "No deployment exists", "lastTransitionTime": super::api::now()}))
            .to_vec(),
    };
    let ready = deployment.and_then(|d| d["status"]["readyReplicas"].as_u64()).unwrap_or(0);
    let status =
        json!({"conditions": conditions, "readyReplicas": ready, "activeScheduler": text(app, "/spec/executor")});
    let (namespace, name) = key(app);
    let path = format!(
        "/apis/core.spinkube.dev/v1alpha1/namespaces/{namespace}/spinapps/{name}/status?fieldManager={MANAGER}"
    );
    // The API server leaves a status alone that is the same.
    let _ = api.send("PATCH", &path, MERGE, &json!({"status": status})).await;
}
