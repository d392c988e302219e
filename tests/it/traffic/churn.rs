//! Another team whose route changes all the time, so that the controller is always busy.

use super::api::{APPLY, Api};
use super::traefik::{Lane, PORT};
use serde_json::{Value, json};
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(250);

/// Starts changing the route at a lane's Traefik, for the life of the bed.
pub async fn start(api: Api, lane: Lane) {
    let namespace = format!("churn-{}", lane.class());
    let made = [
        (
            "/api/v1/namespaces".to_owned(),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        ),
        (
            format!("/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/gateways"),
            json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "busy", "namespace": namespace},
                   "spec": {"gatewayClassName": lane.class(), "listeners": [{"name": "http", "port": PORT, "protocol": "HTTP", "hostname": "busy.example"}]}}),
        ),
    ];
    for (path, body) in made {
        api.send("POST", &path, super::api::JSON, &body).await.expect("the other team's objects");
    }
    tokio::spawn(async move {
        for number in 0_u64.. {
            let path = format!(
                "/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/busy?fieldManager=other&force=true"
            );
            // A lost change is as good as none.
            let _ = api.send("PATCH", &path, APPLY, &route(&namespace, number)).await;
            tokio::time::sleep(EVERY).await;
        }
    });
}

fn route(namespace: &str, number: u64) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "busy", "namespace": namespace},
           "spec": {"parentRefs": [{"name": "busy"}], "hostnames": ["busy.example"], "rules": [{
               "matches": [{"path": {"type": "PathPrefix", "value": format!("/{number}")}}],
               "filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": "elsewhere.example", "statusCode": 302}}]}]}})
}
